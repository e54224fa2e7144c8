/* SPDX-License-Identifier: MIT */
/* The options that the control thread reads, for tests that run without the allocator. */
#ifndef HK_BASE_OPTIONS_H
#define HK_BASE_OPTIONS_H

#include "base/attr.h"

enum hk_control_mode { HK_CONTROL_AUTO, HK_CONTROL_THREAD, HK_CONTROL_INLINE, HK_CONTROL_OFF };

struct hk_options {
	enum hk_control_mode control;
	const char *runtime_dir;
	uint64_t control_threshold_bytes;
	uint64_t decay_msec;
};

extern struct hk_options hk_options;

#endif
