/* SPDX-License-Identifier: MIT */
#ifndef HK_BASE_LOG_H
#define HK_BASE_LOG_H

void hk_log_set_foreign(int tid);

#endif
