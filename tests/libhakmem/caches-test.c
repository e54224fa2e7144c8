/* SPDX-License-Identifier: MIT */
/* Cold and hot magazines: growth, budget, what they count, thread exit. */
#include "tests/libhakmem/unit.h"

#include <pthread.h>
#include <unistd.h>

#include "caches/loan.h"
#include "caches/thread_internal.h"
#include "front/front.h"

#define CLASS_1K 63u

static uint32_t hot_of(unsigned class_idx)
{
	return hk_classes[class_idx].n_hot;
}

static struct hk_magazine *magazine_of(unsigned class_idx)
{
	return &atomic_load(&hk_self->set)->magazines[class_idx];
}

static uint32_t capacity_of(unsigned class_idx)
{
	return hk_hot_capacity(class_idx, magazine_of(class_idx)->step);
}

static void run_thread(void *(*body)(void *), void *arg)
{
	pthread_t thread;
	assert_int_equal(pthread_create(&thread, NULL, body, arg), 0);
	pthread_join(thread, NULL);
}

/* Allocate and free `n` blocks, so that the magazine runs empty and full. */
static void tide(size_t bytes, unsigned n)
{
	static __thread void *blocks[8192];
	for (unsigned i = 0; i < n; i++)
		blocks[i] = hk_malloc(bytes);
	for (unsigned i = 0; i < n; i++)
		hk_free(blocks[i]);
}

/* ---- hot ------------------------------------------------------------------------------------------------ */

static void small_magazines_start_at_once_large_ones_later(void **state)
{
	(void)state;
	unit_own_slab(16);
	void *small = hk_malloc(16), *large[100];
	unsigned n = 0;
	assert_int_equal(capacity_of(0), 7);
	while (capacity_of(CLASS_1K) == 0 && n < HK_COUNT(large))
		large[n++] = hk_malloc(1024);
	assert_true(n > 10);
	assert_int_equal(capacity_of(CLASS_1K), 2); /* in slots it could be 7, in bytes it is the least */
	hk_free(small);
	while (n != 0)
		hk_free(large[--n]);
}

static void magazines_climb_the_ladder_within_the_budget(void **state)
{
	static const uint32_t ladder[] = {0, 7, 31, 127, 511, 2047, 16383};
	unsigned step = 0;
	(void)state;
	for (unsigned i = 0; i < 40; i++) {
		tide(16, 4000);
		uint32_t capacity = capacity_of(0);
		while (ladder[step] < capacity)
			step++;
		assert_int_equal(ladder[step], capacity); /* never down, and nothing between */
	}
	assert_int_equal(capacity_of(0), 16383);
	for (unsigned c = 0; c < HK_CLASSES; c++)
		for (unsigned i = 0; i < 8; i++)
			tide(hk_class_info[c].block_bytes, 600);
	uint64_t bytes = 0;
	for (unsigned c = 0; c < HK_CLASSES; c++) {
		bytes += (uint64_t)capacity_of(c) * hk_class_info[c].block_bytes;
		assert_true((uint64_t)capacity_of(c) * hk_class_info[c].block_bytes <= MIB);
	}
	assert_int_equal(bytes, hk_self->budget_used);
	assert_true(bytes <= 3 * MIB);
	assert_true(bytes > 2 * MIB);
	/* the budget is used up, and yet a class that comes into use gets its share: others give theirs */
	assert_true(capacity_of(0) < 16383);
	for (uint64_t end = hk_clock_nsec() + 10000000000u; capacity_of(0) != 16383 && hk_clock_nsec() < end;)
		tide(16, 4000);
	assert_int_equal(capacity_of(0), 16383);
	assert_true(hk_self->budget_used <= 3 * MIB);
}

