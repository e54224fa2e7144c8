/* SPDX-License-Identifier: MIT */
/*
 * Purging page holes: giving back the free OS pages of slabs that are partly in use.
 *
 * Purging is a claim.  Under the class lock all blocks on the page, those that straddle its edges included,
 * are taken out of the bitmap; then, under no lock, the kernel takes the pages; then the blocks return to the
 * bitmap.  Looking under the lock and purging after it would hand a block out in between and destroy it.
 * While blocks are claimed the slab cannot run empty, so it cannot go away.
 * 
 * One slice (16 pages) at a time, so that no allocation finds the class dry because of a purge.
 */
#include "slabs/slab.h"

#include "base/bits.h"
#include "base/counters.h"
#include "base/point.h"
#include "os/pages.h"

struct holes_claim {
	uint16_t pages;            /* of the slice */
	uint16_t first, last;      /* blocks: first and last that were claimed */
	uint16_t n_blocks;
	uint64_t bits[HK_BITMAP_WORDS]; /* the claimed blocks; words first/64..last/64 are valid */
};

/* Pages become holes, or stop being holes.  Claimed ones are none: a refill that takes blocks on both sides of
 * them would close them, and they would be subtracted twice. */
static void holes_mark(struct hk_slab *slab, unsigned slice, uint16_t pages, bool hole)
{
	int n = (int)hk_popcount64(pages) * (hole ? 1 : -1);
	uint16_t *mask = &slab->superslab->hole[slice];
	*mask = (uint16_t)(hole ? *mask | pages : *mask & ~pages);
	HK_HINT_SET(slab->n_holes, (uint16_t)(slab->n_holes + n));
	hk_count_private(hole_pages, n);
}

/* Under the class lock: claim the holes of one slice of a slab. */
static bool holes_take(struct hk_slabs *slabs, struct hk_slab *slab, unsigned offset, struct holes_claim *claim)
{
	const struct hk_class_info *info = &hk_class_info[slabs->class_idx];
	unsigned slice = hk_slab_slice(slab) + offset;
	claim->pages = slab->superslab->hole[slice];
	if (claim->pages == 0 || slab->n_free == slab->top)
		return false; /* a wholly free slab goes back as a whole */
	unsigned first_page = offset * HK_SLICE_PAGES + hk_ctz64(claim->pages);
	unsigned last_page = offset * HK_SLICE_PAGES + 63 - hk_clz64(claim->pages);
	claim->first = (uint16_t)(first_page * HK_PAGE_BYTES / info->block_bytes);
	claim->last = (uint16_t)HK_MIN((last_page * HK_PAGE_BYTES + HK_PAGE_BYTES - 1) / info->block_bytes,
				       info->n_blocks - 1u);
	for (unsigned word = claim->first / 64; word <= claim->last / 64u; word++)
		claim->bits[word] = 0;
	for (uint32_t pages = claim->pages; pages != 0; pages &= pages - 1) {
		unsigned at = (offset * HK_SLICE_PAGES + hk_ctz64(pages)) * HK_PAGE_BYTES;
		hk_bitmap_set(claim->bits, at / info->block_bytes,
			      HK_MIN((at + HK_PAGE_BYTES - 1) / info->block_bytes, info->n_blocks - 1u));
	}
	claim->n_blocks = 0;
	for (unsigned word = claim->first / 64; word <= claim->last / 64u; word++) {
		HK_ASSERT((slab->bitmap[word] & claim->bits[word]) == claim->bits[word]);
		HK_HINT_SET(slab->bitmap[word], slab->bitmap[word] & ~claim->bits[word]);
		claim->n_blocks = (uint16_t)(claim->n_blocks + hk_popcount64(claim->bits[word]));
	}
	HK_HINT_SET(slab->n_free, slab->n_free - claim->n_blocks);
	slabs->n_free -= claim->n_blocks;
	slabs->n_claimed += claim->n_blocks;
	holes_mark(slab, slice, claim->pages, false);
	return true;
}

/* Under the class lock: the claimed blocks are free again; `purged` pages are no longer touched. */
static void holes_return(struct hk_slabs *slabs, struct hk_slab *slab, unsigned offset,
			 const struct holes_claim *claim, uint16_t purged)
{
	unsigned slice = hk_slab_slice(slab) + offset;
	for (unsigned word = claim->first / 64; word <= claim->last / 64u; word++)
		HK_HINT_SET(slab->bitmap[word], slab->bitmap[word] | claim->bits[word]);
	slab->low_word = (uint16_t)HK_MIN(slab->low_word, claim->first / 64u);
	HK_HINT_SET(slab->n_free, slab->n_free + claim->n_blocks);
	slabs->n_free += claim->n_blocks;
	slabs->n_claimed -= claim->n_blocks;
	slab->superslab->touched[slice] &= (uint16_t)~purged;
	holes_mark(slab, slice, claim->pages & (uint16_t)~purged, true); /* those that the kernel refused */
	hk_count(purged_bytes, (uint64_t)hk_popcount64(purged) * HK_PAGE_BYTES);
}

/* Purge the holes of one slice of a slab.  False once there is nothing behind it. */
static bool holes_purge_slice(struct hk_slabs *slabs, struct hk_slab *slab, unsigned offset, size_t *bytes)
{
	struct holes_claim claim;
	struct hk_slab *chain = NULL;
	hk_lock_take(&slabs->lock);
	bool ours = slab->state == HK_SLAB_LIVE && slab->class_idx == slabs->class_idx && offset < slab->n_slices;
	bool claimed = ours && holes_take(slabs, slab, offset, &claim);
	if (claimed)
		hk_slabs_settle(slabs, slab, &chain);
	hk_lock_drop(&slabs->lock);
	if (!claimed)
		return ours;
	HK_POINT(holes_claimed);
	uint16_t purged = hk_os_purge_pages(slab->base + (size_t)offset * HK_SLICE_BYTES, claim.pages);
	*bytes += (size_t)hk_popcount64(purged) * HK_PAGE_BYTES;
	HK_POINT(holes_purged);
	hk_lock_take(&slabs->lock);
	holes_return(slabs, slab, offset, &claim, purged);
	hk_slabs_settle(slabs, slab, &chain);
	hk_lock_drop(&slabs->lock);
	hk_slabs_free_chain(chain);
	return true;
}

size_t hk_slab_purge_holes(struct hk_slabs *slabs, struct hk_superslab *superslab, unsigned slice)
{
	size_t bytes = 0;
	for (unsigned offset = 0; offset < HK_SLICES - slice; offset++)
		if (!holes_purge_slice(slabs, &superslab->slabs[slice], offset, &bytes))
			break;
	return bytes;
}
