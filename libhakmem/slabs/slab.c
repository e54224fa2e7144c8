/* SPDX-License-Identifier: MIT */
/* Blocks in and out of slabs: see slab.h. */
#include "slabs/slab.h"

#include "base/bits.h"
#include "base/counters.h"
#include "base/point.h"
#include "os/pages.h"

#include <string.h>
#include <time.h>

/* How long the kernel may need for a page of bitmaps that somebody waits for. */
#define SLAB_NAP_NSEC 20000

/* A class with this many slabs is growing in earnest: new ones are populated in one go, 64 KiB at a time
 * instead of a fault for each OS page.  Below that a process at rest would show it. */
#define SLAB_POPULATE_FROM 16

/* Shards that ever had something; bits are only ever set. */
static _Atomic uint64_t slab_shards[(HK_SHARDS_ALL + 63) / 64];

unsigned hk_slabs_next(unsigned number)
{
	for (unsigned word = number / 64; word < HK_COUNT(slab_shards); word++) {
		uint64_t bits = atomic_load_explicit(&slab_shards[word], memory_order_relaxed);
		bits &= word == number / 64 ? ~(uint64_t)0 << number % 64 : ~(uint64_t)0;
		if (bits != 0)
			return word * 64 + hk_ctz64(bits);
	}
	return HK_SHARDS_ALL;
}

void hk_slabs_note(const struct hk_slabs *slabs)
{
	unsigned number = hk_shard_number(slabs->class_idx, slabs->shard);
	atomic_fetch_or_explicit(&slab_shards[number / 64], (uint64_t)1 << number % 64, memory_order_relaxed);
}

static unsigned slab_n_blocks(const struct hk_slab *slab)
{
	return hk_class_info[slab->class_idx].n_blocks;
}

static inline unsigned slab_available(const struct hk_slab *slab)
{
	return hk_slab_n_free(slab) + slab_n_blocks(slab) - slab->top;
}

static unsigned slab_bin(const struct hk_slab *slab)
{
	unsigned available = slab_available(slab), quarter = hk_class_info[slab->class_idx].quarter;
	if (available == 0)
		return HK_BIN_NONE;
	return (available > quarter) + (available > 2 * quarter) + (available > 3 * quarter);
}

static void slab_unlist(struct hk_slabs *slabs, struct hk_slab *slab)
{
	if (slab->bin == HK_BIN_NONE)
		return;
	if (slab->prev != NULL)
		slab->prev->next = slab->next;
	else
		HK_HINT_SET(slabs->bins[slab->bin], slab->next);
	if (slab->next != NULL)
		slab->next->prev = slab->prev;
	slab->bin = HK_BIN_NONE;
}

void hk_slabs_move(struct hk_slabs *slabs, struct hk_slab *slab, unsigned bin)
{
	slab_unlist(slabs, slab);
	slab->bin = (uint8_t)bin;
	if (bin == HK_BIN_NONE)
		return;
	slab->prev = NULL;
	slab->next = slabs->bins[bin];
	if (slab->next != NULL)
		slab->next->prev = slab;
	HK_HINT_SET(slabs->bins[bin], slab);
}

static void slab_list(struct hk_slabs *slabs, struct hk_slab *slab)
{
	unsigned bin = slab_bin(slab), quarter = hk_class_info[slab->class_idx].quarter;
	/* free blocks at which it leaves this bin upwards, less those beyond `top`; and those at which it is empty */
	unsigned limit = bin == HK_BIN_NONE ? 0 : (bin + 1) * quarter, beyond = slab_n_blocks(slab) - slab->top;
	unsigned n_free = hk_slab_n_free(slab), settle_at = HK_MIN(slab->top, limit >= beyond ? limit - beyond + 1 : 0);
	HK_HINT_SET(slab->settle_at, (uint16_t)settle_at);
	HK_HINT_SET(slab->n_settle, (int32_t)(n_free - settle_at));
	if (bin != slab->bin)
		hk_slabs_move(slabs, slab, bin);
}