/* Steps that allow no more blocks of a size than the one before would be the end of the ladder. */
static void magazines_of_the_largest_blocks_climb_too(void **state)
{
	(void)state;
	for (unsigned c = hk_class_of(8192); c < HK_CLASSES; c++) {
		for (unsigned i = 0; i < 150; i++)
			tide(hk_class_info[c].block_bytes, 40);
		assert_true(capacity_of(c) >= 8);
		hk_flush_run(HAK_LEVEL_PAGES, SIZE_MAX, UINT64_MAX, NULL);
	}
}

static void with_the_budget_used_up_magazines_grow_seldom(void **state)
{
	const uint64_t least_nsec = 10000000;
	uint64_t last = 0, n_grown = 0;
	(void)state;
	for (unsigned i = 0; i < 40; i++)
		for (unsigned c = 0; c < HK_CLASSES; c++)
			tide(hk_class_info[c].block_bytes, 600);
	for (unsigned i = 0; i < 20000 && n_grown < 5; i++) {
		uint64_t before = hk_self->room_nsec;
		tide(hk_class_info[i % 40].block_bytes, 600);
		if (hk_self->room_nsec == before)
			continue;
		assert_true(hk_self->room_nsec - last >= least_nsec);
		last = hk_self->room_nsec;
		n_grown++;
	}
	assert_int_equal(n_grown, 5);
}

/* Let the classes from 1 on use the budget up, until nothing that idles is left to take from. */
static void fill_budget(void)
{
	for (unsigned i = 0; i < 20; i++)
		for (unsigned c = 1; c < HK_CLASSES; c++)
			tide(hk_class_info[c].block_bytes, 600);
}

static void who_missed_lately_is_spared_once(void **state)
{
	uint32_t before[HK_CLASSES];
	unsigned n_shrunk = 0;
	(void)state;
	fill_budget();
	struct hk_set *set = atomic_load(&hk_self->set);
	for (unsigned c = 1; c < HK_CLASSES; c++) {
		before[c] = capacity_of(c);
		set->magazines[c].misses = c % 2; /* every other class idles */
	}
	hk_self->hand = 1;
	hk_self->room_nsec = 0;
	while (hk_self->room_nsec == 0)
		tide(16, 4000);
	for (unsigned c = 1; c < HK_CLASSES; c++) {
		assert_true(c % 2 == 0 || capacity_of(c) == before[c]);
		n_shrunk += capacity_of(c) < before[c];
	}
	assert_true(n_shrunk != 0);
}

/* The board's word: a busy thread keeps within it, a few magazines at a time, and grows again once it is gone. */
static void a_limit_shrinks_what_is_there(void **state)
{
	uint64_t before;
	(void)state;
	for (unsigned c = 0; c < 20; c++)
		for (unsigned i = 0; i < 20; i++)
			tide(hk_class_info[c].block_bytes, 2000);
	before = hk_self->budget_used;
	assert_true(before > 256 * KIB);
	hk_caches_limit(64 * KIB, MIB);
	for (unsigned i = 0; i < 200; i++)
		tide(2048, 64); /* slow paths of one class are enough */
	assert_true(hk_self->budget_used <= 64 * KIB);
	hk_caches_limit(0, 0);
	for (unsigned i = 0; i < 20; i++)
		tide(16, 4000);
	assert_int_equal(capacity_of(0), 16383);
	unit_assert_conserved();
}

static void a_flushed_set_starts_small_again(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 20; i++)
		tide(16, 2000);
	assert_true(capacity_of(0) >= 511);
	unit_flush_level(HAK_LEVEL_CACHES, NULL);
	assert_ptr_equal(atomic_load(&hk_self->set), &hk_set_none);
	hk_free(hk_malloc(16));
	assert_int_equal(capacity_of(0), 7);
	assert_true(hk_self->budget_used <= 8 * 16);
}

static void after_a_flush_of_everything_magazines_stay_small(void **state)
{
	(void)state;
	unit_flush_level(HAK_LEVEL_EVERYTHING, NULL);
	for (unsigned i = 0; i < 20; i++)
		tide(16, 2000);
	assert_int_equal(capacity_of(0), 7);
	hk_threads_set_frugal(0);
	for (unsigned i = 0; i < 20; i++)
		tide(16, 2000);
	assert_true(capacity_of(0) > 8);
}

