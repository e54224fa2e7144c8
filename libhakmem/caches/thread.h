/* SPDX-License-Identifier: MIT */
/*
 * Threads' caches: the slow paths behind the hot magazines, their growth, and their emptying by anyone.
 *
 * Capacities climb a ladder (0, 8, 32, 128, 512, 2048, 16384) by misses, within a byte budget per thread; classes
 * above 256 bytes start at nothing.  A set that was flushed is gone, and its successor starts small.
 */
#ifndef HK_CACHES_THREAD_H
#define HK_CACHES_THREAD_H

#include "caches/cold.h"
#include "caches/hot.h"

/* Slow paths of malloc and free for a class; `hk_thread_take` returns NULL only without memory. */
void *hk_thread_take(unsigned class_idx) HK_NOINLINE;
void hk_thread_give(unsigned class_idx, void *block) HK_NOINLINE;

/* Once, in the constructor: thread-exit hook, membarrier.  Blocks may have been handed out before. */
void hk_threads_init(void);

struct hk_sweep {
	uint32_t n_swept;   /* sets emptied */
	uint32_t n_pending; /* owners that stayed inside */
	uint64_t *n_blocks; /* set by the caller: HK_CLASSES counts to add to, or NULL */
	uint64_t rest_nsec; /* set by the caller: only threads that have rested so long; 0 = all */
};

/*
 * Under the sweep lock: detach every thread's set, or those of threads that rest, and return its blocks to the slabs.
 * A thread rests while it uses less than a hundredth of a CPU, as far back as it was looked at in this way: one that is
 * looked at for the first time does not.  Waits for busy owners
 * until `deadline_nsec` at most.  Holds no other lock while it waits.
 */
void hk_threads_sweep(uint64_t deadline_nsec, struct hk_sweep *sweep);

/*
 * Under the sweep lock.  While this is on, threads whose set was taken install no other for a while: what they free goes
 * home to its slab, and what they get comes out of the fullest one.  So what a busy program has in use moves
 * together, and whole pages fall free behind it.  hk_threads_bypassed() says whether any did since it was turned on.
 */
void hk_threads_bypass(bool on);
bool hk_threads_bypassed(void);

/*
 * Call `look(block, class_idx, arg)` for every block in hot magazines.  Racy: a block may be missed, seen
 * twice, or be in use by now, so `look` must check what it is given.  For the survey.
 */
void hk_threads_each_hot(void (*look)(void *block, unsigned class_idx, void *arg), void *arg);

/* Until this CLOCK_MONOTONIC time new magazines stay at their smallest (after a flush of everything). */
void hk_threads_set_frugal(uint64_t until_nsec);

/* Send home the blocks of this thread's magazines that missed nothing of late: of classes that its program no longer uses,
 * or hardly.  Under the sweep lock, or none. */
void hk_thread_shed(void) HK_COLD;

/*
 * What one thread's hot magazines and all cold ones may hold by order of the board; 0 = the default.  Threads notice
 * on their next slow paths and shrink a few magazines on each.
 */
void hk_caches_limit(uint64_t thread_bytes, uint64_t cold_bytes);

/* In a fork child, by the one thread left: the others' sets become reclaimable or lost. */
void hk_threads_postfork_child(void);

struct hk_lock *hk_threads_lock(void); /* for fork */

#endif
