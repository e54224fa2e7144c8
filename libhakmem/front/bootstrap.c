/* SPDX-License-Identifier: MIT */
/*
 * The library's beginning.
 *
 * The linker's -z initfirst has it run before any other: fork's handlers come first then, so that they take the locks
 * last and let go of them first, and others' handlers may allocate.  libc's own constructor has not run yet, so
 * `environ` is not there.
 *
 * malloc works before this constructor runs (the loader and other libraries' constructors use it); only
 * options, thread exit, fork and membarrier wait for it.  Nothing is torn down at exit: destructors that run later
 * may still allocate and free.
 */
#include "base/options.h"
#include "caches/thread.h"
#include "front/fork.h"
#include "policy/control.h"

#include <sys/auxv.h>

__attribute__((constructor(101))) static void bootstrap(int argc, char **argv, char **envp)
{
	(void)argc;
	(void)argv;
	hk_options_init(envp, getauxval(AT_SECURE) != 0);
	hk_threads_init();
	hk_fork_init();
	hk_control_init(envp);
}
