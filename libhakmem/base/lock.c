/* SPDX-License-Identifier: MIT */
/* The slow half of the locks: spin briefly, then sleep in the kernel.  See lock.h. */
#include "base/lock.h"

#include "base/log.h"
#include "base/point.h"
#include "base/syscall.h"

#include <errno.h>
#include <linux/futex.h>
#include <time.h>

/* The critical sections are a few hundred nanoseconds long; a sleep and a wake cost some microseconds. */
#ifndef HK_TEST_POINTS
#define LOCK_SPINS 100
#else
#define LOCK_SPINS INT32_MAX /* a thread asleep in the kernel could not be scheduled */
#endif

static inline void lock_pause(void)
{
#if defined(__x86_64__)
	__builtin_ia32_pause();
#else
	__asm__ volatile("yield");
#endif
}

/* How long a thread may seem to wait for itself.  Owners are told apart by 31 bits of an address: that two threads
 * agree in them, and one holds a lock for so long, does not happen. */
#define LOCK_SELF_SEC 1

static bool lock_try(struct hk_lock *lock, uint32_t word)
{
	uint32_t expected = 0;
	return atomic_load_explicit(&lock->word, memory_order_relaxed) == 0 &&
	       atomic_compare_exchange_weak_explicit(&lock->word, &expected, word, memory_order_acquire,
						     memory_order_relaxed);
}

/* Sleep until the lock is let go, if its word is still `word`. */
static void lock_sleep(struct hk_lock *lock, uint32_t word)
{
	const struct timespec limit = {.tv_sec = LOCK_SELF_SEC};
	uint32_t awaited = word | HK_LOCK_AWAITED;
	bool own = awaited == (hk_lock_me() | HK_LOCK_AWAITED);
	if (awaited != word &&
	    !atomic_compare_exchange_strong_explicit(&lock->word, &word, awaited, memory_order_relaxed,
						     memory_order_relaxed))
		return;
	if (hk_sys4(SYS_futex, &lock->word, FUTEX_WAIT_PRIVATE, awaited, own ? &limit : NULL) == -ETIMEDOUT && own)
		hk_fatal("deadlock: a signal handler called malloc or free, and had interrupted one of them");
}

HK_NOINLINE void hk_lock_wait(struct hk_lock *lock)
{
	uint32_t me = hk_lock_me(), word;
	for (int i = 0; i < LOCK_SPINS; i++) {
		if (lock_try(lock, me))
			return;
		HK_POINT(lock_spin);
		lock_pause();
	}
	while (!lock_try(lock, me | HK_LOCK_AWAITED)) /* others may be asleep still */
		if ((word = atomic_load_explicit(&lock->word, memory_order_relaxed)) != 0)
			lock_sleep(lock, word);
}

HK_NOINLINE void hk_lock_wake(struct hk_lock *lock)
{
	hk_sys3(SYS_futex, &lock->word, FUTEX_WAKE_PRIVATE, 1);
}

#ifdef HK_DEBUG
/* Per rank, how many locks this thread holds. */
static HK_TLS uint16_t lock_held[HK_RANK_META + 1];

static unsigned lock_rank(const struct hk_lock *lock)
{
	return lock->rank + HK_RANK_CLASS;
}

void hk_lock_check_take(const struct hk_lock *lock)
{
	unsigned own = lock_rank(lock);
	for (unsigned rank = own + (own == HK_RANK_CLASS); rank <= HK_RANK_META; rank++)
		if (lock_held[rank] != 0)
			hk_fatal("lock order: rank %u taken while rank %u is held", own, rank);
	lock_held[own]++;
}

void hk_lock_check_drop(const struct hk_lock *lock)
{
	if (lock_held[lock_rank(lock)]-- == 0)
		hk_fatal("lock order: rank %u dropped while not held", lock_rank(lock));
}
#endif
