/* SPDX-License-Identifier: MIT */
/* The heap of SuperSlabs: see superslab.h. */
#include "slabs/superslab.h"

#include "base/bits.h"
#include "base/counters.h"
#include "os/pages.h"

#include <string.h>

#define HEAP_LISTS (HK_SLICES + 1)
#define HEAP_ALL_FREE (~(uint32_t)0)

/*
 * How many empty SuperSlabs stay mapped at most: a quarter of those in use, and 16 (32 MiB) in any case.
 * Below that, time decides (hk_heap_decay).  Unmapping each at once costs most of the throughput of a
 * program that grows and shrinks.
 */
#define HEAP_RESERVE_MIN 16u

static struct hk_lock heap_lock = HK_LOCK_INIT(HK_RANK_HEAP);
static struct {
	struct hk_superslab *by_run[HEAP_LISTS]; /* by longest free run; by_run[0] is unused */
	struct hk_superslab *all;
	unsigned n_superslabs;
	unsigned n_reserve;    /* wholly free */
	unsigned reserve_low;  /* least n_reserve since the last decay */
	unsigned n_holds;      /* > 0: nothing is released */
} heap; /* guarded by heap_lock */

struct hk_lock *hk_heap_lock(void)
{
	return &heap_lock;
}

static unsigned heap_touched_pages(const struct hk_superslab *superslab, unsigned first, unsigned count)
{
	unsigned pages = 0;
	for (unsigned i = first; i < first + count; i++)
		pages += hk_popcount64(superslab->touched[i]);
	return pages;
}

static void heap_unlist(struct hk_superslab *superslab)
{
	if (superslab->longest == 0)
		return;
	if (superslab->prev != NULL)
		superslab->prev->next = superslab->next;
	else
		heap.by_run[superslab->longest] = superslab->next;
	if (superslab->next != NULL)
		superslab->next->prev = superslab->prev;
	superslab->longest = 0;
}

static void heap_list(struct hk_superslab *superslab)
{
	unsigned longest = hk_longest_run32(superslab->free_slices);
	superslab->longest = (uint8_t)longest;
	if (longest == 0)
		return;
	superslab->prev = NULL;
	superslab->next = heap.by_run[longest];
	if (superslab->next != NULL)
		superslab->next->prev = superslab;
	heap.by_run[longest] = superslab;
}

/* After free_slices changed: the right list, and in or out of the reserve. */
static void heap_relist(struct hk_superslab *superslab)
{
	bool empty = superslab->free_slices == HEAP_ALL_FREE;
	heap_unlist(superslab);
	heap_list(superslab);
	if (empty == (superslab->in_reserve != 0))
		return;
	superslab->in_reserve = empty;
	heap.n_reserve += empty ? 1u : -1u;
	heap.reserve_low = HK_MIN(heap.reserve_low, heap.n_reserve);
	hk_count(superslabs_empty, empty ? 1 : -1);
}

static void heap_insert(struct hk_superslab *superslab)
{
	superslab->all_prev = NULL;
	superslab->all_next = heap.all;
	if (heap.all != NULL)
		heap.all->all_prev = superslab;
	heap.all = superslab;
	heap.n_superslabs++;
	hk_count(superslabs, 1);
	hk_count(superslabs_made, 1);
	hk_count(mapped_bytes, HK_SUPERSLAB_BYTES);
}

static void heap_remove(struct hk_superslab *superslab)
{
	heap_unlist(superslab);
	if (superslab->all_prev != NULL)
		superslab->all_prev->all_next = superslab->all_next;
	else
		heap.all = superslab->all_next;
	if (superslab->all_next != NULL)
		superslab->all_next->all_prev = superslab->all_prev;
	heap.n_superslabs--;
	heap.n_reserve--;
	heap.reserve_low = HK_MIN(heap.reserve_low, heap.n_reserve);
	hk_count(superslabs, -1);
	hk_count(superslabs_empty, -1);
	hk_count(superslabs_unmapped, 1);
	hk_count(mapped_bytes, -(int64_t)HK_SUPERSLAB_BYTES);
}

