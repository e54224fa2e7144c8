// SPDX-License-Identifier: MIT
/*
 * micro: the speed of single operations, in nanoseconds.
 *
 * Each row is repeated until it has run long enough for the clock, five times, and the median is reported.
 * A block is written to once, as every program does.  What is counted as one operation stands in README.md.
 */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "bench/worker.h"

#define N_REPEATS 5
#define REPEAT_NSEC 60000000 /* long beside the clock and an interrupt, short beside a person's patience */
#define MAX_OBJECTS 10000

struct row {
	const char *name;
	/* Does `rounds` rounds; returns the number of operations. */
	uint64_t (*run)(const struct row *row, uint64_t rounds);
	size_t size;
	size_t n_objects;
	bool lifo;
};

static void *objects[MAX_OBJECTS];

static inline void touch(void *p)
{
	*(volatile char *)p = 1;
}

static uint64_t run_pair(const struct row *row, uint64_t rounds)
{
	size_t size = row->size;
	uint64_t i;

	for (i = 0; i < rounds * 1000; i++) {
		void *p = malloc(size);

		touch(p);
		free(p);
	}
	return rounds * 1000;
}

static void round_of(void **blocks, size_t size, size_t n, bool lifo)
{
	size_t i;

	for (i = 0; i < n; i++) {
		blocks[i] = malloc(size);
		touch(blocks[i]);
	}
	if (lifo)
		for (i = n; i > 0; i--)
			free(blocks[i - 1]);
	else
		for (i = 0; i < n; i++)
			free(blocks[i]);
}

static uint64_t run_objects(const struct row *row, uint64_t rounds)
{
	uint64_t i;

	for (i = 0; i < rounds; i++)
		round_of(objects, row->size, row->n_objects, row->lifo);
	return rounds * row->n_objects;
}

/* A buffer that is doubled, 64 KiB to 64 MiB; a byte in each `size` is written: each page, as when something is read
 * in, or one byte of each half. */
static uint64_t run_realloc(const struct row *row, uint64_t rounds)
{
	size_t step = row->size;
	uint64_t i, n_ops = 0;

	for (i = 0; i < rounds; i++) {
		size_t size = 64 * KIB, from, at;
		char *p = malloc(size);

		for (at = 0; at < size; at += step)
			touch(p + at);
		while (size < 64 * MIB) {
			from = size;
			size *= 2;
			p = realloc(p, size);
			if (!p)
				worker_fail("realloc to %zu bytes failed", size);
			for (at = from; at < size; at += step)
				touch(p + at);
			n_ops++;
		}
		free(p);
	}
	return n_ops;
}

#define N_SLOTS 100000

static size_t wset_size(uint64_t *random)
{
	return 16 + worker_below(random, 241);
}

/* A working set: a random slot's block is replaced by one of another size, 16 to 256 bytes. */
static uint64_t run_wset(const struct row *row, uint64_t rounds)
{
	static void *slots[N_SLOTS];
	static uint64_t random = 12345;
	uint64_t i;

	(void)row;
	for (i = 0; !slots[N_SLOTS - 1] && i < N_SLOTS; i++)
		touch(slots[i] = malloc(wset_size(&random)));
	for (i = 0; i < rounds * 1000; i++) {
		void **slot = &slots[worker_below(&random, N_SLOTS)];

		free(*slot);
		*slot = malloc(wset_size(&random));
		touch(*slot);
	}
	return rounds * 1000;
}

/* Two threads that the kernel has put on one core would measure its scheduler. */
static void on_core(size_t wanted)
{
	cpu_set_t allowed, one;
	int cpu;

	if (sched_getaffinity(0, sizeof(allowed), &allowed) != 0 || CPU_COUNT(&allowed) < 2)
		return;
	for (cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (!CPU_ISSET(cpu, &allowed) || wanted-- > 0)
			continue;
		CPU_ZERO(&one);
		CPU_SET(cpu, &one);
		pthread_setaffinity_np(pthread_self(), sizeof(one), &one);
		return;
	}
}

/* The other side gets the core, should it want this one. */
static void wait_a_little(unsigned int *n_waits)
{
	if (++*n_waits % 1000 == 0)
		sched_yield();
}

/* One producer, one consumer, each with its own line; the far index is read again only when the near view is used
 * up. */
#define QUEUE_SIZE 4096
#define QUEUE_BLOCK 64

static struct {
	void *slots[QUEUE_SIZE];
	_Alignas(128) atomic_size_t head;
	_Alignas(128) atomic_size_t tail;
} queue;

