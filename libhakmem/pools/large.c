/* SPDX-License-Identifier: MIT */
/* Large blocks and their cache: see large.h. */
#include "pools/large.h"

#include "base/counters.h"
#include "map/pagemap.h"
#include "os/meta.h"
#include "os/pages.h"

#define LARGE_NAME "hakmem: large"

/* What the cache may hold: few blocks, none of them huge. */
#define LARGE_CACHE_SLOTS   16u
#define LARGE_CACHE_ONE_MAX ((size_t)32 << 20)
#define LARGE_CACHE_MAX     ((size_t)64 << 20)

struct hk_large {
	char *base;
	size_t bytes;          /* mapped */
	uint64_t freed_nsec;   /* while cached: when it was freed */
	struct hk_large *next; /* in the list of unused records */
};

static struct hk_lock large_lock = HK_LOCK_INIT(HK_RANK_LARGE);
static struct hk_large *large_cache[LARGE_CACHE_SLOTS]; /* guarded by large_lock, like all below */
static size_t large_cache_bytes;
static struct hk_large *large_records;

struct hk_lock *hk_large_lock(void)
{
	return &large_lock;
}

static struct hk_large *large_record(void)
{
	hk_lock_take(&large_lock);
	struct hk_large *large = large_records;
	if (large != NULL)
		large_records = large->next;
	hk_lock_drop(&large_lock);
	return large != NULL ? large : hk_meta_bump(sizeof *large);
}

/* A record without a mapping; `unmapped` is how much less is mapped. */
static void large_record_free(struct hk_large *large, int64_t unmapped)
{
	hk_lock_take(&large_lock);
	hk_count(mapped_bytes, -unmapped);
	large->next = large_records;
	large_records = large;
	hk_lock_drop(&large_lock);
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
	hk_lock_take(&large_lock);
	hk_count(large_bytes, bytes);
	hk_count(used_bytes, bytes);
	hk_count(mapped_bytes, mapped);
	hk_lock_drop(&large_lock);
	hk_counters_touch();
}

/* Under the lock: take slot `i` out of the cache. */
static struct hk_large *large_uncache(unsigned i)
{
	struct hk_large *large = large_cache[i];
	large_cache[i] = NULL;
	large_cache_bytes -= large->bytes;
	hk_count(large_cached_bytes, -(int64_t)large->bytes);
	return large;
}

/* The tightest cached block that fits without wasting more than an eighth. */
static struct hk_large *large_reuse(size_t bytes, size_t alignment)
{
	unsigned best = LARGE_CACHE_SLOTS;
	hk_lock_take(&large_lock);
	for (unsigned i = 0; i < LARGE_CACHE_SLOTS; i++) {
		struct hk_large *large = large_cache[i];
		if (large == NULL || large->bytes < bytes || large->bytes - bytes > bytes / 8 ||
		    ((uintptr_t)large->base & (alignment - 1)) != 0)
			continue;
		if (best == LARGE_CACHE_SLOTS || large->bytes < large_cache[best]->bytes)
			best = i;
	}
	struct hk_large *large = best != LARGE_CACHE_SLOTS ? large_uncache(best) : NULL;
	hk_lock_drop(&large_lock);
	return large;
}

static struct hk_large *large_map(size_t bytes, size_t alignment)
{
	struct hk_large *large = large_record();
	if (large == NULL)
		return NULL;
	large->bytes = bytes;
	large->base = hk_os_map(bytes, alignment, LARGE_NAME);
	if (large->base != NULL && hk_pagemap_cover(large->base, bytes)) {
		hk_os_set_thp(large->base, bytes, false);
		return large;
	}
	if (large->base != NULL)
		hk_os_unmap(large->base, bytes);
	large_record_free(large, 0);
	return NULL;
}

