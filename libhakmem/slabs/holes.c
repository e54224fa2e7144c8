/* SPDX-License-Identifier: MIT */
/*
 * Purging page holes: giving back the free OS pages of slabs that are partly in use.
 *
 * Purging is a claim.  Under the class lock all blocks on the pages, those that straddle their edges included,
 * are taken out of the bitmap; then, under no lock, the kernel takes the pages; then the blocks return to the
 * bitmap.  Looking under the lock and purging after it would hand a block out in between and destroy it.
 * While blocks are claimed the slab cannot run empty, so it cannot go away.
 *
 * One SuperSlab at a time, whatever classes its slabs are of: the more pages in a call to the kernel, the less each costs,
 * and a class that runs dry meanwhile has its other SuperSlabs.
 */
#include "slabs/slab.h"

#include "base/bits.h"
#include "base/counters.h"
#include "base/point.h"

#include <string.h>

/* Of a SuperSlab's slices, the pages that are claimed, or went back. */
typedef uint16_t holes_pages[HK_SLICES];

/* Pages stop being holes while they are claimed: a refill that takes blocks on both sides of them would close them, and
 * they would be subtracted twice. */
static void holes_forget(struct hk_slab *slab, unsigned slice)
{
	unsigned n = hk_popcount64(slab->superslab->hole[slice]);
	slab->superslab->hole[slice] = 0;
	HK_HINT_SET(slab->n_holes, (uint16_t)(slab->n_holes - n));
	hk_count_private(hole_pages, -(int64_t)n);
}

/*
 * Take the blocks that lie on the claimed pages of a slab out of the bitmap, or return them; a block that lies on two of
 * them counts once.  How many there are, and in `*ret_first` and `*ret_last` between which ones they lie.
 */
static unsigned holes_change_pages(struct hk_slab *slab, const holes_pages claimed, bool taken, unsigned *ret_first,
				   unsigned *ret_last)
{
	unsigned slice = hk_slab_slice(slab), n_blocks = 0, next = 0;
	*ret_first = HK_SLAB_BLOCKS_MAX;
	for (unsigned i = 0; i < slab->n_slices; i++) {
		for (uint32_t pages = claimed[slice + i]; pages != 0; pages &= pages - 1) {
			unsigned first, last;
			hk_slab_page_blocks(slab, i * HK_SLICE_PAGES + hk_ctz64(pages), &first, &last);
			unsigned n = (taken ? hk_bitmap_clear : hk_bitmap_set)(slab->bitmap, first, last);
			HK_ASSERT(n == last + 1 - HK_MAX(first, next)); /* all were free, and nobody took or gave one since */
			*ret_first = HK_MIN(*ret_first, first);
			next = last + 1;
			n_blocks += n;
		}
	}
	*ret_last = next - 1;
	return n_blocks;
}

/*
 * Under the class lock: blocks that were never handed out have no bits, so a claim could not take them away.  From now on those
 * up to the last hole have.  False while the bitmap cannot be had.
 */
static bool holes_reach(struct hk_slab *slab)
{
	unsigned slice = hk_slab_slice(slab), i = slab->n_slices, top = slab->top, first, last;
	while (slab->superslab->hole[slice + --i] == 0)
		continue;
	hk_slab_page_blocks(slab, i * HK_SLICE_PAGES + 63 - hk_clz64(slab->superslab->hole[slice + i]), &first, &last);
	if (last < top)
		return true;
	if (!slab->bitmap_ready && !hk_bitmap_begin(slab))
		return false;
	HK_HINT_SET(slab->bitmap_ready, 1);
	hk_bitmap_set(slab->bitmap, top, last);
	HK_HINT_SET(slab->top, last + 1);
	hk_slab_change_free(slab, (int32_t)(last + 1 - top));
	return true;
}

