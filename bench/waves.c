// SPDX-License-Identifier: MIT
/*
 * waves: threads that contend for one size class.
 *
 * Each takes 50,000 blocks of 48 bytes, writes to both ends of them, and frees them in their order, round and round: more
 * than threads cache, so that all of them reach what they share.  Voluntary context switches are waits for locks.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "bench/worker.h"

#define N_BLOCKS    50000
#define BLOCK_BYTES 48
#define MAX_THREADS 256

static atomic_bool over;
static atomic_ullong n_pairs;

static void *load(void *arg)
{
	char **blocks = worker_array(N_BLOCKS * sizeof(*blocks));
	unsigned int i;

	while (!atomic_load_explicit(&over, memory_order_relaxed)) {
		for (i = 0; i < N_BLOCKS; i++) {
			blocks[i] = worker_keep(malloc(BLOCK_BYTES));
			blocks[i][0] = blocks[i][BLOCK_BYTES - 1] = 1;
		}
		for (i = 0; i < N_BLOCKS; i++)
			free(blocks[i]);
		atomic_fetch_add_explicit(&n_pairs, N_BLOCKS, memory_order_relaxed);
	}
	return arg;
}

static long switches(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return usage.ru_nvcsw;
}

static void run_waves(int argc, char **argv)
{
	unsigned int seconds = (unsigned int)worker_number(argc, argv, 0, 3);
	unsigned int n = (unsigned int)worker_number(argc, argv, 1, 2), i;
	pthread_t threads[MAX_THREADS];
	unsigned long long before;
	double pairs;
	long slept;

	if (n < 1 || n > MAX_THREADS)
		worker_fail("waves: 1 to %d threads", MAX_THREADS);
	for (i = 0; i < n; i++)
		if (pthread_create(&threads[i], NULL, load, NULL) != 0)
			worker_fail("no thread");
	sleep(1);
	before = atomic_load(&n_pairs);
	slept = switches();
	sleep(seconds);
	pairs = (double)(atomic_load(&n_pairs) - before);
	slept = switches() - slept;
	worker_report(1e9 * seconds / pairs, "ns");
	worker_report((double)slept / pairs * 1e6, "waits");
	worker_report(worker_rss_mib(), "mib");
	atomic_store(&over, true);
	for (i = 0; i < n; i++)
		pthread_join(threads[i], NULL);
}

const struct worker_bench worker_waves[] = {
        {"waves", "[SECONDS [N-THREADS]]", run_waves},
        {NULL, NULL, NULL},
};