/* ---- pages: touched and holes -------------------------------------------------------------------------- */

/* Pages first..last of a slab are handed out: touched, and no holes. */
static void slab_pages_taken(struct hk_slab *slab, unsigned first_page, unsigned last_page)
{
	struct hk_superslab *superslab = slab->superslab;
	unsigned slice = hk_slab_slice(slab);
	for (unsigned page = first_page; page <= last_page;) {
		unsigned i = slice + page / HK_SLICE_PAGES, bit = page % HK_SLICE_PAGES;
		unsigned count = HK_MIN(last_page - page + 1, HK_SLICE_PAGES - bit);
		uint16_t mask = (uint16_t)hk_mask32(bit, count);
		uint16_t fresh = mask & (uint16_t)~superslab->touched[i];
		if (HK_UNLIKELY(fresh != 0)) {
			superslab->touched[i] |= fresh;
			hk_count_private(touched_pages, hk_popcount64(fresh));
		}
		if (HK_UNLIKELY((superslab->hole[i] & mask) != 0)) {
			unsigned closed = hk_popcount64(superslab->hole[i] & mask);
			superslab->hole[i] &= (uint16_t)~mask;
			HK_HINT_SET(slab->n_holes, (uint16_t)(slab->n_holes - closed));
			hk_count_private(hole_pages, -(int64_t)closed);
		}
		page += count;
	}
}

static void slab_blocks_taken(struct hk_slab *slab, unsigned first, unsigned last)
{
	uint32_t block_bytes = hk_class_info[slab->class_idx].block_bytes;
	slab_pages_taken(slab, first * block_bytes >> HK_PAGE_SHIFT,
			 ((last + 1) * block_bytes - 1) >> HK_PAGE_SHIFT);
}

/* A new slab's touched pages, populated or left by whoever had the slices before: holes until blocks on them are taken. */
static void slab_begin_holes(struct hk_slab *slab, unsigned n_pages)
{
	struct hk_superslab *superslab = slab->superslab;
	unsigned slice = hk_slab_slice(slab), n = 0;
	for (unsigned page = 0; page < n_pages; page += HK_SLICE_PAGES, slice++) {
		uint16_t mask = (uint16_t)hk_mask32(0, HK_MIN(n_pages - page, HK_SLICE_PAGES));
		superslab->hole[slice] = superslab->touched[slice] & mask;
		n += hk_popcount64(superslab->hole[slice]);
	}
	HK_HINT_SET(slab->n_holes, (uint16_t)n);
	if (n != 0)
		hk_count_private(hole_pages, n);
}

static void slab_note_hole(struct hk_slab *slab, unsigned page)
{
	unsigned first, last, i = hk_slab_slice(slab) + page / HK_SLICE_PAGES;
	uint16_t bit = (uint16_t)(1u << page % HK_SLICE_PAGES);
	if ((slab->superslab->touched[i] & bit) == 0 || (slab->superslab->hole[i] & bit) != 0)
		return;
	hk_slab_page_blocks(slab, page, &first, &last);
	if (last >= slab->top || !hk_bitmap_all(slab->bitmap, first, last))
		return;
	slab->superslab->hole[i] |= bit;
	HK_HINT_SET(slab->n_holes, (uint16_t)(slab->n_holes + 1));
	hk_count_private(hole_pages, 1);
}

HK_NOINLINE void hk_slab_note_freed(struct hk_slab *slab, unsigned first, unsigned last)
{
	uint32_t block_bytes = hk_class_info[slab->class_idx].block_bytes;
	unsigned last_page = ((last + 1) * block_bytes - 1) >> HK_PAGE_SHIFT;
	for (unsigned page = first * block_bytes >> HK_PAGE_SHIFT; page <= last_page; page++)
		slab_note_hole(slab, page);
}

/*
 * A block was freed: can its OS page be wholly free now?  A cheap no for nearly every block.  A word of the bitmap lies
 * on one page where blocks have at most 32 bytes (a power of two), so all of it must be set; else the blocks near it
 * on one side at least, as far as they are in this word.
 */
