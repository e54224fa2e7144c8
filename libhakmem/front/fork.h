/* SPDX-License-Identifier: MIT */
/* The process is copied: by fork, and by ways of which nobody is told.  See fork.c. */
#ifndef HK_FRONT_FORK_H
#define HK_FRONT_FORK_H

#include "os/mark.h"

/* In the constructor, once the options are read. */
void hk_fork_init(void);

/* On slow paths, under no lock and before any counter changes: is this a copy that fork's handlers did not see? */
void hk_fork_missed(void) HK_NOINLINE;
static inline void hk_fork_notice(void)
{
	const _Atomic uint32_t *mark = atomic_load_explicit(&hk_mark, memory_order_relaxed);
	if (HK_UNLIKELY(atomic_load_explicit(mark, memory_order_relaxed) != HK_MARK_OWN))
		hk_fork_missed();
}

#endif