static struct hk_superslab *heap_map(void)
{
	struct hk_superslab *superslab = hk_meta_unit_new();
	if (superslab == NULL)
		return NULL;
	superslab->base = hk_os_map(HK_SUPERSLAB_BYTES, HK_SUPERSLAB_BYTES, "hakmem: slabs");
	if (superslab->base == NULL || !hk_pagemap_cover(superslab->base, HK_SUPERSLAB_BYTES)) {
		if (superslab->base != NULL)
			hk_os_unmap(superslab->base, HK_SUPERSLAB_BYTES);
		hk_meta_unit_free(superslab);
		return NULL;
	}
	hk_os_set_thp(superslab->base, HK_SUPERSLAB_BYTES, true);
	superslab->free_slices = HEAP_ALL_FREE;
	for (unsigned i = 0; i < HK_SLICES; i++) {
		superslab->slabs[i].superslab = superslab;
		superslab->slabs[i].base = superslab->base + (size_t)i * HK_SLICE_BYTES;
		superslab->slabs[i].bitmap = superslab->bitmaps[i];
	}
	hk_pagemap_set_owner(superslab->base, (uintptr_t)superslab);
	return superslab;
}

/* Mark slices as taken and return the record of the run. */
static struct hk_slab *heap_carve(struct hk_superslab *superslab, unsigned slice, unsigned n_slices)
{
	superslab->free_slices &= ~hk_mask32(slice, n_slices);
	heap_relist(superslab);
	for (unsigned i = 0; i < n_slices; i++)
		superslab->first[slice + i] = (uint8_t)slice;
	superslab->slabs[slice].n_slices = (uint8_t)n_slices;
	hk_count_private(free_slice_pages, -(int64_t)heap_touched_pages(superslab, slice, n_slices));
	return &superslab->slabs[slice];
}

/* The SuperSlab that the run fits tightest; wholly free ones come last by themselves. */
static struct hk_slab *heap_find(unsigned n_slices)
{
	for (unsigned longest = n_slices; longest < HEAP_LISTS; longest++) {
		struct hk_superslab *superslab = heap.by_run[longest];
		if (superslab != NULL)
			return heap_carve(superslab, hk_find_run32(superslab->free_slices, n_slices), n_slices);
	}
	return NULL;
}

/* Bitmaps of slices that are nobody's must be clear; only those of slices that were freed into need it. */
static void heap_clear_bitmaps(struct hk_superslab *superslab, uint32_t slices)
{
	slices &= (uint32_t)atomic_load_explicit(&superslab->bitmap_state, memory_order_relaxed);
	if (HK_LIKELY(slices == 0))
		return;
	for (uint32_t rest = slices; rest != 0; rest &= rest - 1)
		memset(superslab->bitmaps[__builtin_ctz(rest)], 0, sizeof *superslab->bitmaps);
	atomic_fetch_and(&superslab->bitmap_state, ~(uint64_t)slices);
}

HK_SELDOM void hk_heap_clear_bitmaps(struct hk_superslab *superslab, uint32_t slices)
{
	hk_lock_take(&heap_lock);
	heap_clear_bitmaps(superslab, slices & superslab->free_slices);
	hk_lock_drop(&heap_lock);
}

struct hk_slab *hk_heap_take(unsigned n_slices)
{
	hk_lock_take(&heap_lock);
	struct hk_slab *run = heap_find(n_slices);
	hk_lock_drop(&heap_lock);
	if (run == NULL) {
		struct hk_superslab *superslab = heap_map();
		if (superslab == NULL)
			return NULL;
		hk_lock_take(&heap_lock);
		heap_insert(superslab);
		run = heap_carve(superslab, 0, n_slices);
		hk_lock_drop(&heap_lock);
	}
	heap_clear_bitmaps(run->superslab, hk_mask32(hk_slab_slice(run), n_slices));
	return run;
}

