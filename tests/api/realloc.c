// SPDX-License-Identifier: MIT
/*
 * realloc: contents kept across every boundary between pools, up and down, and the corner cases.
 */
#include <errno.h>

#include "block.h"
#include "tap.h"

/* Word-wise patterns compare whole words only: the tail of a shrunk block was filled as part of a word. */
static bool same(const void *p, size_t n, uint64_t key)
{
	n &= ~(size_t)7;
	return block_differs(p, n, key) == n;
}

static void check_move(struct tap_tally *tally, size_t from, size_t to)
{
	size_t kept = from < to ? from : to;
	void *p = block_hide(malloc(from));

	block_fill(p, from, from);
	p = block_hide(realloc(p, to));
	if (!tap_tally(tally, p != NULL, "realloc from %zu to %zu is NULL", from, to))
		return;
	tap_tally(tally, block_aligned(p, 16), "realloc from %zu to %zu: %p", from, to, p);
	tap_tally(tally, malloc_usable_size(p) >= to, "realloc from %zu to %zu: usable size", from, to);
	tap_tally(tally, same(p, kept, from), "realloc from %zu to %zu lost the contents", from, to);
	block_fill(p, to, to);
	tap_tally(tally, same(p, to, to), "realloc from %zu to %zu: not all writable", from, to);
	free(p);
}

static void test_between_pools(void)
{
	static const size_t offsets[] = { 0, 1, 17 };
	struct tap_tally tally = { 0 };
	size_t i, j, k;

	for (i = 0; i < N_BLOCK_BOUNDARIES - 1; i++) {
		for (j = 0; j < N_BLOCK_BOUNDARIES - 1; j++) {
			for (k = 0; k < 3; k++) {
				check_move(&tally, block_boundaries[i] + offsets[k], block_boundaries[j]);
				check_move(&tally, block_boundaries[i], block_boundaries[j] + offsets[k]);
			}
		}
	}
	check_move(&tally, 64 * MIB, 64 * MIB + 1);
	check_move(&tally, 64 * MIB + 1, 100);
	check_move(&tally, 100, 64 * MIB);
	tap_tally_ok(&tally, "from every pool to every other, contents kept");
}

static void test_small_steps(void)
{
	struct tap_tally tally = { 0 };
	size_t from, to;

	for (from = 0; from <= 1200; from += 37)
		for (to = 1; to <= 1200; to += 11)
			check_move(&tally, from, to);
	tap_tally_ok(&tally, "small sizes to small sizes");
}

/* One block growing and shrinking by steps, its contents checked at each. */
static void test_walk(void)
{
	struct tap_tally tally = { 0 };
	void *p = NULL;
	size_t n = 0, next;

	for (next = 1; next < 40 * MIB; next += next / 3 + 1) {
		p = block_hide(realloc(p, next));
		tap_tally(&tally, p && same(p, n, n), "growing to %zu", next);
		n = next;
		block_fill(p, n, n);
	}
	for (; n > 8; n = next) {
		next = n - n / 4 - 1;
		p = block_hide(realloc(p, next));
		tap_tally(&tally, p && same(p, next, n), "shrinking to %zu", next);
		block_fill(p, next, next);
	}
	free(p);
	tap_tally_ok(&tally, "one block growing to 40 MiB and back");
}

/* Neighbours must stay whole when a block grows in place or moves away. */
static void test_neighbours(void)
{
	static const size_t starts[] = { 24, 900, 20 * KIB, 100 * KIB, 700 * KIB, 3 * MIB };
	struct tap_tally tally = { 0 };
	size_t i, j;

	for (i = 0; i < sizeof(starts) / sizeof(starts[0]); i++) {
		enum { N = 9 };
		void *blocks[N];
		size_t sizes[N];

		for (j = 0; j < N; j++) {
			sizes[j] = starts[i];
			blocks[j] = block_hide(malloc(sizes[j]));
			block_fill(blocks[j], sizes[j], j);
		}
		for (j = 0; j < N; j += 2) {
			size_t old = sizes[j];

			sizes[j] = j % 4 ? old / 2 : old * 3;
			blocks[j] = block_hide(realloc(blocks[j], sizes[j]));
			tap_tally(&tally, same(blocks[j], old < sizes[j] ? old : sizes[j], j), "moved block");
			block_fill(blocks[j], sizes[j], j);
		}
		for (j = 0; j < N; j++) {
			tap_tally(&tally, same(blocks[j], sizes[j], j), "neighbour %zu of %zu bytes", j, starts[i]);
			free(blocks[j]);
		}
	}
	tap_tally_ok(&tally, "neighbours of a resized block stay whole");
}

static void test_corners(void)
{
	struct tap_tally tally = { 0 };
	size_t i;
	char *p;

	p = block_hide(realloc(NULL, 100));
	tap_ok(p && block_aligned(p, 16) && malloc_usable_size(p) >= 100, "realloc(NULL, n) is malloc(n)");
	free(p);
	p = block_hide(realloc(NULL, 0));
	tap_ok(p != NULL, "realloc(NULL, 0) is malloc(0)");
	free(p);
	for (i = 0; i < N_BLOCK_BOUNDARIES; i++) {
		volatile size_t zero = 0;

		p = block_hide(malloc(block_boundaries[i]));
		errno = 99;
		p = block_hide(realloc(p, zero));
		tap_tally(&tally, p == NULL && errno == 99, "realloc(p of %zu, 0) = %p, errno %d",
			  block_boundaries[i], (void *)p, errno);
	}
	tap_tally_ok(&tally, "realloc(p, 0) frees and gives NULL, errno untouched");
	p = block_hide(reallocarray(NULL, 30, 40));
	memset(p, 1, 1200);
	p = block_hide(reallocarray(p, 300, 40));
	tap_ok(p && malloc_usable_size(p) >= 12000 && block_all((unsigned char *)p, 1200, 1),
	       "reallocarray grows and keeps");
	free(p);
}

int main(void)
{
	test_between_pools();
	test_small_steps();
	test_walk();
	test_neighbours();
	test_corners();
	return tap_done();
}
