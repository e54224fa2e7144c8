/* SPDX-License-Identifier: MIT */
/*
 * block.h: what every block must be, and patterns that tell blocks apart.
 *
 * The checks hide each pointer from the compiler, which otherwise knows what malloc promises (alignment,
 * zeroes, no aliasing) and would check its own knowledge, not the library.
 */
#ifndef TESTS_API_BLOCK_H
#define TESTS_API_BLOCK_H

#include <fcntl.h>
#include <malloc.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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

/* A block that says in its first words how long it is and what fills the rest; `n` is at least 16. */
__attribute__((unused)) static void *block_labelled(size_t n, uint64_t key)
{
	uint64_t *p = block_hide(malloc(n));

	if (!p)
		abort();
	p[0] = n;
	p[1] = key;
	block_fill(p + 2, n - 16, key);
	return p;
}

/* Frees it; false where its contents were damaged. */
__attribute__((unused)) static bool block_end_labelled(void *block)
{
	uint64_t *p = block;
	bool whole = block_differs(p + 2, p[0] - 16, p[1]) == p[0] - 16;

	free(p);
	return whole;
}

/* Resident bytes of the process, from /proc without allocating. */
__attribute__((unused)) static size_t block_resident(void)
{
	char text[128];
	unsigned long total, rss = 0;
	int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
	ssize_t n = read(fd, text, sizeof(text) - 1);

	close(fd);
	text[n > 0 ? n : 0] = '\0';
	if (sscanf(text, "%lu %lu", &total, &rss) != 2)
		return 0;
	return rss * (size_t)sysconf(_SC_PAGESIZE);
}

#endif