/* What owners said: after a slow path the class knows exactly what the magazine holds. */
static void slow_paths_tell_what_is_hot(void **state)
{
	uint64_t seed = 11;
	void *blocks[512] = {0};
	(void)state;
	for (unsigned round = 0; round < 50000; round++) {
		unsigned i = unit_below(&seed, 512);
		if (blocks[i] != NULL)
			hk_free(blocks[i]);
		blocks[i] = blocks[i] != NULL ? NULL : hk_malloc(64);
		const struct hk_set *set = atomic_load(&hk_self->set);
		assert_int_equal(set->magazines[3].reported, hot_of(3));
	}
	const struct hk_magazine *magazine = magazine_of(3);
	while (hk_magazine_count(magazine, 3) != 0)
		hk_malloc(64);
	hk_malloc(64);
	assert_int_equal(hk_magazine_count(magazine, 3), hot_of(3));
	for (unsigned i = 0; i < 512; i++)
		hk_free(blocks[i]);
}

static void handed_out_in_the_order_of_addresses(void **state)
{
	(void)state;
	unit_own_slab(48);
	char *previous = hk_malloc(48);
	for (unsigned i = 0; i < 1000; i++) {
		char *next = hk_malloc(48);
		assert_ptr_equal(next, previous + 48);
		previous = next;
	}
}

/* Let the magazine for 16 bytes climb to a step, by tides that are `n` high. */
static void climb(uint32_t capacity, unsigned n)
{
	unit_flush_level(HAK_LEVEL_CACHES, NULL);
	for (unsigned i = 0; i < 1000 && capacity_of(0) < capacity; i++)
		tide(16, n);
	assert_int_equal(capacity_of(0), capacity);
}

/* Free into the magazine for 16 bytes until it is full, and once more; is its oldest block still there? */
static bool spill_keeps_the_oldest(void)
{
	static void *blocks[16384 + HK_BATCH];
	uint32_t capacity = capacity_of(0), n = capacity + 100, i = 0;
	for (unsigned k = 0; k < n; k++) {
		magazine_of(0)->misses = 0; /* it does not grow meanwhile */
		blocks[k] = hk_malloc(16);
	}
	while (hk_magazine_count(magazine_of(0), 0) < capacity && i < n)
		hk_free(blocks[i++]);
	assert_true(i < n);
	void *oldest = magazine_of(0)->top[-(ptrdiff_t)capacity];
	magazine_of(0)->misses = 0;
	hk_free(blocks[i++]);
	assert_int_equal(capacity_of(0), capacity);
	uint32_t count = hk_magazine_count(magazine_of(0), 0);
	assert_true(count < capacity); /* it spilled */
	bool kept = magazine_of(0)->top[-(ptrdiff_t)count] == oldest;
	while (i < n)
		hk_free(blocks[i++]);
	return kept;
}

/* Else thousands of slots would move down for some hundred blocks. */
static void a_large_magazine_spills_its_newest_blocks(void **state)
{
	(void)state;
	climb(511, 600);
	assert_false(spill_keeps_the_oldest());
	climb(16383, 4000);
	assert_true(spill_keeps_the_oldest());
}

/* The last step is for blocks that go round, not for a program that allocates, and later frees. */
static void the_last_step_needs_refills_and_spills_by_turns(void **state)
{
	enum { N = 400000 };
	(void)state;
	void **blocks = hk_malloc(N * sizeof *blocks);
	climb(2047, 1500);
	for (unsigned i = 0; i < N; i++)
		blocks[i] = hk_malloc(16);
	for (unsigned i = 0; i < N; i++)
		hk_free(blocks[i]);
	assert_int_equal(capacity_of(0), 2047);
	hk_free(blocks);
}

/* ---- threads -------------------------------------------------------------------------------------------- */

