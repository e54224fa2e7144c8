/* SPDX-License-Identifier: MIT */
/* Mid and large blocks, and realloc across the pools. */
#include "tests/libhakmem/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "front/front.h"
#include "map/pagemap.h"
#include "os/pages.h"
#include "pools/large.h"
#include "pools/span.h"
#include "pools/mid.h"
#include "slabs/superslab.h"

static bool is_zero(const char *bytes, size_t n)
{
	while (n != 0 && bytes[n - 1] == 0)
		n--;
	return n == 0;
}

/* ---- mid ------------------------------------------------------------------------------------------------ */

static void mid_blocks_come_and_go(void **state)
{
	static struct { char *block; size_t bytes; } held[60];
	uint64_t seed = 21, total = 0;
	(void)state;
	for (unsigned round = 0; round < 5000; round++) {
		unsigned i = unit_below(&seed, HK_COUNT(held));
		if (held[i].block == NULL) {
			bool zero = false;
			held[i].bytes = HK_TINY_BYTES + 1 + unit_below(&seed, (unsigned)(HK_MID_BYTES - HK_TINY_BYTES));
			held[i].block = hk_mid_new(held[i].bytes, &zero);
			assert_int_equal((uintptr_t)held[i].block % HK_SLICE_BYTES, 0);
			assert_int_equal(hk_pagemap_kind(held[i].block), HK_KIND_MID);
			assert_true(!zero || round % 8 != 0 || is_zero(held[i].block, held[i].bytes));
			assert_int_equal(hk_mid_usable(held[i].block), hk_round_up(held[i].bytes, HK_PAGE_BYTES));
			total += hk_mid_usable(held[i].block);
		} else if (unit_below(&seed, 3) == 0) {
			size_t bytes = HK_TINY_BYTES + 1 + unit_below(&seed, (unsigned)(HK_MID_BYTES - HK_TINY_BYTES));
			size_t before = hk_mid_usable(held[i].block);
			assert_int_equal(held[i].block[held[i].bytes - 1], (char)i);
			bool ok = hk_mid_resize(held[i].block, bytes);
			assert_true(ok || bytes > held[i].bytes);
			held[i].bytes = ok ? bytes : held[i].bytes;
			total += hk_mid_usable(held[i].block) - before;
		} else {
			assert_int_equal(held[i].block[0], (char)i);
			assert_int_equal(held[i].block[held[i].bytes - 1], (char)i);
			total -= hk_mid_usable(held[i].block);
			assert_true(hk_mid_free(held[i].block));
			assert_false(hk_mid_free(held[i].block));
			assert_int_equal(hk_pagemap_kind(held[i].block), HK_KIND_NONE);
			held[i].block = NULL;
			continue;
		}
		held[i].block[0] = held[i].block[held[i].bytes - 1] = (char)i;
		assert_int_equal(hk_stats()->mid_bytes, total);
	}
	for (unsigned i = 0; i < HK_COUNT(held); i++)
		if (held[i].block != NULL)
			hk_mid_free(held[i].block);
	unit_flush_level(HAK_LEVEL_PAGES, NULL);
	assert_int_equal(hk_stats()->superslabs, 0);
	assert_int_equal(hk_counters_private.free_slice_pages, 0);
	assert_int_equal(hk_counters_private.tail_pages, 0);
}

/* Behind a block that is shorter than the one before it lie pages that nobody uses. */
static void the_tail_of_a_mid_block_goes_back(void **state)
{
	bool zero;
	(void)state;
	char *block = hk_mid_new(300 * KIB, &zero); /* 75 pages of 80 */
	memset(block, 1, 300 * KIB);
	assert_int_equal(hk_counters_private.tail_pages, 0);
	hk_mid_free(block);
	assert_ptr_equal(hk_mid_new(260 * KIB, &zero), block); /* 65 */
	assert_int_equal(hk_counters_private.tail_pages, 10);
	memset(block, 2, 260 * KIB);
	uint64_t releasable = hk_counters_releasable(), purged = hk_stats()->purged_bytes;
	unit_flush_level(HAK_LEVEL_CACHES, NULL);
	assert_int_equal(hk_counters_private.tail_pages, 10);
	unit_flush_level(HAK_LEVEL_PAGES, NULL);
	assert_int_equal(hk_counters_private.tail_pages, 0);
	assert_true(releasable >= 10 * HK_PAGE_BYTES);
	assert_int_equal(hk_stats()->purged_bytes - purged, 10 * HK_PAGE_BYTES);
	assert_int_equal(unit_resident_pages(block, 5 * HK_SLICE_BYTES), 65);
	assert_true(block[0] == 2 && block[260 * KIB - 1] == 2);
	/* a block that shrinks in place leaves a tail, one that grows takes it */
	assert_true(hk_mid_resize(block, 270 * KIB));
	memset(block, 3, 270 * KIB);
	assert_true(hk_mid_resize(block, 257 * KIB));
	assert_int_equal(hk_counters_private.tail_pages, 3);
	assert_true(hk_mid_resize(block, 265 * KIB));
	assert_int_equal(hk_counters_private.tail_pages, 1);
	assert_true(hk_mid_resize(block, 200 * KIB)); /* a slice less */
	assert_int_equal(hk_counters_private.tail_pages, 14);
	unit_assert_conserved();
	hk_mid_free(block);
	assert_int_equal(hk_counters_private.tail_pages, 0);
	unit_assert_conserved();
}