static HK_ALWAYS bool slab_may_free_page(const struct hk_class_info *info, bool small, unsigned index, uint64_t bits)
{
	uint64_t used = ~bits;
	if (small)
		return HK_UNLIKELY(used == 0);
	unsigned bit = index % 64, others = 64u - info->near_blocks;
	return HK_UNLIKELY(used >> bit << others == 0 || used << (63 - bit) >> others == 0 || index >= info->last_page);
}

/* All blocks are free: its pages stop being holes of a slab. */
static void slab_forget_holes(struct hk_slab *slab)
{
	for (unsigned i = 0; i < slab->n_slices; i++)
		slab->superslab->hole[hk_slab_slice(slab) + i] = 0;
	hk_count_private(hole_pages, -(int64_t)slab->n_holes);
	HK_HINT_SET(slab->n_holes, 0);
}

/* ---- taking -------------------------------------------------------------------------------------------- */

/* Up to `want` lowest set bits of a word. */
static uint64_t slab_lowest(uint64_t bits, unsigned want)
{
	uint64_t rest = bits;
	if (hk_popcount64(bits) <= want)
		return bits;
	for (; want != 0; want--)
		rest &= rest - 1;
	return bits & ~rest;
}

/* Free blocks of a slab into the slots below `end`, downwards; at most `want`.  Returns how many. */
static unsigned slab_take_free(struct hk_slab *slab, void **end, unsigned want)
{
	uint32_t block_bytes = hk_class_info[slab->class_idx].block_bytes;
	unsigned n_free = hk_slab_n_free(slab), word = n_free == slab->low_free ? slab->low_word : 0;
	void **slot = end;
	while (want != 0 && n_free != 0) {
		uint64_t bits = HK_HINT(slab->bitmap[word]);
		if (bits == 0) {
			word++;
			continue;
		}
		uint64_t taken = slab_lowest(bits, want);
		want -= hk_popcount64(taken);
		n_free -= hk_popcount64(taken);
		HK_HINT_SET(slab->bitmap[word], bits & ~taken);
		slab_blocks_taken(slab, word * 64 + hk_ctz64(taken), word * 64 + 63 - hk_clz64(taken));
		for (char *base = slab->base + (size_t)word * 64 * block_bytes; taken != 0; taken &= taken - 1)
			*--slot = base + (size_t)hk_ctz64(taken) * block_bytes;
	}
	hk_slab_change_free(slab, -(int32_t)(end - slot));
	slab->low_word = (uint16_t)word;
	slab->low_free = (uint16_t)n_free;
	return (unsigned)(end - slot);
}

/* The same, of those that were never handed out. */
static unsigned slab_take_new(struct hk_slab *slab, void **end, unsigned want)
{
	uint32_t block_bytes = hk_class_info[slab->class_idx].block_bytes;
	unsigned n = HK_MIN(want, slab_n_blocks(slab) - slab->top);
	if (n == 0)
		return 0;
	char *block = slab->base + (size_t)slab->top * block_bytes;
	for (void **slot = end; slot != end - n; block += block_bytes)
		*--slot = block;
	slab_blocks_taken(slab, slab->top, slab->top + n - 1);
	HK_HINT_SET(slab->top, slab->top + n);
	return n;
}

unsigned hk_slabs_take(struct hk_slabs *slabs, void **out, unsigned want)
{
	unsigned n = 0, bin = 0;
	while (n < want) {
		while (bin < HK_BINS && slabs->bins[bin] == NULL)
			bin++;
		if (bin == HK_BINS)
			break;
		struct hk_slab *slab = slabs->bins[bin];
		HK_HINT_SET(slabs->n_empty, slabs->n_empty - (hk_slab_n_free(slab) == slab->top));
		n += slab_take_free(slab, out + want - n, want - n);
		n += slab_take_new(slab, out + want - n, want - n);
		slab_list(slabs, slab);
	}
	HK_POINT(slabs_half_taken);
	if (n != want)
		memmove(out, out + want - n, n * sizeof *out);
	hk_slabs_change_free(slabs, -(int64_t)n);
	return n;
}

