/* SPDX-License-Identifier: MIT */
#ifndef HK_POLICY_FLUSH_H
#define HK_POLICY_FLUSH_H

#include "hakmem.h"

size_t hk_flush_run(unsigned level, size_t target_bytes, uint64_t budget_usec, struct hak_report *report);
void hk_decay_run(uint64_t now_nsec, uint64_t *ret_next_nsec);

#endif
