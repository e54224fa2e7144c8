// SPDX-License-Identifier: MIT
/*
 * battle: N blocks of 16 bytes: allocate and touch all, free all, ask for the memory back.
 *
 * The floor is N * 24 bytes at the peak (block and pointer) and N * 8 after it: the array of pointers is kept.
 * 4k: no transparent huge pages for anybody.  rest: after the frees the process sleeps and calls nothing.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "bench/worker.h"

#define SIZE 16

static double allocate(void **pointers, size_t n)
{
	uint64_t begin = worker_nsec();
	size_t i;

	for (i = 0; i < n; i++) {
		pointers[i] = malloc(SIZE);
		*(volatile char *)pointers[i] = 1;
	}
	return (double)(worker_nsec() - begin) / (double)n;
}

static double release(void **pointers, size_t n)
{
	uint64_t begin = worker_nsec();
	size_t i;

	for (i = 0; i < n; i++)
		free(pointers[i]);
	return (double)(worker_nsec() - begin) / (double)n;
}

static void report_memory(const char *when, double start)
{
	double rss = worker_rss_mib();

	worker_report(rss, "%s", when);
	worker_report(rss - start, "%s_above", when);
}

static void run_battle(int argc, char **argv)
{
	size_t n = worker_number(argc, argv, 0, 1000000);
	double start = worker_rss_mib();
	void **pointers;
	uint64_t begin;

	if (argc > 2 && strcmp(argv[2], "4k") == 0 && prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0) < 0)
		worker_fail("huge pages cannot be disabled");
	pointers = worker_array(n * sizeof(*pointers));
	worker_report(start, "start");
	worker_report(allocate(pointers, n), "alloc_ns");
	report_memory("peak", start);
	worker_report((double)worker_memory().thp_kib / 1024, "thp");
	if (argc > 1 && strcmp(argv[1], "random") == 0)
		worker_shuffle(pointers, n, 42);
	worker_report(release(pointers, n), "free_ns");
	report_memory("freed", start);
	begin = worker_nsec();
	worker_release();
	worker_report((double)(worker_nsec() - begin) / 1e6, "flush_ms");
	report_memory("flushed", start);
	worker_report(allocate(pointers, n), "again_ns");
}

static void run_rest(int argc, char **argv)
{
	size_t n = worker_number(argc, argv, 0, 1000000);
	double start = worker_rss_mib();
	void **pointers = worker_array(n * sizeof(*pointers));

	allocate(pointers, n);
	worker_shuffle(pointers, n, 42);
	release(pointers, n);
	report_memory("freed", start);
	sleep((unsigned int)worker_number(argc, argv, 1, 6));
	report_memory("rested", start);
}

/* For a picture: the driver reads this process's size from outside while it goes through its steps. */
static void run_timeline(int argc, char **argv)
{
	size_t n = worker_number(argc, argv, 0, 5000000);
	void **pointers = worker_array(n * sizeof(*pointers));

	usleep(200000);
	allocate(pointers, n);
	usleep(300000);
	release(pointers, n);
	usleep(1500000);
	worker_release();
	usleep(500000);
}

const struct worker_bench worker_battle[] = {
	{ "battle", "N [fifo|random [4k]]", run_battle },
	{ "rest", "N [SECONDS]", run_rest },
	{ "timeline", "N", run_timeline },
	{ NULL, NULL, NULL },
};
