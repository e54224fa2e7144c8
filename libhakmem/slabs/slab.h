/* SPDX-License-Identifier: MIT */
/*
 * Slabs of one size class: taking and giving back blocks through the bitmaps.
 *
 * Each class has a lock, bins of partly free slabs by how full they are, and the count of free blocks.
 * Refills come from the fullest slab first, so that the emptier ones run empty.  A slab that runs empty goes
 * back to the heap; one of them per class stays, so that a program that lives on the border does not pay for
 * it each time.
 *
 * The bitmap bit of a block is set exactly while the block is free in its slab: not in the program's hands,
 * not in a magazine, not claimed by a purge.  Blocks at and beyond `top` were never handed out.
 */
#ifndef HK_SLABS_SLAB_H
#define HK_SLABS_SLAB_H

#include "slabs/superslab.h"

#define HK_BINS       4u
#define HK_BIN_SPARSE HK_BINS /* behind them, apart: the slabs whose bitmaps are not kept */
#define HK_BIN_NONE   0xff

/* The slabs of one class, or of one shard of it.  Guard of everything: `lock`, which also guards the cold magazine. */
struct hk_slabs {
	struct hk_lock lock;
	uint16_t class_idx;             /* these two are constant once there is a slab, or the class is divided */
	uint16_t shard;
	uint32_t n_slabs;
	uint32_t n_empty;               /* of those, wholly free and kept */
	uint16_t n_waits;               /* how often the lock was waited for until the class was divided */
	uint16_t divided;               /* shards other than the first are in use; set once */
	uint64_t n_free;                /* blocks in bitmaps and beyond `top` of all slabs; read without the lock as a hint */
	uint64_t n_claimed;             /* blocks whose bits a running purge holds */
	struct hk_slab *bins[HK_BINS + 1]; /* bin 0 holds the fullest */
};

/*
 * The next shard from `number` on that ever had a slab or a cold magazine, or HK_SHARDS_ALL.  Loops use it: the records
 * of the others stay untouched, which for a small process is most of their memory.  A class that has anything has a
 * first shard.
 */
unsigned hk_slabs_next(unsigned number);
#define HK_EACH_SHARD(i) unsigned i = hk_slabs_next(0); i < HK_SHARDS_ALL; i = hk_slabs_next(i + 1)
#define HK_EACH_CLASS(c) unsigned c = hk_slabs_next(0); c < HK_CLASSES_ALL; c = hk_slabs_next(c + 1)

/* Under the lock: the shard has something from now on. */
void hk_slabs_note(const struct hk_slabs *slabs);

/* Under the lock: take up to `want` free blocks into `out`, as a magazine holds them: the last is to be used first, and is
 * the lowest of its slab.  Returns how many. */
unsigned hk_slabs_take(struct hk_slabs *slabs, void **out, unsigned want);

/*
 * Under the lock: give blocks back, in their order.  Slabs that ran empty are unlinked and chained through `next` onto
 * `*ret_empty` for hk_slabs_free_chain().  Returns how many were given; the others, of other shards or in need of
 * hk_slabs_prepare(), are the last ones in `blocks` then, in their order.
 */
unsigned hk_slabs_give(struct hk_slabs *slabs, void **blocks, unsigned count, struct hk_slab **ret_empty);

/* Why a pointer cannot be given back: a reason for the message, or none where it can. */
enum hk_misuse { HK_MISUSE_NONE, HK_MISUSE_FOREIGN, HK_MISUSE_INTERIOR, HK_MISUSE_DOUBLE };

/* Under no lock, about a block that hk_slabs_give() left: tells its shard, or says why the block is none of this class to be
 * given back.  Then hk_slabs_restore() has to be called with that shard. */
enum hk_misuse hk_slabs_prepare(unsigned class_idx, void *block, unsigned *ret_shard);

/* Under no lock, about such a block: brings its slab's bitmap in, or back.  May come back without it while the kernel takes its
 * page: then hk_slabs_give() leaves the block again. */
void hk_slabs_restore(struct hk_slabs *slabs, void *block);

/* Under no lock: add one more slab of this class, always the same one, or make the blocks of a sparse one available; false
 * without memory. */
bool hk_slabs_grow(struct hk_slabs *slabs, unsigned class_idx);

/* Under both locks: one of a shard's slabs that have free blocks, of those with the most, is another's from now on.  False where
 * there is none, or while a purge holds blocks of this shard: it will look for their slab where it was. */
bool hk_slabs_adopt(struct hk_slabs *to, struct hk_slabs *from);

/* Under no lock: give a chain of empty slabs back to the heap. */
void hk_slabs_free_chain(struct hk_slab *chain);

/* Under no lock: give back the empty slabs that are kept.  Returns how many. */
unsigned hk_slabs_drop_empty(struct hk_slabs *slabs);

/* Under no lock, SuperSlab pinned: purge the holes of its slabs.  `slabs_of` says whose the slabs of a class and shard are,
 * and NULL where there is no such class.  Returns bytes. */
size_t hk_slabs_purge_holes(struct hk_superslab *superslab, struct hk_slabs *(*slabs_of)(unsigned class_idx, unsigned shard));

/*
 * Under no lock, SuperSlab pinned, one caller at a time: of slabs with few blocks in use these are listed, and pages of
 * bitmaps that nothing else needs go to the kernel; see sparse.c.  Returns their bytes, which are counted nowhere.
 */
size_t hk_slabs_purge_bitmaps(struct hk_superslab *superslab, struct hk_slabs *(*slabs_of)(unsigned class_idx, unsigned shard));

/* Under the lock: a sparse slab gets its bitmap back, the page of which should be there; false while the kernel takes it. */
bool hk_sparse_restore(struct hk_slabs *slabs, struct hk_slab *slab);

/* Under no lock: a sparse slab's blocks can be taken from now on; false where there is none. */
bool hk_sparse_restore_any(struct hk_slabs *slabs);

/* Under the lock: a slab changes its bin; HK_BIN_NONE for none. */
void hk_slabs_move(struct hk_slabs *slabs, struct hk_slab *slab, unsigned bin);

/* Under the lock: so many more blocks are free. */
static inline void hk_slabs_change_free(struct hk_slabs *slabs, int64_t n_blocks)
{
	HK_HINT_SET(slabs->n_free, slabs->n_free + (uint64_t)n_blocks);
}

/* First and last block that lie on a page of the slab, in part at least. */
static inline void hk_slab_page_blocks(const struct hk_slab *slab, unsigned page, unsigned *ret_first, unsigned *ret_last)
{
	const struct hk_class_info *info = &hk_class_info[slab->class_idx];
	*ret_first = page * HK_PAGE_BYTES / info->block_bytes;
	*ret_last = HK_MIN((page * HK_PAGE_BYTES + HK_PAGE_BYTES - 1) / info->block_bytes, info->n_blocks - 1u);
}

/* Under the lock: of blocks first..last some were freed, those two among them; which of the pages that they lie on are
 * wholly free now, is noted. */
void hk_slab_note_freed(struct hk_slab *slab, unsigned first, unsigned last);

/* Under the lock: after a slab's free count changed, put it into the right bin, or, where it ran empty and is
 * not the one to keep, onto the chain `*ret_empty`. */
void hk_slabs_settle(struct hk_slabs *slabs, struct hk_slab *slab, struct hk_slab **ret_empty);

/* Under the lock: recount bitmaps and lists; false where an invariant is broken. */
bool hk_slabs_audit(const struct hk_slabs *slabs);

#endif