/* ---- giving -------------------------------------------------------------------------------------------- */

void hk_slabs_settle(struct hk_slabs *slabs, struct hk_slab *slab, struct hk_slab **ret_empty)
{
	if (HK_LIKELY(hk_slab_n_free(slab) != slab->top)) {
		slab_list(slabs, slab);
		return;
	}
	slab_unlist(slabs, slab);
	if (slabs->n_empty == 0) {
		HK_HINT_SET(slabs->n_empty, 1);
		slab_list(slabs, slab); /* to the front, where hk_slabs_drop_empty() looks first */
		return;
	}
	slab_forget_holes(slab);
	HK_HINT_SET(slabs->n_slabs, slabs->n_slabs - 1);
	hk_count(slabs, -1);
	hk_slabs_change_free(slabs, -(int64_t)slab_n_blocks(slab));
	slab->next = *ret_empty;
	*ret_empty = slab;
}

/* Of a block that was freed as one of this class, which of its slab's blocks it is; `*ret_ok` is false where no block
 * begins there. */
static HK_ALWAYS unsigned slab_index(uint32_t block_bytes, uint32_t reciprocal, bool single, uint64_t offset,
				     bool *ret_ok)
{
	uint64_t product = offset * reciprocal;
	unsigned index = (unsigned)(product >> 32);
	*ret_ok = single ? (uint32_t)product < reciprocal : (uint64_t)index * block_bytes == offset;
	return index;
}

/* The record of the slab in whose slices an address is, and how far behind its first block that is.  `single` says that
 * slabs have one slice: then the address alone tells. */
static HK_ALWAYS struct hk_slab *slab_find(struct hk_superslab *superslab, bool single, uintptr_t address,
					   uint64_t *ret_offset)
{
	unsigned slice = (unsigned)(address >> HK_SLICE_SHIFT) % HK_SLICES;
	unsigned first = single ? slice : superslab->first[slice];
	*ret_offset = address % HK_SLICE_BYTES + (uint64_t)(slice - first) * HK_SLICE_BYTES;
	return &superslab->slabs[first];
}

/* What a loop over blocks of a class needs, in registers. */
struct slab_finder {
	struct hk_pagemap_view home;
	uint32_t reciprocal, block_bytes, shift;
	uint32_t tag; /* of a slab that a block can be given to at once */
};

static HK_ALWAYS struct slab_finder slab_finder(const struct hk_slabs *slabs)
{
	const struct hk_class_info *info = &hk_class_info[slabs->class_idx];
	struct hk_slab live = {.class_idx = (uint8_t)slabs->class_idx, .state = HK_SLAB_LIVE, .bitmap_ready = 1,
			       .shard = (uint8_t)slabs->shard};
	return (struct slab_finder){hk_pagemap_view_home(), info->reciprocal, info->block_bytes,
				    hk_ctz64(info->block_bytes), live.tag};
}

/* The block's slab, if it can be given there at once and a block of it begins there, and which one; else NULL.  `small`:
 * of a class of 16 or 32 bytes. */
static HK_ALWAYS struct hk_slab *slab_of_block(const struct slab_finder *finder, bool single, bool small,
					       const void *block, uint64_t **ret_bitmap, unsigned *ret_index)
{
	struct hk_superslab *superslab = hk_pagemap_as_superslab(hk_pagemap_view_owner(&finder->home, block));
	uint64_t offset;
	bool ok;
	if (HK_UNLIKELY(superslab == NULL))
		return NULL;
	struct hk_slab *slab = slab_find(superslab, single, (uintptr_t)block, &offset);
	/* slab->bitmap, computed: where stores go must not wait for a load that may miss */
	uint64_t *bitmap = superslab->bitmaps[slab - superslab->slabs];
	__asm__("" : "+r"(slab), "+r"(bitmap)); /* one address, not a sum for each field and word */
	*ret_bitmap = bitmap;
	if (small) {
		/* turned, not shifted: beside a block's beginning it lies beyond the last one */
		*ret_index = (uint32_t)offset >> finder->shift | (uint32_t)offset << (32 - finder->shift);
		ok = true;
	} else {
		*ret_index = slab_index(finder->block_bytes, finder->reciprocal, single, offset, &ok);
	}
	return HK_UNLIKELY(!ok || HK_HINT(slab->tag) != finder->tag || *ret_index >= slab->top) ? NULL : slab;
}

