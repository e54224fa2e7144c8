/* SPDX-License-Identifier: MIT */
/* Metadata units, and the heap of SuperSlabs: runs, reserve, decay, pins. */
#include "tests/libhakmem/unit.h"

#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "os/meta.h"
#include "os/pages.h"
#include "slabs/superslab.h"

static uint64_t n_superslabs(void)
{
	return hk_stats()->superslabs;
}

static uint64_t n_empty(void)
{
	return hk_stats()->superslabs_empty;
}

/* ---- metadata ------------------------------------------------------------------------------------------ */

static bool is_zero(const char *bytes, size_t n)
{
	while (n != 0 && bytes[n - 1] == 0)
		n--;
	return n == 0;
}

static void units_are_zero_and_apart(void **state)
{
	enum { N = 150 }; /* more than two chunks */
	static char *units[N];
	uint64_t seed = 3;
	(void)state;
	for (unsigned round = 0; round < 2000; round++) {
		unsigned i = unit_below(&seed, N);
		if (units[i] != NULL) {
			assert_int_equal(units[i][HK_META_UNIT_BYTES - 1], (char)i);
			hk_meta_unit_free(units[i]);
			units[i] = NULL;
			continue;
		}
		units[i] = hk_meta_unit_new();
		assert_int_equal((uintptr_t)units[i] % HK_PAGE_BYTES, 0);
		assert_true(is_zero(units[i], HK_META_UNIT_BYTES));
		memset(units[i], (int)i, HK_META_UNIT_BYTES);
	}
	for (unsigned i = 0; i < N; i++)
		if (units[i] != NULL)
			hk_meta_unit_free(units[i]);
}

/* madvise refuses mlocked pages; then the unit must be cleared by hand.  (A sanitizer's mlock does nothing.) */
static void a_unit_whose_purge_is_refused_is_zero_too(void **state)
{
	char *unit = hk_meta_unit_new();
	(void)state;
	memset(unit, 1, HK_META_UNIT_BYTES);
	if (syscall(SYS_mlock, unit, HK_META_UNIT_BYTES) != 0)
		skip();
	hk_meta_unit_free(unit);
	assert_int_equal(unit[0], 1);
	char *again = hk_meta_unit_new();
	assert_ptr_equal(again, unit);
	assert_true(is_zero(again, HK_META_UNIT_BYTES));
	syscall(SYS_munlock, unit, HK_META_UNIT_BYTES);
	hk_meta_unit_free(again);
}

static void bumped_records_are_zero_and_aligned(void **state)
{
	(void)state;
	for (size_t bytes = 1; bytes < 100000; bytes += 1 + bytes / 3) {
		char *record = hk_meta_bump(bytes);
		assert_int_equal((uintptr_t)record % HK_CACHE_LINE, 0);
		assert_true(is_zero(record, bytes));
		memset(record, 0xff, bytes);
	}
}

/* ---- runs ---------------------------------------------------------------------------------------------- */

#define N_RUNS 200

struct run_model {
	struct hk_slab *run;
	unsigned n_slices;
};

static void check_run(const struct run_model *model)
{
	const struct hk_slab *run = model->run;
	assert_int_equal(run->n_slices, model->n_slices);
	assert_ptr_equal(run->base, run->superslab->base + (size_t)hk_slab_slice(run) * HK_SLICE_BYTES);
	for (unsigned i = 0; i < model->n_slices; i++) {
		assert_ptr_equal(hk_slab_of(run->base + (size_t)i * HK_SLICE_BYTES + 77), run);
		assert_int_equal(run->superslab->free_slices >> (hk_slab_slice(run) + i) & 1, 0);
	}
	for (unsigned i = 0; i < HK_BITMAP_WORDS; i++)
		assert_true(run->bitmap[i] == 0);
}

/* No slice belongs to two runs, and the free masks know of all others. */
static void check_slices(const struct run_model *models)
{
	uint64_t taken = 0, free = 0;
	for (unsigned i = 0; i < N_RUNS; i++)
		if (models[i].run != NULL) {
			check_run(&models[i]);
			taken += models[i].n_slices;
		}
	for (struct hk_superslab *s = hk_heap_walk(NULL); s != NULL; s = hk_heap_walk(s))
		free += hk_popcount64(s->free_slices);
	assert_int_equal(taken + free, n_superslabs() * HK_SLICES);
}

/* Slices of the run whose bitmaps may hold bits. */
static uint32_t bitmaps_of_run(struct hk_slab *run)
{
	return (uint32_t)run->superslab->bitmap_state & hk_mask32(hk_slab_slice(run), run->n_slices);
}

static void resize_run(struct run_model *model, uint64_t *seed)
{
	unsigned wanted = 1 + unit_below(seed, 16), have = model->n_slices;
	if (wanted <= have) {
		hk_heap_trim_run(model->run, wanted);
		model->n_slices = wanted;
		return;
	}
	unsigned slice = hk_slab_slice(model->run);
	bool fits = slice + wanted <= HK_SLICES;
	for (unsigned i = slice + have; fits && i < slice + wanted; i++)
		fits = (model->run->superslab->free_slices >> i & 1) != 0;
	assert_int_equal(hk_heap_extend(model->run, wanted), fits);
	model->n_slices = fits ? wanted : have;
}

