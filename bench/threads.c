// SPDX-License-Identifier: MIT
/*
 * threads: what the caches of sleeping threads hold.
 *
 * Eight threads allocate 500,000 blocks of 16 to 64 bytes each.  own: each frees its blocks; xthread: the main thread
 * frees them all.  Then the threads sleep on a condition and the main thread asks for the memory back; after that
 * each thread is asked to empty its own caches by the allocator's own call, where there is one, and ends.
 * Arrays of pointers come from mmap and are unmapped before the readings after the frees.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/worker.h"

#define N_THREADS 8
#define N_BLOCKS 500000
#define ARRAY_BYTES (N_BLOCKS * sizeof(void *))
#define STACK_BYTES (256 * KIB)
#define IDLE_SECONDS 2

enum step { ALLOCATE, FREE_OWN, RELEASE_OWN, END };

/* All guarded by `mutex`: the step that threads are to do, its number, and how many have done it. */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static enum step step;
static unsigned int step_number, n_done;

static void **arrays[N_THREADS];

static void allocate(void **pointers, uint64_t random)
{
	size_t i;

	for (i = 0; i < N_BLOCKS; i++) {
		size_t size = 16 + worker_below(&random, 49);

		pointers[i] = malloc(size);
		memset(pointers[i], 1, size);
	}
}

static void free_all(void **pointers)
{
	size_t i;

	for (i = 0; i < N_BLOCKS; i++)
		free(pointers[i]);
}

static void do_step(enum step what, size_t id)
{
	switch (what) {
	case ALLOCATE: allocate(arrays[id], id + 1); break;
	case FREE_OWN: free_all(arrays[id]); break;
	case RELEASE_OWN: worker_release_own(); break;
	case END: break;
	}
}

static void *thread(void *arg)
{
	unsigned int number = 0;
	enum step what;

	do {
		pthread_mutex_lock(&mutex);
		while (step_number == number)
			pthread_cond_wait(&changed, &mutex);
		number = step_number;
		what = step;
		pthread_mutex_unlock(&mutex);
		do_step(what, (size_t)arg);
		pthread_mutex_lock(&mutex);
		n_done++;
		pthread_cond_broadcast(&changed);
		pthread_mutex_unlock(&mutex);
	} while (what != END);
	return NULL;
}

/* Has every thread do a step and waits for the last; nanoseconds. */
static double all_do(enum step what)
{
	uint64_t begin = worker_nsec();

	pthread_mutex_lock(&mutex);
	step = what;
	step_number++;
	n_done = 0;
	pthread_cond_broadcast(&changed);
	while (n_done < N_THREADS)
		pthread_cond_wait(&changed, &mutex);
	pthread_mutex_unlock(&mutex);
	return (double)(worker_nsec() - begin);
}

static void start_threads(pthread_t *threads)
{
	pthread_attr_t attr;
	size_t i;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_BYTES);
	for (i = 0; i < N_THREADS; i++) {
		arrays[i] = worker_array(ARRAY_BYTES);
		if (pthread_create(&threads[i], &attr, thread, (void *)i) != 0)
			worker_fail("no thread");
	}
}

static double free_from_main(void)
{
	uint64_t begin = worker_nsec();
	size_t i;

	for (i = 0; i < N_THREADS; i++)
		free_all(arrays[i]);
	return (double)(worker_nsec() - begin) / N_THREADS / N_BLOCKS;
}

static void report_above(const char *key, double start)
{
	worker_report(worker_rss_mib() - start, "%s", key);
}

static void run_threads(int argc, char **argv)
{
	bool foreign = argc > 0 && strcmp(argv[0], "xthread") == 0;
	pthread_t threads[N_THREADS];
	double start = worker_rss_mib();
	size_t i;

	start_threads(threads);
	worker_report(all_do(ALLOCATE) / N_THREADS / N_BLOCKS, "alloc_ns");
	report_above("peak", start);
	worker_report(foreign ? free_from_main() : all_do(FREE_OWN) / N_THREADS / N_BLOCKS, "free_ns");
	for (i = 0; i < N_THREADS; i++)
		worker_array_free(arrays[i], ARRAY_BYTES);
	report_above("freed", start);
	sleep((unsigned int)worker_number(argc, argv, 1, IDLE_SECONDS));
	report_above("idle", start);
	worker_release();
	report_above("flushed", start);
	all_do(RELEASE_OWN);
	worker_release();
	report_above("own", start);
	all_do(END);
	for (i = 0; i < N_THREADS; i++)
		pthread_join(threads[i], NULL);
	worker_release();
	report_above("ended", start);
}

const struct worker_bench worker_threads[] = {
	{ "threads", "own|xthread [SECONDS]", run_threads },
	{ NULL, NULL, NULL },
};