/* Under the class lock: claim the holes of a slab.  False where there are none. */
static bool holes_take(struct hk_slabs *slabs, struct hk_slab *slab, holes_pages claimed)
{
	unsigned slice = hk_slab_slice(slab), top = slab->top, first, last;
	if (slab->n_holes == 0 || hk_slab_n_free(slab) == top || !holes_reach(slab))
		return false; /* a wholly free slab goes back as a whole */
	for (unsigned i = slice; i < slice + slab->n_slices; i++) {
		claimed[i] = slab->superslab->hole[i];
		holes_forget(slab, i);
	}
	unsigned n_blocks = holes_change_pages(slab, claimed, true, &first, &last);
	hk_slab_change_free(slab, -(int32_t)n_blocks);
	slab->low_word = 0; /* low_free tells no more: what was given before may lie anywhere */
	hk_slabs_change_free(slabs, -(int64_t)n_blocks);
	slabs->n_claimed += n_blocks;
	if (slab->top != top)
		hk_slab_note_freed(slab, top, top); /* that page may be a hole now: not of this claim, as nobody counted it */
	return true;
}

/* Under the class lock: the claimed blocks are free again.  What the kernel refused is a hole again, and so may a page be on
 * which a block was freed beside a claimed one. */
static void holes_return(struct hk_slabs *slabs, struct hk_slab *slab, const holes_pages claimed,
			 const holes_pages purged)
{
	unsigned slice = hk_slab_slice(slab), first, last;
	unsigned n_blocks = holes_change_pages(slab, claimed, false, &first, &last);
	hk_slab_change_free(slab, (int32_t)n_blocks);
	hk_slabs_change_free(slabs, n_blocks);
	slabs->n_claimed -= n_blocks;
	for (unsigned i = slice; i < slice + slab->n_slices; i++)
		slab->superslab->touched[i] &= (uint16_t)~purged[i];
	hk_slab_note_freed(slab, first, last);
}

/* Claim the holes of the slab that begins at a slice, if one does. */
static bool holes_claim(struct hk_slabs *slabs, struct hk_slab *slab, holes_pages claimed)
{
	struct hk_slab *chain = NULL;
	if (!HK_HINT(slab->bitmap_ready))
		hk_bitmap_touch(slab); /* its page fault happens here */
	hk_lock_take(&slabs->lock);
	bool ok = slab->state == HK_SLAB_LIVE && slab->class_idx == slabs->class_idx && slab->shard == slabs->shard &&
		  holes_take(slabs, slab, claimed);
	if (ok)
		hk_slabs_settle(slabs, slab, &chain);
	hk_lock_drop(&slabs->lock);
	return ok;
}

static void holes_unclaim(struct hk_slabs *slabs, struct hk_slab *slab, const holes_pages claimed,
			  const holes_pages purged)
{
	struct hk_slab *chain = NULL;
	hk_lock_take(&slabs->lock);
	holes_return(slabs, slab, claimed, purged);
	hk_slabs_settle(slabs, slab, &chain);
	hk_lock_drop(&slabs->lock);
	hk_slabs_free_chain(chain);
}

size_t hk_slabs_purge_holes(struct hk_superslab *superslab, struct hk_slabs *(*slabs_of)(unsigned class_idx, unsigned shard))
{
	holes_pages claimed = {0}, purged;
	uint32_t from = 0; /* slices at which slabs begin that have claimed pages */
	for (unsigned i = 0; i < HK_SLICES; i++) {
		struct hk_slab *slab = &superslab->slabs[i];
		struct hk_slab seen = {.tag = HK_HINT(slab->tag)};
		struct hk_slabs *slabs = HK_HINT(slab->n_holes) != 0 ? slabs_of(seen.class_idx, seen.shard) : NULL;
		if (slabs != NULL && holes_claim(slabs, slab, claimed))
			from |= 1u << i;
	}
	if (from == 0)
		return 0;
	HK_POINT(holes_claimed);
	memcpy(purged, claimed, sizeof purged);
	size_t bytes = hk_superslab_purge(superslab, purged);
	HK_POINT(holes_purged);
	for (; from != 0; from &= from - 1) {
		struct hk_slab *slab = &superslab->slabs[__builtin_ctz(from)];
		holes_unclaim(slabs_of(slab->class_idx, slab->shard), slab, claimed, purged);
	}
	return bytes;
}
