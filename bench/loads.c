// SPDX-License-Identifier: MIT
/*
 * loads: memory of mixed sizes: at the peak, after it, and once asked for back.
 *
 * Every byte of every block is written.  mixed: 8 to 1,024 bytes, uniform.  realistic: 80 % of 16 to 128 bytes, 15 % to
 * 1 KiB, 5 % to 32 KiB.  phantom: 16 bytes, of which each 1,000th stays: what do the others' pages cost?
 * churn: a population whose size shifts from phase to phase, then shrinks to a tenth: 321 MiB live at most, 67 at the
 * end, 7 kept.
 */
#include <stdlib.h>
#include <string.h>

#include "bench/worker.h"

static size_t mixed_size(uint64_t *random)
{
	return 8 + worker_below(random, 1017);
}

static size_t phantom_size(uint64_t *random)
{
	(void)random;
	return 16;
}

struct load {
	const char *name;
	size_t (*size)(uint64_t *random);
	size_t n;
	size_t keep_each; /* 0: all are freed */
};

static const struct load loads[] = {
	{ "mixed", mixed_size, 1000000, 0 },
	{ "realistic", worker_realistic_size, 500000, 0 },
	{ "phantom", phantom_size, 2000000, 1000 },
};

static void report_memory(const char *when, double start)
{
	double rss = worker_rss_mib();

	worker_report(rss, "%s", when);
	worker_report(rss - start, "%s_above", when);
}

static size_t fill(const struct load *load, void **pointers)
{
	uint64_t random = 1, begin = worker_nsec();
	size_t i, requested = 0;

	for (i = 0; i < load->n; i++) {
		size_t size = load->size(&random);

		pointers[i] = malloc(size);
		memset(pointers[i], 1, size);
		requested += size;
	}
	worker_report((double)(worker_nsec() - begin) / (double)load->n, "alloc_ns");
	return requested;
}

static void drain(const struct load *load, void **pointers)
{
	uint64_t begin = worker_nsec();
	size_t i;

	for (i = 0; i < load->n; i++)
		if (!load->keep_each || i % load->keep_each)
			free(pointers[i]);
	worker_report((double)(worker_nsec() - begin) / (double)load->n, "free_ns");
}

static void run(const struct load *load)
{
	double start = worker_rss_mib(), floor;
	size_t n_bytes = load->n * sizeof(void *);
	void **pointers = worker_array(n_bytes);
	uint64_t begin;

	worker_report(start, "start");
	floor = (double)(fill(load, pointers) + n_bytes) / MIB;
	report_memory("peak", start);
	worker_report(floor, "floor");
	worker_report((worker_rss_mib() - start) / floor, "ratio");
	drain(load, pointers);
	report_memory("freed", start);
	begin = worker_nsec();
	worker_release();
	worker_report((double)(worker_nsec() - begin) / 1e6, "flush_ms");
	report_memory("flushed", start);
}

static void run_load(int argc, char **argv)
{
	size_t i;

	for (i = 0; argc > 0 && i < sizeof(loads) / sizeof(loads[0]); i++) {
		if (strcmp(loads[i].name, argv[0]) == 0) {
			run(&loads[i]);
			return;
		}
	}
	worker_fail("load: mixed, realistic or phantom");
}

#define N_SLOTS 300000
#define N_PHASES 20
#define N_CLASSES 8 /* 16 to 2,048 bytes */

static void *slots[N_SLOTS];
static uint32_t sizes[N_SLOTS];

static size_t churn_size(unsigned int phase, uint64_t *random)
{
	size_t top = (size_t)16 << 3 * phase % N_CLASSES; /* neighbouring phases are far apart */

	if (worker_below(random, 1000) == 0)
		return 4 * KIB + worker_below(random, 60 * KIB);
	return top / 2 + 1 + worker_below(random, top / 2);
}

/* Replaces two thirds of the slots. */
static void churn_phase(unsigned int phase, uint64_t *random)
{
	size_t i;

	for (i = 0; i < N_SLOTS; i++) {
		if (worker_below(random, 3) == 0)
			continue;
		free(slots[i]);
		sizes[i] = (uint32_t)churn_size(phase, random);
		slots[i] = malloc(sizes[i]);
		memset(slots[i], 1, sizes[i]);
	}
}

static double live_mib(void)
{
	size_t i, live = 0;

	for (i = 0; i < N_SLOTS; i++)
		live += sizes[i];
	return (double)live / MIB;
}

static double run_phases(uint64_t *random)
{
	double live, max_live = 0;
	unsigned int phase;

	for (phase = 0; phase < N_PHASES; phase++) {
		churn_phase(phase, random);
		live = live_mib();
		max_live = live > max_live ? live : max_live;
	}
	return max_live;
}

static void keep_a_tenth(uint64_t *random)
{
	size_t i;

	for (i = 0; i < N_SLOTS; i++) {
		if (worker_below(random, 10) == 0)
			continue;
		free(slots[i]);
		sizes[i] = 0;
	}
}

static void run_churn(int argc, char **argv)
{
	double start = worker_rss_mib(), peak;
	uint64_t random = 99, begin = worker_nsec();

	(void)argc;
	(void)argv;
	worker_report(run_phases(&random), "max_live");
	worker_report((double)(worker_nsec() - begin) / N_PHASES / N_SLOTS, "ns");
	peak = worker_peak_mib();
	worker_report(peak, "max");
	worker_report(peak - start, "max_above");
	worker_report(live_mib(), "live");
	report_memory("end", start);
	keep_a_tenth(&random);
	worker_report(live_mib(), "kept");
	report_memory("freed", start);
	worker_release();
	report_memory("flushed", start);
}

const struct worker_bench worker_loads[] = {
	{ "load", "mixed|realistic|phantom", run_load },
	{ "churn", "", run_churn },
	{ NULL, NULL, NULL },
};
