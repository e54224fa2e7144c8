// SPDX-License-Identifier: MIT
/*
 * busy: what a flush gives back, and what it costs, while four threads never stop allocating.
 *
 * Each thread replaces blocks at random in 5,000 slots.  In each round it also allocates 45,000 blocks among that and
 * frees them; then comes a window without a flush, the control, and one in which the main thread makes the allocator's
 * call for giving memory back.  kept = (after - live) / (before - live), by RSS, where live is what was resident at
 * the start and the bytes asked for that are in use.  At the end the threads stop, and a last flush says what of that is
 * due to their going on.
 *
 * Of each malloc and free inside a window is taken: held = time less what the thread waited for a CPU (four threads
 * and the flusher have no CPU each, and that is nobody's lock), so lock wait and work and page faults; and its CPU
 * time.  Both cost a system call and are exact only where it matters: as long as no call and no gap between two calls
 * is longer than NOTICE_NSEC the thread was running all the time, and the clock alone says both.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bench/histogram.h"
#include "bench/worker.h"

#define N_THREADS 4
#define N_SLOTS 5000
#define N_PEAK 45000
#define N_ROUNDS 10
#define BETWEEN 4 /* blocks of the peak to one that is replaced */
#define WINDOW_USEC 100000
#define SETTLE_USEC 20000
#define NOTICE_NSEC 20000

enum window { OUTSIDE, CONTROL, FLUSH, N_WINDOWS };

/* Written by the main thread, read by all. */
static _Atomic enum window window;
static _Atomic unsigned int round_number; /* a thread that has not seen this one allocates its peak; UINT_MAX ends */
static _Atomic unsigned int n_peaked;	  /* threads, in this round */

struct block {
	char *bytes;
	size_t size;
};

/* One thread's, but for the atomics, which the main thread reads meanwhile. */
struct load {
	struct histogram held[N_WINDOWS], cpu[N_WINDOWS];
	struct block slots[N_SLOTS];
	void *peak[N_PEAK];
	uint64_t random;
	_Atomic uint64_t n_calls, live_bytes;
	int schedstat_fd;
	uint64_t base_nsec, base_cpu_nsec, base_waited_nsec; /* up to when it is known how the time was spent */
	uint64_t last_nsec;				     /* end of the call before */
};

static struct load *loads;
static pthread_barrier_t begun;

