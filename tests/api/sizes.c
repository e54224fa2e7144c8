// SPDX-License-Identifier: MIT
/*
 * sizes: what malloc and calloc promise for every size.
 *
 * Every size to 70,000 and those around each boundary between pools: aligned to 16, every usable byte
 * writable, the usable size constant while the block lives, calloc's blocks zero even where dirty ones were
 * freed just before.
 */
#include "block.h"
#include "tap.h"

#define MAX_SMALL 70000

static void check_malloc(struct tap_tally *tally, size_t n)
{
	unsigned char *p = block_hide(malloc(n));
	size_t usable;

	if (!tap_tally(tally, p != NULL, "malloc(%zu) is NULL", n))
		return;
	tap_tally(tally, block_aligned(p, 16), "malloc(%zu) = %p is not aligned to 16", n, (void *)p);
	usable = malloc_usable_size(p);
	tap_tally(tally, usable >= n, "malloc(%zu): usable size %zu", n, usable);
	memset(p, 0xa5, usable);
	tap_tally(tally, malloc_usable_size(p) == usable, "malloc(%zu): usable size changed", n);
	free(p);
}

/* Dirties a block of the size first: the next one is likely to lie where it lay. */
static void check_calloc(struct tap_tally *tally, size_t n)
{
	unsigned char *dirty = block_hide(malloc(n));
	unsigned char *p;

	if (dirty)
		memset(dirty, 0xff, malloc_usable_size(dirty));
	free(dirty);
	p = block_hide(calloc(1, n));
	if (!tap_tally(tally, p != NULL, "calloc(1, %zu) is NULL", n))
		return;
	tap_tally(tally, block_aligned(p, 16), "calloc(1, %zu) = %p is not aligned to 16", n, (void *)p);
	tap_tally(tally, block_all(p, n, 0), "calloc(1, %zu) is not zero", n);
	memset(p, 0xff, malloc_usable_size(p));
	free(p);
}

static void test_small(void)
{
	struct tap_tally malloced = { 0 }, calloced = { 0 };
	size_t n;

	for (n = 0; n <= MAX_SMALL; n++)
		check_malloc(&malloced, n);
	tap_tally_ok(&malloced, "malloc of 0 to 70,000 bytes");
	for (n = 0; n <= MAX_SMALL; n += n < 4096 ? 1 : 13)
		check_calloc(&calloced, n);
	tap_tally_ok(&calloced, "calloc of 0 to 70,000 bytes");
}

static void test_boundaries(void)
{
	struct tap_tally malloced = { 0 }, calloced = { 0 };
	size_t i, j;

	for (i = 0; i < N_BLOCK_BOUNDARIES; i++) {
		for (j = 0; j < N_BLOCK_OFFSETS; j++) {
			size_t n = block_boundaries[i] + (size_t)block_offsets[j];

			if (n > 65 * MIB)
				continue;
			check_malloc(&malloced, n);
			check_calloc(&calloced, n);
		}
	}
	tap_tally_ok(&malloced, "malloc around the boundaries of pools");
	tap_tally_ok(&calloced, "calloc around the boundaries of pools");
}

#define N_LIVE 20000

struct live {
	unsigned char *p;
	size_t size;
	size_t usable;
};

static size_t live_size(size_t i)
{
	return block_mix(i) % (i % 100 == 0 ? 200 * KIB : i % 10 == 0 ? 8 * KIB : 300);
}

/* Many blocks live at once: each keeps its usable size and every byte of it while others come and go. */
static void test_live(void)
{
	static struct live live[N_LIVE];
	struct tap_tally tally = { 0 };
	size_t i;

	for (i = 0; i < N_LIVE; i++) {
		live[i].size = live_size(i);
		live[i].p = block_hide(malloc(live[i].size));
		live[i].usable = malloc_usable_size(live[i].p);
		block_fill(live[i].p, live[i].usable, i);
	}
	for (i = 1; i < N_LIVE; i += 2)
		free(live[i].p);
	for (i = 0; i < N_LIVE; i += 2) {
		tap_tally(&tally, malloc_usable_size(live[i].p) == live[i].usable,
			  "block %zu: usable size changed", i);
		tap_tally(&tally, block_differs(live[i].p, live[i].usable, i) == live[i].usable,
			  "block %zu of %zu bytes was overwritten", i, live[i].size);
		free(live[i].p);
	}
	tap_tally_ok(&tally, "usable size and contents of live blocks stay");
}

static void test_zero_bytes(void)
{
	enum { N = 2000 };
	static char *blocks[N];
	struct tap_tally tally = { 0 };
	size_t i, j;

	for (i = 0; i < N; i++)
		blocks[i] = block_hide(malloc(0));
	for (i = 0; i < N; i++) {
		tap_tally(&tally, blocks[i] != NULL, "malloc(0) is NULL");
		for (j = 0; j < i; j++)
			if (blocks[i] == blocks[j])
				tap_tally(&tally, false, "malloc(0) gave %p twice", (void *)blocks[i]);
	}
	for (i = 0; i < N; i++)
		free(blocks[i]);
	tap_tally_ok(&tally, "malloc(0) is unique");
	free(NULL);
	tap_ok(malloc_usable_size(NULL) == 0, "malloc_usable_size(NULL) is 0, free(NULL) does nothing");
}

int main(void)
{
	test_small();
	test_boundaries();
	test_live();
	test_zero_bytes();
	return tap_done();
}
