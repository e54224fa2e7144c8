/* SPDX-License-Identifier: MIT */
/*
 * SuperSlabs: 2 MiB regions cut into 32 slices, and the heap that hands out runs of slices.
 *
 * A run serves a slab of some size class or one mid block.  All metadata lies in a unit elsewhere: the records
 * of slabs, and on the same page the bitmaps of the first three slices, with which a small process gets by; then the
 * other bitmaps, whose pages stay untouched until something in their slabs is freed.
 *
 * Each slice has a mask of touched pages (handed out since the kernel last took them back; presumed resident)
 * and of holes (touched, in a slab, and no block on them in use; the page on which `top` lies is none).
 *
 * Who guards what: the heap lock guards a SuperSlab's lists, its free mask, and everything about free slices
 * and mid runs; a slab's own slices belong to its class lock.
 *
 * An empty SuperSlab goes to the reserve; what the reserve did not need for a while is released (decay), and
 * so is everything in it at a flush.
 */
#ifndef HK_SLABS_SUPERSLAB_H
#define HK_SLABS_SUPERSLAB_H

#include "base/attr.h"
#include "base/lock.h"
#include "map/classes.h"
#include "map/pagemap.h"
#include "os/meta.h"

#define HK_BITMAP_WORDS (HK_SLAB_BLOCKS_MAX / 64)

/* Room on the page of the records for lists of blocks in use (sparse.c), in units of two. */
#define HK_SPARSE_UNITS 64u

#define HK_BITMAPS_WITH_RECORDS 3u /* on the page of the records, of the first slices */

enum hk_slab_state {
	HK_SLAB_FREE = 0, /* no slab begins at this slice */
	HK_SLAB_LIVE = 1, /* a slab of class_idx */
	HK_SLAB_MID = 2,  /* a mid block */
	HK_SLAB_OWN = 3,  /* memory of the allocator itself, too large for its classes */
};

struct hk_slab {
	struct hk_slab *next, *prev;    /* in its class's bin; guard: class lock */
	struct hk_superslab *superslab; /* constant while live */
	char *base;                     /* first block */
	uint64_t *bitmap;               /* set = free; bits from `top` on stay 0; not kept while the slab is sparse */
	uint32_t top;                   /* blocks ever handed out; those beyond are free and untouched */
	int32_t n_settle;               /* bits set, less settle_at */
	uint16_t n_holes;               /* pages in the hole masks of its slices */
	uint16_t low_word;              /* while low_free bits are set, none is below this word of the bitmap; of a sparse
					 * slab, the unit at which the list of its blocks in use begins */
	union {
		struct {
			uint8_t class_idx;
			uint8_t state;        /* enum hk_slab_state */
			uint8_t bitmap_ready; /* it is kept, and writing to it faults no more */
			uint8_t shard;        /* of its class; guard: the locks of the one it leaves and the one it goes to */
		};
		uint32_t tag; /* all of these at once, for whoever gives a block back */
	};
	uint8_t bin;      /* of its class, or HK_BIN_NONE */
	uint8_t n_slices; /* of the run that begins here */
	uint8_t mid_tail; /* mid block: who is at its tail; see mid.c */
	union {
		uint16_t settle_at; /* slab: once so many bits are set, it may be in the wrong bin, or empty */
		uint16_t mid_pages; /* mid block: pages that the program was given */
	};
	uint16_t low_free;
};
_Static_assert(sizeof(struct hk_slab) == 64, "one cache line a slab");

struct hk_superslab {
	char *base;
	struct hk_superslab *next, *prev;         /* in the list of its longest free run */
	struct hk_superslab *all_next, *all_prev; /* all SuperSlabs */
	uint32_t free_slices;                     /* mask */
	uint16_t n_pins;                          /* a flush is looking at it: not to be released */
	uint32_t n_cached;                        /* blocks in magazines, as the survey counts; guard: sweep lock */
	uint8_t longest;                          /* index of the list that it is in */
	uint8_t in_reserve;                       /* wholly free, counted in the reserve */
	_Atomic uint64_t bitmap_state;            /* low half: slices whose bitmap may hold bits; high half: those whose
						   * page of bitmaps is on its way to the kernel */
	_Atomic uint64_t sparse_taken;            /* units of `sparse` that slabs use */
	uint8_t first[HK_SLICES];                 /* slice at which the run that covers this slice begins */
	uint16_t touched[HK_SLICES];
	uint16_t hole[HK_SLICES];
	struct hk_slab slabs[HK_SLICES];
	uint16_t sparse[2 * HK_SPARSE_UNITS];     /* blocks in use of sparse slabs; guard: the slab's class lock */
	uint64_t bitmaps[HK_SLICES][HK_BITMAP_WORDS] HK_ALIGNED(512); /* none lies on two pages */
};
_Static_assert(sizeof(struct hk_superslab) <= HK_META_UNIT_BYTES &&
		       sizeof(struct hk_superslab) > HK_META_UNIT_BYTES - HK_PAGE_BYTES, "a unit is made to measure");