static void *work_and_end(void *arg)
{
	for (unsigned i = 0; i < 10; i++)
		tide(16 + (i * 173) % 3000, 500);
	*(struct hk_thread **)arg = hk_self;
	return NULL;
}

static void a_threads_end_leaves_nothing_hot(void **state)
{
	struct hk_thread *record[2];
	(void)state;
	uint64_t threads = hk_stats()->threads;
	unit_flush_level(HAK_LEVEL_CACHES, NULL);
	run_thread(work_and_end, &record[0]);
	assert_int_equal(hk_stats()->hot_bytes, 0);
	assert_int_equal(hk_stats()->threads, threads);
	run_thread(work_and_end, &record[1]);
	assert_ptr_equal(record[0], record[1]); /* records are reused */
	unit_assert_conserved();
}

/* Ends with as many blocks of 16 bytes at hand as `*arg` says at least, and none in the cold magazine. */
static void *end_with_blocks(void *arg)
{
	unsigned *n = arg;
	while (capacity_of(0) < *n)
		tide(16, 4 * *n);
	for (unsigned i = *n; i > hk_magazine_count(magazine_of(0), 0); i--)
		tide(16, *n);
	while (hk_cold_flush_step(0) != 0)
		continue;
	*n = hk_magazine_count(magazine_of(0), 0);
	return NULL;
}

static void many_blocks_of_an_ended_thread_go_home(void **state)
{
	unsigned few = 20, many = 300;
	(void)state;
	climb(511, 600); /* so there is a cold magazine */
	run_thread(end_with_blocks, &few);
	assert_in_range(few, 20, 128);
	assert_int_not_equal(hk_classes[0].n_cold, 0); /* as many as it had room for */
	run_thread(end_with_blocks, &many);
	assert_in_range(many, 129, 16383);
	assert_int_equal(hk_classes[0].n_cold, 0);
	unit_assert_conserved();
}

static pthread_key_t late_key;

static void free_late(void *block)
{
	hk_free(block);
	hk_free(hk_malloc(100));
}

static void *leave_a_late_block(void *arg)
{
	(void)arg;
	tide(100, 100);
	pthread_setspecific(late_key, hk_malloc(100));
	return NULL;
}

static void destructors_may_still_free(void **state)
{
	(void)state;
	unit_flush_level(HAK_LEVEL_PAGES, NULL);
	uint64_t used = hk_stats()->used_bytes;
	assert_int_equal(pthread_key_create(&late_key, free_late), 0);
	run_thread(leave_a_late_block, NULL);
	pthread_key_delete(late_key);
	unit_flush_level(HAK_LEVEL_PAGES, NULL);
	assert_int_equal(hk_stats()->used_bytes, used);
	assert_int_equal(hk_stats()->hot_bytes, 0);
}

static void a_thread_storm_leaves_nothing(void **state)
{
	struct hk_thread *record;
	(void)state;
	run_thread(work_and_end, &record);
	unit_flush_level(HAK_LEVEL_EVERYTHING, NULL);
	size_t rss = unit_rss();
	uint64_t used = hk_stats()->used_bytes;
	for (unsigned i = 0; i < 1000; i++)
		run_thread(work_and_end, &record);
	unit_flush_level(HAK_LEVEL_EVERYTHING, NULL);
	assert_true(unit_rss() < rss + UNIT_RSS_SLACK);
	assert_int_equal(hk_stats()->used_bytes, used);
}

/* ---- blocks that wander: freed by others than those who took them ----------------------------------------- */

static void *wandering[8192];

static void *free_wandering(void *arg)
{
	unsigned n = *(unsigned *)arg;
	for (unsigned i = 0; i < n; i++)
		hk_free(wandering[i]);
	return NULL;
}