static uint64_t cpu_nsec(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* What the thread waited for a CPU, ever: the second number. */
static uint64_t waited_nsec(const struct load *load)
{
	char text[64];
	ssize_t n = pread(load->schedstat_fd, text, sizeof(text) - 1, 0);
	char *at;

	if (n <= 0)
		worker_fail("busy: cannot read schedstat");
	text[n] = '\0';
	strtoull(text, &at, 10);
	return strtoull(at, NULL, 10);
}

/* Begins anew to account for the time; again if the thread was interrupted between the clocks. */
static void rebase(struct load *load)
{
	uint64_t begin;

	do {
		begin = worker_nsec();
		load->base_waited_nsec = waited_nsec(load);
		load->base_cpu_nsec = cpu_nsec();
		load->base_nsec = load->last_nsec = worker_nsec();
	} while (load->last_nsec - begin > NOTICE_NSEC);
}

static uint64_t less(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0;
}

/* A long call: what is known of it.  What came after its end and before the clocks were read is taken for waiting, and
 * for no CPU time, so that both are upper bounds. */
static void account(struct load *load, uint64_t begin, uint64_t end, uint64_t *ret_held, uint64_t *ret_cpu)
{
	uint64_t cpu = less(cpu_nsec() - load->base_cpu_nsec, begin - load->base_nsec);
	uint64_t waited = waited_nsec(load) - load->base_waited_nsec;
	uint64_t held = less(end - begin, less(waited, worker_nsec() - end));

	*ret_held = held;
	*ret_cpu = cpu < held ? cpu : held; /* the clocks are not read at the same instant */
	rebase(load);
}

static void record(struct load *load, uint64_t begin, uint64_t end)
{
	uint64_t held = end - begin, cpu = held;
	enum window now = atomic_load_explicit(&window, memory_order_relaxed);

	load->last_nsec = end;
	if (held > NOTICE_NSEC)
		account(load, begin, end, &held, &cpu);
	histogram_record(&load->held[now], held);
	histogram_record(&load->cpu[now], cpu);
}

/* The time before a call, once it is sure that nothing came between it and the one before. */
static uint64_t start_call(struct load *load)
{
	uint64_t now = worker_nsec();

	while (now - load->last_nsec > NOTICE_NSEC) {
		rebase(load);
		now = worker_nsec();
	}
	return now;
}

static void *timed_malloc(struct load *load, size_t size)
{
	uint64_t begin = start_call(load);
	void *p = worker_keep(malloc(size));

	record(load, begin, worker_nsec());
	return p;
}

static void timed_free(struct load *load, void *p)
{
	uint64_t begin = start_call(load);

	free(p);
	record(load, begin, worker_nsec());
}

static void replace(struct load *load)
{
	struct block *slot = &load->slots[worker_below(&load->random, N_SLOTS)];
	size_t before = slot->size;

	timed_free(load, slot->bytes);
	slot->size = worker_realistic_size(&load->random);
	slot->bytes = timed_malloc(load, slot->size);
	memset(slot->bytes, 1, slot->size);
	atomic_fetch_add_explicit(&load->live_bytes, slot->size - before, memory_order_relaxed);
	atomic_fetch_add_explicit(&load->n_calls, 2, memory_order_relaxed);
}

static void peak(struct load *load)
{
	size_t i, size;

	for (i = 0; i < N_PEAK; i++) {
		size = worker_realistic_size(&load->random);
		load->peak[i] = timed_malloc(load, size);
		memset(load->peak[i], 1, size);
		if (i % BETWEEN == 0)
			replace(load);
	}
	for (i = 0; i < N_PEAK; i++)
		timed_free(load, load->peak[i]);
}

static void *thread(void *arg)
{
	struct load *load = arg;
	unsigned int seen = 0, now;

	load->schedstat_fd = open("/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC);
	rebase(load);
	pthread_barrier_wait(&begun); /* all is resident that is not the allocator's */
	pthread_barrier_wait(&begun); /* and the main thread has read it */
	while ((now = atomic_load(&round_number)) != UINT32_MAX) {
		if (now != seen) {
			seen = now;
			peak(load);
			atomic_fetch_add(&n_peaked, 1);
		}
		replace(load);
	}
	close(load->schedstat_fd);
	return NULL;
}

static double live_mib(void)
{
	double bytes = 0;

	for (size_t i = 0; i < N_THREADS; i++)
		bytes += (double)atomic_load(&loads[i].live_bytes);
	return bytes / (double)MIB;
}

/* The least that any thread called so far: all go on, or it stands still. */
static uint64_t calls_of_the_last(const uint64_t *since)
{
	uint64_t least = UINT64_MAX, n;

	for (size_t i = 0; i < N_THREADS; i++) {
		n = atomic_load(&loads[i].n_calls) - since[i];
		least = n < least ? n : least;
	}
	return least;
}

static void next_round(void)
{
	atomic_store(&n_peaked, 0);
	atomic_fetch_add(&round_number, 1);
	while (atomic_load(&n_peaked) < N_THREADS)
		usleep(1000);
	usleep(SETTLE_USEC);
}

struct sums {
	double before, after, live, kept, flush_ms, n_calls;
};

static void flush_once(double start, struct sums *sums)
{
	double before = worker_rss_mib() - start, live = live_mib(), after;
	uint64_t calls[N_THREADS], begin, taken;

	for (size_t i = 0; i < N_THREADS; i++)
		calls[i] = atomic_load(&loads[i].n_calls);
	atomic_store(&window, FLUSH);
	begin = worker_nsec();
	worker_release();
	taken = worker_nsec() - begin;
	after = worker_rss_mib() - start;
	if (taken / 1000 < WINDOW_USEC)
		usleep((useconds_t)(WINDOW_USEC - taken / 1000));
	atomic_store(&window, OUTSIDE);
	sums->before += before / N_ROUNDS;
	sums->after += after / N_ROUNDS;
	sums->live += live / N_ROUNDS;
	sums->kept += 100 * (after - live) / (before - live) / N_ROUNDS;
	sums->flush_ms += (double)taken / 1e6 / N_ROUNDS;
	sums->n_calls += (double)calls_of_the_last(calls) / N_ROUNDS;
}

static void report_window(const char *name, enum window which)
{
	struct histogram *held = &loads[0].held[which], *cpu = &loads[0].cpu[which];
	double million;

	for (size_t i = 1; i < N_THREADS; i++) {
		histogram_merge(held, &loads[i].held[which]);
		histogram_merge(cpu, &loads[i].cpu[which]);
	}
	million = (double)held->total / 1e6;
	worker_report((double)held->total, "%s_calls", name);
	worker_report(histogram_percentile(held, 0.5), "%s_p50", name);
	worker_report((double)histogram_over(held, 1000) / million, "%s_over_1us", name);
	worker_report((double)histogram_over(held, 10000) / million, "%s_over_10us", name);
	worker_report((double)histogram_over(held, 100000) / million, "%s_over_100us", name);
	worker_report((double)histogram_over(held, 1000000) / million, "%s_over_1ms", name);
	worker_report((double)held->max / 1e6, "%s_max", name);
	worker_report((double)cpu->max / 1e6, "%s_cpu_max", name);
}

static void run_busy(int argc, char **argv)
{
	pthread_t threads[N_THREADS];
	struct sums sums = {0};
	double start;
	size_t i;

	(void)argc, (void)argv;
	loads = worker_array(N_THREADS * sizeof(*loads));
	pthread_barrier_init(&begun, NULL, N_THREADS + 1);
	for (i = 0; i < N_THREADS; i++) {
		loads[i].random = i + 1;
		if (pthread_create(&threads[i], NULL, thread, &loads[i]) != 0)
			worker_fail("busy: no thread");
	}
	pthread_barrier_wait(&begun);
	start = worker_rss_mib();
	pthread_barrier_wait(&begun);
	for (i = 0; i < N_ROUNDS; i++) {
		next_round();
		atomic_store(&window, CONTROL);
		usleep(WINDOW_USEC);
		atomic_store(&window, OUTSIDE);
		flush_once(start, &sums);
	}
	atomic_store(&round_number, UINT32_MAX);
	for (i = 0; i < N_THREADS; i++)
		pthread_join(threads[i], NULL);
	worker_release();
	worker_report(100 * (worker_rss_mib() - start - live_mib()) / (sums.before - sums.live), "kept_stopped");
	worker_report(sums.before, "before");
	worker_report(sums.after, "after");
	worker_report(sums.live, "live");
	worker_report(sums.kept, "kept");
	worker_report(sums.flush_ms, "flush_ms");
	worker_report(sums.n_calls, "calls_meanwhile");
	report_window("control", CONTROL);
	report_window("flush", FLUSH);
}

const struct worker_bench worker_busy[] = {
	{ "busy", "", run_busy },
	{ NULL, NULL, NULL },
};
