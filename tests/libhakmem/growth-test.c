/* SPDX-License-Identifier: MIT */
/* What a record of the heap sends home and purges, and the share that a heap may keep. */
#include "tests/libhakmem/unit.h"

#include <sys/mman.h>
#include <unistd.h>

#include "base/options.h"
#include "caches/thread_internal.h"
#include "front/front.h"
#include "policy/growth.h"
#include "slabs/slab.h"

/* ---- records ------------------------------------------------------------------------------------------- */

/* A program of large blocks alone. */
static void a_heap_without_slabs_has_nothing_to_shed(void **state)
{
	(void)state;
	void *block = hk_malloc(4 * MIB);
	assert_int_equal(hk_slabs_next(0), HK_SHARDS_ALL);
	hk_cold_shed();
	hk_cold_shed();
	assert_int_equal(hk_slabs_next(0), HK_SHARDS_ALL);
	hk_free(block);
}

#define GROWTH_PAGES 512
static void *grown[16 * MIB / KIB];

/* Touch at least so many pages more, and hardly more than that. */
static unsigned grow(int64_t n_pages)
{
	int64_t wanted = hk_counters_private.touched_pages + n_pages;
	unsigned n = 0;
	while (hk_counters_private.touched_pages < wanted && n < HK_COUNT(grown))
		memset(grown[n++] = hk_malloc(KIB), 2, KIB);
	return n;
}

static void shrink(unsigned n)
{
	while (n != 0)
		hk_free(grown[--n]);
}

static void a_record_sends_home_what_classes_keep(void **state)
{
	(void)state;
	unit_fill(64, 20000);
	unit_free_but_every(20000, 0);
	uint32_t n_cold = hk_classes[3].n_cold, n_slabs = hk_classes[3].slabs.n_slabs;
	assert_true(n_cold > 10000 && n_slabs > 10);
	int64_t record = hk_counters_private.touched_pages;
	hk_growth_record = record;
	unsigned n = grow(GROWTH_PAGES - 64);
	assert_int_equal(hk_classes[3].n_cold, n_cold);
	shrink(n);
	n = grow(GROWTH_PAGES + 16);
	assert_int_equal(hk_classes[3].n_cold, n_cold); /* they were in use since the record before */
	assert_true(hk_growth_record > record);
	shrink(n);
	n = grow(2 * GROWTH_PAGES + 64);
	assert_int_equal(hk_classes[3].n_cold, 0);
	assert_true(hk_classes[3].slabs.n_slabs < n_slabs / 2);
	unit_assert_conserved();
	shrink(n);
	/* below the record nothing is sent anywhere */
	unit_flush(NULL);
	hk_growth_record = 10 * GROWTH_PAGES;
	unit_fill(64, 20000);
	unit_free_but_every(20000, 0);
	n_cold = hk_classes[3].n_cold;
	n = grow(3 * GROWTH_PAGES);
	assert_int_equal(hk_classes[3].n_cold, n_cold);
	shrink(n);
}

/* Reach so many records, one after the other. */
static void reach_records(unsigned n)
{
	for (; n != 0; n--) {
		hk_growth_record = hk_counters_private.touched_pages - GROWTH_PAGES;
		hk_growth_poke(hk_counters_private.touched_pages);
	}
}

static void a_record_sends_home_what_its_thread_rests_on(void **state)
{
	(void)state;
	unit_fill(64, 20000);
	unit_free_but_every(20000, 0);
	hk_flush_run(HAK_LEVEL_COLD, HAK_TARGET_ALL, UINT64_MAX, NULL);
	uint32_t n_hot = hk_cold_n_hot(3), n_slabs = hk_classes[3].slabs.n_slabs;
	assert_true(n_hot > 100);
	reach_records(1);
	assert_int_equal(hk_cold_n_hot(3), n_hot); /* there were misses before */
	reach_records(2);
	assert_int_equal(hk_cold_n_hot(3), n_hot);
	reach_records(1);
	assert_int_equal(hk_cold_n_hot(3), 0);
	assert_true(hk_classes[3].slabs.n_slabs < n_slabs);
	unit_assert_conserved();
	/* and a magazine in use stays: it misses between any two */
	for (unsigned i = 0; i < 16; i++) {
		unit_fill(64, 5000);
		unit_free_but_every(5000, 0);
		reach_records(1);
	}
	assert_true(hk_cold_n_hot(3) > 100);
	unit_assert_conserved();
}

/* A program that only allocates gets no further than the last step but one, where misses do not count for growth. */
static void a_record_leaves_the_magazine_of_a_program_that_only_grows(void **state)
{
	(void)state;
	unit_fill(16, 100000);
	for (unsigned i = 0; i < 8; i++) {
		for (unsigned n = 0; n < 10000; n++)
			unit_blocks[100000 + i * 10000 + n] = hk_malloc(16);
		const struct hk_set *set = atomic_load(&hk_self->set);
		unsigned n_hot = hk_magazine_count(&set->magazines[0], 0);
		reach_records(1);
		assert_int_not_equal(n_hot, 0);
		assert_int_equal(hk_magazine_count(&set->magazines[0], 0), n_hot);
	}
	unit_assert_conserved();
	unit_free_rest();
}

