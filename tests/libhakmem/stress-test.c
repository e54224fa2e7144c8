/* SPDX-License-Identifier: MIT */
/*
 * Conservation under load: threads allocate, free, exchange blocks, end and begin, while another one flushes at
 * all levels.  Afterwards the allocator's books are compared with the test's own count of live blocks.
 *
 * STRESS_ROUNDS multiplies the length.
 */
#include "tests/libhakmem/unit.h"

#include <pthread.h>
#include <unistd.h>

#include "caches/cold.h"
#include "front/front.h"
#include "slabs/superslab.h"

#define N_THREADS 4
#define N_SHARED  4096

struct block {
	uint64_t bytes, key;
};

static _Atomic(struct block *) shared[N_SHARED]; /* blocks are exchanged here, and live here when all is over */
static atomic_bool stop_flushing;
static _Atomic unsigned n_damaged;
static unsigned rounds_of_each;

static size_t some_bytes(uint64_t *seed)
{
	unsigned kind = unit_below(seed, 1000);
	if (kind < 900)
		return sizeof(struct block) + unit_below(seed, 1024);
	if (kind < 990)
		return sizeof(struct block) + unit_below(seed, 65536);
	return sizeof(struct block) + unit_below(seed, kind < 998 ? 400000 : 2000000);
}

static struct block *block_new(uint64_t *seed)
{
	size_t bytes = some_bytes(seed);
	struct block *block = hk_malloc(bytes);
	block->bytes = bytes;
	block->key = unit_random(seed);
	((char *)block)[bytes - 1] = bytes > sizeof *block ? (char)bytes : ((char *)block)[bytes - 1];
	return block;
}

static void block_end(struct block *block)
{
	size_t bytes = block->bytes;
	if (bytes < sizeof *block || bytes > 3000000 ||
	    (bytes > sizeof *block && ((char *)block)[bytes - 1] != (char)bytes))
		atomic_fetch_add(&n_damaged, 1);
	block->bytes = 0;
	hk_free(block);
}

static void *work(void *arg)
{
	uint64_t seed = (uint64_t)(uintptr_t)arg;
	for (unsigned round = 0; round < rounds_of_each; round++) {
		struct block *block = unit_below(&seed, 5) < 3 ? block_new(&seed) : NULL;
		block = atomic_exchange(&shared[unit_below(&seed, N_SHARED)], block);
		if (block != NULL)
			block_end(block);
	}
	return NULL;
}

static void *flush(void *arg)
{
	uint64_t seed = 77;
	(void)arg;
	while (!atomic_load(&stop_flushing)) {
		unit_flush_level(unit_below(&seed, 4), NULL);
		hk_stats_survey();
		hk_threads_set_frugal(0);
		usleep(unit_below(&seed, 2000));
	}
	return NULL;
}

/* What the test holds, by class; the rest in bytes. */
static void count_live(uint64_t *ret_blocks, uint64_t *ret_other)
{
	memset(ret_blocks, 0, HK_CLASSES * sizeof *ret_blocks);
	*ret_other = 0;
	for (unsigned i = 0; i < N_SHARED; i++) {
		struct block *block = atomic_load(&shared[i]);
		if (block == NULL)
			continue;
		if (block->bytes <= HK_TINY_BYTES)
			ret_blocks[hk_class_of(hk_usable("test", block))]++; /* where it was lent, not where it was asked for */
		else
			*ret_other += hk_usable("test", block);
	}
}

static void check_books(void)
{
	uint64_t live[HK_CLASSES], other, out = 0;
	count_live(live, &other);
	struct hkp_stats_class classes[HK_CLASSES_ALL] = {{0}};
	const struct hkp_stats *s = hk_stats();
	hk_cold_publish(classes);
	for (unsigned c = 0; c < HK_CLASSES; c++) {
		/* with empty magazines the program's blocks are all that is out */
		if (classes[c].used != live[c] || classes[c].hot != 0 || classes[c].cold != 0)
			fail_msg("class %u: used %lu hot %lu cold %lu; live %lu", c, classes[c].used, classes[c].hot,
				 classes[c].cold, live[c]);
		out += live[c] * hk_class_info[c].block_bytes;
	}
	assert_int_equal(s->mid_bytes + s->large_bytes, other);
	assert_int_equal(s->used_bytes, out + other);
	assert_int_equal(s->lost_bytes, 0);
}

static void run_threads(unsigned generations, bool with_flusher)
{
	pthread_t threads[N_THREADS], flusher;
	atomic_store(&stop_flushing, false);
	if (with_flusher)
		assert_int_equal(pthread_create(&flusher, NULL, flush, NULL), 0);
	for (unsigned g = 0; g < generations; g++) {
		for (uintptr_t i = 0; i < N_THREADS; i++)
			assert_int_equal(pthread_create(&threads[i], NULL, work, (void *)(g * 100 + i + 1)), 0);
		for (unsigned i = 0; i < N_THREADS; i++)
			pthread_join(threads[i], NULL);
	}
	atomic_store(&stop_flushing, true);
	if (with_flusher)
		pthread_join(flusher, NULL);
}

static void stress(unsigned generations, unsigned rounds, bool with_flusher)
{
	const char *more = getenv("STRESS_ROUNDS");
	rounds_of_each = 2000;
	run_threads(1, with_flusher); /* maps what stays once it is there: libc's thread stacks, records, code */
	rounds_of_each = rounds * (more != NULL ? (unsigned)atoi(more) : 1);
	unit_flush_level(HAK_LEVEL_EVERYTHING, NULL);
	hk_threads_set_frugal(0);
	size_t rss = unit_rss();
	run_threads(generations, with_flusher);
	assert_int_equal(n_damaged, 0);
	assert_true(hk_stats_audit());
	unit_assert_conserved();
	unit_flush_level(HAK_LEVEL_PAGES, NULL);
	unit_assert_conserved();
	check_books();
	for (unsigned i = 0; i < N_SHARED; i++) {
		struct block *block = atomic_exchange(&shared[i], NULL);
		if (block != NULL)
			block_end(block);
	}
	unit_flush_level(HAK_LEVEL_EVERYTHING, NULL);
	check_books();
	hk_stats_survey();
	assert_int_equal(hk_stats()->superslabs_phantom, 0);
	assert_int_equal(hk_stats()->superslabs, 0);
	assert_int_equal(hk_counters_releasable(), 0);
	assert_true(unit_rss() < rss + UNIT_RSS_SLACK);
}

static void threads_that_exchange_blocks(void **state)
{
	(void)state;
	stress(2, 150000, false); /* the first time maps what stays: records, page map, stacks */
	stress(2, 150000, false);
}

static void threads_under_a_flusher(void **state)
{
	(void)state;
	stress(3, 150000, true);
}

/* The last test: classes stay divided. */
static void threads_of_divided_classes_under_a_flusher(void **state)
{
	(void)state;
	for (unsigned c = 0; c < HK_CLASSES; c++)
		hk_cold_divide(c);
	stress(3, 150000, true);
}

static void short_threads_under_a_flusher(void **state)
{
	(void)state;
	stress(100, 1500, true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(threads_under_a_flusher),
		cmocka_unit_test(threads_that_exchange_blocks),
		cmocka_unit_test(short_threads_under_a_flusher),
		cmocka_unit_test(threads_of_divided_classes_under_a_flusher),
	};
	return cmocka_run_group_tests_name("stress", tests, unit_setup, NULL);
}