static void runs_do_not_overlap(void **state)
{
	static struct run_model models[N_RUNS];
	uint64_t seed = 4;
	(void)state;
	for (unsigned round = 0; round < 6000; round++) {
		struct run_model *model = &models[unit_below(&seed, N_RUNS)];
		if (model->run == NULL) {
			model->n_slices = 1 + unit_below(&seed, 16);
			model->run = hk_heap_take(model->n_slices);
			assert_int_equal(bitmaps_of_run(model->run), 0);
			/* marks in the bitmap and on the pages, as a slab leaves them */
			model->run->bitmap[5] = 0;
			hk_run_touch(model->run, 1 + unit_below(&seed, model->n_slices * HK_SLICE_PAGES));
		} else if (unit_below(&seed, 3) == 0) {
			resize_run(model, &seed);
		} else {
			model->run->bitmap[5] = 1;
			assert_true(hk_bitmap_begin(model->run));
			hk_heap_give(model->run);
			model->run = NULL;
		}
		if (round % 100 == 0)
			check_slices(models);
	}
	for (unsigned i = 0; i < N_RUNS; i++)
		if (models[i].run != NULL)
			hk_heap_give(models[i].run);
	unit_trim();
	assert_int_equal(n_superslabs(), 0);
	assert_int_equal(hk_counters_private.free_slice_pages, 0);
}

/* ---- reserve ------------------------------------------------------------------------------------------- */

/* Map `n` SuperSlabs and leave them all empty. */
static void fill_reserve(unsigned n)
{
	static struct hk_slab *runs[256];
	for (unsigned i = 0; i < 2 * n; i++)
		runs[i] = hk_heap_take(16);
	assert_int_equal(n_superslabs() - n_empty(), n);
	for (unsigned i = 0; i < 2 * n; i++)
		hk_heap_give(runs[i]);
}

static void the_reserve_is_bounded(void **state)
{
	(void)state;
	fill_reserve(100);
	assert_int_equal(n_superslabs(), 16);
	assert_int_equal(n_empty(), 16);
	unit_release_reserve(3);
	assert_int_equal(n_empty(), 3);
	unit_release_reserve(0);
	assert_int_equal(n_superslabs(), 0);
}

static void decay_halves_what_was_not_needed(void **state)
{
	(void)state;
	fill_reserve(16);
	hk_heap_decay(NULL); /* looks at a time in which the reserve was empty */
	assert_int_equal(n_empty(), 16);
	for (unsigned left = 8; left != 0; left /= 2) {
		hk_heap_decay(NULL);
		assert_int_equal(n_empty(), left);
	}
	hk_heap_decay(NULL);
	assert_int_equal(n_superslabs(), 0);
}

static void decay_leaves_what_was_needed(void **state)
{
	struct hk_slab *runs[24];
	(void)state;
	fill_reserve(16);
	hk_heap_decay(NULL);
	for (unsigned round = 0; round < 5; round++) {
		for (unsigned i = 0; i < 24; i++)
			runs[i] = hk_heap_take(16); /* twelve of those that there are */
		for (unsigned i = 0; i < 24; i++)
			hk_heap_give(runs[i]);
		hk_heap_decay(NULL);
		assert_true(n_empty() >= 12);
	}
	unit_release_reserve(0);
}

static void a_pinned_superslab_stays(void **state)
{
	(void)state;
	fill_reserve(2);
	struct hk_superslab *pinned = hk_heap_walk(NULL);
	assert_non_null(pinned);
	unit_release_reserve(0);
	assert_int_equal(n_superslabs(), 1);
	assert_ptr_equal(hk_pagemap_superslab(pinned->base), pinned);
	assert_null(hk_heap_walk(pinned));
	assert_int_equal(pinned->n_pins, 0);
	unit_release_reserve(0);
	assert_int_equal(n_superslabs(), 0);
}

/* ---- trim ---------------------------------------------------------------------------------------------- */

static void trim_purges_free_slices_alone(void **state)
{
	struct hk_slab *kept = hk_heap_take(4), *gone = hk_heap_take(4);
	size_t bytes = 4 * HK_SLICE_BYTES;
	(void)state;
	assert_ptr_equal(kept->superslab, gone->superslab);
	memset(kept->base, 1, bytes);
	memset(gone->base, 1, bytes);
	hk_run_touch(kept, 64);
	hk_run_touch(gone, 64);
	char *base = gone->base;
	hk_heap_give(gone);
	assert_int_equal(hk_counters_private.free_slice_pages, 64);
	assert_int_equal(unit_trim(), bytes);
	assert_int_equal(unit_resident_pages(base, bytes), 0);
	assert_int_equal(unit_resident_pages(kept->base, bytes), 64);
	assert_int_equal(hk_counters_private.free_slice_pages, 0);
	assert_int_equal(unit_trim(), 0);
	hk_heap_give(kept);
	assert_int_equal(unit_trim(), bytes); /* released as a whole */
	assert_int_equal(n_superslabs(), 0);
}