static void a_record_purges_holes_where_they_are_many(void **state)
{
	(void)state;
	unit_fill(64, 150000);
	unit_free_but_every(150000, 1000);
	unit_flush_level(HAK_LEVEL_CACHES, NULL);
	int64_t holes = hk_counters_private.hole_pages;
	size_t rss = unit_rss();
	assert_true(holes > 4 * GROWTH_PAGES);
	hk_growth_record = hk_counters_private.touched_pages;
	unsigned n = grow(GROWTH_PAGES - 16);
	assert_int_equal(hk_counters_private.hole_pages, holes);
	while (hk_counters_private.hole_pages == holes && n < HK_COUNT(grown))
		memset(grown[n++] = hk_malloc(KIB), 2, KIB);
	assert_in_range(holes - hk_counters_private.hole_pages, 2 * GROWTH_PAGES, 4 * GROWTH_PAGES);
	assert_true(unit_rss() < rss);
	for (unsigned i = 0; i < 150000; i += 1000)
		assert_int_equal(*(char *)unit_blocks[i], 1);
	unit_assert_conserved();
	/* the record stands, though what was touched fell below it */
	int64_t record = hk_growth_record;
	assert_true(hk_counters_private.touched_pages < record);
	shrink(n);
	n = grow(GROWTH_PAGES / 2);
	assert_int_equal(hk_growth_record, record);
	shrink(n);
	unit_free_rest();
}

static void a_record_leaves_few_holes_alone(void **state)
{
	(void)state;
	unit_fill(64, 150000);
	unit_free_but_every(15000, 500);
	unit_flush_level(HAK_LEVEL_CACHES, NULL);
	uint64_t purged = hk_stats()->purged_bytes;
	int64_t holes = hk_counters_private.hole_pages;
	assert_true(holes > 100 && holes < hk_counters_private.touched_pages / 7);
	hk_growth_record = hk_counters_private.touched_pages;
	unsigned n = grow(GROWTH_PAGES + 64);
	assert_true(hk_growth_record >= hk_counters_private.touched_pages - 64);
	assert_int_equal(hk_stats()->purged_bytes, purged);
	shrink(n);
	unit_free_rest();
}

static void a_record_purges_tails_sooner(void **state)
{
	static char *mid[60];
	(void)state;
	for (unsigned i = 0; i < HK_COUNT(mid); i++)
		memset(mid[i] = hk_malloc(128 * KIB), 1, 128 * KIB);
	for (unsigned i = 0; i < HK_COUNT(mid); i++)
		hk_free(mid[i]);
	for (unsigned i = 0; i < HK_COUNT(mid); i++)
		memset(mid[i] = hk_malloc(100 * KIB), 2, 100 * KIB);
	int64_t tails = hk_counters_private.tail_pages;
	uint64_t purged = hk_stats()->purged_bytes;
	assert_in_range(tails, 6 * HK_COUNT(mid), 7 * HK_COUNT(mid)); /* a few lie where nothing lay before */
	hk_growth_record = hk_counters_private.touched_pages;
	unsigned n = grow(GROWTH_PAGES - 64);
	assert_int_equal(hk_counters_private.tail_pages, tails);
	shrink(n);
	n = grow(GROWTH_PAGES + 16);
	assert_int_equal(hk_counters_private.tail_pages, 0);
	assert_int_equal(hk_stats()->purged_bytes - purged, tails * HK_PAGE_BYTES);
	unit_assert_conserved();
	shrink(n);
	for (unsigned i = 0; i < HK_COUNT(mid); i++) {
		assert_true(mid[i][0] == 2 && mid[i][100 * KIB - 1] == 2);
		hk_free(mid[i]);
	}
}

/* ---- share --------------------------------------------------------------------------------------------- */

#define KEPT_LEAST 16384 /* pages, of which a quarter may be kept beyond that */

/* Some 100 MiB of slabs that hold next to nothing, and no record to come. */
static void keep_much(void)
{
	unit_fill(KIB, 100000);
	unit_free_but_every(100000, 64);
	unit_flush_level(HAK_LEVEL_CACHES, NULL);
	assert_true(hk_counters_kept_pages() > KEPT_LEAST + 4 * GROWTH_PAGES);
	hk_growth_record = hk_counters_private.touched_pages + 100 * GROWTH_PAGES;
}

