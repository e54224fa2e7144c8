/* SPDX-License-Identifier: MIT */
/* Records of the heap, and the share that it may keep: see growth.h.  docs/allocator.md has what other figures cost and give. */
#include "policy/growth.h"

#include "base/counters.h"
#include "base/options.h"
#include "caches/thread.h"
#include "policy/flush.h"
#include "pools/mid.h"
#include "slabs/superslab.h"

/* A record is so many touched pages above the one before; of those a share must be holes before some are purged, times as
 * many as it is above the one before.  Tails of mid runs lie idle for as long as their block lives, so they go sooner. */
#define GROWTH_PAGES  512
#define GROWTH_HOLES  6
#define GROWTH_TAILS  32
#define GROWTH_PURGED 2

/* One page in so many may hold nothing, and KEPT_LEAST pages in any case.  Of a heap at its largest, so many times its
 * pages are purged for that within HAKMEM_DECAY_MSEC. */
#define KEPT_SHARE 4
#define KEPT_LEAST ((64 << 20) / HK_PAGE_BYTES)
#define KEPT_TIMES 2

_Atomic int64_t hk_growth_record;

/* Purge something of SuperSlabs in turn, until `n_pages` went back or each had its turn.  Returns how many did. */
static int64_t growth_purge(int64_t n_pages, size_t (*purge)(struct hk_superslab *))
{
	static unsigned first; /* how many come before the one whose turn it is; guard: sweep lock */
	unsigned next = first;
	int64_t purged = 0;
	for (unsigned pass = 0; pass < 2 && purged < n_pages; pass++) {
		unsigned at = 0;
		struct hk_superslab *superslab = NULL;
		for (; (superslab = hk_heap_walk(superslab)) != NULL; at++) {
			bool turn = (pass == 0) == (at >= first);
			if (!turn || purged >= n_pages)
				continue;
			purged += (int64_t)(purge(superslab) / HK_PAGE_BYTES);
			next = at + 1;
		}
	}
	first = next;
	return purged;
}

static HK_NOINLINE void growth_shed(int64_t touched, int64_t grown)
{
	if (!hk_lock_try(hk_flush_lock())) /* a flush does more */
		return;
	hk_thread_shed();
	hk_cold_shed();
	int64_t holes = atomic_load_explicit(&hk_counters_private.hole_pages, memory_order_relaxed);
	int64_t tails = atomic_load_explicit(&hk_counters_private.tail_pages, memory_order_relaxed);
	if (holes >= touched / GROWTH_HOLES)
		growth_purge(grown * GROWTH_PURGED, hk_flush_holes);
	else if (tails >= touched / GROWTH_TAILS)
		growth_purge(grown * GROWTH_PURGED, hk_mid_purge_tails);
	hk_lock_drop(hk_flush_lock());
}

static size_t growth_kept_of(struct hk_superslab *superslab)
{
	return hk_flush_holes(superslab) + hk_heap_purge(superslab);
}

/* Too much is kept: purge some of it, unless a flush does, or as much went in this span of time as may. */
static HK_NOINLINE void growth_trim(int64_t touched)
{
	static _Atomic uint64_t rest_until_nsec;
	static uint64_t span_end_nsec; /* this and the next: guard: sweep lock */
	static int64_t span_pages;
	uint64_t now = hk_clock_coarse_nsec();
	if (now < atomic_load_explicit(&rest_until_nsec, memory_order_relaxed) || !hk_lock_try(hk_flush_lock()))
		return;
	if (now >= span_end_nsec) {
		span_end_nsec = now + hk_options.decay_msec * 1000000;
		span_pages = 0;
	}
	int64_t purged = growth_purge(GROWTH_PAGES, growth_kept_of);
	span_pages += purged;
	int64_t largest = HK_MAX(touched, atomic_load_explicit(&hk_growth_record, memory_order_relaxed));
	if (purged == 0 || span_pages >= largest * KEPT_TIMES) /* 0: the kernel refuses, as it does with mlocked memory */
		atomic_store_explicit(&rest_until_nsec, span_end_nsec, memory_order_relaxed);
	hk_lock_drop(hk_flush_lock());
	hk_counters_update_releasable();
}

HK_USUAL void hk_growth_poke(int64_t touched)
{
	int64_t record = atomic_load_explicit(&hk_growth_record, memory_order_relaxed), kept = hk_counters_kept_pages();
	if (HK_UNLIKELY(kept > KEPT_LEAST && kept > touched / KEPT_SHARE))
		growth_trim(touched);
	if (HK_UNLIKELY(touched >= record + GROWTH_PAGES) &&
	    atomic_compare_exchange_strong(&hk_growth_record, &record, touched))
		growth_shed(touched, touched - record);
}
