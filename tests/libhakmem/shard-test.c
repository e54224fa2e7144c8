/* SPDX-License-Identifier: MIT */
/* Divided classes: which shard serves whom, where blocks go, what they have in all.  One thread plays all processors. */
#include "tests/libhakmem/unit.h"

#include <pthread.h>
#include <sched.h>

#include "caches/cold.h"
#include "caches/shard.h"
#include "front/front.h"

#define N_BLOCKS 4096

static uint32_t cpu; /* on which the test runs, as far as the allocator knows */
static void *blocks[N_BLOCKS];

static unsigned slabs_of(unsigned class_idx)
{
	unsigned n = 0;
	for (unsigned shard = 0; shard < HK_SHARDS; shard++)
		n += hk_class_shard(class_idx, shard)->slabs.n_slabs;
	return n;
}

/* A divided class, and a thread that has its record and an empty magazine, on processor 0. */
static unsigned begin(size_t bytes)
{
	hk_free(hk_malloc(bytes));
	unit_flush_level(HAK_LEVEL_EVERYTHING, NULL);
	hk_threads_set_frugal(0);
	hk_cold_divide(hk_class_of(bytes));
	cpu = 0;
	hk_shard_set_cpu(&cpu);
	return hk_class_of(bytes);
}

static void end(void)
{
	unit_assert_conserved();
	unit_flush_level(HAK_LEVEL_EVERYTHING, NULL);
	unit_assert_conserved();
	assert_int_equal(hk_stats()->used_bytes, 0);
	assert_int_equal(hk_stats()->hot_bytes, 0);
	assert_int_equal(hk_stats()->cold_bytes, 0);
	assert_int_equal(hk_stats()->superslabs, 0);
	hk_shard_find_cpu();
}

static void take(unsigned from, unsigned to, size_t bytes)
{
	for (unsigned i = from; i < to; i++)
		assert_non_null(blocks[i] = hk_malloc(bytes));
}

static void give(unsigned from, unsigned to)
{
	for (unsigned i = from; i < to; i++)
		hk_free(blocks[i]);
}

static void the_processor_is_the_kernel_s(void **state)
{
	cpu_set_t before, one;
	(void)state;
	hk_free(hk_malloc(64));
	assert_int_equal(sched_getaffinity(0, sizeof before, &before), 0);
	for (unsigned i = 0; i < CPU_SETSIZE; i++) {
		if (!CPU_ISSET(i, &before))
			continue;
		CPU_ZERO(&one);
		CPU_SET(i, &one);
		assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0);
		assert_int_equal(hk_shard_here(), i % HK_SHARDS);
	}
	assert_int_equal(sched_setaffinity(0, sizeof before, &before), 0);
	hk_shard_set_cpu(NULL);
	assert_int_equal(hk_shard_here(), 0);
	hk_shard_find_cpu();
}

static void *refresh(void *arg)
{
	hk_cold_refresh(*(unsigned *)arg);
	return NULL;
}

/* Two wait for the lock again and again, one at a time and asleep. */
static void who_waits_often_divides(void **state)
{
	unsigned class_idx = hk_class_of(304), n = 0;
	(void)state;
	hk_free(hk_malloc(304));
	struct hk_slabs *slabs = &hk_class_shard(class_idx, 0)->slabs;
	for (; !slabs->divided; n++) {
		pthread_t thread;
		assert_true(n < 1000);
		hk_lock_take(&slabs->lock);
		assert_int_equal(pthread_create(&thread, NULL, refresh, &class_idx), 0);
		while ((atomic_load(&slabs->lock.word) & HK_LOCK_AWAITED) == 0)
			sched_yield();
		hk_lock_drop(&slabs->lock);
		pthread_join(thread, NULL);
	}
	assert_int_equal(n, 64);
	assert_true(hk_class_shard(class_idx, HK_SHARDS - 1)->slabs.divided);
	assert_false(hk_class_shard(hk_class_of(320), 0)->slabs.divided);
	end();
}

static void blocks_go_home_to_their_slab_s_shard(void **state)
{
	unsigned c = begin(64);
	(void)state;
	take(0, 2000, 64);
	unit_flush_level(HAK_LEVEL_CACHES, NULL);
	cpu = 5;
	take(2000, 4000, 64);
	unsigned n_slabs[2] = {hk_class_shard(c, 0)->slabs.n_slabs, hk_class_shard(c, 5)->slabs.n_slabs};
	assert_true(n_slabs[0] >= 1 && n_slabs[1] >= 1 && n_slabs[0] + n_slabs[1] == 4);
	unit_assert_conserved();
	/* in turn, so that each batch has both kinds; and on a processor that has no slab */
	for (unsigned i = 0; i < 2000; i++) {
		cpu = i / 100 % 2 == 0 ? 0 : 7;
		hk_free(blocks[i]);
		hk_free(blocks[4000 - 1 - i]);
	}
	assert_true(hk_class_shard(c, 7)->n_slots != 0);
	assert_int_equal(hk_class_shard(c, 7)->slabs.n_slabs, 0);
	end();
	assert_int_equal(slabs_of(c), 0);
}

/* Every other block of slabs, free for another processor. */
static unsigned give_every_other(unsigned class_idx)
{
	for (unsigned i = 0; i < N_BLOCKS; i += 2)
		hk_free(blocks[i]);
	unit_flush_level(HAK_LEVEL_CACHES, NULL);
	assert_int_equal(hk_class_shard(class_idx, 0)->slabs.n_free + N_BLOCKS / 2,
			 slabs_of(class_idx) * hk_class_info[class_idx].n_blocks);
	return slabs_of(class_idx);
}

