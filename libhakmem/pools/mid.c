/* SPDX-License-Identifier: MIT */
/* Mid blocks: see mid.h. */
#include "pools/mid.h"

#include "base/counters.h"

static unsigned mid_slices(size_t bytes)
{
	return (unsigned)((bytes + HK_SLICE_BYTES - 1) >> HK_SLICE_SHIFT);
}

static unsigned mid_pages(size_t bytes)
{
	return (unsigned)((bytes + HK_PAGE_BYTES - 1) >> HK_PAGE_SHIFT);
}

static void mid_count(int64_t pages)
{
	hk_lock_take(hk_heap_lock());
	hk_count(mid_bytes, pages * (int64_t)HK_PAGE_BYTES);
	hk_count(used_bytes, pages * (int64_t)HK_PAGE_BYTES);
	hk_lock_drop(hk_heap_lock());
	hk_counters_touch(true);
}

void *hk_mid_new(size_t bytes, bool *ret_zero)
{
	struct hk_slab *run = hk_heap_take(mid_slices(bytes));
	if (run == NULL)
		return NULL;
	run->mid_pages = mid_pages(bytes);
	*ret_zero = hk_run_touch(run, run->mid_pages) == 0;
	HK_HINT_SET(run->state, HK_SLAB_MID);
	hk_pagemap_set_kind(run->base, 1, HK_KIND_MID);
	mid_count(run->mid_pages);
	return run->base;
}

bool hk_mid_free(void *pointer)
{
	struct hk_slab *run = hk_slab_of(pointer);
	if (run->state != HK_SLAB_MID || run->base != pointer)
		return false;
	unsigned pages = run->mid_pages;
	hk_heap_give(run);
	mid_count(-(int64_t)pages);
	return true;
}

size_t hk_mid_usable(const void *pointer)
{
	const struct hk_slab *run = hk_slab_of(pointer);
	return run->base == pointer ? (size_t)run->mid_pages * HK_PAGE_BYTES : 0;
}

bool hk_mid_resize(void *pointer, size_t bytes)
{
	struct hk_slab *run = hk_slab_of(pointer);
	unsigned n_slices = mid_slices(bytes), pages = mid_pages(bytes), before = run->mid_pages;
	if (bytes > HK_MID_BYTES || bytes <= HK_TINY_BYTES)
		return false;
	if (n_slices > run->n_slices && !hk_heap_extend(run, n_slices))
		return false;
	hk_heap_trim_run(run, n_slices);
	hk_run_touch(run, pages);
	run->mid_pages = pages;
	mid_count((int64_t)pages - before);
	return true;
}
