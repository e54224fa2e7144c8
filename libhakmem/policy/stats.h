/* SPDX-License-Identifier: MIT */
/* Publishing the counters in a shared segment, and the figures that are made on request only. */
#ifndef HK_POLICY_STATS_H
#define HK_POLICY_STATS_H

#include "base/attr.h"

/* Map a fresh memfd of HKP_STATS_BYTES and move the counters there.  0 or -errno.  The caller seals it. */
int hk_stats_publish(int memfd);

/* Before a fork, under all locks: what the child will count from.  The parent's threads write to the segment again
 * as soon as the locks are free. */
void hk_stats_prefork(void);

/* In a fork child: the counters move to private memory; what the parent publishes is left alone. */
void hk_stats_unpublish(void);

/* Bring the figures up to date that slow paths do not: phantom SuperSlabs, releasable bytes. */
void hk_stats_survey(void);

/* What flush level 2 could return now. */
uint64_t hk_stats_releasable(void);

/* Check the conservation laws of every class and slab; false where one is broken.  For quiescent moments. */
bool hk_stats_audit(void);

/* All locks, in rank order: for fork, and for moving the counters. */
void hk_locks_take_all(void);
void hk_locks_drop_all(void);
void hk_locks_reset_all(void); /* in a fork child */
bool hk_locks_any_held(void);

#endif