static void a_mid_block_refuses_what_is_not_its_range(void **state)
{
	bool zero;
	char *block = hk_mid_new(200000, &zero);
	(void)state;
	assert_false(hk_mid_resize(block, HK_TINY_BYTES));
	assert_false(hk_mid_resize(block, HK_MID_BYTES + 1));
	assert_false(hk_mid_free(block + 8));
	assert_int_equal(hk_pagemap_kind(block + HK_SLICE_BYTES), HK_KIND_NONE);
	assert_true(hk_mid_free(block));
}

/* ---- large ---------------------------------------------------------------------------------------------- */

static void a_freed_large_block_serves_the_next(void **state)
{
	bool zero = false;
	(void)state;
	char *block = hk_large_new(8 * MIB, 1, &zero);
	assert_true(zero && is_zero(block, 8 * MIB));
	assert_int_equal((uintptr_t)block % HK_SUPERSLAB_BYTES, 0);
	memset(block, 1, 8 * MIB);
	assert_true(hk_large_free(block));
	assert_false(hk_large_contains(block));
	assert_int_equal(hk_stats()->large_cached_bytes, 8 * MIB);
	char *same = hk_large_new(8 * MIB - 100 * KIB, 1, &zero);
	assert_ptr_equal(same, block);
	assert_false(zero);
	assert_int_equal(hk_large_usable(same), 8 * MIB - 100 * KIB);
	assert_int_equal(hk_stats()->large_cached_bytes, 0);
	hk_large_free(same);
	assert_int_not_equal(hk_span_oldest(), UINT64_MAX);
	assert_int_equal(hk_span_trim(0), 0);
	assert_int_equal(hk_span_trim(UINT64_MAX), 8 * MIB - 100 * KIB);
	assert_int_equal(hk_span_oldest(), UINT64_MAX);
	assert_int_equal(hk_stats()->large_cached_bytes + hk_stats()->large_bytes, 0);
}

/* A span is cut from the front, its parts serve and grow, and in the end it is whole again. */
static void a_span_is_cut_and_grows_together(void **state)
{
	bool zero;
	uint64_t mapped = hk_stats()->mapped_bytes;
	(void)state;
	char *whole = hk_large_new(32 * MIB, 1, &zero);
	memset(whole, 1, 32 * MIB);
	hk_large_free(whole);
	char *first = hk_large_new(2 * MIB, 1, &zero);
	assert_ptr_equal(first, whole);
	char *second = hk_large_new(5 * MIB, 1, &zero);
	assert_ptr_equal(second, whole + 2 * MIB);
	/* the last MiB of its region would be waste */
	assert_int_equal(hk_stats()->large_cached_bytes, 24 * MIB);
	assert_true(is_zero(second + 5 * MIB, MIB));
	/* in place: into the rest of the region, then into the span behind; what was there is still there */
	assert_ptr_equal(hk_large_resize(second, 6 * MIB), second);
	assert_ptr_equal(hk_large_resize(second, 20 * MIB), second);
	assert_true(second[5 * MIB - 1] == 1 && second[20 * MIB - 1] == 1);
	assert_int_equal(hk_stats()->large_bytes, 22 * MIB);
	assert_int_equal(hk_stats()->large_cached_bytes, 10 * MIB);
	/* the neighbour is in the way of the first, which moves */
	memset(first, 2, 2 * MIB);
	char *moved = hk_large_resize(first, 12 * MIB);
	assert_non_null(moved);
	assert_true(moved != first && moved[2 * MIB - 1] == 2);
	/* shrinking gives whole regions to a span, pages to the kernel */
	assert_ptr_equal(hk_large_resize(second, 9 * MIB), second);
	assert_int_equal(hk_stats()->large_cached_bytes, 20 * MIB);
	assert_true(is_zero(second + 9 * MIB, MIB));
	hk_large_free(second);
	hk_large_free(moved);
	char *again = hk_large_new(30 * MIB, 1, &zero); /* what the first left is gone with its pages */
	assert_ptr_equal(again, second);
	assert_false(zero);
	hk_large_free(again);
	hk_span_trim(UINT64_MAX);
	assert_int_equal(hk_stats()->mapped_bytes, mapped);
	assert_int_equal(hk_stats()->large_cached_bytes + hk_stats()->large_bytes, 0);
}

