// SPDX-License-Identifier: MIT
/*
 * latency: how long single calls take under a steady mixed load: the tail, not the mean.
 *
 * Each call of malloc and free is timed by itself, and every time so are nothing at all (the timer's own percentiles)
 * and the call of a function that does nothing (the control): what these show is the timer and the machine (interrupts,
 * other processes), and only what goes beyond it is the allocator's.
 * Blocks: 80 % of 16 to 128 bytes, 15 % to 1 KiB, 5 % to 32 KiB, in 20,000 slots replaced at random.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#if defined(__x86_64__)
#include <x86intrin.h>
#endif

#include "bench/histogram.h"
#include "bench/worker.h"

#define N_SLOTS 20000
#define N_CALLS 3000000
#define N_WARM_UP 300000
#define MAX_THREADS 8

enum what { NOTHING, CALL, MALLOC, FREE, N_WHATS };

struct load {
	struct histogram histograms[N_WHATS];
	void *slots[N_SLOTS];
	uint64_t random;
};

static struct load loads[MAX_THREADS];

/* Ordered after what came before and before what follows, as far as the machine allows at little cost. */
static inline uint64_t ticks(void)
{
#if defined(__x86_64__)
	unsigned int cpu;
	uint64_t now = __rdtscp(&cpu);

	_mm_lfence();
	return now;
#else
	return worker_nsec();
#endif
}

/* Ticks in a nanosecond, by a stretch of both clocks. */
static double ticks_per_nsec(void)
{
	uint64_t nsec = worker_nsec(), begin = ticks(), passed;

	while ((passed = worker_nsec() - nsec) < 50000000)
		;
	return (double)(ticks() - begin) / (double)passed;
}

static __attribute__((noinline)) void *do_nothing(void *p)
{
	return worker_keep(p);
}

static void replace(struct load *load, uint64_t ret_ticks[N_WHATS])
{
	void **slot = &load->slots[worker_below(&load->random, N_SLOTS)];
	size_t size = worker_realistic_size(&load->random);
	uint64_t t0, t1, t2, t3, t4;
	void *p;

	t0 = ticks();
	t1 = ticks();
	do_nothing(*slot);
	t2 = ticks();
	free(*slot);
	t3 = ticks();
	p = worker_keep(malloc(size));
	t4 = ticks();
	*(volatile char *)p = 1;
	*slot = p;
	ret_ticks[NOTHING] = t1 - t0;
	ret_ticks[CALL] = t2 - t1;
	ret_ticks[FREE] = t3 - t2;
	ret_ticks[MALLOC] = t4 - t3;
}

static void *thread(void *arg)
{
	struct load *load = arg;
	uint64_t taken[N_WHATS];
	unsigned int i, what;

	memset(load->histograms, 0, sizeof(load->histograms)); /* resident before the first call */
	for (i = 0; i < N_SLOTS; i++)
		load->slots[i] = malloc(worker_realistic_size(&load->random));
	for (i = 0; i < N_WARM_UP; i++)
		replace(load, taken);
	for (i = 0; i < N_CALLS; i++) {
		replace(load, taken);
		for (what = 0; what < N_WHATS; what++)
			histogram_record(&load->histograms[what], taken[what]);
	}
	return NULL;
}

static void report(const char *name, const struct histogram *histogram, double per_nsec)
{
	worker_report(histogram_percentile(histogram, 0.5) / per_nsec, "%s_p50", name);
	worker_report(histogram_percentile(histogram, 0.99) / per_nsec, "%s_p99", name);
	worker_report(histogram_percentile(histogram, 0.9999) / per_nsec, "%s_p9999", name);
	worker_report((double)histogram->max / per_nsec, "%s_max", name);
}

static void run_latency(int argc, char **argv)
{
	static const char *const names[] = { "timer", "noop", "malloc", "free" };
	unsigned int n = (unsigned int)worker_number(argc, argv, 0, 1), i, what;
	pthread_t threads[MAX_THREADS];
	double per_nsec = ticks_per_nsec();

	if (n < 1 || n > MAX_THREADS)
		worker_fail("latency: 1 to %d threads", MAX_THREADS);
	for (i = 0; i < n; i++)
		loads[i].random = i + 1;
	for (i = 1; i < n; i++)
		if (pthread_create(&threads[i], NULL, thread, &loads[i]) != 0)
			worker_fail("no thread");
	thread(&loads[0]);
	for (i = 1; i < n; i++)
		pthread_join(threads[i], NULL);
	for (i = 1; i < n; i++)
		for (what = 0; what < N_WHATS; what++)
			histogram_merge(&loads[0].histograms[what], &loads[i].histograms[what]);
	for (what = 0; what < N_WHATS; what++)
		report(names[what], &loads[0].histograms[what], per_nsec);
}

const struct worker_bench worker_latency[] = {
	{ "latency", "N-THREADS", run_latency },
	{ NULL, NULL, NULL },
};
