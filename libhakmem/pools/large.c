/* SPDX-License-Identifier: MIT */
/* Large blocks: see large.h. */
#include "pools/large.h"

#include "base/counters.h"
#include "map/pagemap.h"
#include "os/meta.h"
#include "os/pages.h"
#include "pools/span.h"

#define LARGE_NAME "hakmem: large"

/* A span is made larger for a block only if it has the pages for such a part of it: moving it costs about what the
 * page faults of a few hundred KiB do. */
#define LARGE_REUSE_LEAST 4u

struct hk_large {
	char *base;
	size_t bytes;          /* what the program has: whole pages */
	size_t mapped_bytes;   /* at least that; the rest of a region that the block fills in part */
	struct hk_large *next; /* in the list of unused records */
};

static struct hk_large *large_records; /* unused ones; guarded by hk_large_lock() */

static struct hk_large *large_record(void)
{
	hk_lock_take(hk_large_lock());
	struct hk_large *large = large_records;
	if (large != NULL)
		large_records = large->next;
	hk_lock_drop(hk_large_lock());
	return large != NULL ? large : hk_meta_bump(sizeof *large);
}

static void large_record_free(struct hk_large *large)
{
	hk_lock_take(hk_large_lock());
	large->next = large_records;
	large_records = large;
	hk_lock_drop(hk_large_lock());
}

static void large_enter(struct hk_large *large)
{
	hk_pagemap_set_owner(large->base, (uintptr_t)large | HK_OWNER_LARGE);
	hk_pagemap_set_kind(large->base, 1, HK_KIND_LARGE);
}

static void large_leave(struct hk_large *large)
{
	hk_pagemap_set_kind(large->base, 1, HK_KIND_NONE);
	hk_pagemap_set_owner(large->base, 0);
}

/* Process-wide counters move to a new place while all locks are held: so they change under one. */
static void large_count(int64_t bytes, int64_t mapped)
{
	hk_lock_take(hk_large_lock());
	hk_count(large_bytes, bytes);
	hk_count(used_bytes, bytes);
	hk_count(mapped_bytes, mapped);
	hk_lock_drop(hk_large_lock());
	hk_counters_touch();
}

bool hk_large_contains(const void *pointer)
{
	uintptr_t region = (uintptr_t)pointer & ~(uintptr_t)(HK_SUPERSLAB_BYTES - 1);
	while (hk_pagemap_find(hk_pagemap_slice((void *)region)) != NULL && hk_pagemap_owner((void *)region) == 0)
		region -= HK_SUPERSLAB_BYTES;
	const struct hk_large *large = hk_pagemap_large((void *)region);
	return large != NULL && (uintptr_t)pointer < (uintptr_t)large->base + large->bytes;
}

size_t hk_large_usable(const void *pointer)
{
	const struct hk_large *large = hk_pagemap_large(pointer);
	return large->base == pointer ? large->bytes : 0;
}

/* Move a block onto fresh addresses with room for `bytes`, more than it has. */
static bool large_move(struct hk_large *large, size_t bytes)
{
	char *target = hk_os_reserve(bytes, HK_SUPERSLAB_BYTES, large);
	if (target == NULL)
		return false;
	large_leave(large); /* the old entries go before the old addresses do */
	bool moved = hk_pagemap_cover(target, bytes) &&
		     hk_os_move(large->base, large->mapped_bytes, target, bytes, LARGE_NAME);
	if (moved)
		large->base = target;
	else
		hk_os_unreserve(target, bytes, large);
	large_enter(large);
	return moved;
}

/* Into the span behind the block. */
static bool large_absorb(struct hk_large *large, size_t bytes)
{
	struct hk_span span;
	if (!hk_span_take_at(large->base + large->mapped_bytes, bytes - large->mapped_bytes, &span))
		return false;
	large->mapped_bytes += span.bytes;
	return true;
}

/* Room for `bytes`, more than is mapped; by how much more is mapped in all is in `*ret_mapped`. */
static bool large_grow(struct hk_large *large, size_t bytes, int64_t *ret_mapped)
{
	if (large_absorb(large, bytes))
		return true;
	/* whatever is mapped may begin a block one day, so the page map covers it */
	bool grown = hk_pagemap_cover(large->base, bytes) && hk_os_resize(large->base, large->mapped_bytes, bytes);
	if (!grown && !large_move(large, bytes))
		return false;
	*ret_mapped = (int64_t)(bytes - large->mapped_bytes);
	large->mapped_bytes = bytes;
	return true;
}