static HK_ALWAYS void slab_count_given(struct hk_slabs *slabs, struct hk_slab *slab, unsigned n,
				       struct hk_slab **ret_empty)
{
	if (HK_UNLIKELY(hk_add_to_zero(&slab->n_settle, (int32_t)n)))
		hk_slabs_settle(slabs, slab, ret_empty);
}

/* Of `count` blocks the first `n_left` of the array were not given: count the others, and let these be the last. */
static unsigned slab_given(struct hk_slabs *slabs, void **blocks, unsigned count, unsigned n_left)
{
	unsigned n = count - n_left;
	hk_slabs_change_free(slabs, n);
	if (HK_UNLIKELY(n_left != 0))
		memmove(blocks + n, blocks, n_left * sizeof *blocks);
	return n;
}

/*
 * The loop of hk_slabs_give(), once for each of three kinds of classes.  The blocks are looked up here, under the lock:
 * iterations do not depend on one another, so the processor overlaps their cache misses, and a pass of its own for
 * them costs more instructions than it saves time.
 */
static HK_ALWAYS unsigned slab_give(struct hk_slabs *slabs, bool single, bool small, void **blocks, unsigned count,
				    struct hk_slab **ret_empty)
{
	const struct hk_class_info *info = &hk_class_info[slabs->class_idx];
	const struct slab_finder finder = slab_finder(slabs);
	void **left = blocks;
	for (void **block = blocks, **end = blocks + count; block != end; block++) {
		uint64_t *bitmap;
		unsigned index;
		struct hk_slab *slab = slab_of_block(&finder, single, small, *block, &bitmap, &index);
		if (HK_UNLIKELY(slab == NULL)) {
			*left++ = *block;
			continue;
		}
		uint64_t bits = HK_HINT(bitmap[index / 64]);
		if (HK_UNLIKELY(hk_test_and_set64(&bits, index))) {
			*left++ = *block;
			continue;
		}
		HK_HINT_SET(bitmap[index / 64], bits);
		if (slab_may_free_page(info, small, index, bits))
			hk_slab_note_freed(slab, index, index);
		slab_count_given(slabs, slab, 1, ret_empty);
	}
	return slab_given(slabs, blocks, count, (unsigned)(left - blocks));
}

/*
 * The blocks from `block` on that lie in one word of a slab's bitmap, the first of them at `index`: their bits.  Ends at a
 * block elsewhere, at none at all, and at one that is free.  `*block` moves on behind them.
 */
static HK_ALWAYS uint64_t slab_run(const struct hk_class_info *info, const struct hk_slab *slab, unsigned index,
				   uint64_t bits, void ***block, void **end)
{
	const uint32_t block_bytes = info->block_bytes, reciprocal = info->reciprocal;
	const unsigned first = index & ~63u;
	const uintptr_t base = (uintptr_t)slab->base + first * block_bytes;
	const uint32_t bytes = HK_MIN(64, slab->top - first) * block_bytes;
	void **next = *block;
	bool ok = true;
	for (unsigned bit = index % 64; ok && (bits >> bit & 1) == 0;) {
		bits |= (uint64_t)1 << bit;
		if (++next == end || (uintptr_t)*next - base >= bytes)
			break;
		bit = slab_index(block_bytes, reciprocal, true, (uintptr_t)*next - base, &ok);
	}
	*block = next;
	return bits;
}

/* The same for blocks in the order of their addresses, up or down, more or less: those of one word share all but their
 * bits.  Half the time, where a program frees in the order in which it allocated. */
