/* SPDX-License-Identifier: MIT */
/*
 * Sparse slabs: where few blocks are in use, a list of them is kept instead of the bitmap.
 *
 * Eight bitmaps share a page.  Of a program that freed nearly everything, the pages of bitmaps that say so are what is left
 * beside the blocks: four of a SuperSlab of small blocks, in which perhaps ten others are in use.  A flush lists what is
 * in use of such slabs, 16 blocks at most, beside the records, and where all eight slabs of a page are sparse, or have no
 * bits at all, the page goes to the kernel.
 *
 * A sparse slab is in a bin of its own, so nothing is taken from it, and its bitmap is not ready, so nothing is given to
 * it.  Whoever frees one of its blocks restores it first, and so does whoever would make a slab otherwise.
 *
 * Who may write to a bitmap: hk_bitmap_begin() says yes where the slice's half of bitmap_state says that it may hold bits.
 * A page is claimed, in the other half, in one step with the look that none of its slices may; until it is gone nobody
 * begins.
 */
#include "slabs/slab.h"

#include "base/bits.h"
#include "base/point.h"
#include "os/pages.h"

#include <string.h>

/* Blocks in use of a sparse slab at most. */
#define SPARSE_USED_MAX 16u

#define BITMAPS_PER_PAGE (HK_PAGE_BYTES / (HK_BITMAP_WORDS * 8u))

/* ---- lists --------------------------------------------------------------------------------------------- */

static unsigned sparse_n_used(const struct hk_slab *slab)
{
	return HK_HINT(slab->top) - hk_slab_n_free(slab);
}

/* So many units of a SuperSlab's lists, as a mask at the lowest place; 0 where there is none. */
static uint64_t sparse_find(const struct hk_superslab *superslab, unsigned n_used)
{
	uint64_t taken = atomic_load_explicit(&superslab->sparse_taken, memory_order_acquire);
	uint64_t mask = hk_mask64(0, (n_used + 1) / 2 - 1);
	while ((taken & mask) != 0) {
		if (mask >> (HK_SPARSE_UNITS - 1) != 0)
			return 0;
		mask <<= 1;
	}
	return mask;
}

/* Which blocks of the slab are in use, into a list. */
static void sparse_list(const struct hk_slab *slab, uint16_t *list)
{
	for (unsigned word = 0; word * 64 < slab->top; word++) {
		uint64_t used = ~HK_HINT(slab->bitmap[word]) & hk_bitmap_mask(word, 0, slab->top - 1);
		for (; used != 0; used &= used - 1)
			*list++ = (uint16_t)(word * 64 + hk_ctz64(used));
	}
}

bool hk_sparse_restore(struct hk_slabs *slabs, struct hk_slab *slab)
{
	uint64_t bits[HK_BITMAP_WORDS] = {0};
	struct hk_slab *chain = NULL;
	struct hk_superslab *superslab = slab->superslab;
	unsigned unit = slab->low_word, n_used = sparse_n_used(slab);
	HK_ASSERT(slab->bin == HK_BIN_SPARSE && n_used != 0 && n_used <= SPARSE_USED_MAX);
	if (!hk_bitmap_begin(slab))
		return false;
	hk_bitmap_set(bits, 0, slab->top - 1);
	for (unsigned i = 0; i < n_used; i++)
		bits[superslab->sparse[2 * unit + i] / 64] &= ~((uint64_t)1 << superslab->sparse[2 * unit + i] % 64);
	/* word by word: who looks for a block that is free meanwhile finds none that is in use */
	for (unsigned word = 0; word < HK_BITMAP_WORDS; word++)
		HK_HINT_SET(slab->bitmap[word], bits[word]);
	atomic_fetch_and_explicit(&superslab->sparse_taken, ~(hk_mask64(0, (n_used + 1) / 2 - 1) << unit), memory_order_release);
	slab->low_word = slab->low_free = 0;
	HK_HINT_SET(slab->bitmap_ready, 1);
	hk_slabs_settle(slabs, slab, &chain); /* it is not empty */
	return true;
}

bool hk_sparse_restore_any(struct hk_slabs *slabs)
{
	hk_lock_take(&slabs->lock);
	struct hk_slab *slab = slabs->bins[HK_BIN_SPARSE];
	hk_lock_drop(&slabs->lock);
	if (slab == NULL)
		return false;
	hk_bitmap_touch(slab); /* its record stays, even where the slab has gone meanwhile */
	hk_lock_take(&slabs->lock);
	slab = slabs->bins[HK_BIN_SPARSE];
	bool done = slab != NULL && hk_sparse_restore(slabs, slab);
	hk_lock_drop(&slabs->lock);
	return done;
}

/* ---- pages of bitmaps ---------------------------------------------------------------------------------- */

