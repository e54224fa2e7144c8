/* SPDX-License-Identifier: MIT */
/*
 * block.h: what every block must be, and patterns that tell blocks apart.
 *
 * The checks hide each pointer from the compiler, which otherwise knows what malloc promises (alignment,
 * zeroes, no aliasing) and would check its own knowledge, not the library.
 */
#ifndef TESTS_API_BLOCK_H
#define TESTS_API_BLOCK_H

#include <malloc.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define KIB ((size_t)1024)
#define MIB (1024 * KIB)

/* Sizes around which an allocator changes its way of serving a request. */
static const size_t block_boundaries[] __attribute__((unused)) = {
	256, KIB, 4 * KIB, 32 * KIB, 64 * KIB, 128 * KIB, 256 * KIB, 512 * KIB,
	MIB, 2 * MIB, 4 * MIB, 64 * MIB,
};
#define N_BLOCK_BOUNDARIES (sizeof(block_boundaries) / sizeof(block_boundaries[0]))

static const int block_offsets[] __attribute__((unused)) = { -4097, -17, -16, -1, 0, 1, 16, 17, 4097 };
#define N_BLOCK_OFFSETS (sizeof(block_offsets) / sizeof(block_offsets[0]))

__attribute__((noinline, unused)) static void *block_hide(void *p)
{
	__asm__ volatile("" : "+r"(p) : : "memory");
	return p;
}

__attribute__((unused)) static bool block_aligned(const void *p, size_t alignment)
{
	return ((uintptr_t)p & (alignment - 1)) == 0;
}

__attribute__((unused)) static bool block_all(const unsigned char *p, size_t n, unsigned char value)
{
	/* Each byte equals the one before it, and the first is `value`. */
	return n == 0 || (p[0] == value && memcmp(p, p + 1, n - 1) == 0);
}

static inline uint64_t block_mix(uint64_t x)
{
	x ^= x >> 30;
	x *= 0xbf58476d1ce4e5b9u;
	x ^= x >> 27;
	x *= 0x94d049bb133111ebu;
	return x ^ (x >> 31);
}

/* Words that depend on the key and the place: a block that overlaps another, or moved wrongly, shows. */
__attribute__((unused)) static void block_fill(void *p, size_t n, uint64_t key)
{
	unsigned char *at = p;
	size_t i;

	for (i = 0; i + 8 <= n; i += 8) {
		uint64_t word = block_mix(key + i);

		memcpy(at + i, &word, 8);
	}
	for (; i < n; i++)
		at[i] = (unsigned char)block_mix(key + i);
}

/* The first byte that is not as filled, or `n`. */
__attribute__((unused)) static size_t block_differs(const void *p, size_t n, uint64_t key)
{
	const unsigned char *at = p;
	size_t i;

	for (i = 0; i + 8 <= n; i += 8) {
		uint64_t word = block_mix(key + i);

		if (memcmp(at + i, &word, 8) != 0)
			return i;
	}
	for (; i < n; i++)
		if (at[i] != (unsigned char)block_mix(key + i))
			return i;
	return n;
}

#endif
