/* SPDX-License-Identifier: MIT */
/* Metadata chunks and the bump area: see meta.h. */
#include "os/meta.h"

#include "base/bits.h"
#include "base/counters.h"
#include "os/pages.h"

#include <string.h>

#define META_CHUNK_UNITS 64u
#define META_CHUNK_BYTES (META_CHUNK_UNITS * HK_META_UNIT_BYTES)
#define META_BUMP_BYTES  (64u * 1024)
#define META_FIRST_BYTES 320u /* a chunk, a thread and some large blocks: a small process needs no page for them */

struct meta_chunk {
	struct meta_chunk *next;
	char *units;
	uint64_t free;  /* units to be had */
	uint64_t dirty; /* of those, the ones whose purge was refused: not zero */
};

static struct hk_lock meta_lock = HK_LOCK_INIT(HK_RANK_META);
static struct meta_chunk *meta_chunks; /* guarded by meta_lock; grows only */
static char *meta_bump_next, *meta_bump_end; /* guarded by meta_lock */
static char meta_first[META_FIRST_BYTES] HK_ALIGNED(64); /* bumped before anything is mapped for it */

struct hk_lock *hk_meta_lock(void)
{
	return &meta_lock;
}

/* Under the lock: bump from here on, if it is more than what there is. */
static void meta_bump_offer(char *start, char *end)
{
	if (end - start <= meta_bump_end - meta_bump_next)
		return;
	meta_bump_next = start;
	meta_bump_end = end;
}

static void *meta_unit_pop(bool *ret_dirty)
{
	for (struct meta_chunk *chunk = meta_chunks; chunk != NULL; chunk = chunk->next) {
		if (chunk->free == 0)
			continue;
		unsigned index = hk_ctz64(chunk->free);
		uint64_t bit = (uint64_t)1 << index;
		*ret_dirty = (chunk->dirty & bit) != 0;
		chunk->free &= ~bit;
		chunk->dirty &= ~bit;
		return chunk->units + (size_t)index * HK_META_UNIT_BYTES;
	}
	return NULL;
}

/* A chunk of which the first unit is the caller's, before others race for the rest. */
static void *meta_chunk_new(void)
{
	char *units = hk_os_map(META_CHUNK_BYTES, HK_PAGE_BYTES, "hakmem: metadata");
	if (units == NULL)
		return NULL;
	struct meta_chunk *chunk = hk_meta_bump(sizeof *chunk);
	if (chunk == NULL) {
		hk_os_unmap(units, META_CHUNK_BYTES);
		return NULL;
	}
	chunk->units = units;
	chunk->free = ~(uint64_t)1;
	hk_lock_take(&meta_lock);
	chunk->next = meta_chunks;
	meta_chunks = chunk;
	hk_count(metadata_bytes, META_CHUNK_BYTES);
	hk_count(mapped_bytes, META_CHUNK_BYTES);
	hk_lock_drop(&meta_lock);
	return units;
}

void *hk_meta_unit_new(void)
{
	bool dirty = false;
	hk_lock_take(&meta_lock);
	void *unit = meta_unit_pop(&dirty);
	hk_lock_drop(&meta_lock);
	if (unit == NULL)
		return meta_chunk_new();
	if (dirty)
		memset(unit, 0, HK_META_UNIT_BYTES);
	return unit;
}

void hk_meta_unit_free(void *unit)
{
	bool clean = hk_os_purge(unit, HK_META_UNIT_BYTES);
	hk_lock_take(&meta_lock);
	for (struct meta_chunk *chunk = meta_chunks; chunk != NULL; chunk = chunk->next) {
		size_t offset = (uintptr_t)unit - (uintptr_t)chunk->units;
		if (offset >= META_CHUNK_BYTES)
			continue;
		uint64_t bit = (uint64_t)1 << offset / HK_META_UNIT_BYTES;
		HK_ASSERT((chunk->free & bit) == 0);
		chunk->free |= bit;
		chunk->dirty |= clean ? 0 : bit;
		break;
	}
	hk_lock_drop(&meta_lock);
}

void *hk_meta_bump(size_t bytes)
{
	bytes = hk_round_up(bytes, bytes >= META_BUMP_BYTES / 4 ? HK_PAGE_BYTES : HK_CACHE_LINE);
	void *result = NULL;
	if (bytes < META_BUMP_BYTES / 4) {
		hk_lock_take(&meta_lock);
		if (HK_UNLIKELY(meta_bump_next == NULL))
			meta_bump_offer(meta_first, meta_first + sizeof meta_first);
		if ((size_t)(meta_bump_end - meta_bump_next) >= bytes) {
			result = meta_bump_next;
			meta_bump_next += bytes;
		}
		hk_lock_drop(&meta_lock);
		if (result != NULL)
			return result;
	}
	size_t mapped = bytes < META_BUMP_BYTES / 4 ? META_BUMP_BYTES : bytes;
	char *area = hk_os_map(mapped, HK_PAGE_BYTES, "hakmem: metadata");
	if (area == NULL)
		return NULL;
	hk_lock_take(&meta_lock);
	meta_bump_offer(area + bytes, area + mapped);
	hk_count(metadata_bytes, mapped);
	hk_count(mapped_bytes, mapped);
	hk_lock_drop(&meta_lock);
	return area;
}
