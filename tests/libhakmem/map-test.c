/* SPDX-License-Identifier: MIT */
/* Size classes and the page map. */
#include "tests/libhakmem/unit.h"

#include <sys/mman.h>

#include "map/pagemap.h"
#include "os/pages.h"
#include "slabs/slab.h"

/* ---- classes ------------------------------------------------------------------------------------------- */

static void every_size_gets_the_smallest_class(void **state)
{
	unsigned smallest = 0;
	(void)state;
	for (size_t bytes = 0; bytes <= HK_TINY_BYTES; bytes++) {
		while (hk_class_info[smallest].block_bytes < bytes)
			smallest++;
		assert_int_equal(hk_class_of(bytes), smallest);
	}
	assert_int_equal(smallest, HK_CLASSES - 1);
	for (unsigned c = 1; c < HK_CLASSES; c++)
		assert_true(hk_class_info[c].block_bytes > hk_class_info[c - 1].block_bytes);
}

static void own_sizes_get_the_smallest_own_class(void **state)
{
	unsigned smallest = HK_CLASSES;
	(void)state;
	for (size_t bytes = 1; bytes <= 16 * KIB; bytes++) {
		while (hk_class_info[smallest].block_bytes < bytes)
			smallest++;
		assert_int_equal(hk_class_own(bytes), smallest);
	}
	assert_int_equal(smallest, HK_CLASSES_ALL - 1);
}

static void slabs_hold_what_the_table_says(void **state)
{
	(void)state;
	for (unsigned c = 0; c < HK_CLASSES_ALL; c++) {
		const struct hk_class_info *info = &hk_class_info[c];
		uint32_t slab_bytes = info->n_slices * HK_SLICE_BYTES;
		assert_int_equal(info->n_blocks, slab_bytes / info->block_bytes);
		assert_true(info->n_blocks >= 8 && info->n_blocks <= HK_SLAB_BLOCKS_MAX);
		/* little is left behind the last block of a slab, and nothing behind a SuperSlab's last slab */
		assert_true(11 * info->n_blocks * info->block_bytes >= 10 * slab_bytes);
		assert_int_equal(HK_SLICES % info->n_slices, 0);
		/* the bins: a slab that is wholly free is in the last one, where it is looked for */
		assert_true(3 * info->quarter < info->n_blocks);
	}
}

static void reciprocals_find_every_block_and_nothing_else(void **state)
{
	(void)state;
	for (unsigned c = 0; c < HK_CLASSES_ALL; c++) {
		const struct hk_class_info *info = &hk_class_info[c];
		for (uint64_t offset = 0; offset < info->n_slices * HK_SLICE_BYTES; offset++) {
			uint64_t index = (offset * info->reciprocal) >> 32;
			bool start = index * info->block_bytes == offset;
			bool low = (uint32_t)(offset * info->reciprocal) < info->reciprocal;
			if (start != (offset % info->block_bytes == 0) || (start && index != offset / info->block_bytes) ||
			    (offset < HK_SLICE_BYTES && low != start))
				fail_msg("class %u: offset %lu", c, offset);
		}
	}
}

static void aligned_classes_are_the_smallest_that_fit(void **state)
{
	(void)state;
	for (size_t alignment = 1; alignment <= 2 * HK_SLICE_BYTES; alignment *= 2)
		for (size_t bytes = 0; bytes <= HK_TINY_BYTES + 1; bytes += bytes < 2000 ? 1 : 61) {
			unsigned wanted = 0;
			while (wanted < HK_CLASSES && (hk_class_info[wanted].block_bytes < bytes ||
						       hk_class_info[wanted].block_bytes % alignment != 0))
				wanted++;
			if (alignment > HK_SLICE_BYTES)
				wanted = HK_CLASSES;
			assert_int_equal(hk_class_of_aligned(bytes, alignment), wanted);
		}
}

/* ---- page map ------------------------------------------------------------------------------------------ */

static void strangers_are_nobodys(void **state)
{
	int local;
	(void)state;
	assert_int_equal(hk_pagemap_kind(NULL), HK_KIND_NONE);
	assert_int_equal(hk_pagemap_kind(&local), HK_KIND_NONE);
	assert_int_equal(hk_pagemap_kind((void *)UINTPTR_MAX), HK_KIND_NONE);
	assert_int_equal(hk_pagemap_kind((void *)((uintptr_t)1 << 48)), HK_KIND_NONE);
	assert_int_equal(hk_pagemap_kind((void *)(((uintptr_t)1 << 48) - 1)), HK_KIND_NONE);
}

static void kinds_end_where_they_should(void **state)
{
	char *base = hk_os_reserve(HK_SUPERSLAB_BYTES, HK_SUPERSLAB_BYTES, &hk_counters_home);
	(void)state;
	assert_non_null(base);
	assert_int_equal((uintptr_t)base % HK_SUPERSLAB_BYTES, 0);
	assert_true(hk_pagemap_cover(base, HK_SUPERSLAB_BYTES));
	hk_pagemap_set_owner(base, 0x1000);
	hk_pagemap_set_kind(base + 3 * HK_SLICE_BYTES, 2, hk_kind_of_class(7));
	for (unsigned i = 0; i < HK_SLICES; i++) {
		unsigned wanted = i == 3 || i == 4 ? hk_kind_of_class(7) : HK_KIND_NONE;
		assert_int_equal(hk_pagemap_kind(base + i * HK_SLICE_BYTES), wanted);
		assert_int_equal(hk_pagemap_kind(base + (i + 1) * HK_SLICE_BYTES - 1), wanted);
		assert_int_equal(hk_pagemap_owner(base + (i + 1) * HK_SLICE_BYTES - 1), 0x1000);
	}
	hk_pagemap_set_kind(base + 3 * HK_SLICE_BYTES, 2, HK_KIND_NONE);
	/* a large block's owner is never taken for a SuperSlab's, nor the reverse */
	assert_null(hk_pagemap_large(base));
	assert_int_equal((uintptr_t)hk_pagemap_superslab(base), 0x1000);
	hk_pagemap_set_owner(base, 0x1000 | HK_OWNER_LARGE);
	assert_null(hk_pagemap_superslab(base));
	assert_int_equal((uintptr_t)hk_pagemap_large(base), 0x1000);
	hk_pagemap_set_owner(base, 0);
	assert_int_equal(hk_pagemap_kind(base + 3 * HK_SLICE_BYTES), HK_KIND_NONE);
	hk_os_unmap(base, HK_SUPERSLAB_BYTES);
}

