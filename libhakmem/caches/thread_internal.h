/* SPDX-License-Identifier: MIT */
/* What thread.c and sweep.c share; nobody else includes it. */
#ifndef HK_CACHES_THREAD_INTERNAL_H
#define HK_CACHES_THREAD_INTERNAL_H

#include "caches/thread.h"

struct hk_thread_list {
	struct hk_lock lock;
	struct hk_thread *_Atomic all; /* grows only, so it is walked without the lock */
	struct hk_thread *free;
};

extern struct hk_thread_list hk_threads;

/* Free the slot array of a magazine at this step of the ladder, unless it lies in the set itself. */
void hk_set_free_slots(struct hk_set *set, void **slots, unsigned step);

/* Return all blocks of a set that no owner can reach any more, to the slabs (`direct`: past the cold
 * magazines), then its memory.  Under no lock but the sweep lock.  Adds the blocks of each class to
 * `n_blocks[class]` unless that is NULL. */
void hk_set_empty(struct hk_set *set, bool direct, uint64_t *n_blocks);

/* Count the blocks of a set as lost. */
void hk_set_forget(const struct hk_set *set);

/* Register for membarrier: while the process has one thread this costs microseconds, later milliseconds. */
void hk_sweep_init(void);

#endif