static void a_shard_without_blocks_gets_a_slab_of_another(void **state)
{
	unsigned c = begin(128), adopted = 0;
	(void)state;
	take(0, N_BLOCKS, 128);
	unsigned n_slabs = give_every_other(c);
	for (cpu = 1; cpu < 4; cpu++) {
		for (unsigned i = 0; i < N_BLOCKS / 2; i += 2)
			blocks[i] = hk_malloc(128);
		assert_int_equal(slabs_of(c), n_slabs);
		adopted = hk_class_shard(c, cpu)->slabs.n_slabs;
		assert_in_range(adopted, 2, n_slabs - 1);
		unit_assert_conserved();
		for (unsigned i = 0; i < N_BLOCKS / 2; i += 2)
			hk_free(blocks[i]);
		unit_flush_level(HAK_LEVEL_CACHES, NULL);
		assert_int_equal(hk_class_shard(c, cpu)->slabs.n_slabs, adopted); /* none ran empty */
		unit_assert_conserved();
	}
	for (unsigned i = 1; i < N_BLOCKS; i += 2)
		hk_free(blocks[i]);
	end();
}

/* A purge puts blocks back where it found them. */
static void no_slab_leaves_while_a_purge_holds_blocks(void **state)
{
	unsigned c = begin(128);
	(void)state;
	take(0, N_BLOCKS, 128);
	give_every_other(c);
	hk_class_shard(c, 0)->slabs.n_claimed++;
	assert_false(hk_slabs_adopt(&hk_class_shard(c, 1)->slabs, &hk_class_shard(c, 0)->slabs));
	hk_class_shard(c, 0)->slabs.n_claimed--;
	assert_true(hk_slabs_adopt(&hk_class_shard(c, 1)->slabs, &hk_class_shard(c, 0)->slabs));
	assert_false(hk_slabs_adopt(&hk_class_shard(c, 0)->slabs, &hk_class_shard(c, 2)->slabs)); /* that has none */
	for (unsigned i = 1; i < N_BLOCKS; i += 2)
		hk_free(blocks[i]);
	end();
}

/* What one processor frees another one allocates. */
static void cold_blocks_of_another_shard_come_first(void **state)
{
	unsigned c = begin(4096), most = hk_cold_slots_max(c), n;
	(void)state;
	assert_int_equal(most, 512);
	take(0, 4 * most, 4096);
	cpu = 1;
	for (unsigned i = 0; i < 4 * most; i += 2)
		hk_free(blocks[i]);
	assert_int_equal(hk_class_shard(c, 1)->n_cold, most);
	cpu = 2;
	unsigned n_slabs = slabs_of(c);
	for (n = 4 * most; hk_class_shard(c, 1)->n_cold > most / 2; n++)
		take(n, n + 1, 4096);
	assert_int_equal(hk_class_shard(c, 2)->slabs.n_slabs, 0);
	assert_int_equal(slabs_of(c), n_slabs);
	unit_assert_conserved();
	for (unsigned i = 1; i < 4 * most; i += 2)
		hk_free(blocks[i]);
	give(4 * most, n);
	end();
}

/* An owner said that blocks are hot, handed them out and did not say so; another one freed them. */
static void no_more_is_hot_than_is_out(void **state)
{
	unsigned c = begin(96);
	void *batch[64];
	(void)state;
	assert_int_equal(hk_cold_take(c, batch, 64, 0), 64); /* 63 of them are for a magazine */
	assert_int_equal(hk_stats()->hot_bytes, 63 * 96);
	assert_int_equal(hk_stats()->used_bytes, 96);
	cpu = 2;
	hk_cold_give(c, batch, 60, 0, true);
	assert_int_equal(hk_stats()->hot_bytes, 4 * 96);
	assert_int_equal(hk_stats()->used_bytes, 0);
	unit_assert_conserved();
	hk_cold_give(c, batch + 60, 4, 0, true);
	assert_int_equal(hk_stats()->hot_bytes + hk_stats()->used_bytes, 0);
	assert_int_equal(hk_cold_n_hot(c), 63);
	hk_cold_recount_hot(c, 0);
	assert_int_equal(hk_cold_n_hot(c), 0);
	end();
}

/* What is there when a class is divided is in its books from then on. */
static void books_begin_with_what_there_is(void **state)
{
	unsigned c = hk_class_of(160);
	(void)state;
	hk_shard_set_cpu(&cpu);
	unit_own_slab(160); /* one block, for good: it borrows no more */
	take(0, 1000, 160);
	give(0, 300);
	hk_cold_divide(c);
	unit_assert_conserved();
	cpu = 3;
	give(300, 1000);
	unit_assert_conserved();
	assert_true(hk_class_shard(c, 3)->n_cold != 0);
	unit_flush_level(HAK_LEVEL_EVERYTHING, NULL);
	assert_int_equal(hk_stats()->used_bytes, 160);
	assert_int_equal(hk_stats()->hot_bytes + hk_stats()->cold_bytes, 0);
	unit_assert_conserved();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_processor_is_the_kernel_s),
		cmocka_unit_test(who_waits_often_divides),
		cmocka_unit_test(blocks_go_home_to_their_slab_s_shard),
		cmocka_unit_test(a_shard_without_blocks_gets_a_slab_of_another),
		cmocka_unit_test(no_slab_leaves_while_a_purge_holds_blocks),
		cmocka_unit_test(cold_blocks_of_another_shard_come_first),
		cmocka_unit_test(no_more_is_hot_than_is_out),
		cmocka_unit_test(books_begin_with_what_there_is),
	};
	return cmocka_run_group_tests_name("shard", tests, unit_setup, NULL);
}