/* Where no span is large enough, one with pages is made so. */
static void a_span_with_pages_is_made_larger(void **state)
{
	bool zero = true;
	(void)state;
	char *block = hk_large_new(6 * MIB, 1, &zero);
	memset(block, 3, 6 * MIB);
	hk_large_free(block);
	char *larger = hk_large_new(16 * MIB, 1, &zero);
	assert_false(zero);
	assert_true(larger[0] == 3 && larger[6 * MIB - 1] == 3 && is_zero(larger + 6 * MIB, 10 * MIB));
	assert_int_equal(hk_stats()->large_cached_bytes, 0);
	assert_int_equal(hk_stats()->large_bytes, 16 * MIB);
	hk_large_free(larger);
	char *huge = hk_large_new(65 * MIB, 1, &zero); /* 16 MiB of pages are too few for that */
	assert_true(zero);
	hk_large_free(huge);
	hk_span_trim(UINT64_MAX);
	unit_assert_conserved();
}

static void spans_are_bounded_and_the_oldest_goes(void **state)
{
	static void *held[100];
	bool zero;
	(void)state;
	for (unsigned i = 0; i < 100; i++)
		held[i] = hk_large_new(6 * MIB + HK_PAGE_BYTES, 1, &zero); /* no two are neighbours */
	for (unsigned i = 0; i < 75; i++)
		hk_large_free(held[i]);
	/* as much as the program still has, not less and hardly more */
	assert_in_range(hk_stats()->large_cached_bytes, 140 * MIB, 151 * MIB);
	for (unsigned i = 75; i < 100; i++)
		hk_large_free(held[i]);
	assert_in_range(hk_stats()->large_cached_bytes, 58 * MIB, 64 * MIB);
	for (unsigned i = 0; i < 100; i++)
		held[i] = hk_large_new(1100 * KIB, 1, &zero);
	hk_span_trim(UINT64_MAX);
	for (unsigned i = 0; i < 100; i++)
		hk_large_free(held[i]);
	assert_in_range(hk_stats()->large_cached_bytes, 1100 * KIB, 64 * 1100 * KIB);
	uint64_t cached = hk_stats()->large_cached_bytes;
	char *huge = hk_large_new(65 * MIB, 1, &zero);
	hk_large_free(huge);
	assert_int_equal(hk_stats()->large_cached_bytes, cached);
	hk_span_trim(UINT64_MAX);
	assert_int_equal(hk_stats()->large_cached_bytes, 0);
}