/* The owner's last word on its magazine is old; what it then held is free by now.  Nothing may go below 0. */
static void an_owners_old_word_is_no_more_than_a_hint(void **state)
{
	unsigned n = 0;
	(void)state;
	for (unsigned i = 0; i < 30; i++)
		tide(64, 4000);
	unit_flush_level(HAK_LEVEL_COLD, NULL);
	while (hk_magazine_count(magazine_of(3), 3) != 0)
		wandering[n++] = hk_malloc(64);
	assert_true(n > 100 && hot_of(3) >= n / 2); /* popped without a word to the class */
	run_thread(free_wandering, &n);
	unit_flush_level(HAK_LEVEL_COLD, NULL);
	assert_true(hk_stats()->used_bytes < MIB);
	assert_true(hk_stats_audit());
	unit_assert_conserved();
}

/* ---- cold ------------------------------------------------------------------------------------------------ */

static void cold_magazines_keep_to_their_bounds(void **state)
{
	(void)state;
	for (unsigned c = 0; c < HK_CLASSES; c += 7) {
		void *batch[HK_BATCH], *all[20 * HK_BATCH];
		unsigned n = 0, bound = hk_cold_slots_max(c);
		while (n < HK_MIN(4 * bound, 19 * HK_BATCH)) {
			unsigned got = hk_cold_take(c, batch, HK_BATCH, 0);
			memcpy(all + n, batch, got * sizeof *batch);
			hk_classes[c].n_hot -= got - 1; /* they are not for a magazine */
			n += got;
		}
		for (unsigned i = 0; i < n; i += HK_BATCH)
			hk_cold_give(c, all + i, HK_MIN(HK_BATCH, n - i), 0, false);
		assert_true(hk_classes[c].n_cold <= bound);
		assert_true(hk_classes[c].n_slots <= bound && hk_classes[c].n_slots >= HK_MIN(n, bound) / 4);
		while (hk_cold_flush_step(c) != 0)
			;
		assert_int_equal(hk_classes[c].n_cold, 0);
		hk_cold_shrink(c);
		assert_int_equal(hk_classes[c].n_slots, 0);
		assert_null(hk_classes[c].slots);
	}
}

static void free_twice_at_home(void *arg)
{
	hk_cold_give(2, &arg, 1, 0, true);
	hk_cold_give(2, &arg, 1, 0, true);
}

static void free_inside(void *arg)
{
	arg = (char *)arg + 16;
	hk_cold_give(2, &arg, 1, 0, true);
}

static void the_slab_notices_what_is_no_block(void **state)
{
	char line[64];
	(void)state;
	unit_own_slab(48);
	void *block = hk_malloc(48), *neighbour = hk_malloc(48); /* the slab stays, whatever is freed */
	snprintf(line, sizeof line, "hakmem: double free of %p\n", block);
	unit_assert_aborts(free_twice_at_home, block, line);
	snprintf(line, sizeof line, "hakmem: free(): invalid pointer %p: inside a block", (void *)((char *)block + 16));
	unit_assert_aborts(free_inside, block, line);
	hk_free(block);
	hk_free(neighbour);
}

/* ---- loans ---------------------------------------------------------------------------------------------- */

static unsigned slabs_of(size_t bytes)
{
	return hk_classes[hk_class_of(bytes)].slabs.n_slabs;
}

/* The first of `n` requests, each freed at once, that its own class serves; n where none is. */
static unsigned first_own(size_t bytes, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		void *block = hk_malloc(bytes);
		size_t usable = hk_usable("test", block);
		hk_free(block);
		if (usable == bytes)
			return i;
	}
	return n;
}

static void lenders_are_the_largest_of_their_kind(void **state)
{
	(void)state;
	for (unsigned c = 0; c < HK_CLASSES; c++) {
		unsigned lender = hk_loan_lender(c), bytes = hk_class_info[lender].block_bytes;
		assert_true(lender >= c && (bytes & (bytes - 1)) == 0); /* so that it is aligned as well as the other */
		assert_true(c < 4 || bytes < 2 * hk_class_info[c].block_bytes);
		assert_int_equal(hk_loan_lender(lender), lender);
	}
	assert_int_equal(hk_loan_lender(HK_CLASSES), HK_CLASSES);
}

