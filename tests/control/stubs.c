/* SPDX-License-Identifier: MIT */
/* The allocator's core as the control thread sees it: records what it is asked for. */
#include "harness.h"

#include "base/log.h"
#include "base/syscall.h"
#include "policy/flush.h"
#include "policy/stats.h"

#include <string.h>
#include <sys/mman.h>
#include <time.h>

struct hk_options hk_options;
_Atomic bool hk_filtered;
HK_TLS bool hk_is_control;
struct core_log core = {.decay_next_nsec = UINT64_MAX};

HK_TLS unsigned core_tls;

static void *stats_place;

void hk_log_set_foreign(int tid)
{
	(void)tid;
}

size_t hk_flush_run(unsigned level, size_t target_bytes, uint64_t budget_usec, struct hak_report *report)
{
	const struct timespec step = {.tv_nsec = 1000000};

	core.tls_seen = core_tls;
	core_tls = 7;
	core.level = level;
	core.target_bytes = target_bytes;
	core.budget_usec = budget_usec;
	for (unsigned msec = 0; msec < core.flush_msec && core.interrupts == 0; msec++)
		hk_sys2(SYS_nanosleep, &step, NULL);
	if (report)
		*report = (struct hak_report){.released_bytes = 4096,
		                              .usec = 7,
		                              .first_usec = 3,
		                              .threads_swept = 2,
		                              .threads_pending = 1,
		                              .status = HAK_PARTIAL};
	core.flushes++;
	return 4096;
}

size_t hk_flush_rested(uint64_t rest_nsec, uint64_t budget_usec, struct hak_report *report)
{
	core.rest_nsec = rest_nsec;
	return hk_flush_run(HAK_LEVEL_COLD, HAK_TARGET_ALL, budget_usec, report);
}

void hk_flush_interrupt(bool on)
{
	core.interrupts += on ? 1 : -1;
}

void hk_decay_run(uint64_t now, uint64_t *ret_next_nsec)
{
	(void)now;
	core.decays++;
	*ret_next_nsec = core.decay_next_nsec;
}

int hk_stats_publish(int memfd)
{
	struct hkp_stats head = {
	        .magic = HKP_STATS_MAGIC, .version = HKP_STATS_VERSION, .size = HKP_STATS_BYTES};
	long place = hk_sys6(SYS_mmap, (long)stats_place, HKP_STATS_BYTES, PROT_READ | PROT_WRITE,
	                     MAP_SHARED | (stats_place ? MAP_FIXED : 0), memfd, 0);

	if (place < 0 && place > -4096)
		return (int)place;
	stats_place = (void *)place;
	memcpy(stats_place, &head, sizeof head);
	core.publishes++;
	return 0;
}

void hk_stats_unpublish(void)
{
	core.unpublishes++;
}

void hk_stats_survey(void)
{
	core.surveys++;
}

uint64_t hk_stats_releasable(void)
{
	return 12345;
}