static void *consume(void *arg)
{
	size_t n = *(const size_t *)arg, tail = 0, head = 0;
	unsigned int n_waits = 0;

	on_core(1);
	while (tail < n) {
		while (head == tail) {
			head = atomic_load_explicit(&queue.head, memory_order_acquire);
			wait_a_little(&n_waits);
		}
		for (; tail < head; tail++)
			free(queue.slots[tail % QUEUE_SIZE]);
		atomic_store_explicit(&queue.tail, tail, memory_order_release);
	}
	return NULL;
}

static void *produce(void *arg)
{
	size_t n = *(const size_t *)arg, head, tail = 0;
	unsigned int n_waits = 0;

	on_core(0);

	for (head = 0; head < n; head++) {
		while (head - tail == QUEUE_SIZE) {
			tail = atomic_load_explicit(&queue.tail, memory_order_acquire);
			wait_a_little(&n_waits);
		}
		touch(queue.slots[head % QUEUE_SIZE] = malloc(QUEUE_BLOCK));
		if (head % 64 == 63)
			atomic_store_explicit(&queue.head, head + 1, memory_order_release);
	}
	atomic_store_explicit(&queue.head, n, memory_order_release);
	return NULL;
}

static uint64_t run_prodcons(const struct row *row, uint64_t rounds)
{
	size_t n = rounds * 10000;
	pthread_t producer, consumer;

	(void)row;
	atomic_store(&queue.head, 0);
	atomic_store(&queue.tail, 0);
	if (pthread_create(&consumer, NULL, consume, &n) != 0 || pthread_create(&producer, NULL, produce, &n) != 0)
		worker_fail("no thread");
	pthread_join(producer, NULL);
	pthread_join(consumer, NULL);
	return n;
}

struct mt_arg {
	const struct row *row;
	uint64_t rounds;
	size_t core;
};

static void *mt_thread(void *arg)
{
	const struct mt_arg *mt = arg;
	void *blocks[1000];
	uint64_t i;

	on_core(mt->core);
	for (i = 0; i < mt->rounds; i++)
		round_of(blocks, mt->row->size, mt->row->n_objects, mt->row->lifo);
	return NULL;
}

/* Operations of one thread: with a core for each, the figure is that of one thread alone, at best. */
static uint64_t run_mt2(const struct row *row, uint64_t rounds)
{
	struct mt_arg args[2] = { { row, rounds, 0 }, { row, rounds, 1 } };
	pthread_t threads[2];
	int i;

	for (i = 0; i < 2; i++)
		if (pthread_create(&threads[i], NULL, mt_thread, &args[i]) != 0)
			worker_fail("no thread");
	for (i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	return rounds * row->n_objects;
}

static const struct row rows[] = {
	{ "pair16", run_pair, 16, 1, false },
	{ "pair1024", run_pair, 1024, 1, false },
	{ "pair32k", run_pair, 32 * KIB, 1, false },
	{ "lifo16", run_objects, 16, 1000, true },
	{ "fifo16", run_objects, 16, 1000, false },
	{ "lifo64", run_objects, 64, 1000, true },
	{ "fifo64", run_objects, 64, 1000, false },
	{ "lifo1024", run_objects, 1024, 1000, true },
	{ "fifo1024", run_objects, 1024, 1000, false },
	{ "ring10000", run_objects, 16, 10000, false },
	{ "realloc", run_realloc, 4096, 0, false },
	{ "regrow", run_realloc, 64 * MIB, 0, false },
	{ "wset", run_wset, 0, 0, false },
	{ "prodcons", run_prodcons, QUEUE_BLOCK, 0, false },
	{ "mt2", run_mt2, 64, 1000, false },
};
#define N_ROWS (sizeof(rows) / sizeof(rows[0]))

static double time_rounds(const struct row *row, uint64_t rounds, uint64_t *ret_nsec)
{
	uint64_t begin = worker_nsec();
	uint64_t n_ops = row->run(row, rounds);

	*ret_nsec = worker_nsec() - begin;
	return (double)*ret_nsec / (double)n_ops;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static double measure(const struct row *row)
{
	double values[N_REPEATS];
	uint64_t nsec, rounds = 1;
	int i;

	for (;; rounds *= 2) {
		time_rounds(row, rounds, &nsec);
		if (nsec > REPEAT_NSEC / 2)
			break;
	}
	for (i = 0; i < N_REPEATS; i++)
		values[i] = time_rounds(row, rounds, &nsec);
	qsort(values, N_REPEATS, sizeof(values[0]), by_value);
	return values[N_REPEATS / 2];
}

static void run_micro(int argc, char **argv)
{
	size_t i;

	for (i = 0; argc > 0 && i < N_ROWS; i++) {
		if (strcmp(rows[i].name, argv[0]) != 0)
			continue;
		worker_report(measure(&rows[i]), "ns");
		return;
	}
	worker_fail("micro: no such row");
}

const struct worker_bench worker_micro[] = {
	{ "micro", "ROW", run_micro },
	{ NULL, NULL, NULL },
};
