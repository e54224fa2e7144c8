/* SPDX-License-Identifier: MIT */
/* Mid blocks: see mid.h. */
#include "pools/mid.h"

#include "base/counters.h"
#include "base/point.h"

static unsigned mid_slices(size_t bytes)
{
	return (unsigned)((bytes + HK_SLICE_BYTES - 1) >> HK_SLICE_SHIFT);
}

static unsigned mid_pages(size_t bytes)
{
	return (unsigned)((bytes + HK_PAGE_BYTES - 1) >> HK_PAGE_SHIFT);
}

/* Who changes the tail of a run now: pages of its last slice behind the block, some of which an earlier occupant may have
 * touched.  Guard: heap lock. */
enum mid_tail {
	MID_TAIL_IDLE,
	MID_TAIL_RESIZED, /* the owner */
	MID_TAIL_PURGED,  /* hk_mid_purge_tails() */
	MID_TAIL_LEFT,    /* the same, and the block was freed meanwhile: it gives the run back */
};

/* The touched pages of a run's tail, as a mask of its last slice. */
static uint16_t mid_tail_pages(const struct hk_slab *run)
{
	unsigned last = hk_slab_slice(run) + run->n_slices - 1, used = run->mid_pages - (run->n_slices - 1u) * HK_SLICE_PAGES;
	return (uint16_t)(run->superslab->touched[last] & ~hk_mask32(0, used));
}

static int64_t mid_tail_count(const struct hk_slab *run)
{
	return hk_popcount64(mid_tail_pages(run));
}

/* Under the heap lock: the owner or a purge is done with a run whose block grew by so many pages, and its tail. */
static void mid_settle(struct hk_slab *run, int64_t pages, int64_t tail_pages)
{
	run->mid_tail = MID_TAIL_IDLE;
	hk_count_private(tail_pages, tail_pages);
	hk_count(mid_bytes, pages * (int64_t)HK_PAGE_BYTES);
	hk_count(used_bytes, pages * (int64_t)HK_PAGE_BYTES);
}

void *hk_mid_new(size_t bytes, bool *ret_zero)
{
	struct hk_slab *run = hk_heap_take(mid_slices(bytes));
	if (run == NULL)
		return NULL;
	HK_HINT_SET(run->mid_pages, (uint16_t)mid_pages(bytes));
	*ret_zero = hk_run_touch(run, run->mid_pages) == 0;
	hk_pagemap_set_kind(run->base, 1, HK_KIND_MID);
	hk_lock_take(hk_heap_lock());
	HK_HINT_SET(run->state, HK_SLAB_MID);
	mid_settle(run, run->mid_pages, mid_tail_count(run));
	hk_lock_drop(hk_heap_lock());
	hk_counters_touch();
	return run->base;
}

bool hk_mid_free(void *pointer)
{
	struct hk_slab *run = hk_slab_of(pointer);
	if (run->state != HK_SLAB_MID || run->base != pointer)
		return false;
	hk_pagemap_set_kind(run->base, 1, HK_KIND_NONE);
	hk_lock_take(hk_heap_lock());
	bool purged = run->mid_tail == MID_TAIL_PURGED;
	HK_HINT_SET(run->state, HK_SLAB_FREE);
	mid_settle(run, -(int64_t)run->mid_pages, purged ? 0 : -mid_tail_count(run));
	run->mid_tail = purged ? MID_TAIL_LEFT : MID_TAIL_IDLE;
	hk_lock_drop(hk_heap_lock());
	if (!purged)
		hk_heap_give(run);
	hk_counters_touch();
	return true;
}

size_t hk_mid_usable(const void *pointer)
{
	const struct hk_slab *run = hk_slab_of(pointer);
	return run->base == pointer ? (size_t)run->mid_pages * HK_PAGE_BYTES : 0;
}

/* The tail is the owner's for now; false where it is being purged. */
static bool mid_hold(struct hk_slab *run)
{
	hk_lock_take(hk_heap_lock());
	bool ok = run->mid_tail == MID_TAIL_IDLE;
	if (ok)
		run->mid_tail = MID_TAIL_RESIZED;
	hk_lock_drop(hk_heap_lock());
	return ok;
}

bool hk_mid_resize(void *pointer, size_t bytes)
{
	struct hk_slab *run = hk_slab_of(pointer);
	unsigned n_slices = mid_slices(bytes), pages = mid_pages(bytes), before = run->mid_pages;
	if (bytes > HK_MID_BYTES || bytes <= HK_TINY_BYTES || !mid_hold(run))
		return false;
	int64_t tail_before = mid_tail_count(run);
	bool ok = n_slices <= run->n_slices || hk_heap_extend(run, n_slices);
	if (ok) {
		hk_heap_trim_run(run, n_slices);
		hk_run_touch(run, pages);
		run->mid_pages = (uint16_t)pages;
	}
	hk_lock_take(hk_heap_lock());
	mid_settle(run, ok ? (int64_t)pages - before : 0, mid_tail_count(run) - tail_before);
	hk_lock_drop(hk_heap_lock());
	hk_counters_touch();
	return ok;
}

/* ---- tails --------------------------------------------------------------------------------------------- */

/* Claim the tails of a SuperSlab's runs that have touched pages; at which slices those runs begin. */
static HK_COLD uint32_t mid_claim_tails(struct hk_superslab *superslab, uint16_t *pages)
{
	uint32_t from = 0;
	hk_lock_take(hk_heap_lock());
	for (unsigned i = 0; i < HK_SLICES; i++) {
		struct hk_slab *run = &superslab->slabs[i];
		if (HK_HINT(run->state) != HK_SLAB_MID || run->mid_tail != MID_TAIL_IDLE || mid_tail_pages(run) == 0)
			continue;
		pages[i + run->n_slices - 1] = mid_tail_pages(run);
		run->mid_tail = MID_TAIL_PURGED;
		from |= 1u << i;
	}
	hk_lock_drop(hk_heap_lock());
	return from;
}

/* A run's tail was purged as far as the mask says. */
static HK_COLD void mid_end_purge(struct hk_slab *run, const uint16_t *purged)
{
	unsigned last = hk_slab_slice(run) + run->n_slices - 1;
	int64_t tail_before = mid_tail_count(run);
	hk_lock_take(hk_heap_lock());
	bool left = run->mid_tail == MID_TAIL_LEFT;
	run->superslab->touched[last] &= (uint16_t)~purged[last];
	mid_settle(run, 0, (left ? 0 : mid_tail_count(run)) - tail_before);
	hk_lock_drop(hk_heap_lock());
	if (left)
		hk_heap_give(run);
}

size_t hk_mid_purge_tails(struct hk_superslab *superslab)
{
	uint16_t pages[HK_SLICES] = {0};
	uint32_t from = mid_claim_tails(superslab, pages);
	if (from == 0)
		return 0;
	HK_POINT(mid_tails_claimed);
	size_t bytes = hk_superslab_purge(superslab, pages);
	HK_POINT(mid_tails_purged);
	for (; from != 0; from &= from - 1)
		mid_end_purge(&superslab->slabs[__builtin_ctz(from)], pages);
	return bytes;
}
