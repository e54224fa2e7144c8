// SPDX-License-Identifier: MIT
/*
 * threads: blocks that travel between threads, and threads that come and go.
 *
 * A ring in which each thread frees what the one before it allocated; a producer and a consumer; 2,000 short
 * threads after which the process is no larger than after the first hundred.
 */
#include <pthread.h>
#include <stdatomic.h>

#include "block.h"
#include "tap.h"

/* A bounded queue of one producer and one consumer: what it holds is neither's. */
#define QUEUE_SIZE 1024

struct queue {
	_Atomic(void *) slots[QUEUE_SIZE];
};

static atomic_long n_damaged;

static size_t wanted_size(uint64_t i)
{
	uint64_t random = block_mix(i);

	return 16 + (random >> 8) % (random % 200 == 0 ? 150000 : random % 10 == 0 ? 4000 : 400);
}

static void *new_block(uint64_t i)
{
	return block_labelled(wanted_size(i), i);
}

static void end_block(void *block)
{
	if (!block_end_labelled(block))
		atomic_fetch_add(&n_damaged, 1);
}

static void put(struct queue *queue, size_t at, void *p)
{
	void *empty = NULL;

	while (!atomic_compare_exchange_weak(&queue->slots[at % QUEUE_SIZE], &empty, p)) {
		empty = NULL;
		sched_yield();
	}
}

static void *take(struct queue *queue, size_t at)
{
	void *p;

	while (!(p = atomic_exchange(&queue->slots[at % QUEUE_SIZE], NULL)))
		sched_yield();
	return p;
}

#define N_RING 4
#define N_RING_BLOCKS 60000

static struct queue ring[N_RING];

static void *ring_thread(void *arg)
{
	size_t self = (size_t)arg, i;

	for (i = 0; i < N_RING_BLOCKS; i++) {
		put(&ring[self], i, new_block(self * N_RING_BLOCKS + i));
		end_block(take(&ring[(self + N_RING - 1) % N_RING], i));
	}
	return NULL;
}

static void test_ring(void)
{
	pthread_t threads[N_RING];
	size_t i;

	for (i = 0; i < N_RING; i++)
		pthread_create(&threads[i], NULL, ring_thread, (void *)i);
	for (i = 0; i < N_RING; i++)
		pthread_join(threads[i], NULL);
	tap_ok(atomic_load(&n_damaged) == 0, "%d threads in a ring, each frees its neighbour's blocks (%ld damaged)",
	       N_RING, atomic_load(&n_damaged));
}

#define N_PRODUCED 300000

static struct queue pipe_queue;

static void *producer(void *arg)
{
	size_t i;

	for (i = 0; i < N_PRODUCED; i++)
		put(&pipe_queue, i, new_block(i));
	return arg;
}

static void *consumer(void *arg)
{
	size_t i;

	for (i = 0; i < N_PRODUCED; i++)
		end_block(take(&pipe_queue, i));
	return arg;
}

static size_t resident_kib(void)
{
	return block_resident() / KIB;
}

static void test_pipe(void)
{
	pthread_t from, to;

	atomic_store(&n_damaged, 0);
	pthread_create(&from, NULL, producer, NULL);
	pthread_create(&to, NULL, consumer, NULL);
	pthread_join(from, NULL);
	pthread_join(to, NULL);
	tap_ok(atomic_load(&n_damaged) == 0, "one thread allocates, another frees (%ld damaged)",
	       atomic_load(&n_damaged));
}

/* What a short thread leaves to others: freed by the main thread, after its owner is gone. */
static void *short_thread(void *arg)
{
	void *blocks[200];
	size_t i, seed = (size_t)arg;

	for (i = 0; i < 200; i++)
		blocks[i] = new_block(seed * 200 + i);
	for (i = 1; i < 200; i++)
		end_block(blocks[i]);
	return blocks[0];
}

static void run_short_threads(size_t first, size_t n)
{
	enum { AT_ONCE = 4 };
	size_t i, j;

	for (i = 0; i < n; i += AT_ONCE) {
		pthread_t threads[AT_ONCE];
		void *left;

		for (j = 0; j < AT_ONCE; j++)
			if (pthread_create(&threads[j], NULL, short_thread, (void *)(first + i + j)) != 0)
				abort();
		for (j = 0; j < AT_ONCE; j++) {
			pthread_join(threads[j], &left);
			end_block(left);
		}
	}
}

static void test_storm(void)
{
	size_t early, late;

	atomic_store(&n_damaged, 0);
	run_short_threads(0, 200);
	early = resident_kib();
	run_short_threads(200, 1800);
	late = resident_kib();
	tap_ok(atomic_load(&n_damaged) == 0, "2,000 short threads (%ld blocks damaged)", atomic_load(&n_damaged));
	tap_ok(late < early + 4 * KIB, "RSS after 200 threads %zu KiB, after 2,000 %zu KiB", early, late);
}

int main(void)
{
	test_ring();
	test_pipe();
	test_storm();
	return tap_done();
}
