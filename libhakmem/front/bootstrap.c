/* SPDX-License-Identifier: MIT */
/*
 * The library's beginning, and fork.
 *
 * malloc works before this constructor runs (the loader and other libraries' constructors use it); only
 * options, thread exit and membarrier wait for it.  Nothing is torn down at exit: destructors that run later
 * may still allocate and free.
 *
 * fork: the parent takes every lock in rank order, so the child finds all structures whole; a running sweep
 * has ended by then.  In the child the other threads are gone: their magazines wait for the next sweep, and
 * those that were caught in a move are lost and counted.
 */
#include "base/options.h"
#include "caches/thread.h"
#include "front/check.h"
#include "policy/control.h"
#include "policy/flush.h"
#include "policy/stats.h"

#include <pthread.h>
#include <sys/auxv.h>

static void bootstrap_prefork(void)
{
	hk_control_prefork();
	hk_lock_take(hk_check_lock());
	hk_flush_interrupt(true);
	hk_locks_take_all();
	hk_stats_prefork();
}

static void bootstrap_postfork_parent(void)
{
	hk_locks_drop_all();
	hk_lock_drop(hk_check_lock());
	hk_flush_interrupt(false);
	hk_control_postfork_parent();
}

static void bootstrap_postfork_child(void)
{
	hk_locks_reset_all();
	hk_lock_reset(hk_check_lock());
	hk_flush_interrupt(false);
	hk_control_postfork_child(); /* first: from here on the counters are the child's own */
	hk_threads_postfork_child();
}

__attribute__((constructor(101))) static void bootstrap(int argc, char **argv, char **envp)
{
	(void)argc;
	(void)argv;
	hk_options_init(envp, getauxval(AT_SECURE) != 0);
	hk_threads_init();
	pthread_atfork(bootstrap_prefork, bootstrap_postfork_parent, bootstrap_postfork_child);
	hk_control_init();
}