_Static_assert(sizeof(uint64_t[HK_BITMAP_WORDS]) == 512, "so that bitmaps share pages evenly");
_Static_assert(offsetof(struct hk_superslab, bitmaps) == HK_PAGE_BYTES - HK_BITMAPS_WITH_RECORDS * 512,
	       "the lists fit into what the records and the first bitmaps leave of their page");

/* The slab or mid run that covers a pointer into a SuperSlab. */
static inline struct hk_slab *hk_slab_of(const void *pointer)
{
	struct hk_superslab *superslab = hk_pagemap_superslab(pointer);
	unsigned slice = (unsigned)((uintptr_t)pointer >> HK_SLICE_SHIFT) % HK_SLICES;
	return &superslab->slabs[superslab->first[slice]];
}

/* Blocks whose bits are set.  Under no lock a hint, and a wrong one while the slab changes its bin. */
static inline unsigned hk_slab_n_free(const struct hk_slab *slab)
{
	return (unsigned)(HK_HINT(slab->settle_at) + HK_HINT(slab->n_settle));
}

static inline void hk_slab_change_free(struct hk_slab *slab, int32_t n)
{
	HK_HINT_SET(slab->n_settle, slab->n_settle + n);
}

static inline unsigned hk_slab_slice(const struct hk_slab *slab)
{
	return (unsigned)(slab - slab->superslab->slabs);
}

/*
 * Take a run of `n_slices` (1 to 16); its slab record's superslab, base, bitmap and n_slices are filled in.
 * NULL without memory.  Called under no lock.
 */
struct hk_slab *hk_heap_take(unsigned n_slices);

/* Under no lock: bring the page of a bitmap in.  Its words may change under the class lock meanwhile: this atomic OR of
 * nothing loses no such change. */
static inline void hk_bitmap_touch(struct hk_slab *slab)
{
	__atomic_fetch_or(&slab->bitmap[0], 0, __ATOMIC_RELAXED);
}

/* The bitmap of a slab is to hold bits from now on: false while its page is on its way to the kernel. */
static inline bool hk_bitmap_begin(struct hk_slab *slab)
{
	uint64_t bit = (uint64_t)1 << hk_slab_slice(slab);
	uint64_t state = atomic_load_explicit(&slab->superslab->bitmap_state, memory_order_relaxed);
	do {
		if ((state & bit << HK_SLICES) != 0)
			return false;
	} while (!atomic_compare_exchange_weak(&slab->superslab->bitmap_state, &state, state | bit));
	return true;
}

/* Of these slices, clear the bitmaps of those that are free, as taking them would.  Called under no lock. */
void hk_heap_clear_bitmaps(struct hk_superslab *superslab, uint32_t slices);

/* Give a run back; its kinds in the page map are cleared here.  Called under no lock. */
void hk_heap_give(struct hk_slab *run);

/* Grow a mid run in place to `n_slices`; false where the slices behind it are in use. */
bool hk_heap_extend(struct hk_slab *run, unsigned n_slices);

/* Shrink a run to `n_slices`; the slices behind go back. */
void hk_heap_trim_run(struct hk_slab *run, unsigned n_slices);

/* Touched pages of a run: how many of its first `n_pages` are, and mark them so. */
unsigned hk_run_touch(struct hk_slab *run, unsigned n_pages);

/* Purge pages that the caller claimed, a mask for each slice, and count them; those that the kernel refused leave the masks.
 * The caller clears the others' touched bits, as whoever guards the slices does.  Returns bytes. */
size_t hk_superslab_purge(struct hk_superslab *superslab, uint16_t *pages);

/* Purge the touched pages of a pinned SuperSlab's free slices; returns the bytes that the kernel took. */
size_t hk_heap_purge(struct hk_superslab *superslab);

/* Release one SuperSlab of the reserve if it holds more than `keep`.  False where it does not; else adds the bytes
 * that had been touched to `*bytes`. */
bool hk_heap_release_one(unsigned keep, size_t *bytes);

/* Age the reserve: release half of what it did not need since the last call.  Returns the bytes given back, and
 * in `*ret_reserve` (may be NULL) how many SuperSlabs remain in it. */
size_t hk_heap_decay(unsigned *ret_reserve);

/*
 * Walk all SuperSlabs: pins the one after `previous` (the first one for NULL) so that it stays, and unpins
 * `previous`.  NULL at the end.  For one walker at a time (the sweep lock).
 */
struct hk_superslab *hk_heap_walk(struct hk_superslab *previous);

/* While held, no SuperSlab is released: whoever looks up the owners of pointers that are not its own needs that. */
void hk_heap_hold(bool on);

struct hk_lock *hk_heap_lock(void); /* for fork */

#endif