static void a_class_that_is_hardly_used_borrows(void **state)
{
	static const size_t sizes[] = {16, 48, 80, 208, 400, 720, 1152, 3072, 10240, 36864};
	void *blocks[HK_COUNT(sizes)];
	(void)state;
	for (unsigned i = 0; i < HK_COUNT(sizes); i++) {
		blocks[i] = hk_malloc(sizes[i]);
		assert_int_equal(slabs_of(sizes[i]), 0);
		assert_int_equal(hk_usable("test", blocks[i]),
				 hk_class_info[hk_loan_lender(hk_class_of(sizes[i]))].block_bytes);
		assert_true(hk_fits("test", blocks[i], 1, sizes[i]));
	}
	assert_ptr_equal(hk_realloc(blocks[2], 120), blocks[2]); /* it would be lent the same again */
	assert_ptr_equal(hk_realloc(blocks[2], 70), blocks[2]);
	for (unsigned i = 0; i < HK_COUNT(sizes); i++)
		hk_free(blocks[i]);
	unit_assert_conserved();
}

/* As of a program that waits, but for a timer: it has to count as idle. */
static void a_loan_out_of_a_magazine_is_no_activity(void **state)
{
	(void)state;
	hk_free(hk_malloc(128));
	uint64_t activity = hk_stats()->activity_nsec;
	for (unsigned i = 0; i < 10; i++) {
		usleep(5000);
		void *block = hk_malloc(80);
		assert_int_equal(hk_usable("test", block), 128);
		hk_free(block);
	}
	assert_int_equal(hk_stats()->activity_nsec, activity);
}

static void who_asks_often_gets_a_slab(void **state)
{
	(void)state;
	unsigned n = first_own(80, 1u << 20); /* all in far less than a span of time, or at worst in some */
	assert_in_range(n, 500, (1u << 20) - 1);
	assert_int_equal(slabs_of(80), 1);
	unit_flush(state); /* which takes the slab: it begins anew */
	assert_int_equal(slabs_of(80), 0);
	usleep(40000);
	void *block = hk_malloc(80);
	assert_int_equal(hk_usable("test", block), 128);
	hk_free(block);
}

static void who_needs_much_at_once_gets_a_slab(void **state)
{
	static void *blocks[2000];
	unsigned n = 0;
	(void)state;
	while (n < HK_COUNT(blocks) && (n == 0 || hk_usable("test", blocks[n - 1]) != 48))
		blocks[n++] = hk_malloc(48);
	assert_in_range(n, 8, 400); /* far below the limit on requests */
	while (n != 0)
		hk_free(blocks[--n]);
}

static void who_has_much_itself_lends_nothing(void **state)
{
	static void *blocks[400];
	unsigned n = 0;
	(void)state;
	while (n < HK_COUNT(blocks) && slabs_of(512) <= 2)
		blocks[n++] = hk_malloc(512);
	assert_int_equal(slabs_of(512), 3);
	void *block = hk_malloc(400);
	assert_int_equal(hk_usable("test", block), 400);
	hk_free(block);
	while (n != 0)
		hk_free(blocks[--n]);
}

/* 20,000 blocks of 64 bytes, of which each tenth stays, and each of those is replaced `times` times in turn; the slabs
 * that they take then. */
