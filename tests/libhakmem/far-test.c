/* SPDX-License-Identifier: MIT */
/* A heap outside of the page map's home window, as the part beyond 64 GiB is: the slower ways of the lookups. */
#include "tests/libhakmem/unit.h"

#include "caches/thread_internal.h"
#include "front/front.h"
#include "pools/large.h"

#define N_SLOTS 2000u

static unsigned char *slots[N_SLOTS];
static size_t sizes[N_SLOTS];

static bool is_far(const void *pointer)
{
	return !hk_pagemap_covers(atomic_load(&hk_pagemap_home), hk_pagemap_slice(pointer));
}

/* Mostly small, some of each pool. */
static size_t some_size(uint64_t *seed)
{
	static const unsigned limits[] = {32, 64, 1024, 1024, 64 * 1024, 64 * 1024, 1024 * 1024, 5 * 1024 * 1024};
	unsigned of = unit_below(seed, 64);
	return 1 + unit_below(seed, limits[of < 56 ? of % 4 : of - 56]);
}

static void check_ends(unsigned i)
{
	unsigned char mark = (unsigned char)(i + 1);
	assert_int_equal(slots[i][0], mark);
	assert_int_equal(slots[i][sizes[i] - 1], mark);
}

static void mark_ends(unsigned i)
{
	slots[i][0] = slots[i][sizes[i] - 1] = (unsigned char)(i + 1);
}

static void replace(unsigned i, uint64_t *seed)
{
	size_t bytes = some_size(seed);
	if (slots[i] != NULL)
		check_ends(i);
	if (slots[i] != NULL && unit_below(seed, 4) == 0) {
		slots[i] = hk_realloc(slots[i], bytes);
	} else {
		hk_free(slots[i]);
		slots[i] = hk_malloc(bytes);
	}
	assert_non_null(slots[i]);
	assert_true(is_far(slots[i]));
	assert_true(hk_usable("usable", slots[i]) >= bytes);
	sizes[i] = bytes;
	mark_ends(i);
}

static void blocks_come_and_go(void **state)
{
	uint64_t seed = 77;
	(void)state;
	for (unsigned round = 0; round < 60000; round++)
		replace(unit_below(&seed, N_SLOTS), &seed);
	assert_true(hk_stats_audit());
	assert_int_not_equal(hk_flush_run(HAK_LEVEL_PAGES, HAK_TARGET_ALL, UINT64_MAX, NULL), 0);
	for (unsigned i = 0; i < N_SLOTS; i++) {
		if (slots[i] != NULL)
			check_ends(i);
		hk_free(slots[i]);
		slots[i] = NULL;
	}
	hk_flush_run(HAK_LEVEL_PAGES, HAK_TARGET_ALL, UINT64_MAX, NULL);
	assert_true(hk_stats_audit());
	assert_int_equal(hk_stats()->used_bytes, 0);
	assert_int_equal(hk_stats()->large_bytes, 0);
}

/* Into the magazine and out of it, without the slow path. */
static void far_is_still_fast(void **state)
{
	(void)state;
	void *blocks[4];
	for (unsigned round = 0; round < 8; round++) {
		for (unsigned i = 0; i < 4; i++)
			blocks[i] = hk_malloc(48);
		hk_stats()->activity_nsec = hk_self->active_nsec = 0; /* a slow path would write it anew */
		for (unsigned i = 0; i < 4; i++)
			hk_free(blocks[i]);
	}
	assert_true(is_far(blocks[0]));
	assert_int_equal(hk_stats()->activity_nsec, 0);
	assert_ptr_equal(hk_malloc(48), blocks[3]);
	hk_free(blocks[3]);
}

static void insides_of_large_blocks_are_known(void **state)
{
	(void)state;
	char *block = hk_malloc(7 * MIB);
	assert_true(is_far(block));
	assert_true(hk_large_contains(block + 5 * MIB));
	assert_false(hk_large_contains(block + 9 * MIB));
	hk_free(block);
	assert_false(hk_large_contains(block));
}

/* Home is laid where nothing of this process is, before there is any heap. */
static int make_home_elsewhere(void **state)
{
	(void)state;
	hk_threads_init();
	hk_threads_bypass_first = 0;
	return atomic_load(&hk_pagemap_home)->end_slice != 0 ||
	       !hk_pagemap_cover((void *)((uintptr_t)5 << HK_PAGEMAP_WINDOW_SHIFT), HK_SUPERSLAB_BYTES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(blocks_come_and_go),
		cmocka_unit_test(far_is_still_fast),
		cmocka_unit_test(insides_of_large_blocks_are_known),
	};
	return cmocka_run_group_tests_name("far", tests, make_home_elsewhere, NULL);
}
