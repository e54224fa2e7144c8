// SPDX-License-Identifier: MIT
/*
 * attached: what a program without threads pays when its allocator has one.
 *
 * libc and the C++ library take short cuts while a process has one thread: stdio takes no lock, shared_ptr
 * counts without atomics, setuid() tells nobody.  A heap of 32 MiB is there first, enough for any thread to
 * have started.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/single_threaded.h>
#include <unistd.h>

#include "bench/worker.h"

#define N_REPEATS   9
#define N_CALLS     5000000
#define N_SETUID    200
#define HEAP_BLOCKS 32768
#define SETTLE_USEC 500000

/* The least of many short stretches: what else the machine does can only add. */
static double measure(void (*calls)(size_t n), size_t n)
{
	double least = 0, each;
	uint64_t begin;
	int i;

	for (i = 0; i < N_REPEATS; i++) {
		begin = worker_nsec();
		calls(n);
		each = (double)(worker_nsec() - begin) / (double)n;
		least = i == 0 || each < least ? each : least;
	}
	return least;
}

static FILE *nowhere;
static char buffer[4 * N_CALLS]; /* most stretches then make no system call */

static void put(size_t n)
{
	while (n-- > 0)
		putc('x', nowhere);
}

static int count = 1;

/* A copy and its end, as libstdc++ counts them. */
static void share(size_t n)
{
	while (n-- > 0) {
		if (__libc_single_threaded)
			*(volatile int *)&count += 1;
		else
			__atomic_fetch_add(&count, 1, __ATOMIC_ACQ_REL);
		if (__libc_single_threaded)
			*(volatile int *)&count -= 1;
		else
			__atomic_fetch_sub(&count, 1, __ATOMIC_ACQ_REL);
	}
}

static void change_user(size_t n)
{
	while (n-- > 0)
		if (setuid(getuid()) != 0)
			worker_fail("setuid");
}

static unsigned int n_tasks(void)
{
	DIR *tasks = opendir("/proc/self/task");
	const struct dirent *entry;
	unsigned int n = 0;

	while (tasks && (entry = readdir(tasks)) != NULL)
		n += entry->d_name[0] != '.';
	if (tasks)
		closedir(tasks);
	return n;
}

static void run_attached(int argc, char **argv)
{
	void **blocks = worker_array(HEAP_BLOCKS * sizeof(*blocks));
	uint64_t begin;
	size_t i;

	(void)argc;
	(void)argv;
	for (i = 0; i < HEAP_BLOCKS; i++)
		memset(worker_keep(blocks[i] = malloc(1024)), 1, 1024);
	usleep(SETTLE_USEC);
	worker_report(n_tasks(), "tasks");
	nowhere = fopen("/dev/null", "w");
	if (!nowhere)
		worker_fail("/dev/null");
	setvbuf(nowhere, buffer, _IOFBF, sizeof(buffer));
	worker_report(measure(put, N_CALLS), "putc_ns");
	worker_report(measure(share, N_CALLS), "shared_ns");
	begin = worker_nsec();
	change_user(1);
	worker_report((double)(worker_nsec() - begin) / 1e3, "first_setuid_usec");
	worker_report(measure(change_user, N_SETUID) / 1e3, "setuid_usec");
}

const struct worker_bench worker_attached[] = {
        {"attached", "", run_attached},
        {NULL, NULL, NULL},
};
