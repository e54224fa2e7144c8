/* SPDX-License-Identifier: MIT */
/*
 * fork: the parent takes every lock in rank order, so the child finds all structures whole; a running sweep
 * has ended by then.  In the child the other threads are gone: their magazines wait for the next sweep, and
 * those that were caught in a move are lost and counted.
 *
 * _Fork() and the bare system calls run no handlers.  Their child would count in the parent's statistics and wait
 * for a control thread that it does not have.  So a mark (os/mark.h) says on the next slow path that this is one; it is
 * put in order then.  What the parent did between the copy and that
 * moment stays in the child's figures.  Where another thread held a lock as the copy was made, what it guards
 * may be in pieces, and nobody will ever let go of it: such a child cannot allocate, and is told so.
 *
 * vfork children run on the parent's memory, and nothing is wiped for them.
 */
#include "front/fork.h"

#include "base/log.h"
#include "base/options.h"
#include "base/syscall.h"
#include "caches/thread.h"
#include "front/check.h"
#include "policy/control.h"
#include "policy/flush.h"
#include "policy/stats.h"

#include <pthread.h>
#include <time.h>

static void fork_prepare(void)
{
	hk_control_prefork();
	hk_lock_take(hk_check_lock());
	hk_flush_interrupt(true);
	hk_locks_take_all();
	hk_stats_prefork();
}

static void fork_parent(void)
{
	hk_locks_drop_all();
	hk_flush_interrupt(false);
	hk_lock_drop(hk_check_lock());
	hk_control_postfork_parent();
}

static void fork_child(void)
{
	hk_locks_reset_all();
	hk_lock_reset(hk_check_lock());
	hk_flush_postfork_child();
	hk_control_postfork_child(); /* first: from here on the counters are the child's own */
	hk_threads_postfork_child();
	atomic_store_explicit(atomic_load(&hk_mark), HK_MARK_OWN, memory_order_release);
}

void hk_fork_init(void)
{
	pthread_atfork(fork_prepare, fork_parent, fork_child);
	if (hk_options.check)
		hk_mark_make(); /* threads have no records then, with which it would come */
}

void hk_fork_missed(void)
{
	const struct timespec nap = {.tv_nsec = 100000};
	_Atomic uint32_t *mark = atomic_load(&hk_mark);
	uint32_t copy = HK_MARK_COPY;
	if (atomic_compare_exchange_strong(mark, &copy, HK_MARK_REPAIR)) {
		if (hk_locks_any_held() || hk_lock_is_held(hk_check_lock()))
			hk_fatal("this process was forked by a bare system call while a thread was inside malloc or free: "
				 "it cannot allocate");
		fork_prepare();
		fork_child();
	}
	while (atomic_load_explicit(mark, memory_order_acquire) != HK_MARK_OWN)
		hk_sys2(SYS_nanosleep, &nap, NULL); /* another thread of the child was faster */
}
