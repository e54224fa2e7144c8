// SPDX-License-Identifier: MIT
/*
 * limits: requests that cannot be met, and errno.
 *
 * Sizes beyond PTRDIFF_MAX and products that overflow give NULL and ENOMEM, from every function of the
 * family; a failed realloc leaves the block alone.  free never changes errno, nor does a call that succeeds.
 */
#include <errno.h>

#include "block.h"
#include "family.h"
#include "tap.h"

#define TOO_MUCH ((size_t)PTRDIFF_MAX + 1)

/* Through volatile, or the compiler refuses sizes that it can see are too large. */
static volatile size_t too_much[] = { TOO_MUCH, TOO_MUCH + 15, SIZE_MAX - 4096, SIZE_MAX - 15, SIZE_MAX - 1, SIZE_MAX };
#define N_TOO_MUCH (sizeof(too_much) / sizeof(too_much[0]))

#define CHECK_ENOMEM(tally, call)                                                                            \
	do {                                                                                                 \
		void *p_;                                                                                    \
		errno = 0;                                                                                   \
		p_ = block_hide(call);                                                                       \
		tap_tally(tally, p_ == NULL && errno == ENOMEM, "%s with %zu: %p, errno %d", #call, n, p_,   \
			  errno);                                                                            \
	} while (0)

static void test_too_much(void)
{
	struct tap_tally tally = { 0 };
	size_t i;

	for (i = 0; i < N_TOO_MUCH; i++) {
		size_t n = too_much[i];

		CHECK_ENOMEM(&tally, malloc(n));
		CHECK_ENOMEM(&tally, calloc(1, n));
		CHECK_ENOMEM(&tally, calloc(n, 1));
		CHECK_ENOMEM(&tally, realloc(NULL, n));
		CHECK_ENOMEM(&tally, reallocarray(NULL, 1, n));
		CHECK_ENOMEM(&tally, memalign(64, n));
		CHECK_ENOMEM(&tally, aligned_alloc(4096, n & ~(size_t)4095));
		CHECK_ENOMEM(&tally, valloc(n));
		CHECK_ENOMEM(&tally, pvalloc(n));
	}
	tap_tally_ok(&tally, "more than PTRDIFF_MAX: NULL and ENOMEM");
}

static void test_posix_memalign_too_much(void)
{
	struct tap_tally tally = { 0 };
	size_t i;

	for (i = 0; i < N_TOO_MUCH; i++) {
		void *p = &tally;
		int error;

		errno = 1234;
		error = posix_memalign(&p, 4096, too_much[i]);
		tap_tally(&tally, error == ENOMEM, "posix_memalign(4096, %zu) = %d", too_much[i], error);
		tap_tally(&tally, p == &tally, "posix_memalign wrote its pointer though it failed");
		if (tap_under_hakmem()) /* glibc's own sets it */
			tap_tally(&tally, errno == 1234, "posix_memalign changed errno to %d", errno);
	}
	tap_tally_ok(&tally, "posix_memalign beyond PTRDIFF_MAX: returns ENOMEM, touches nothing");
}

/* Pairs whose product wraps to something small and pairs that are only just too much. */
static const size_t overflows[][2] = {
	{ SIZE_MAX, 2 }, { 2, SIZE_MAX }, { SIZE_MAX / 2 + 1, 2 }, { (size_t)1 << 32, (size_t)1 << 32 },
	{ ((size_t)1 << 32) + 1, (size_t)1 << 32 }, { SIZE_MAX, SIZE_MAX }, { SIZE_MAX / 16 + 2, 16 },
};

static void test_overflow(void)
{
	struct tap_tally tally = { 0 };
	size_t i;

	for (i = 0; i < sizeof(overflows) / sizeof(overflows[0]); i++) {
		volatile size_t n = overflows[i][0], size = overflows[i][1];
		unsigned char *kept = block_hide(malloc(100));
		void *hidden = block_hide(kept); /* the compiler thinks that reallocarray frees what it is given */

		CHECK_ENOMEM(&tally, calloc(n, size));
		CHECK_ENOMEM(&tally, reallocarray(NULL, n, size));
		memset(kept, 0x5a, 100);
		CHECK_ENOMEM(&tally, reallocarray(hidden, n, size));
		tap_tally(&tally, block_all(kept, 100, 0x5a), "a failed reallocarray changed the block");
		free(kept);
	}
	tap_tally_ok(&tally, "calloc and reallocarray whose product overflows: NULL and ENOMEM");
}

static void test_failed_realloc(void)
{
	static const size_t sizes[] = { 1, 16, 1000, 40 * KIB, 300 * KIB, 5 * MIB };
	struct tap_tally tally = { 0 };
	size_t i;

	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		unsigned char *p = block_hide(malloc(sizes[i]));
		size_t n = too_much[i % N_TOO_MUCH];

		block_fill(p, sizes[i], i);
		CHECK_ENOMEM(&tally, realloc(p, n));
		tap_tally(&tally, block_differs(p, sizes[i], i) == sizes[i],
			  "a failed realloc changed a block of %zu bytes", sizes[i]);
		free(p);
	}
	tap_tally_ok(&tally, "a failed realloc leaves the block as it was");
}

static void check_errno(struct tap_tally *tally, const char *what, size_t n)
{
	tap_tally(tally, errno == 4321, "%s(%zu) changed errno to %d", what, n, errno);
	errno = 4321;
}

static void errno_round(struct tap_tally *tally, size_t n)
{
	void *p, *q = NULL;

	errno = 4321;
	p = block_hide(malloc(n));
	check_errno(tally, "malloc", n);
	p = block_hide(realloc(p, n + n / 2 + 1));
	check_errno(tally, "realloc", n);
	free(p);
	check_errno(tally, "free", n);
	p = block_hide(calloc(1, n));
	check_errno(tally, "calloc", n);
	tap_tally(tally, posix_memalign(&q, 4096, n) == 0, "posix_memalign(4096, %zu) failed", n);
	check_errno(tally, "posix_memalign", n);
	free(q);
	free(p);
	check_errno(tally, "free", n);
}

/* Large enough and often enough for the slow paths, which make system calls that fail or succeed. */
static void test_errno(void)
{
	struct tap_tally tally = { 0 };
	size_t i, j;

	for (i = 0; i < N_BLOCK_BOUNDARIES; i++)
		for (j = 0; j < 20; j++)
			errno_round(&tally, block_boundaries[i] - (j & 1));
	tap_tally_ok(&tally, "calls that succeed leave errno alone");
}

static void test_errno_of_many_frees(void)
{
	enum { N = 100000 };
	static void *blocks[N];
	struct tap_tally tally = { 0 };
	size_t i;

	for (i = 0; i < N; i++)
		blocks[i] = block_hide(malloc(i % 500));
	errno = 4321;
	for (i = 0; i < N; i++) {
		free(blocks[i]);
		check_errno(&tally, "free", i % 500);
	}
	free(NULL);
	check_errno(&tally, "free of NULL", 0);
	malloc_trim(0);
	check_errno(&tally, "malloc_trim", 0);
	tap_tally_ok(&tally, "100,000 frees in a row and malloc_trim leave errno alone");
}

int main(void)
{
	test_too_much();
	test_posix_memalign_too_much();
	test_overflow();
	test_failed_realloc();
	test_errno();
	test_errno_of_many_frees();
	return tap_done();
}