static void what_a_heap_keeps_is_bounded(void **state)
{
	(void)state;
	hk_options.decay_msec = 0;
	keep_much();
	size_t rss = unit_rss();
	int64_t before = hk_counters_kept_pages();
	hk_free(hk_malloc(16)); /* the first of its class: a slow path */
	int64_t kept = hk_counters_kept_pages();
	assert_in_range(before - kept, GROWTH_PAGES, 2 * GROWTH_PAGES); /* a SuperSlab or two at a time */
	unsigned n = 0;
	while (n < 200 && (kept = hk_counters_kept_pages()) > KEPT_LEAST)
		memset(grown[n++] = hk_malloc(2 * KIB), 2, 2 * KIB);
	assert_true(n < 200 && kept > KEPT_LEAST - 2 * GROWTH_PAGES);
	assert_true(rss - unit_rss() > 2 * GROWTH_PAGES * HK_PAGE_BYTES);
	uint64_t purged = hk_stats()->purged_bytes;
	for (unsigned i = 0; i < 200; i++)
		hk_growth_poke(hk_counters_private.touched_pages);
	assert_int_equal(hk_stats()->purged_bytes, purged);
	hk_growth_poke(KEPT_LEAST); /* so little is touched that a quarter is less than is kept, which is little too */
	assert_int_equal(hk_stats()->purged_bytes, purged);
	for (unsigned i = 0; i < 100000; i += 64)
		assert_int_equal(*(char *)unit_blocks[i], 1);
	unit_assert_conserved();
	shrink(n);
	unit_free_rest();
	hk_options.decay_msec = 10000;
}

static void free_slices_are_kept_too(void **state)
{
	static char *mid[160];
	(void)state;
	hk_options.decay_msec = 0;
	for (unsigned i = 0; i < HK_COUNT(mid); i++)
		memset(mid[i] = hk_malloc(MIB), 1, MIB);
	hk_growth_record = hk_counters_private.touched_pages + 100 * GROWTH_PAGES;
	for (unsigned i = 0; i < HK_COUNT(mid); i += 2)
		hk_free(mid[i]);
	assert_true(hk_counters_private.free_slice_pages > KEPT_LEAST + 4 * GROWTH_PAGES);
	for (unsigned i = 0; i < HK_COUNT(mid); i++)
		hk_growth_poke(hk_counters_private.touched_pages);
	assert_in_range(hk_counters_private.free_slice_pages, KEPT_LEAST - 2 * GROWTH_PAGES, KEPT_LEAST);
	for (unsigned i = 1; i < HK_COUNT(mid); i += 2) {
		assert_true(mid[i][0] == 1 && mid[i][MIB - 1] == 1);
		hk_free(mid[i]);
	}
	hk_options.decay_msec = 10000;
}

/* Poke as a heap that never had more than so many pages; how many were purged. */
static uint64_t poke_as_small(unsigned n_times, int64_t n_pages)
{
	uint64_t purged = hk_stats()->purged_bytes;
	hk_growth_record = n_pages;
	for (unsigned i = 0; i < n_times; i++)
		hk_growth_poke(n_pages);
	return (hk_stats()->purged_bytes - purged) / HK_PAGE_BYTES;
}

static void a_heap_that_swings_purges_so_much_and_no_more(void **state)
{
	(void)state;
	hk_options.decay_msec = 1000;
	keep_much();
	assert_in_range(poke_as_small(20, GROWTH_PAGES), 2 * GROWTH_PAGES, 4 * GROWTH_PAGES);
	assert_int_equal(poke_as_small(20, 4 * GROWTH_PAGES), 0);
	usleep(1100000);
	assert_in_range(poke_as_small(1, 2 * GROWTH_PAGES), GROWTH_PAGES, 2 * GROWTH_PAGES);
	assert_int_not_equal(poke_as_small(1, 2 * GROWTH_PAGES), 0);
	unit_assert_conserved();
	unit_free_rest();
	hk_options.decay_msec = 10000;
}

static void what_the_kernel_refuses_is_asked_for_once(void **state)
{
	(void)state;
	hk_options.decay_msec = 1000;
	keep_much();
	if (UNIT_SANITIZED || mlockall(MCL_CURRENT) != 0) { /* sanitizers make nothing of mlockall() */
		unit_free_rest();
		skip();
	}
	assert_int_equal(poke_as_small(1, 10 * GROWTH_PAGES), 0);
	munlockall();
	assert_int_equal(poke_as_small(20, 10 * GROWTH_PAGES), 0);
	usleep(1100000);
	assert_int_not_equal(poke_as_small(1, 10 * GROWTH_PAGES), 0);
	unit_assert_conserved();
	unit_free_rest();
	hk_options.decay_msec = 10000;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_heap_without_slabs_has_nothing_to_shed), /* so it comes first */
		cmocka_unit_test_setup(a_record_sends_home_what_classes_keep, unit_flush),
		cmocka_unit_test_setup(a_record_sends_home_what_its_thread_rests_on, unit_flush),
		cmocka_unit_test_setup(a_record_leaves_the_magazine_of_a_program_that_only_grows, unit_flush),
		cmocka_unit_test_setup(a_record_purges_holes_where_they_are_many, unit_flush),
		cmocka_unit_test_setup(a_record_leaves_few_holes_alone, unit_flush),
		cmocka_unit_test_setup(a_record_purges_tails_sooner, unit_flush),
		cmocka_unit_test_setup(what_a_heap_keeps_is_bounded, unit_flush),
		cmocka_unit_test_setup(free_slices_are_kept_too, unit_flush),
		cmocka_unit_test_setup(a_heap_that_swings_purges_so_much_and_no_more, unit_flush),
		cmocka_unit_test_setup(what_the_kernel_refuses_is_asked_for_once, unit_flush),
	};
	return cmocka_run_group_tests_name("growth", tests, unit_setup, NULL);
}
