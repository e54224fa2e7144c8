/* SPDX-License-Identifier: MIT */
/*
 * The load of the soak: threads that come and go over blocks that stay, forks, and a clock on each operation.
 *
 * load SECONDS_PER_LINE: each shard of slots belongs to one short-lived thread at a time, so that blocks are freed by
 * other threads than allocated them.  Every block bears a stamp that is compared before it is freed: a difference
 * ends the program.  A child is forked ten times a second, which checks, frees and allocates for itself.  One line
 * per period: operations, forks, threads, and p50, p99, p99.9 of a free and an allocation together, in nanoseconds.
 */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
	SHARDS = 8,
	SLOTS = 4000,     /* per shard: some 40 MiB in all */
	ROUND = 20000,    /* operations in one thread's life */
	SMALL_MAX = 1024, /* bytes, of 15 blocks in 16 */
	LARGE_MAX = 40000,
	BUCKETS = 64 * 16, /* sixteen to each power of two */
};

struct block {
	uint64_t stamp; /* of the address and the size */
	size_t size;
	char rest[];
};

static struct block *slots[SHARDS][SLOTS];
static uint64_t n_in_bucket[BUCKETS]; /* relaxed atomics */
static uint64_t n_threads, n_forks;

static uint64_t now_nsec(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static uint64_t stamp_of(const struct block *block)
{
	return (uint64_t)(uintptr_t)block ^ block->size * UINT64_C(0x9e3779b97f4a7c15);
}

static void check(const struct block *block)
{
	if (block->stamp == stamp_of(block) && block->rest[block->size - 1] == (char)block->size)
		return;
	fprintf(stderr, "load: the block at %p has changed\n", (const void *)block);
	abort();
}

static struct block *make(uint64_t *random)
{
	uint64_t any = next_random(random);
	size_t size = 1 + any / 16 % (any % 16 ? SMALL_MAX : LARGE_MAX);
	struct block *block = malloc(sizeof *block + size);

	if (!block)
		abort();
	block->size = size;
	block->stamp = stamp_of(block);
	block->rest[size - 1] = (char)size;
	return block;
}

static unsigned bucket_of(uint64_t nsec)
{
	unsigned power = nsec < 16 ? 4 : 63 - (unsigned)__builtin_clzll(nsec);

	return power * 16 + (unsigned)(nsec >> (power - 4) & 15);
}

static void replace(struct block **slot, uint64_t *random)
{
	uint64_t start, took;

	if (*slot)
		check(*slot);
	start = now_nsec();
	free(*slot);
	*slot = make(random);
	took = now_nsec() - start;
	__atomic_fetch_add(&n_in_bucket[bucket_of(took)], 1, __ATOMIC_RELAXED);
}

static void *work(void *shard)
{
	struct block **mine = shard;
	uint64_t random = now_nsec() ^ (uint64_t)(uintptr_t)shard;

	for (unsigned i = 0; i < ROUND; i++)
		replace(&mine[next_random(&random) % SLOTS], &random);
	__atomic_fetch_add(&n_threads, 1, __ATOMIC_RELAXED);
	return NULL;
}

/* One thread after another on the same shard. */
static void *keep_working(void *shard)
{
	const struct timespec pause = {.tv_nsec = 200000000};
	pthread_t thread;

	for (;;) {
		if (pthread_create(&thread, NULL, work, shard) != 0)
			abort();
		pthread_join(thread, NULL);
		nanosleep(&pause, NULL);
	}
	return NULL;
}

/* The child has the slots as they were, some perhaps in mid-change: it works on blocks of its own. */
static void child(void)
{
	struct block *own[500] = {0};
	uint64_t random = now_nsec();

	for (unsigned i = 0; i < 5000; i++) {
		struct block **slot = &own[next_random(&random) % 500];

		if (*slot)
			check(*slot);
		free(*slot);
		*slot = make(&random);
	}
	_exit(0);
}

static void *keep_forking(void *unused)
{
	const struct timespec pause = {.tv_nsec = 100000000};
	int status;

	for (;; nanosleep(&pause, NULL)) {
		pid_t pid = fork();

		if (pid == 0)
			child();
		if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0) {
			fprintf(stderr, "load: a child ended with %d\n", status);
			abort();
		}
		__atomic_fetch_add(&n_forks, 1, __ATOMIC_RELAXED);
	}
	return unused;
}

static uint64_t percentile(const uint64_t *n, uint64_t sum, double share)
{
	uint64_t wanted = (uint64_t)((double)sum * share), seen = 0;
	unsigned bucket = 0;

	while (bucket < BUCKETS - 1 && (seen += n[bucket]) <= wanted)
		bucket++;
	return (uint64_t)1 << bucket / 16 | (uint64_t)(bucket % 16) << (bucket / 16 - 4);
}

static void print_line(void)
{
	uint64_t n[BUCKETS], sum = 0;

	for (unsigned i = 0; i < BUCKETS; i++)
		sum += n[i] = __atomic_exchange_n(&n_in_bucket[i], 0, __ATOMIC_RELAXED);
	printf("%lu %lu %lu %lu %lu %lu\n", sum, __atomic_load_n(&n_forks, __ATOMIC_RELAXED),
		__atomic_load_n(&n_threads, __ATOMIC_RELAXED), percentile(n, sum, 0.5), percentile(n, sum, 0.99),
		percentile(n, sum, 0.999));
	fflush(stdout);
}

int main(int argc, char **argv)
{
	struct timespec period = {.tv_sec = argc > 1 ? atoi(argv[1]) : 10};
	pthread_t thread;

	for (unsigned i = 0; i < SHARDS; i++)
		if (pthread_create(&thread, NULL, keep_working, slots[i]) != 0)
			return 1;
	if (pthread_create(&thread, NULL, keep_forking, NULL) != 0)
		return 1;
	for (;;) {
		nanosleep(&period, NULL);
		print_line();
	}
}
