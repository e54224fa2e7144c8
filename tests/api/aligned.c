// SPDX-License-Identifier: MIT
/*
 * aligned: memalign, posix_memalign, aligned_alloc, valloc, pvalloc.
 *
 * Alignments from 1 byte to 64 MiB with sizes around them; the rules for EINVAL; every usable byte of an
 * aligned block; realloc and free of such blocks.
 */
#include <errno.h>
#include <unistd.h>

#include "block.h"
#include "tap.h"

#define MAX_ALIGNMENT (64 * MIB)

static const size_t sizes[] = { 0, 1, 15, 16, 17, 48, 100, 1000, 1024, 4095, 4096, 5000, 33000, 65536, 70000,
				300000, 1 << 20, (2 << 20) + 1 };
#define N_SIZES (sizeof(sizes) / sizeof(sizes[0]))

/* Several blocks at once: the second of a slab is where a wrong offset shows. */
static void check_block(struct tap_tally *tally, const char *function, void *p, size_t alignment, size_t n)
{
	size_t usable;

	if (!tap_tally(tally, p != NULL, "%s(%zu, %zu) is NULL", function, alignment, n))
		return;
	tap_tally(tally, block_aligned(p, alignment > 16 ? alignment : 16), "%s(%zu, %zu) = %p", function,
		  alignment, n, p);
	usable = malloc_usable_size(p);
	tap_tally(tally, usable >= n, "%s(%zu, %zu): usable size %zu", function, alignment, n, usable);
	block_fill(p, usable, (uintptr_t)p);
}

static void check_and_free(struct tap_tally *tally, void *p)
{
	size_t usable = malloc_usable_size(p);

	tap_tally(tally, block_differs(p, usable, (uintptr_t)p) == usable, "aligned block %p was overwritten", p);
	free(p);
}

static void *alloc_aligned(int function, size_t alignment, size_t n)
{
	void *p = NULL;

	if (function == 0)
		return block_hide(memalign(alignment, n));
	if (function == 1)
		return block_hide(aligned_alloc(alignment, n));
	return posix_memalign(&p, alignment, n) == 0 ? block_hide(p) : NULL;
}

static void test_function(int function, const char *name, size_t first)
{
	enum { N = 6 };
	struct tap_tally tally = { 0 };
	size_t alignment, i, j;
	void *blocks[N];

	for (alignment = first; alignment <= MAX_ALIGNMENT; alignment *= 2) {
		for (i = 0; i < N_SIZES; i++) {
			for (j = 0; j < N; j++) {
				blocks[j] = alloc_aligned(function, alignment, sizes[i]);
				check_block(&tally, name, blocks[j], alignment, sizes[i]);
			}
			for (j = 0; j < N; j++)
				if (blocks[j])
					check_and_free(&tally, blocks[j]);
		}
	}
	tap_tally_ok(&tally, name);
}

static void test_posix_memalign_rules(void)
{
	static const volatile size_t bad[] = { 0, 1, 2, 3, 4, 7, 9, 12, 24, 48, 100, 4095, 4097, 12288, SIZE_MAX };
	struct tap_tally tally = { 0 };
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		void *p = &tally;
		int error;

		errno = 777;
		error = posix_memalign(&p, bad[i], 100);
		tap_tally(&tally, error == EINVAL, "posix_memalign with alignment %zu = %d", bad[i], error);
		tap_tally(&tally, p == &tally && errno == 777, "it touched the pointer or errno (%d)", errno);
	}
	tap_tally_ok(&tally, "posix_memalign: EINVAL unless a power of two times sizeof(void *)");
}

/* glibc's rule: memalign rounds a bad alignment up, aligned_alloc does the same before 2.38; either that or EINVAL. */
static void check_odd(struct tap_tally *tally, void *p, size_t alignment)
{
	if (p)
		tap_tally(tally, block_aligned(p, 16), "alignment %zu gave %p", alignment, p);
	else
		tap_tally(tally, errno == EINVAL, "alignment %zu: NULL with errno %d", alignment, errno);
	free(p);
}

static void test_odd_alignments(void)
{
	static const volatile size_t odd[] = { 0, 3, 24, 48, 100 };
	static const volatile size_t huge[] = { SIZE_MAX, SIZE_MAX / 2 + 2 };
	struct tap_tally tally = { 0 };
	size_t i;

	for (i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
		errno = 0;
		check_odd(&tally, block_hide(memalign(odd[i], 100)), odd[i]);
		errno = 0;
		check_odd(&tally, block_hide(aligned_alloc(odd[i], 100)), odd[i]);
	}
	for (i = 0; i < sizeof(huge) / sizeof(huge[0]); i++) {
		void *p;

		errno = 0;
		p = block_hide(memalign(huge[i], 100));
		tap_tally(&tally, p == NULL && (errno == EINVAL || errno == ENOMEM), "memalign(%zu) = %p, errno %d",
			  huge[i], p, errno);
	}
	tap_tally_ok(&tally, "memalign and aligned_alloc: a bad alignment is rounded up or EINVAL");
}

static void test_pages(void)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	struct tap_tally tally = { 0 };
	size_t i;

	for (i = 0; i < N_SIZES; i++) {
		void *p = block_hide(valloc(sizes[i]));
		void *q = block_hide(pvalloc(sizes[i]));

		check_block(&tally, "valloc", p, page, sizes[i]);
		check_block(&tally, "pvalloc", q, page, (sizes[i] + page - 1) & ~(page - 1));
		check_and_free(&tally, p);
		check_and_free(&tally, q);
	}
	tap_tally_ok(&tally, "valloc and pvalloc");
}

/* realloc keeps the contents of an aligned block, but not its alignment. */
static void test_realloc(void)
{
	struct tap_tally tally = { 0 };
	size_t alignment, i;

	for (alignment = 32; alignment <= MAX_ALIGNMENT; alignment *= 4) {
		for (i = 0; i < N_SIZES; i++) {
			size_t n = sizes[i], larger = 2 * n + 100, smaller = n / 2 + 1;
			void *p = alloc_aligned(0, alignment, n);

			block_fill(p, n, n);
			p = block_hide(realloc(p, larger));
			tap_tally(&tally, p && block_differs(p, n, n) == n, "grown: alignment %zu, %zu bytes",
				  alignment, n);
			p = block_hide(realloc(p, smaller));
			n = n < smaller ? n : smaller;
			tap_tally(&tally, p && block_differs(p, n & ~(size_t)7, sizes[i]) == (n & ~(size_t)7),
				  "shrunk: alignment %zu, %zu bytes", alignment, sizes[i]);
			free(p);
		}
	}
	tap_tally_ok(&tally, "realloc of aligned blocks keeps their contents");
}

int main(void)
{
	test_function(0, "memalign, alignments 1 to 64 MiB", 1);
	test_function(1, "aligned_alloc, alignments 1 to 64 MiB", 1);
	test_function(2, "posix_memalign, alignments 8 to 64 MiB", sizeof(void *));
	test_posix_memalign_rules();
	test_odd_alignments();
	test_pages();
	test_realloc();
	return tap_done();
}