/* Unmap a SuperSlab that is in no list any more; returns the bytes that had been touched. */
static size_t heap_unmap(struct hk_superslab *superslab)
{
	unsigned pages = heap_touched_pages(superslab, 0, HK_SLICES);
	size_t bytes = (size_t)pages * HK_PAGE_BYTES;
	char *base = superslab->base;
	hk_count_private(touched_pages, -(int64_t)pages);
	hk_pagemap_set_owner(base, 0);
	/* Too many mappings to split one: the pages go, the addresses are lost, the process goes on. */
	if (!hk_os_unmap(base, HK_SUPERSLAB_BYTES) && !hk_os_purge(base, HK_SUPERSLAB_BYTES))
		bytes = 0;
	hk_meta_unit_free(superslab);
	return bytes;
}

/* Take an empty, unpinned SuperSlab out of the reserve, or NULL. */
static struct hk_superslab *heap_pop_reserve(void)
{
	struct hk_superslab *superslab = heap.n_holds == 0 ? heap.by_run[HK_SLICES] : NULL;
	while (superslab != NULL && superslab->n_pins != 0)
		superslab = superslab->next;
	if (superslab == NULL)
		return NULL;
	hk_count_private(free_slice_pages, -(int64_t)heap_touched_pages(superslab, 0, HK_SLICES));
	heap_remove(superslab);
	return superslab;
}

bool hk_heap_release_one(unsigned keep, size_t *bytes)
{
	hk_lock_take(&heap_lock);
	struct hk_superslab *superslab = heap.n_reserve > keep ? heap_pop_reserve() : NULL;
	hk_lock_drop(&heap_lock);
	if (superslab == NULL)
		return false;
	*bytes += heap_unmap(superslab);
	return true;
}

static size_t heap_release_beyond(unsigned keep)
{
	size_t bytes = 0;
	while (hk_heap_release_one(keep, &bytes))
		continue;
	return bytes;
}

static unsigned heap_reserve_limit(void)
{
	return HK_MAX((heap.n_superslabs - heap.n_reserve) / 4, HEAP_RESERVE_MIN);
}

static void heap_give_slices(struct hk_superslab *superslab, unsigned slice, unsigned n_slices)
{
	hk_pagemap_set_kind(superslab->base + (size_t)slice * HK_SLICE_BYTES, n_slices, HK_KIND_NONE);
	hk_lock_take(&heap_lock);
	HK_ASSERT((superslab->free_slices & hk_mask32(slice, n_slices)) == 0);
	superslab->free_slices |= hk_mask32(slice, n_slices);
	hk_count_private(free_slice_pages, heap_touched_pages(superslab, slice, n_slices));
	heap_relist(superslab);
	unsigned limit = heap_reserve_limit();
	bool over = heap.n_reserve > limit;
	hk_lock_drop(&heap_lock);
	if (over)
		heap_release_beyond(limit);
}

void hk_heap_give(struct hk_slab *run)
{
	HK_HINT_SET(run->state, HK_SLAB_FREE);
	heap_give_slices(run->superslab, hk_slab_slice(run), run->n_slices);
}

bool hk_heap_extend(struct hk_slab *run, unsigned n_slices)
{
	struct hk_superslab *superslab = run->superslab;
	unsigned slice = hk_slab_slice(run), have = run->n_slices;
	if (slice + n_slices > HK_SLICES)
		return false;
	uint32_t wanted = hk_mask32(slice + have, n_slices - have);
	hk_lock_take(&heap_lock);
	bool ok = (superslab->free_slices & wanted) == wanted;
	if (ok) {
		heap_carve(superslab, slice + have, n_slices - have);
		for (unsigned i = have; i < n_slices; i++)
			superslab->first[slice + i] = (uint8_t)slice;
		run->n_slices = (uint8_t)n_slices;
	}
	hk_lock_drop(&heap_lock);
	return ok;
}

