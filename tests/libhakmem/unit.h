/* SPDX-License-Identifier: MIT */
/*
 * What every unit test of the allocator includes: cmocka wants the headers before it, in this order.
 *
 * The tests link the allocator's core without libc's names, so libc's own malloc serves cmocka and the
 * models, and every counter of the core tells of the test alone.
 */
#ifndef TESTS_LIBHAKMEM_UNIT_H
#define TESTS_LIBHAKMEM_UNIT_H

#include <config.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/attr.h"
#include "base/counters.h"
#include "caches/thread.h"
#include "policy/flush.h"
#include "policy/stats.h"

#define KIB ((size_t)1024)
#define MIB (1024 * KIB)

/* A seeded generator (splitmix64): the same seeds everywhere, so that a failure repeats. */
static inline uint64_t unit_random(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15ull;
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

static inline unsigned unit_below(uint64_t *state, unsigned n)
{
	return (unsigned)(unit_random(state) % n);
}

/* Blocks as slabs give them, into the order in which they would be used. */
static inline void unit_reverse(void **blocks, unsigned n)
{
	for (unsigned i = 0; i < n / 2; i++) {
		void *block = blocks[i];
		blocks[i] = blocks[n - 1 - i];
		blocks[n - 1 - i] = block;
	}
}

/* Pages of [address, address + bytes) that are present. */
size_t unit_resident_pages(const void *address, size_t bytes);

/* With a sanitizer the process holds more than it says: quarantine, and shadow (ThreadSanitizer's is four bytes a byte). */
#if defined(HK_TSAN)
#define UNIT_SANITIZED true
#define UNIT_RSS_SLACK (2048 * MIB)
#elif defined(__SANITIZE_ADDRESS__)
#define UNIT_SANITIZED true
#define UNIT_RSS_SLACK (256 * MIB)
#else
#define UNIT_SANITIZED false
#define UNIT_RSS_SLACK (MIB / 2)
#endif

/* Bytes of the process that are present, libc's and the test's included. */
size_t unit_rss(void);

/* Run `act` in a child with standard error in a pipe; what it printed is in unit_said.  The wait status. */
extern char unit_said[4096];
int unit_in_child(void (*act)(void *arg), void *arg);

/* The child ended by SIGABRT and printed `line`. */
void unit_assert_aborts(void (*act)(void *arg), void *arg, const char *line);

/* Under valgrind limits of the process bound its own memory too, or are not the kernel's: no test of what a program does
 * without memory. */
#define unit_needs_limits()                                                                                            \
	do {                                                                                                           \
		if (getenv("UNIT_VALGRIND") != NULL)                                                                   \
			skip();                                                                                        \
	} while (0)

/* Once per program: what the library's constructor does, without control thread and fork handlers. */
int unit_setup(void **state);

/* Everything back: no test inherits magazines, slabs or the reserve of the one before. */
int unit_flush(void **state);

/* What unit_fill() allocated; NULL where it was freed. */
#define UNIT_BLOCKS 200000
extern void *unit_blocks[UNIT_BLOCKS];

/* Allocate the first `n` of unit_blocks, and touch all their bytes. */
void unit_fill(size_t bytes, unsigned n);

/* Free the first `n` except every `keep`th, unit_blocks[0] among them; a `keep` of 0 spares none. */
void unit_free_but_every(unsigned n, unsigned keep);

/* Free whatever unit_blocks still has. */
void unit_free_rest(void);

/* Gives the class of so many bytes a block that stays, and so a slab: from here on it borrows no blocks. */
void unit_own_slab(size_t bytes);

/* The published counters keep the law: per class used + hot + cold + free = capacity; sums agree. */
void unit_assert_conserved(void);

#define unit_flush_level(level, report) hk_flush_run((level), HAK_TARGET_ALL, UINT64_MAX, (report))

/* Release what the heap's reserve holds beyond `keep`; returns the bytes. */
size_t unit_release_reserve(unsigned keep);

/* Release the reserve and purge all free slices, as a flush does; returns the bytes. */
size_t unit_trim(void);

#endif