/* What is behind the first `bytes` of a block goes back: whole regions become a span, pages before them go at once. */
static void large_shrink(struct hk_large *large, size_t bytes)
{
	size_t keep = HK_MIN(hk_round_up(bytes, HK_SUPERSLAB_BYTES), large->mapped_bytes), behind = large->mapped_bytes - keep;
	if (HK_MIN(keep, large->bytes) > bytes)
		hk_os_purge(large->base + bytes, HK_MIN(keep, large->bytes) - bytes);
	large->mapped_bytes = keep;
	if (behind != 0)
		hk_span_put(large->base + keep, behind, large->bytes > keep ? large->bytes - keep : 0);
}

void *hk_large_resize(void *pointer, size_t bytes)
{
	struct hk_large *large = hk_pagemap_large(pointer);
	size_t old_bytes = large->bytes;
	int64_t mapped = 0;
	bytes = hk_round_up(bytes, HK_PAGE_BYTES);
	if (bytes > large->mapped_bytes && !large_grow(large, bytes, &mapped))
		return NULL;
	if (bytes < old_bytes)
		large_shrink(large, bytes);
	large->bytes = bytes;
	if (bytes != old_bytes)
		large_count((int64_t)(bytes - old_bytes), mapped);
	return large->base;
}

/* ---- new and free -------------------------------------------------------------------------------------- */

/* Pages of a span behind the block are not the program's: much of that would be waste. */
static void large_purge_tail(const struct hk_large *large, size_t touched_bytes)
{
	if (touched_bytes > large->bytes && touched_bytes - large->bytes > large->bytes / 8)
		hk_os_purge(large->base + large->bytes, large->mapped_bytes - large->bytes);
}

/* A span that is large enough, or one that the kernel can make so: its pages are there already. */
static bool large_reuse(struct hk_large *large, size_t bytes, size_t alignment)
{
	struct hk_span span;
	int64_t mapped = 0;
	bool fits = hk_span_take(bytes, alignment, &span);
	if (!fits && (alignment != HK_SUPERSLAB_BYTES || !hk_span_take_fullest(bytes / LARGE_REUSE_LEAST, &span)))
		return false;
	large->base = span.base;
	large->bytes = bytes;
	large->mapped_bytes = span.bytes;
	large_enter(large);
	if (fits || large_grow(large, bytes, &mapped)) {
		if (fits)
			large_purge_tail(large, span.touched_bytes);
		large_count((int64_t)bytes, mapped);
		return true;
	}
	large_leave(large);
	hk_span_put(span.base, span.bytes, span.touched_bytes);
	return false;
}

static bool large_map(struct hk_large *large, size_t bytes, size_t alignment)
{
	large->base = hk_os_map(bytes, alignment, LARGE_NAME);
	if (large->base == NULL)
		return false;
	if (!hk_pagemap_cover(large->base, bytes)) {
		hk_os_unmap(large->base, bytes);
		return false;
	}
	hk_os_set_thp(large->base, bytes, false);
	large->bytes = large->mapped_bytes = bytes;
	large_enter(large);
	large_count((int64_t)bytes, (int64_t)bytes);
	return true;
}

void *hk_large_new(size_t bytes, size_t alignment, bool *ret_zero)
{
	struct hk_large *large = large_record();
	bytes = hk_round_up(bytes, HK_PAGE_BYTES);
	alignment = HK_MAX(alignment, HK_SUPERSLAB_BYTES);
	if (large == NULL)
		return NULL;
	*ret_zero = !large_reuse(large, bytes, alignment);
	if (*ret_zero && !large_map(large, bytes, alignment)) {
		large_record_free(large);
		return NULL;
	}
	return large->base;
}

bool hk_large_free(void *pointer)
{
	struct hk_large *large = hk_pagemap_large(pointer);
	if (large == NULL || large->base != pointer)
		return false;
	size_t bytes = large->bytes, mapped_bytes = large->mapped_bytes;
	large_leave(large);
	large_count(-(int64_t)bytes, 0);
	large_record_free(large);
	hk_span_put(pointer, mapped_bytes, bytes);
	return true;
}