/* May this slab be sparse?  Under no lock a hint. */
static bool sparse_can(const struct hk_slab *slab)
{
	if (HK_HINT(slab->state) != HK_SLAB_LIVE || !HK_HINT(slab->bitmap_ready) || HK_HINT(slab->n_holes) != 0)
		return false;
	unsigned n_used = sparse_n_used(slab);
	return n_used != 0 && n_used <= SPARSE_USED_MAX;
}

/* Make a slab sparse that is of these; false where it cannot be. */
static bool sparse_make(struct hk_slabs *slabs, struct hk_slab *slab)
{
	struct hk_superslab *superslab = slab->superslab;
	hk_lock_take(&slabs->lock);
	uint64_t units = sparse_can(slab) && slab->class_idx == slabs->class_idx && slab->shard == slabs->shard
				 ? sparse_find(superslab, sparse_n_used(slab))
				 : 0;
	if (units != 0) {
		unsigned unit = hk_ctz64(units);
		atomic_fetch_or_explicit(&superslab->sparse_taken, units, memory_order_relaxed);
		sparse_list(slab, superslab->sparse + 2 * unit);
		slab->low_word = (uint16_t)unit;
		HK_HINT_SET(slab->bitmap_ready, 0);
		hk_slabs_move(slabs, slab, HK_BIN_SPARSE);
		atomic_fetch_and(&superslab->bitmap_state, ~((uint64_t)1 << hk_slab_slice(slab)));
	}
	hk_lock_drop(&slabs->lock);
	return units != 0;
}

/* Claim the page on which the bitmaps of these slices lie, if none of them may hold bits. */
static bool bitmaps_claim(struct hk_superslab *superslab, uint32_t slices)
{
	uint64_t state = atomic_load_explicit(&superslab->bitmap_state, memory_order_relaxed);
	do {
		if ((state & slices) != 0)
			return false;
	} while (!atomic_compare_exchange_weak(&superslab->bitmap_state, &state, state | (uint64_t)slices << HK_SLICES));
	return true;
}

static uint32_t bitmaps_in_use(const struct hk_superslab *superslab, uint32_t slices)
{
	return slices & (uint32_t)atomic_load_explicit(&superslab->bitmap_state, memory_order_relaxed);
}

/* Is there something on the page of these slices' bitmaps, and is it of slabs that may be sparse, or have gone?  A hint. */
static bool bitmaps_can_go(const struct hk_superslab *superslab, uint32_t slices)
{
	uint32_t used = bitmaps_in_use(superslab, slices);
	for (uint32_t rest = used; rest != 0; rest &= rest - 1) {
		const struct hk_slab *slab = &superslab->slabs[__builtin_ctz(rest)];
		if (HK_HINT(slab->state) != HK_SLAB_FREE && !sparse_can(slab))
			return false;
	}
	return used != 0;
}

/* Let go of the bitmaps of these slices, if nothing needs them. */
static bool bitmaps_drop(struct hk_superslab *superslab, uint32_t slices, struct hk_slabs *(*slabs_of)(unsigned, unsigned))
{
	if (!bitmaps_can_go(superslab, slices))
		return false;
	hk_heap_clear_bitmaps(superslab, slices);
	for (uint32_t rest = bitmaps_in_use(superslab, slices); rest != 0; rest &= rest - 1) {
		struct hk_slab *slab = &superslab->slabs[__builtin_ctz(rest)];
		struct hk_slab seen = {.tag = HK_HINT(slab->tag)};
		struct hk_slabs *slabs = slabs_of(seen.class_idx, seen.shard);
		if (slabs == NULL || !sparse_make(slabs, slab))
			return false;
	}
	HK_POINT(bitmaps_dropped);
	return bitmaps_claim(superslab, slices);
}

size_t hk_slabs_purge_bitmaps(struct hk_superslab *superslab, struct hk_slabs *(*slabs_of)(unsigned class_idx, unsigned shard))
{
	size_t bytes = 0;
	for (unsigned first = HK_BITMAPS_WITH_RECORDS; first < HK_SLICES; first += BITMAPS_PER_PAGE) {
		uint32_t slices = hk_mask32(first, HK_MIN(BITMAPS_PER_PAGE, HK_SLICES - first));
		if (!bitmaps_drop(superslab, slices, slabs_of))
			continue;
		HK_POINT(bitmaps_claimed);
		bytes += hk_os_purge(superslab->bitmaps[first], HK_PAGE_BYTES) ? HK_PAGE_BYTES : 0;
		HK_POINT(bitmaps_purged);
		atomic_fetch_and(&superslab->bitmap_state, ~((uint64_t)slices << HK_SLICES));
	}
	return bytes;
}
