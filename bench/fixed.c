// SPDX-License-Identifier: MIT
/*
 * fixed: what an allocator costs before it is used, and for a thread that once worked.
 *
 * trivial: private (anonymous) memory of a process at the start of main and after its first malloc.
 * idle N work|nowork: N threads with stacks of 256 KiB, each of which did 1,000 calls of malloc and free of mixed sizes
 * over 64 slots and freed all (or did nothing), asleep.  The difference is what the work left behind.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "bench/worker.h"

#define MAX_THREADS 256
#define STACK_BYTES (256 * KIB)

static double private_kib(void)
{
	return (double)worker_memory().anonymous_kib;
}

static void run_trivial(int argc, char **argv)
{
	struct worker_memory before = worker_memory(), after;
	volatile char *p = worker_keep(malloc(100));

	(void)argc;
	(void)argv;
	*p = 1;
	after = worker_memory(); /* before anything else is done: reports take memory too */
	worker_report((double)before.rss_kib, "rss_kib");
	worker_report((double)before.anonymous_kib, "private_kib");
	worker_report((double)after.rss_kib, "rss_one_kib");
	worker_report((double)after.anonymous_kib, "private_one_kib");
}

static pthread_barrier_t worked, ended;
static bool working;

static void work(uint64_t random)
{
	void *slots[64] = { NULL };
	size_t i;

	for (i = 0; i < 1000; i++) {
		uint64_t at = worker_below(&random, 64);
		size_t size = worker_below(&random, 10) ? 16 + worker_below(&random, 500) : worker_below(&random, 8000);

		free(slots[at]);
		slots[at] = malloc(size);
		memset(worker_keep(slots[at]), 1, size);
	}
	for (i = 0; i < 64; i++)
		free(slots[i]);
}

static void *thread(void *arg)
{
	if (working)
		work((uint64_t)(uintptr_t)arg + 1);
	pthread_barrier_wait(&worked);
	pthread_barrier_wait(&ended);
	return NULL;
}

static void run_idle(int argc, char **argv)
{
	unsigned int n = (unsigned int)worker_number(argc, argv, 0, 64), i;
	pthread_t threads[MAX_THREADS];
	pthread_attr_t attr;

	if (n < 1 || n > MAX_THREADS)
		worker_fail("idle: 1 to %d threads", MAX_THREADS);
	working = argc > 1 && strcmp(argv[1], "work") == 0;
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_BYTES);
	pthread_barrier_init(&worked, NULL, n + 1);
	pthread_barrier_init(&ended, NULL, n + 1);
	for (i = 0; i < n; i++)
		if (pthread_create(&threads[i], &attr, thread, (void *)(uintptr_t)i) != 0)
			worker_fail("no thread");
	pthread_barrier_wait(&worked);
	worker_report(private_kib(), "private_kib");
	worker_report(private_kib() / n, "per_thread_kib");
	worker_release();
	worker_report(private_kib(), "flushed_kib");
	worker_report(private_kib() / n, "flushed_per_thread_kib");
	pthread_barrier_wait(&ended);
	for (i = 0; i < n; i++)
		pthread_join(threads[i], NULL);
}

const struct worker_bench worker_fixed[] = {
	{ "trivial", "", run_trivial },
	{ "idle", "N work|nowork", run_idle },
	{ NULL, NULL, NULL },
};
