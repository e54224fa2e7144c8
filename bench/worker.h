/* SPDX-License-Identifier: MIT */
/*
 * worker.h: what the benchmarks share inside a measured process.
 *
 * Why: every measurement is a process of its own, started with the allocator preloaded, so that nothing of an
 * earlier one is left in a cache or in the address space.  What is measured must not come from the harness:
 * nothing here calls the allocator between the first and the last reading, arrays of pointers come from mmap
 * and are faulted in before a clock runs.
 * How: a benchmark is a function with its arguments; it reports numbers by name, which are printed as
 * key=value lines at its end.
 */
#ifndef BENCH_WORKER_H
#define BENCH_WORKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KIB ((size_t)1024)
#define MIB (1024 * KIB)

struct worker_bench {
	const char *name;
	const char *arguments;
	void (*run)(int argc, char **argv);
};

extern const struct worker_bench worker_battle[], worker_micro[], worker_loads[], worker_threads[],
	worker_fixed[], worker_latency[], worker_busy[], worker_steady[], worker_waves[], worker_attached[],
	worker_redis[];

/* Remembers a result; `format` makes the key. */
void worker_report(double value, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Says why a measurement cannot be had, and ends the process. */
void worker_fail(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

/* The i-th argument as a number, or `fallback` where there is none. */
uint64_t worker_number(int argc, char **argv, int i, uint64_t fallback);

/* What is resident, KiB, from smaps_rollup.  `rss` is without LazyFree: pages given back that way still count
 * as resident until somebody needs them. */
struct worker_memory {
	uint64_t rss_kib;
	uint64_t anonymous_kib;
	uint64_t lazyfree_kib;
	uint64_t thp_kib;
};

struct worker_memory worker_memory(void);
struct worker_memory worker_memory_of(int pid);
double worker_rss_mib(void);
double worker_peak_mib(void); /* the kernel's high-water mark */

uint64_t worker_nsec(void);

/* Zeroed memory that is not the allocator's, resident already. */
void *worker_array(size_t n_bytes);
void worker_array_free(void *array, size_t n_bytes);

/* The allocator's own way to give back what it caches; for the calling thread and whatever it reaches. */
void worker_release(void);

/* The allocator's own way for a thread to empty its own caches; nothing where there is none. */
void worker_release_own(void);

/* xorshift64*: the same sequence for every allocator. */
static inline uint64_t worker_random(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * 0x2545f4914f6cdd1du;
}

/* A number below `n`, without a division. */
static inline uint64_t worker_below(uint64_t *state, uint64_t n)
{
	return (uint64_t)(((unsigned __int128)worker_random(state) * n) >> 64);
}

void worker_shuffle(void **pointers, size_t n, uint64_t seed);

/* The compiler may neither drop nor move what it cannot see the use of. */
static inline void *worker_keep(void *p)
{
	__asm__ volatile("" : "+r"(p) : : "memory");
	return p;
}

/* Runs a program without the preloaded allocator; its output goes to `output`.  The process id. */
int worker_spawn(char *const argv[], int output);

/* Sizes as programs ask for them: 80 % to 128 bytes, 15 % to 1 KiB, 5 % to 32 KiB. */
size_t worker_realistic_size(uint64_t *random);

#endif
