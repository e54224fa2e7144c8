/* SPDX-License-Identifier: MIT */
/*
 * The counters that the process publishes, and the few that stay inside.
 *
 * They live in private memory until the process registers; then in the shared segment (policy/stats.c moves
 * them while it holds every lock).  Per-class counters are guarded by their class lock; process-wide ones are
 * atomic, added to on slow paths only, and always under some lock, so that none is lost in the move.
 */
#ifndef HK_BASE_COUNTERS_H
#define HK_BASE_COUNTERS_H

#include "base/attr.h"
#include "protocol/stats.h"

#include <stdatomic.h>

extern struct hkp_stats *_Atomic hk_counters;

/* Where they begin: the classes have none until the process registers.  All else goes by HK_COUNTERS_HOME. */
struct hk_counters_home {
	uint64_t head[offsetof(struct hkp_stats, classes) / sizeof(uint64_t)];
} HK_ALIGNED(64);
extern struct hk_counters_home hk_counters_home;
#define HK_COUNTERS_HOME ((struct hkp_stats *)&hk_counters_home)

/* What is not published by itself; guarded like the process-wide counters.  All but the first are part of
 * releasable_bytes. */
struct hk_counters_private {
	_Atomic int64_t touched_pages;    /* of SuperSlabs: handed out since the kernel last took them back */
	_Atomic int64_t hole_pages;       /* pages of live slabs on which no block is in use */
	_Atomic int64_t tail_pages;       /* touched pages of mid runs behind their block */
	_Atomic int64_t free_slice_pages; /* touched pages of slices that belong to no slab */
};
extern struct hk_counters_private hk_counters_private;

/* Touched pages that hold nothing; a hint, and below 0 for a moment where others count. */
static inline int64_t hk_counters_kept_pages(void)
{
	return atomic_load_explicit(&hk_counters_private.hole_pages, memory_order_relaxed) +
	       atomic_load_explicit(&hk_counters_private.tail_pages, memory_order_relaxed) +
	       atomic_load_explicit(&hk_counters_private.free_slice_pages, memory_order_relaxed);
}

static inline struct hkp_stats *hk_stats(void)
{
	return atomic_load_explicit(&hk_counters, memory_order_relaxed);
}

/* Are the counters in a shared segment? */
static inline bool hk_counters_published(void)
{
	return hk_stats() != HK_COUNTERS_HOME;
}

#define hk_count(name, delta)                                                                                 \
	((void)__atomic_fetch_add(&hk_stats()->name, (uint64_t)(int64_t)(delta), __ATOMIC_RELAXED))
#define hk_count_private(name, delta)                                                                         \
	((void)atomic_fetch_add_explicit(&hk_counters_private.name, (int64_t)(delta), memory_order_relaxed))

/* Bring releasable_bytes up to date. */
void hk_counters_update_releasable(void);

/* The same, and note that the program was active: once per slow path of a pool that knows no threads. */
void hk_counters_touch(void);

/* What flush level 2 could return now: cached blocks, free slices, free pages of live slabs, cached mappings. */
uint64_t hk_counters_releasable(void);

/* CLOCK_MONOTONIC in nanoseconds; the coarse one moves with the timer tick (1 to 4 ms) and costs less. */
uint64_t hk_clock_nsec(void);
uint64_t hk_clock_coarse_nsec(void);

#endif
