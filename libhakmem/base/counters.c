/* SPDX-License-Identifier: MIT */
/* The counters' private home and their sums: see counters.h. */
#include "base/counters.h"

#include <time.h>

struct hk_counters_home hk_counters_home;

struct hkp_stats *_Atomic hk_counters = HK_COUNTERS_HOME;
struct hk_counters_private hk_counters_private;

static uint64_t counters_clock(clockid_t id)
{
	struct timespec now;
	clock_gettime(id, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

uint64_t hk_clock_nsec(void)
{
	return counters_clock(CLOCK_MONOTONIC);
}

uint64_t hk_clock_coarse_nsec(void)
{
	return counters_clock(CLOCK_MONOTONIC_COARSE);
}

uint64_t hk_counters_releasable(void)
{
	struct hkp_stats *s = hk_stats();
	int64_t pages = hk_counters_kept_pages();
	return __atomic_load_n(&s->hot_bytes, __ATOMIC_RELAXED) + __atomic_load_n(&s->cold_bytes, __ATOMIC_RELAXED) +
	       __atomic_load_n(&s->large_cached_bytes, __ATOMIC_RELAXED) + (uint64_t)HK_MAX(pages, 0) * HK_PAGE_BYTES;
}

void hk_counters_update_releasable(void)
{
	__atomic_store_n(&hk_stats()->releasable_bytes, hk_counters_releasable(), __ATOMIC_RELAXED);
}

void hk_counters_touch(void)
{
	__atomic_store_n(&hk_stats()->activity_nsec, hk_clock_coarse_nsec(), __ATOMIC_RELAXED);
	hk_counters_update_releasable();
}