static HK_NOINLINE unsigned slab_give_runs(struct hk_slabs *slabs, void **blocks, unsigned count,
					   struct hk_slab **ret_empty)
{
	const struct hk_class_info *info = &hk_class_info[slabs->class_idx];
	const struct slab_finder finder = slab_finder(slabs);
	void **block = blocks, **end = blocks + count, **left = blocks;
	while (block != end) {
		uint64_t *bitmap;
		unsigned index;
		struct hk_slab *slab = slab_of_block(&finder, true, false, *block, &bitmap, &index);
		if (HK_UNLIKELY(slab == NULL)) {
			*left++ = *block++;
			continue;
		}
		void **first = block;
		uint64_t before = HK_HINT(bitmap[index / 64]);
		uint64_t bits = slab_run(info, slab, index, before, &block, end), given = bits ^ before;
		if (HK_UNLIKELY(given == 0)) {
			*left++ = *block++;
			continue;
		}
		HK_HINT_SET(bitmap[index / 64], bits);
		index &= ~63u;
		if (bits == UINT64_MAX || info->block_bytes > 32)
			hk_slab_note_freed(slab, index + hk_ctz64(given), index + 63 - hk_clz64(given));
		slab_count_given(slabs, slab, (unsigned)(block - first), ret_empty);
	}
	return slab_given(slabs, blocks, count, (unsigned)(left - blocks));
}

static HK_NOINLINE unsigned slab_give_small(struct hk_slabs *slabs, void **blocks, unsigned count,
					    struct hk_slab **ret_empty)
{
	return slab_give(slabs, true, true, blocks, count, ret_empty);
}

static HK_NOINLINE unsigned slab_give_single(struct hk_slabs *slabs, void **blocks, unsigned count,
					     struct hk_slab **ret_empty)
{
	return slab_give(slabs, true, false, blocks, count, ret_empty);
}

static HK_NOINLINE unsigned slab_give_multiple(struct hk_slabs *slabs, void **blocks, unsigned count,
					       struct hk_slab **ret_empty)
{
	return slab_give(slabs, false, false, blocks, count, ret_empty);
}

unsigned hk_slabs_give(struct hk_slabs *slabs, void **blocks, unsigned count, struct hk_slab **ret_empty)
{
	const struct hk_class_info *info = &hk_class_info[slabs->class_idx];
	if (info->n_slices != 1)
		return slab_give_multiple(slabs, blocks, count, ret_empty);
	/* The first two tell: in one slice, they are likely to have come in some order. */
	if (count > 1 && ((uintptr_t)blocks[0] ^ (uintptr_t)blocks[1]) < HK_SLICE_BYTES)
		return slab_give_runs(slabs, blocks, count, ret_empty);
	return info->block_bytes <= 32 ? slab_give_small(slabs, blocks, count, ret_empty)
				       : slab_give_single(slabs, blocks, count, ret_empty);
}

HK_NOINLINE enum hk_misuse hk_slabs_prepare(unsigned class_idx, void *block, unsigned *ret_shard)
{
	const struct hk_class_info *info = &hk_class_info[class_idx];
	struct hk_superslab *superslab = hk_pagemap_superslab(block);
	uint64_t offset;
	bool ok;
	/* It was ours when it was freed; if it is not now, its first copy went home before. */
	if (superslab == NULL)
		return HK_MISUSE_DOUBLE;
	struct hk_slab *slab = slab_find(superslab, false, (uintptr_t)block, &offset);
	unsigned index = slab_index(info->block_bytes, info->reciprocal, false, offset, &ok);
	*ret_shard = HK_HINT(slab->shard);
	if (HK_HINT(slab->class_idx) != class_idx || HK_HINT(slab->state) != HK_SLAB_LIVE)
		return HK_MISUSE_DOUBLE;
	if (!ok || index >= info->n_blocks)
		return HK_MISUSE_INTERIOR;
	bool is_free = index >= HK_HINT(slab->top) ||
		       (HK_HINT(slab->bitmap_ready) && (HK_HINT(slab->bitmap[index / 64]) >> index % 64 & 1) != 0);
	return is_free ? HK_MISUSE_DOUBLE : HK_MISUSE_NONE;
}