static unsigned slabs_after_turnover(bool bypass, unsigned times)
{
	static void *blocks[20000];
	struct hk_sweep sweep = {0};
	uint64_t seed = 1;
	for (unsigned i = 0; i < HK_COUNT(blocks); i++)
		blocks[i] = hk_malloc(64);
	for (unsigned i = 0; i < HK_COUNT(blocks); i++)
		if (i % 10 != 0)
			hk_free(blocks[i]);
	assert_in_range(slabs_of(64), 20, 21);
	hk_lock_take(hk_flush_lock());
	hk_threads_bypass(bypass);
	while (hk_cold_flush_step(hk_class_of(64)) != 0)
		;
	hk_threads_sweep(UINT64_MAX, &sweep);
	assert_false(hk_threads_bypassed());
	for (unsigned i = 0; i < times * HK_COUNT(blocks) / 10; i++) {
		void **block = &blocks[unit_below(&seed, HK_COUNT(blocks) / 10) * 10];
		hk_free(*block);
		*block = hk_malloc(64);
	}
	assert_int_equal(hk_threads_bypassed(), bypass);
	hk_threads_bypass(false);
	hk_lock_drop(hk_flush_lock());
	unit_flush_level(HAK_LEVEL_CACHES, NULL);
	unsigned n_slabs = slabs_of(64);
	for (unsigned i = 0; i < HK_COUNT(blocks); i += 10)
		hk_free(blocks[i]);
	return n_slabs;
}

static void what_is_in_use_moves_together_past_the_magazines(void **state)
{
	(void)state;
	assert_int_equal(slabs_after_turnover(false, 5), 20);
	unit_flush(state);
	assert_in_range(slabs_after_turnover(true, 5), 2, 10);
	unit_flush(state);
	unit_assert_conserved();
}

static void no_thread_goes_past_its_magazines_for_long(void **state)
{
	struct hk_sweep sweep = {0};
	unsigned n = 0;
	(void)state;
	unit_own_slab(64);
	hk_free(hk_malloc(64));
	assert_ptr_not_equal(hk_self->set, &hk_set_none);
	hk_lock_take(hk_flush_lock());
	hk_threads_bypass(true);
	hk_threads_sweep(UINT64_MAX, &sweep);
	for (; hk_self->set == &hk_set_none && n < 1000000; n += 2)
		hk_free(hk_malloc(64));
	assert_in_range(n, 1u << 17, (1u << 17) + 2);
	hk_threads_bypass(false);
	hk_threads_sweep(UINT64_MAX, &sweep);
	hk_lock_drop(hk_flush_lock());
	hk_free(hk_malloc(64));
	assert_ptr_not_equal(hk_self->set, &hk_set_none); /* it is over */
}

/* Those that do little have none at all; and whose were taken waits as long again. */
static void a_thread_has_magazines_once_it_asks_often(void **state)
{
	struct hk_sweep sweep = {0};
	(void)state;
	unit_own_slab(64);
	hk_free(hk_malloc(64));
	hk_threads_bypass_first = 64;
	for (unsigned round = 0; round < 2; round++) {
		unsigned n = 0;
		hk_lock_take(hk_flush_lock());
		hk_threads_sweep(UINT64_MAX, &sweep);
		hk_lock_drop(hk_flush_lock());
		for (; hk_self->set == &hk_set_none && n < 1000; n += 2)
			hk_free(hk_malloc(64));
		assert_in_range(n, round == 0 ? 2 : 64, 66); /* the first set was from before the limit was raised */
		assert_int_equal(hk_classes[hk_class_of(64)].n_slots, 0); /* what was freed went home, not to be cold */
	}
	hk_threads_bypass_first = 0;
}

static void a_thread_without_magazines_is_no_activity(void **state)
{
	uint64_t activity = hk_stats()->activity_nsec;
	(void)state;
	hk_threads_bypass_first = 64;
	hk_self->bypass_left = 64;
	for (unsigned i = 0; i < 10; i++) {
		usleep(5000);
		hk_free(hk_malloc(64));
	}
	assert_int_equal(hk_stats()->activity_nsec, activity);
	hk_threads_bypass_first = 0;
	hk_self->bypass_left = 0;
	hk_free(hk_malloc(64));
	assert_true(hk_stats()->activity_nsec > activity);
}

