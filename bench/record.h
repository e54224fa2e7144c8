/* SPDX-License-Identifier: MIT */
/*
 * record.h: a record of the allocations of a program: one word for each block that came or went, in order.
 *
 * The address without its low 4 bits in the upper 43 bits, the size in the lower 21, more than those hold as
 * their largest value.  Size 0 is the end of a block; malloc(0) is recorded as 1 byte.  realloc is an end and
 * a beginning.
 */
#ifndef BENCH_RECORD_H
#define BENCH_RECORD_H

#include <stdint.h>

#define RECORD_SIZE_BITS 21
#define RECORD_SIZE_MAX  (((uint64_t)1 << RECORD_SIZE_BITS) - 1)

static inline uint64_t record_word(const void *p, uint64_t size)
{
	return (uint64_t)(uintptr_t)p >> 4 << RECORD_SIZE_BITS |
	       (size < RECORD_SIZE_MAX ? size : RECORD_SIZE_MAX);
}

static inline uint64_t record_size(uint64_t word)
{
	return word & RECORD_SIZE_MAX;
}

static inline uint64_t record_block(uint64_t word)
{
	return word >> RECORD_SIZE_BITS;
}

#endif