/* In the slab's first bitmap there is no block yet; a later one comes from its list. */
static bool slab_begin_bitmap(struct hk_slabs *slabs, struct hk_slab *slab)
{
	if (slab->bin == HK_BIN_SPARSE)
		return hk_sparse_restore(slabs, slab);
	if (!hk_bitmap_begin(slab))
		return false;
	HK_HINT_SET(slab->bitmap_ready, 1);
	return true;
}

HK_NOINLINE void hk_slabs_restore(struct hk_slabs *slabs, void *block)
{
	static const struct timespec nap = {.tv_nsec = SLAB_NAP_NSEC};
	struct hk_slab *slab = hk_slab_of(block);
	bool done = true;
	if (HK_HINT(slab->bitmap_ready))
		return;
	hk_bitmap_touch(slab);
	hk_lock_take(&slabs->lock);
	if (slab->state == HK_SLAB_LIVE && slab->class_idx == slabs->class_idx && slab->shard == slabs->shard &&
	    !slab->bitmap_ready)
		done = slab_begin_bitmap(slabs, slab);
	hk_lock_drop(&slabs->lock);
	HK_POINT(bitmap_restored);
	if (!done)
		hk_sys2(SYS_nanosleep, &nap, NULL);
}

/* ---- slabs in and out ---------------------------------------------------------------------------------- */

static void slab_populate(struct hk_slab *slab, unsigned n_pages)
{
	for (unsigned i = 0; i < slab->n_slices; i++)
		if (slab->superslab->touched[hk_slab_slice(slab) + i] != 0)
			return;
	hk_os_populate(slab->base, (size_t)n_pages * HK_PAGE_BYTES);
	hk_run_touch(slab, n_pages);
}

/* Under the lock: a slab comes (1) or goes (-1), with what is free in it. */
static void slab_count(struct hk_slabs *slabs, const struct hk_slab *slab, int n)
{
	bool empty = hk_slab_n_free(slab) == slab->top;
	HK_HINT_SET(slabs->n_slabs, slabs->n_slabs + (uint32_t)n);
	HK_HINT_SET(slabs->n_empty, slabs->n_empty + (uint32_t)(n * empty));
	hk_slabs_change_free(slabs, n * (int64_t)slab_available(slab));
}

bool hk_slabs_grow(struct hk_slabs *slabs, unsigned class_idx)
{
	const struct hk_class_info *info = &hk_class_info[class_idx];
	if (HK_UNLIKELY(HK_HINT(slabs->bins[HK_BIN_SPARSE]) != NULL) && hk_sparse_restore_any(slabs))
		return true;
	struct hk_slab *slab = hk_heap_take(info->n_slices);
	if (slab == NULL)
		return false;
	slab->next = slab->prev = NULL;
	slab->low_word = slab->low_free = 0;
	HK_HINT_SET(slab->top, 0);
	HK_HINT_SET(slab->settle_at, 0);
	HK_HINT_SET(slab->n_settle, 0);
	HK_HINT_SET(slab->class_idx, (uint8_t)class_idx);
	HK_HINT_SET(slab->shard, (uint8_t)slabs->shard);
	HK_HINT_SET(slab->bitmap_ready, 0);
	slab->bin = HK_BIN_NONE;
	/* only as far as blocks reach: in some classes the last page lies behind the last block */
	unsigned n_pages = (info->n_blocks * info->block_bytes + HK_PAGE_BYTES - 1) >> HK_PAGE_SHIFT;
	if (HK_HINT(slabs->n_slabs) >= SLAB_POPULATE_FROM && info->n_slices == 1)
		slab_populate(slab, n_pages);
	slab_begin_holes(slab, n_pages);
	hk_pagemap_set_kind(slab->base, slab->n_slices, hk_kind_of_class(class_idx));
	hk_lock_take(&slabs->lock);
	if (slabs->class_idx != class_idx) /* the first slab: whoever has a block may read it without the lock */
		slabs->class_idx = (uint16_t)class_idx;
	hk_slabs_note(slabs);
	HK_HINT_SET(slab->state, HK_SLAB_LIVE);
	slab_count(slabs, slab, 1);
	hk_count(slabs, 1);
	slab_list(slabs, slab);
	hk_lock_drop(&slabs->lock);
	return true;
}

