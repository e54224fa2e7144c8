/* SPDX-License-Identifier: MIT */
/* HAKMEM_CHECK=1 from inside: the table under growth and removal, threads, fork, and no memory.  What it says to misuse
 * is in tests/misuse. */
#include "tests/libhakmem/unit.h"

#include <pthread.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/options.h"
#include "front/front.h"

#define N_BLOCKS 30000u

static int setup(void **state)
{
	hk_options.check = true;
	return unit_setup(state);
}

static size_t some_bytes(uint64_t *seed)
{
	return unit_below(seed, unit_below(seed, 50) == 0 ? 200000 : 500);
}

/* A block whose every byte is what its place in the table says. */
static void fill(unsigned char **blocks, size_t *bytes, unsigned i)
{
	memset(blocks[i], (int)(i & 0x7f), bytes[i]);
}

static void assert_filled(unsigned char *const *blocks, const size_t *bytes, unsigned i)
{
	assert_int_equal(hk_usable("test", blocks[i]), bytes[i]);
	for (size_t at = 0; at < bytes[i]; at += 97)
		assert_int_equal(blocks[i][at], i & 0x7f);
}

/* Entries come and go at random: each block is found with the size it has, whatever moved in the table. */
static void sizes_are_exact_whatever_comes_and_goes(void **state)
{
	static unsigned char *blocks[N_BLOCKS];
	static size_t bytes[N_BLOCKS];
	uint64_t seed = 31;
	(void)state;
	for (unsigned round = 0; round < 4 * N_BLOCKS; round++) {
		unsigned i = unit_below(&seed, N_BLOCKS);
		if (blocks[i] != NULL) {
			assert_filled(blocks, bytes, i);
			if (unit_below(&seed, 4) != 0) {
				hk_free(blocks[i]);
				blocks[i] = NULL;
				continue;
			}
		}
		bytes[i] = some_bytes(&seed) + 1;
		blocks[i] = hk_realloc(blocks[i], bytes[i]);
		assert_non_null(blocks[i]);
		fill(blocks, bytes, i);
	}
	for (unsigned i = 0; i < N_BLOCKS; i++)
		if (blocks[i] != NULL) {
			assert_filled(blocks, bytes, i);
			hk_free(blocks[i]);
		}
	assert_true(hk_stats_audit());
}

static _Atomic(void *) exchange[512];

static void *work(void *arg)
{
	uint64_t seed = (uint64_t)(uintptr_t)arg;
	for (unsigned i = 0; i < 20000; i++) {
		size_t bytes = some_bytes(&seed) + 16;
		void *block = unit_below(&seed, 8) == 0 ? hk_memalign(256, bytes) : hk_malloc(bytes);
		memset(block, 1, bytes);
		block = atomic_exchange(&exchange[unit_below(&seed, HK_COUNT(exchange))], block);
		hk_free(block);
		if (i % 2048 == 0)
			unit_flush_level(HAK_LEVEL_PAGES, NULL);
	}
	return NULL;
}

static void threads_free_each_others_blocks(void **state)
{
	pthread_t threads[4];
	(void)state;
	for (uintptr_t i = 0; i < HK_COUNT(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, work, (void *)(i + 1)), 0);
	for (unsigned i = 0; i < HK_COUNT(threads); i++)
		pthread_join(threads[i], NULL);
	for (unsigned i = 0; i < HK_COUNT(exchange); i++)
		hk_free(atomic_exchange(&exchange[i], NULL));
	assert_true(hk_stats_audit());
}

#if !defined(HK_TSAN) && !defined(__SANITIZE_ADDRESS__) /* they need more addresses than that */
/* What the quarantine holds is had again before NULL is returned. */
static void exhaust(void *arg)
{
	struct rlimit limit = {64 * MIB, 64 * MIB};
	void *blocks[2000];
	unsigned n[2] = {0, 0};
	(void)arg;
	setrlimit(RLIMIT_AS, &limit);
	for (unsigned round = 0; round < 2; round++) {
		while (n[round] < HK_COUNT(blocks) && (blocks[n[round]] = hk_malloc(MIB - 100)) != NULL)
			n[round]++;
		for (unsigned i = 0; i < n[round]; i++)
			hk_free(blocks[i]);
	}
	_exit(n[0] > 10 && n[0] < HK_COUNT(blocks) && n[1] + 2 >= n[0] ? 0 : 1);
}

static void quarantine_gives_way_to_need(void **state)
{
	(void)state;
	unit_needs_limits();
	assert_int_equal(unit_in_child(exhaust, NULL), 0);
}
#endif

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sizes_are_exact_whatever_comes_and_goes),
		cmocka_unit_test(threads_free_each_others_blocks),
#if !defined(HK_TSAN) && !defined(__SANITIZE_ADDRESS__)
		cmocka_unit_test(quarantine_gives_way_to_need),
#endif
	};
	return cmocka_run_group_tests_name("check", tests, setup, NULL);
}