void hk_heap_trim_run(struct hk_slab *run, unsigned n_slices)
{
	unsigned slice = hk_slab_slice(run), extra = run->n_slices - n_slices;
	if (extra == 0)
		return;
	run->n_slices = (uint8_t)n_slices;
	heap_give_slices(run->superslab, slice + n_slices, extra);
}

unsigned hk_run_touch(struct hk_slab *run, unsigned n_pages)
{
	unsigned before = 0, slice = hk_slab_slice(run);
	for (unsigned done = 0; done < n_pages; done += HK_SLICE_PAGES, slice++) {
		unsigned count = HK_MIN(n_pages - done, HK_SLICE_PAGES);
		uint16_t mask = (uint16_t)hk_mask32(0, count);
		before += hk_popcount64(run->superslab->touched[slice] & mask);
		run->superslab->touched[slice] |= mask;
	}
	hk_count_private(touched_pages, n_pages - before);
	return before;
}

size_t hk_superslab_purge(struct hk_superslab *superslab, uint16_t *pages)
{
	unsigned n = hk_os_purge_pages(superslab->base, pages, HK_SLICES);
	hk_count(purged_bytes, (uint64_t)n * HK_PAGE_BYTES);
	hk_count_private(touched_pages, -(int64_t)n);
	return (size_t)n * HK_PAGE_BYTES;
}

/* Free slices of a SuperSlab that have touched pages; `pages` is filled with theirs. */
static uint32_t heap_purgeable(const struct hk_superslab *superslab, uint16_t *pages)
{
	uint32_t mask = 0;
	for (uint32_t rest = superslab->free_slices; rest != 0; rest &= rest - 1) {
		unsigned slice = (unsigned)__builtin_ctz(rest);
		pages[slice] = superslab->touched[slice];
		mask |= pages[slice] != 0 ? 1u << slice : 0;
	}
	return mask;
}

/* While they are being purged slices count as taken. */
size_t hk_heap_purge(struct hk_superslab *superslab)
{
	uint16_t pages[HK_SLICES] = {0};
	hk_lock_take(&heap_lock);
	uint32_t slices = heap_purgeable(superslab, pages);
	for (uint32_t rest = slices; rest != 0; rest &= rest - 1)
		heap_carve(superslab, (unsigned)__builtin_ctz(rest), 1);
	hk_lock_drop(&heap_lock);
	if (slices == 0)
		return 0;
	size_t bytes = hk_superslab_purge(superslab, pages);
	for (uint32_t rest = slices; rest != 0;) {
		unsigned slice = (unsigned)__builtin_ctz(rest), count = hk_ctz64(~((uint64_t)rest >> slice));
		for (unsigned i = slice; i < slice + count; i++)
			superslab->touched[i] &= (uint16_t)~pages[i];
		heap_give_slices(superslab, slice, count);
		rest &= ~hk_mask32(slice, count);
	}
	return bytes;
}

void hk_heap_hold(bool on)
{
	hk_lock_take(&heap_lock);
	heap.n_holds += on ? 1u : -1u;
	hk_lock_drop(&heap_lock);
}

struct hk_superslab *hk_heap_walk(struct hk_superslab *previous)
{
	hk_lock_take(&heap_lock);
	struct hk_superslab *next = previous != NULL ? previous->all_next : heap.all;
	if (previous != NULL)
		previous->n_pins--;
	if (next != NULL)
		next->n_pins++;
	hk_lock_drop(&heap_lock);
	return next;
}

size_t hk_heap_decay(unsigned *ret_reserve)
{
	hk_lock_take(&heap_lock);
	unsigned unneeded = HK_MIN(heap.reserve_low, heap.n_reserve);
	unsigned keep = heap.n_reserve - (unneeded + 1) / 2;
	heap.reserve_low = keep;
	hk_lock_drop(&heap_lock);
	if (ret_reserve != NULL)
		*ret_reserve = keep;
	return unneeded != 0 ? heap_release_beyond(keep) : 0;
}