static const struct hk_pagemap_window *window_of(uintptr_t address)
{
	return hk_pagemap_find(address >> HK_SLICE_SHIFT);
}

/* The heap begins where the first window has room below; the two entries of its first region share an OS page. */
static void home_is_laid_around_the_first_memory(void **state)
{
	char *base = hk_os_reserve(HK_SUPERSLAB_BYTES, HK_SUPERSLAB_BYTES, &hk_counters_home);
	(void)state;
	assert_true(hk_pagemap_cover(base, HK_SUPERSLAB_BYTES));
	struct hk_pagemap_window *home = atomic_load(&hk_pagemap_home);
	uintptr_t slice = hk_pagemap_slice(base);
	assert_ptr_equal(window_of((uintptr_t)base), home);
	assert_ptr_equal(window_of((uintptr_t)base - ((uintptr_t)60 << 30)), home);
	assert_int_equal((uintptr_t)hk_pagemap_kind_at(home, slice) / HK_PAGE_BYTES,
			 (uintptr_t)hk_pagemap_owner_at(home, slice) / HK_PAGE_BYTES);
	hk_os_unmap(base, HK_SUPERSLAB_BYTES);
}

static void a_boundary_is_covered_on_both_sides(void **state)
{
	uintptr_t boundary = (uintptr_t)5 << HK_PAGEMAP_WINDOW_SHIFT; /* nothing of this process lies there */
	char *base = (char *)boundary - HK_SUPERSLAB_BYTES;
	(void)state;
	assert_null(window_of(boundary - 1));
	assert_null(window_of(boundary));
	assert_true(hk_pagemap_cover(base, HK_SUPERSLAB_BYTES));
	assert_non_null(window_of(boundary - 1));
	assert_null(window_of(boundary));
	assert_true(hk_pagemap_cover(base, HK_SUPERSLAB_BYTES + 1));
	assert_non_null(window_of(boundary));
	assert_false(hk_pagemap_cover((void *)(((uintptr_t)1 << 48) - HK_PAGE_BYTES), 2 * HK_PAGE_BYTES));
}

/* Entries of regions on both sides of an address are their own, and found from anywhere in them. */
static void entries_meet_at(uintptr_t boundary)
{
	char *base = (char *)boundary - HK_SUPERSLAB_BYTES;
	assert_true(hk_pagemap_cover(base, 2 * HK_SUPERSLAB_BYTES));
	assert_ptr_not_equal(window_of(boundary - 1), window_of(boundary));
	for (unsigned i = 0; i < 2; i++) {
		hk_pagemap_set_owner(base + i * HK_SUPERSLAB_BYTES, 0x1000 * (i + 1));
		hk_pagemap_set_kind(base + i * HK_SUPERSLAB_BYTES, HK_SLICES, hk_kind_of_class(i));
	}
	for (unsigned i = 0; i < 2 * HK_SLICES; i++) {
		assert_int_equal(hk_pagemap_kind(base + i * HK_SLICE_BYTES), hk_kind_of_class(i / HK_SLICES));
		assert_int_equal(hk_pagemap_owner(base + i * HK_SLICE_BYTES), 0x1000 * (i / HK_SLICES + 1));
	}
	for (unsigned i = 0; i < 2; i++) {
		hk_pagemap_set_owner(base + i * HK_SUPERSLAB_BYTES, 0);
		hk_pagemap_set_kind(base + i * HK_SUPERSLAB_BYTES, HK_SLICES, HK_KIND_NONE);
	}
}

static void home_meets_its_neighbours(void **state)
{
	uintptr_t end_slice = atomic_load(&hk_pagemap_home)->end_slice;
	(void)state;
	entries_meet_at(end_slice << HK_SLICE_SHIFT);
	entries_meet_at((end_slice - HK_PAGEMAP_WINDOW_SLICES) << HK_SLICE_SHIFT);
	entries_meet_at((uintptr_t)9 << HK_PAGEMAP_WINDOW_SHIFT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_size_gets_the_smallest_class),
		cmocka_unit_test(own_sizes_get_the_smallest_own_class),
		cmocka_unit_test(slabs_hold_what_the_table_says),
		cmocka_unit_test(reciprocals_find_every_block_and_nothing_else),
		cmocka_unit_test(aligned_classes_are_the_smallest_that_fit),
		cmocka_unit_test(strangers_are_nobodys),
		cmocka_unit_test(kinds_end_where_they_should),
		cmocka_unit_test(home_is_laid_around_the_first_memory),
		cmocka_unit_test(a_boundary_is_covered_on_both_sides),
		cmocka_unit_test(home_meets_its_neighbours),
	};
	return cmocka_run_group_tests_name("map", tests, NULL, NULL);
}