static void a_resized_block_keeps_bytes_and_alignment(void **state)
{
	uint64_t seed = 22;
	bool zero;
	size_t bytes = 2 * MIB;
	uint64_t *block = hk_large_new(bytes, 1, &zero);
	char *wall = NULL;
	(void)state;
	for (unsigned round = 0; round < 200; round++) {
		for (size_t i = 0; i < bytes / 8; i += 512)
			block[i] = i + round;
		block[bytes / 8 - 1] = round;
		size_t want = MIB + HK_PAGE_BYTES * unit_below(&seed, 8000);
		if (round % 5 == 0) /* something right behind it, so that it must move */
			wall = mmap((char *)block + hk_large_usable(block), HK_PAGE_BYTES, PROT_NONE,
				    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
		uint64_t *moved = hk_large_resize(block, want);
		assert_non_null(moved);
		assert_int_equal((uintptr_t)moved % HK_SUPERSLAB_BYTES, 0);
		if (moved != block) {
			assert_int_equal(hk_pagemap_kind(block), HK_KIND_NONE);
			assert_false(hk_large_contains(block));
		}
		for (size_t i = 0; i < HK_MIN(bytes, want) / 8; i += 512)
			assert_int_equal(moved[i], i + round);
		if (want >= bytes)
			assert_int_equal(moved[bytes / 8 - 1], round);
		block = moved;
		bytes = want;
		assert_int_equal(hk_large_usable(block), bytes);
		assert_int_equal(hk_stats()->large_bytes, bytes);
		assert_true(hk_large_contains((char *)block + bytes - 1));
		if (wall != NULL && wall != MAP_FAILED)
			munmap(wall, HK_PAGE_BYTES);
		wall = NULL;
	}
	hk_large_free(block);
	hk_span_trim(UINT64_MAX);
	unit_assert_conserved();
}

static void a_large_block_contains_its_inside_alone(void **state)
{
	bool zero;
	char *block = hk_large_new(5 * MIB, 1, &zero);
	(void)state;
	for (size_t at = 0; at < 5 * MIB; at += 60 * KIB + 1)
		assert_true(hk_large_contains(block + at));
	assert_false(hk_large_contains(block + 5 * MIB));
	assert_false(hk_large_contains(block - 1));
	assert_false(hk_large_free(block + 16));
	assert_true(hk_large_free(block));
	hk_span_trim(UINT64_MAX);
}

static void alignments_are_kept(void **state)
{
	(void)state;
	for (size_t alignment = 16; alignment <= 64 * MIB; alignment *= 2)
		for (size_t bytes = 1; bytes < 3 * MIB; bytes = bytes * 5 + 3) {
			char *block = hk_memalign(alignment, bytes);
			assert_int_equal((uintptr_t)block % alignment, 0);
			assert_true(hk_usable("test", block) >= bytes);
			block[0] = block[bytes - 1] = 1;
			hk_free(block);
		}
}

/* ---- realloc -------------------------------------------------------------------------------------------- */

static void realloc_keeps_bytes_across_the_pools(void **state)
{
	uint64_t seed = 23;
	size_t bytes = 1;
	unsigned char *block = hk_malloc(1);
	(void)state;
	for (unsigned round = 0; round < 3000; round++) {
		static const unsigned tops[] = {16, 200, 1024, 9000, 70000, 300000, 1100000, 5000000};
		size_t want = 1 + unit_below(&seed, tops[unit_below(&seed, HK_COUNT(tops))]);
		block[0] = block[bytes - 1] = block[bytes / 2] = (unsigned char)round;
		unsigned char *next = hk_realloc(block, want);
		assert_non_null(next);
		assert_int_equal(next[0], (unsigned char)round);
		if (bytes / 2 < want)
			assert_int_equal(next[bytes / 2], (unsigned char)round);
		if (bytes <= want)
			assert_int_equal(next[bytes - 1], (unsigned char)round);
		assert_true(hk_usable("test", next) >= want);
		block = next;
		bytes = want;
	}
	hk_free(block);
	unit_assert_conserved();
}

static void calloc_is_zero_whatever_was_there(void **state)
{
	uint64_t seed = 24;
	(void)state;
	for (unsigned round = 0; round < 1500; round++) {
		static const unsigned tops[] = {200, 9000, 70000, 500000, 3000000};
		size_t bytes = 1 + unit_below(&seed, tops[unit_below(&seed, round % 50 == 0 ? 5 : 4)]);
		char *block = hk_calloc(1, bytes);
		assert_true(is_zero(block, bytes));
		memset(block, 0x5a, hk_usable("test", block));
		hk_free(block);
		if (round % 100 == 0)
			unit_flush_level(round % 4, NULL);
	}
	hk_threads_set_frugal(0);
}

static void sizes_beyond_reason_are_refused(void **state)
{
	void *block = hk_malloc(100);
	(void)state;
	static const size_t sizes[] = {SIZE_MAX, SIZE_MAX - 4096, (size_t)PTRDIFF_MAX + 1, (size_t)PTRDIFF_MAX, (size_t)1 << 47};
	for (unsigned i = 0; i < HK_COUNT(sizes); i++) {
		errno = 0;
		assert_null(hk_malloc(sizes[i]));
		assert_int_equal(errno, ENOMEM);
		assert_null(hk_realloc(block, sizes[i]));
		assert_null(hk_calloc(sizes[i], 1));
		assert_null(hk_memalign(4096, sizes[i]));
	}
	assert_null(hk_calloc(SIZE_MAX / 2, 3));
	assert_null(hk_memalign((size_t)1 << 62, 1));
	hk_free(block);
}

static void resize_inside_mid(void *arg)
{
	hk_realloc((char *)arg + 64, 300000);
}

static void resize_inside_large(void *arg)
{
	hk_realloc((char *)arg + 64, 9 * MIB);
}

static void realloc_of_an_inside_is_refused(void **state)
{
	void *mid = hk_malloc(200000), *large = hk_malloc(4 * MIB);
	(void)state;
	unit_assert_aborts(resize_inside_mid, mid, "hakmem: realloc(): invalid pointer");
	unit_assert_aborts(resize_inside_large, large, "hakmem: realloc(): invalid pointer");
	hk_free(mid);
	hk_free(large);
}

static bool is_mapped(const void *address)
{
	unsigned char present;
	return mincore((void *)(uintptr_t)address, 4096, &present) == 0;
}

/* Bytes of address space, and of those that the data limit counts; without stdio, which would want memory. */
static size_t mapped_bytes(size_t *ret_data)
{
	char text[100] = "", *at = text;
	size_t pages[6] = {0};
	int fd = open("/proc/self/statm", O_RDONLY);
	assert_true(read(fd, text, sizeof text - 1) > 0);
	close(fd);
	for (unsigned i = 0; i < HK_COUNT(pages); i++)
		pages[i] = strtoul(at, &at, 10);
	*ret_data = pages[5] * 4096;
	return pages[0] * 4096;
}

/* A move that fails for want of memory: in a child, whose limit is its own. */
static void move_without_memory(void *arg)
{
	char *block = hk_malloc(4 * MIB);
	size_t data, before = mapped_bytes(&data);
	struct rlimit little = {data + MIB, data + MIB};
	(void)arg;
	block[0] = 17;
	block[4 * MIB - 1] = 18;
	setrlimit(RLIMIT_DATA, &little);
	for (unsigned i = 0; i < 20; i++)
		if (hk_large_resize(block, 40 * MIB) != NULL)
			_exit(1);
	size_t after = mapped_bytes(&data);
	if (block[0] != 17 || block[4 * MIB - 1] != 18 || hk_usable("test", block) != 4 * MIB)
		_exit(2);
	/* neither the block's addresses nor those of a reservation are lost */
	_exit(after > before + 40 * MIB || after < before ? 3 : 0);
}

static void a_move_that_fails_leaves_all_as_it_was(void **state)
{
	(void)state;
	unit_needs_limits();
	assert_int_equal(unit_in_child(move_without_memory, NULL), 0);
}

/* A reservation ends only as long as it is one: what others mapped there meanwhile stays. */
static void a_reservation_that_is_gone_is_not_unmapped(void **state)
{
	int owner = 0, other = 0;
	char *target = hk_os_reserve(4 * MIB, 2 * MIB, &owner);
	(void)state;
	assert_non_null(target);
	hk_os_unreserve(target, 4 * MIB, &other);
	assert_true(is_mapped(target));
	hk_os_unreserve(target, 4 * MIB, &owner);
	assert_false(is_mapped(target));
	hk_os_unreserve(target, 4 * MIB, &owner);
	assert_ptr_equal(mmap(target, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE,
			      -1, 0), target);
	hk_os_unreserve(target, 4 * MIB, &owner);
	assert_true(is_mapped(target));
	munmap(target, 4096);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(mid_blocks_come_and_go, unit_flush),
		cmocka_unit_test_setup(the_tail_of_a_mid_block_goes_back, unit_flush),
		cmocka_unit_test_setup(a_mid_block_refuses_what_is_not_its_range, unit_flush),
		cmocka_unit_test_setup(a_freed_large_block_serves_the_next, unit_flush),
		cmocka_unit_test_setup(a_span_is_cut_and_grows_together, unit_flush),
		cmocka_unit_test_setup(a_span_with_pages_is_made_larger, unit_flush),
		cmocka_unit_test_setup(spans_are_bounded_and_the_oldest_goes, unit_flush),
		cmocka_unit_test_setup(a_resized_block_keeps_bytes_and_alignment, unit_flush),
		cmocka_unit_test_setup(a_large_block_contains_its_inside_alone, unit_flush),
		cmocka_unit_test_setup(alignments_are_kept, unit_flush),
		cmocka_unit_test_setup(realloc_keeps_bytes_across_the_pools, unit_flush),
		cmocka_unit_test_setup(calloc_is_zero_whatever_was_there, unit_flush),
		cmocka_unit_test_setup(sizes_beyond_reason_are_refused, unit_flush),
		cmocka_unit_test_setup(realloc_of_an_inside_is_refused, unit_flush),
		cmocka_unit_test_setup(a_move_that_fails_leaves_all_as_it_was, unit_flush),
		cmocka_unit_test(a_reservation_that_is_gone_is_not_unmapped),
	};
	return cmocka_run_group_tests_name("pools", tests, unit_setup, NULL);
}
