/* SPDX-License-Identifier: MIT */
/*
 * histogram.h: how often which duration came; 32 steps to each doubling, so 3 % of error at most.
 *
 * Each belongs to one thread; merged after that has ended.
 */
#ifndef BENCH_HISTOGRAM_H
#define BENCH_HISTOGRAM_H

#include <stdint.h>

#define STEP_BITS 5
#define N_BUCKETS (64 << STEP_BITS)

struct histogram {
	uint64_t counts[N_BUCKETS];
	uint64_t total;
	uint64_t max;
};

static inline unsigned int histogram_bucket(uint64_t value)
{
	unsigned int shift;

	if (value < 2u << STEP_BITS)
		return (unsigned int)value;
	shift = 63 - (unsigned int)__builtin_clzll(value) - STEP_BITS;
	return (shift << STEP_BITS) + (unsigned int)(value >> shift);
}

/* The largest value that falls into a bucket. */
static inline uint64_t histogram_top(unsigned int index)
{
	unsigned int shift = index >> STEP_BITS;

	if (shift < 2)
		return index;
	shift--;
	return ((uint64_t)(index - (shift << STEP_BITS)) + 1) * ((uint64_t)1 << shift) - 1;
}

static inline void histogram_record(struct histogram *histogram, uint64_t value)
{
	histogram->counts[histogram_bucket(value)]++;
	histogram->total++;
	if (value > histogram->max)
		histogram->max = value;
}

static inline void histogram_merge(struct histogram *into, const struct histogram *from)
{
	for (unsigned int i = 0; i < N_BUCKETS; i++)
		into->counts[i] += from->counts[i];
	into->total += from->total;
	into->max = from->max > into->max ? from->max : into->max;
}

static inline double histogram_percentile(const struct histogram *histogram, double part)
{
	uint64_t wanted = (uint64_t)((double)histogram->total * part), seen = 0;
	unsigned int i;

	for (i = 0; i < N_BUCKETS; i++) {
		seen += histogram->counts[i];
		if (seen > wanted)
			break;
	}
	return (double)histogram_top(i);
}

/* How many were longer than `value`, those of its own bucket not counted. */
static inline uint64_t histogram_over(const struct histogram *histogram, uint64_t value)
{
	uint64_t n = 0;

	for (unsigned int i = histogram_bucket(value) + 1; i < N_BUCKETS; i++)
		n += histogram->counts[i];
	return n;
}

#endif