/* What a lender gives past the magazines is one block, not a magazine full of them. */
static void loans_past_the_magazines_are_no_new_memory(void **state)
{
	static void *blocks[40];
	(void)state;
	hk_threads_bypass_first = 64;
	hk_self->bypass_left = 64;
	for (unsigned i = 0; i < HK_COUNT(blocks); i++)
		blocks[i] = hk_malloc(80);
	assert_ptr_equal(hk_self->set, &hk_set_none);
	assert_int_equal(slabs_of(80), 0);
	for (unsigned i = 0; i < HK_COUNT(blocks); i++)
		hk_free(blocks[i]);
	hk_threads_bypass_first = 0;
}

static void nothing_is_a_size_like_another(void **state)
{
	(void)state;
	unit_own_slab(16);
	for (unsigned i = 0; i < 100000; i++) {
		void *block = hk_malloc(0);
		assert_non_null(block);
		hk_free(block);
	}
	assert_in_range(hot_of(0), 1, 31);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lenders_are_the_largest_of_their_kind), /* before blocks are left in slabs of their own */
		cmocka_unit_test_setup(a_class_that_is_hardly_used_borrows, unit_flush),
		cmocka_unit_test_setup(a_loan_out_of_a_magazine_is_no_activity, unit_flush),
		cmocka_unit_test_setup(who_asks_often_gets_a_slab, unit_flush),
		cmocka_unit_test_setup(who_needs_much_at_once_gets_a_slab, unit_flush),
		cmocka_unit_test_setup(who_has_much_itself_lends_nothing, unit_flush),
		cmocka_unit_test_setup(small_magazines_start_at_once_large_ones_later, unit_flush),
		cmocka_unit_test_setup(magazines_climb_the_ladder_within_the_budget, unit_flush),
		cmocka_unit_test_setup(magazines_of_the_largest_blocks_climb_too, unit_flush),
		cmocka_unit_test_setup(with_the_budget_used_up_magazines_grow_seldom, unit_flush),
		cmocka_unit_test_setup(who_missed_lately_is_spared_once, unit_flush),
		cmocka_unit_test_setup(a_limit_shrinks_what_is_there, unit_flush),
		cmocka_unit_test_setup(a_flushed_set_starts_small_again, unit_flush),
		cmocka_unit_test_setup(after_a_flush_of_everything_magazines_stay_small, unit_flush),
		cmocka_unit_test_setup(slow_paths_tell_what_is_hot, unit_flush),
		cmocka_unit_test_setup(handed_out_in_the_order_of_addresses, unit_flush),
		cmocka_unit_test_setup(a_large_magazine_spills_its_newest_blocks, unit_flush),
		cmocka_unit_test_setup(the_last_step_needs_refills_and_spills_by_turns, unit_flush),
		cmocka_unit_test_setup(a_threads_end_leaves_nothing_hot, unit_flush),
		cmocka_unit_test_setup(many_blocks_of_an_ended_thread_go_home, unit_flush),
		cmocka_unit_test_setup(destructors_may_still_free, unit_flush),
		cmocka_unit_test_setup(a_thread_storm_leaves_nothing, unit_flush),
		cmocka_unit_test_setup(an_owners_old_word_is_no_more_than_a_hint, unit_flush),
		cmocka_unit_test_setup(what_is_in_use_moves_together_past_the_magazines, unit_flush),
		cmocka_unit_test_setup(no_thread_goes_past_its_magazines_for_long, unit_flush),
		cmocka_unit_test_setup(a_thread_has_magazines_once_it_asks_often, unit_flush),
		cmocka_unit_test_setup(a_thread_without_magazines_is_no_activity, unit_flush),
		cmocka_unit_test_setup(loans_past_the_magazines_are_no_new_memory, unit_flush),
		cmocka_unit_test_setup(cold_magazines_keep_to_their_bounds, unit_flush),
		cmocka_unit_test_setup(the_slab_notices_what_is_no_block, unit_flush),
		cmocka_unit_test_setup(nothing_is_a_size_like_another, unit_flush),
	};
	return cmocka_run_group_tests_name("caches", tests, unit_setup, NULL);
}
