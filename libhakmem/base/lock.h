/* SPDX-License-Identifier: MIT */
/*
 * Locks: one word, a futex behind it, and a rank.
 *
 * Why not pthread mutexes: the control thread is unknown to libc, and a fork child must be able to reset them.
 * The word names the owner, so that a thread which waits for itself is found: a signal handler interrupted malloc
 * and called it.
 * Rule: a thread takes locks in rising rank only; builds with --enable-debug check it.  No lock is held across
 * a system call that may block, a wait, or an avoidable page fault.
 */
#ifndef HK_BASE_LOCK_H
#define HK_BASE_LOCK_H

#include "base/attr.h"
#include "base/syscall.h"

#include <stdatomic.h>

enum hk_rank {
	HK_RANK_NONE,
	HK_RANK_CHECK,   /* the table of HAKMEM_CHECK=1 */
	HK_RANK_SWEEP,   /* one flush at a time */
	HK_RANK_THREADS, /* the list of thread records */
	HK_RANK_CLASS,   /* one size class or shard: its slabs and cold magazine; several at once, by number, only across
			  * fork and where a slab changes its shard */
	HK_RANK_BOOKS,   /* what a divided class has in all */
	HK_RANK_HEAP,    /* SuperSlabs and their free slices */
	HK_RANK_LARGE,   /* large blocks and their cache */
	HK_RANK_META,    /* metadata chunks */
};

struct hk_lock {
	_Atomic uint32_t word; /* 0 free; else the owner, and HK_LOCK_AWAITED where someone may be asleep */
	uint32_t rank;         /* constant; as seen from the classes' rank, so that their table is all zero at first */
};

#define HK_LOCK_INIT(r) {0, (uint32_t)(r) - HK_RANK_CLASS}

#define HK_LOCK_AWAITED 1u

/* This thread as an owner: not 0, and without HK_LOCK_AWAITED. */
static inline uint32_t hk_lock_me(void)
{
	return (uint32_t)((uintptr_t)hk_thread_pointer() >> 6) << 1 | 2;
}

void hk_lock_wait(struct hk_lock *lock);
void hk_lock_wake(struct hk_lock *lock);

#ifdef HK_DEBUG
void hk_lock_check_take(const struct hk_lock *lock);
void hk_lock_check_drop(const struct hk_lock *lock);
#else
#define hk_lock_check_take(lock) ((void)(lock))
#define hk_lock_check_drop(lock) ((void)(lock))
#endif

static inline void hk_lock_take(struct hk_lock *lock)
{
	uint32_t expected = 0;
	hk_lock_check_take(lock);
	if (HK_UNLIKELY(!atomic_compare_exchange_strong_explicit(&lock->word, &expected, hk_lock_me(),
								 memory_order_acquire, memory_order_relaxed)))
		hk_lock_wait(lock);
}

/* Take the lock if it is free; for work that whoever holds it does as well. */
static inline bool hk_lock_try(struct hk_lock *lock)
{
	uint32_t expected = 0;
	if (!atomic_compare_exchange_strong_explicit(&lock->word, &expected, hk_lock_me(), memory_order_acquire,
						     memory_order_relaxed))
		return false;
	hk_lock_check_take(lock);
	return true;
}

static inline void hk_lock_drop(struct hk_lock *lock)
{
	hk_lock_check_drop(lock);
	if (HK_UNLIKELY((atomic_exchange_explicit(&lock->word, 0, memory_order_release) & HK_LOCK_AWAITED) != 0))
		hk_lock_wake(lock);
}

static inline bool hk_lock_is_held(const struct hk_lock *lock)
{
	return atomic_load_explicit(&lock->word, memory_order_relaxed) != 0;
}

/* In a fork child, by the thread that took the lock before the fork: nobody else is left to wake. */
static inline void hk_lock_reset(struct hk_lock *lock)
{
	hk_lock_check_drop(lock);
	atomic_store_explicit(&lock->word, 0, memory_order_relaxed);
}

#endif