void *hk_large_new(size_t bytes, size_t alignment, bool *ret_zero)
{
	bytes = hk_round_up(bytes, HK_PAGE_BYTES);
	alignment = HK_MAX(alignment, HK_SUPERSLAB_BYTES);
	struct hk_large *large = large_reuse(bytes, alignment);
	*ret_zero = large == NULL;
	if (large == NULL && (large = large_map(bytes, alignment)) == NULL)
		return NULL;
	large_enter(large);
	large_count((int64_t)large->bytes, *ret_zero ? (int64_t)bytes : 0);
	return large->base;
}

/* Keep a freed block for reuse; false where the cache has no room. */
static bool large_cache_put(struct hk_large *large)
{
	unsigned i = 0;
	bool ok = false;
	large->freed_nsec = hk_clock_coarse_nsec();
	hk_lock_take(&large_lock);
	if (large->bytes <= LARGE_CACHE_ONE_MAX && large_cache_bytes + large->bytes <= LARGE_CACHE_MAX) {
		while (i < LARGE_CACHE_SLOTS && large_cache[i] != NULL)
			i++;
		ok = i < LARGE_CACHE_SLOTS;
	}
	if (ok) {
		large_cache[i] = large;
		large_cache_bytes += large->bytes;
		hk_count(large_cached_bytes, large->bytes);
	}
	hk_lock_drop(&large_lock);
	return ok;
}

static size_t large_unmap(struct hk_large *large)
{
	size_t bytes = large->bytes;
	if (!hk_os_unmap(large->base, bytes) && !hk_os_purge(large->base, bytes))
		bytes = 0;
	large_record_free(large, (int64_t)large->bytes);
	return bytes;
}

bool hk_large_free(void *pointer)
{
	struct hk_large *large = hk_pagemap_large(pointer);
	if (large == NULL || large->base != pointer)
		return false;
	large_leave(large);
	large_count(-(int64_t)large->bytes, 0);
	if (!large_cache_put(large))
		large_unmap(large);
	return true;
}

bool hk_large_contains(const void *pointer)
{
	uintptr_t region = (uintptr_t)pointer & ~(uintptr_t)(HK_SUPERSLAB_BYTES - 1);
	while (hk_pagemap_leaf(region) != NULL && hk_pagemap_owner((void *)region) == 0)
		region -= HK_SUPERSLAB_BYTES;
	const struct hk_large *large = hk_pagemap_leaf(region) != NULL ? hk_pagemap_large((void *)region) : NULL;
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
		     hk_os_move(large->base, large->bytes, target, bytes, LARGE_NAME);
	if (moved)
		large->base = target;
	else
		hk_os_unreserve(target, bytes, large);
	large_enter(large);
	return moved;
}

void *hk_large_resize(void *pointer, size_t bytes)
{
	struct hk_large *large = hk_pagemap_large(pointer);
	size_t old_bytes = large->bytes;
	bytes = hk_round_up(bytes, HK_PAGE_BYTES);
	if (bytes == old_bytes)
		return pointer;
	if (!hk_os_resize(pointer, old_bytes, bytes) && (bytes < old_bytes || !large_move(large, bytes)))
		return NULL;
	large->bytes = bytes;
	large_count((int64_t)(bytes - old_bytes), (int64_t)(bytes - old_bytes));
	return large->base;
}

uint64_t hk_large_oldest(void)
{
	uint64_t oldest = UINT64_MAX;
	hk_lock_take(&large_lock);
	for (unsigned i = 0; i < LARGE_CACHE_SLOTS; i++)
		if (large_cache[i] != NULL)
			oldest = HK_MIN(oldest, large_cache[i]->freed_nsec);
	hk_lock_drop(&large_lock);
	return oldest;
}

size_t hk_large_trim(uint64_t before_nsec)
{
	size_t bytes = 0;
	for (unsigned i = 0; i < LARGE_CACHE_SLOTS; i++) {
		hk_lock_take(&large_lock);
		bool old = large_cache[i] != NULL && large_cache[i]->freed_nsec <= before_nsec;
		struct hk_large *large = old ? large_uncache(i) : NULL;
		hk_lock_drop(&large_lock);
		if (large != NULL)
			bytes += large_unmap(large);
	}
	return bytes;
}
