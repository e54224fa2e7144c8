/* SPDX-License-Identifier: MIT */
#ifndef HK_POLICY_STATS_H
#define HK_POLICY_STATS_H

#include <stdint.h>

int hk_stats_publish(int memfd);
void hk_stats_unpublish(void);
void hk_stats_survey(void);
uint64_t hk_stats_releasable(void);

#endif