HK_SELDOM bool hk_slabs_adopt(struct hk_slabs *to, struct hk_slabs *from)
{
	unsigned bin = HK_BINS;
	while (bin != 0 && from->bins[bin - 1] == NULL)
		bin--;
	if (bin == 0 || from->n_claimed != 0)
		return false;
	struct hk_slab *slab = from->bins[bin - 1];
	slab_unlist(from, slab);
	slab_count(from, slab, -1);
	HK_HINT_SET(slab->shard, (uint8_t)to->shard);
	slab_count(to, slab, 1);
	slab_list(to, slab);
	hk_slabs_note(to);
	return true;
}

void hk_slabs_free_chain(struct hk_slab *chain)
{
	while (chain != NULL) {
		struct hk_slab *next = chain->next;
		hk_heap_give(chain);
		chain = next;
	}
}

HK_SELDOM unsigned hk_slabs_drop_empty(struct hk_slabs *slabs)
{
	struct hk_slab *chain = NULL;
	unsigned dropped = 0;
	if (HK_HINT(slabs->n_empty) == 0)
		return 0;
	hk_lock_take(&slabs->lock);
	/* an empty slab is wholly free, so it is in the last bin */
	struct hk_slab *slab = slabs->bins[HK_BINS - 1];
	while (slab != NULL && slabs->n_empty != 0) {
		struct hk_slab *next = slab->next;
		if (hk_slab_n_free(slab) == slab->top) {
			slab_unlist(slabs, slab);
			slab_forget_holes(slab);
			slab->next = chain;
			chain = slab;
			slab_count(slabs, slab, -1);
			hk_count(slabs, -1);
			dropped++;
		}
		slab = next;
	}
	hk_lock_drop(&slabs->lock);
	hk_slabs_free_chain(chain);
	return dropped;
}

HK_SELDOM bool hk_slabs_audit(const struct hk_slabs *slabs)
{
	uint64_t n_free = 0;
	unsigned n_empty = 0;
	for (unsigned bin = 0; bin <= HK_BIN_SPARSE; bin++) {
		for (const struct hk_slab *slab = slabs->bins[bin]; slab != NULL; slab = slab->next) {
			unsigned bits = 0, holes = 0, untouched = 0;
			for (unsigned word = 0; word < HK_BITMAP_WORDS; word++)
				bits += hk_popcount64(HK_HINT(slab->bitmap[word]));
			for (unsigned i = hk_slab_slice(slab); i < hk_slab_slice(slab) + slab->n_slices; i++) {
				holes += hk_popcount64(slab->superslab->hole[i]);
				untouched |= slab->superslab->hole[i] & (unsigned)~slab->superslab->touched[i];
			}
			bool sparse = bin == HK_BIN_SPARSE, right = sparse ? !slab->bitmap_ready
									   : bits == hk_slab_n_free(slab) && slab_bin(slab) == bin;
			if (!right || holes != slab->n_holes || untouched != 0 || slab->bin != bin || slab->top > slab_n_blocks(slab) ||
			    slab->class_idx != slabs->class_idx || slab->shard != slabs->shard ||
			    slab->state != HK_SLAB_LIVE)
				return false;
			n_free += slab_available(slab);
			n_empty += hk_slab_n_free(slab) == slab->top;
		}
	}
	return n_free == slabs->n_free && n_empty == slabs->n_empty &&
	       slabs->n_free <= (uint64_t)slabs->n_slabs * hk_class_info[slabs->class_idx].n_blocks;
}