static void purging_goes_superslab_by_superslab(void **state)
{
	struct hk_slab *kept[3], *gone[3];
	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		kept[i] = hk_heap_take(16);
		gone[i] = hk_heap_take(16);
		hk_run_touch(gone[i], 256);
	}
	for (unsigned i = 0; i < 3; i++)
		hk_heap_give(gone[i]);
	struct hk_superslab *first = hk_heap_walk(NULL);
	assert_int_equal(hk_heap_purge(first), MIB);
	assert_int_equal(hk_heap_purge(first), 0);
	while (first != NULL)
		first = hk_heap_walk(first);
	assert_int_equal(unit_trim(), 2 * MIB);
	for (unsigned i = 0; i < 3; i++)
		hk_heap_give(kept[i]);
	unit_trim();
	assert_int_equal(n_superslabs(), 0);
}

/* Whatever the kernel can do in one call: each page of the masks went back, and no other; what is locked stays, and is not
 * in the masks any more. */
static void pages_of_masks_go_back(void **state)
{
	static const uint16_t patterns[] = {0, 1, 0x8000, 0xffff, 0x5555, 0xaaaa, 0x8001, 0x7bde, 0x0ff0, 0xf0f1, 0xffff};
	(void)state;
	char *base = hk_os_map(HK_SUPERSLAB_BYTES, HK_SUPERSLAB_BYTES, "test");
	assert_non_null(base);
	for (unsigned round = 0; round < 2 * HK_COUNT(patterns); round++) {
		uint16_t masks[HK_SLICES], wanted[HK_SLICES];
		unsigned n_wanted = 0, locked = round < HK_COUNT(patterns) ? HK_SLICES : round % HK_SLICES;
		memset(base, 7, HK_SUPERSLAB_BYTES);
		for (unsigned i = 0; i < HK_SLICES; i++) {
			masks[i] = patterns[(i + round) % HK_COUNT(patterns)];
			wanted[i] = i != locked ? masks[i] : 0;
			n_wanted += hk_popcount64(wanted[i]);
		}
		if (locked != HK_SLICES && syscall(SYS_mlock, base + locked * HK_SLICE_BYTES, HK_SLICE_BYTES) != 0)
			break; /* no right to */
		assert_int_equal(hk_os_purge_pages(base, masks, HK_SLICES), n_wanted);
		assert_memory_equal(masks, wanted, sizeof masks);
		for (unsigned page = 0; page < HK_SLICES * HK_SLICE_PAGES; page++)
			assert_int_equal(base[page * HK_PAGE_BYTES], (wanted[page / 16] >> page % 16 & 1) != 0 ? 0 : 7);
		syscall(SYS_munlock, base, HK_SUPERSLAB_BYTES);
	}
	assert_true(hk_os_unmap(base, HK_SUPERSLAB_BYTES));
}

/* What madvise refused is not counted as returned, nor as known to be zero. */
static void trim_believes_a_refusal(void **state)
{
	struct hk_slab *kept = hk_heap_take(1), *gone = hk_heap_take(2);
	char *base = gone->base;
	(void)state;
	hk_run_touch(gone, 32);
	memset(base, 1, 2 * HK_SLICE_BYTES);
	if (syscall(SYS_mlock, base + HK_PAGE_BYTES, HK_PAGE_BYTES) != 0)
		skip();
	hk_heap_give(gone);
	unit_trim();
	assert_true(hk_counters_private.free_slice_pages >= (int64_t)unit_resident_pages(base, 2 * HK_SLICE_BYTES));
	gone = hk_heap_take(2);
	assert_ptr_equal(gone->base, base);
	assert_int_not_equal(hk_run_touch(gone, 2), 0);
	syscall(SYS_munlock, base, 2 * HK_SLICE_BYTES);
	hk_heap_give(gone);
	hk_heap_give(kept);
	unit_trim();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(units_are_zero_and_apart),
		cmocka_unit_test(a_unit_whose_purge_is_refused_is_zero_too),
		cmocka_unit_test(bumped_records_are_zero_and_aligned),
		cmocka_unit_test(runs_do_not_overlap),
		cmocka_unit_test(the_reserve_is_bounded),
		cmocka_unit_test(decay_halves_what_was_not_needed),
		cmocka_unit_test(decay_leaves_what_was_needed),
		cmocka_unit_test(a_pinned_superslab_stays),
		cmocka_unit_test(trim_purges_free_slices_alone),
		cmocka_unit_test(purging_goes_superslab_by_superslab),
		cmocka_unit_test(pages_of_masks_go_back),
		cmocka_unit_test(trim_believes_a_refusal),
	};
	return cmocka_run_group_tests_name("heap", tests, NULL, NULL);
}
