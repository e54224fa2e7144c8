// SPDX-License-Identifier: MIT
/*
 * oom: what happens when the kernel gives no more.
 *
 * Under RLIMIT_AS each function ends with NULL and ENOMEM, nothing crashes, no block is damaged, and once the
 * program has freed what it held the same amount can be had again: an allocator that loses memory on its failure
 * paths gets less each round.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "block.h"
#include "tap.h"

#define LIMIT (128 * MIB)
#define CHILD_SECONDS 60

struct chain {
	struct chain *next;
	size_t size;
};

static bool limit_memory(void)
{
	struct rlimit limit = { LIMIT, LIMIT };

	return setrlimit(RLIMIT_AS, &limit) == 0;
}

/* Takes blocks of `n` bytes until there are no more; the chain runs through the blocks themselves. */
static struct chain *take_all(size_t n, size_t *ret_bytes)
{
	struct chain *chain = NULL, *p;

	*ret_bytes = 0;
	errno = 0;
	while ((p = block_hide(malloc(n))) != NULL) {
		p->next = chain;
		p->size = n;
		block_fill(p + 1, n - sizeof(*p), n);
		chain = p;
		*ret_bytes += n;
	}
	return chain;
}

static bool free_all(struct chain *chain)
{
	bool whole = true;

	while (chain) {
		struct chain *next = chain->next;
		size_t n = chain->size - sizeof(*chain);

		whole &= block_differs(chain + 1, n, chain->size) == n;
		free(chain);
		chain = next;
	}
	return whole;
}

/* Exit codes of the children, so that the parent can say what went wrong. */
enum { GOOD = 0, NO_LIMIT = 20, BAD_ERRNO, DAMAGED, LOST_MEMORY, TOO_LITTLE, NOT_NULL, CRASHED };

static int exhaust(size_t n)
{
	size_t first, again, i;

	for (i = 0; i < 4; i++) {
		struct chain *chain = take_all(n, &again);

		if (errno != ENOMEM)
			return BAD_ERRNO;
		if (!free_all(chain))
			return DAMAGED;
		if (i == 0)
			first = again;
		if (first < LIMIT / 4)
			return TOO_LITTLE;
		if (again < first - first / 4)
			return LOST_MEMORY;
	}
	return GOOD;
}

static int exhaust_16(void)
{
	return exhaust(24);
}

static int exhaust_1k(void)
{
	return exhaust(1000);
}

static int exhaust_100k(void)
{
	return exhaust(100000);
}

static int exhaust_5m(void)
{
	return exhaust(5 * MIB);
}

/* Memory freed by one size must be had by another. */
static int exhaust_in_turn(void)
{
	static const size_t sizes[] = { 48, 5 * MIB, 3000, 200000, 64, 20 * MIB };
	size_t i, bytes;

	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		if (!free_all(take_all(sizes[i], &bytes)))
			return DAMAGED;
		if (bytes < LIMIT / 4)
			return LOST_MEMORY;
	}
	return GOOD;
}

#define TRY_NULL(call)                                                                                       \
	do {                                                                                                 \
		errno = 0;                                                                                   \
		if (block_hide(call) != NULL)                                                                \
			return NOT_NULL;                                                                     \
		if (errno != ENOMEM)                                                                         \
			return BAD_ERRNO;                                                                    \
	} while (0)

static int every_function(void)
{
	volatile size_t n = 2 * LIMIT;
	void *kept = block_hide(malloc(100)), *p = &p;
	void *hidden = block_hide(kept); /* the compiler thinks that reallocarray frees what it is given */

	block_fill(kept, 100, 1);
	TRY_NULL(malloc(n));
	TRY_NULL(calloc(2, n));
	TRY_NULL(realloc(NULL, n));
	TRY_NULL(realloc(hidden, n));
	TRY_NULL(reallocarray(hidden, 2, n));
	TRY_NULL(memalign(256, n));
	TRY_NULL(aligned_alloc(4096, n));
	TRY_NULL(valloc(n));
	TRY_NULL(pvalloc(n));
	if (posix_memalign(&p, 64, n) != ENOMEM || p != &p)
		return NOT_NULL;
	if (block_differs(kept, 100, 1) != 100)
		return DAMAGED;
	free(kept);
	return GOOD;
}

static atomic_int thread_result;

static void *hungry_thread(void *arg)
{
	size_t bytes, i;

	for (i = 0; i < 4; i++) {
		struct chain *chain = take_all((size_t)arg, &bytes);

		if (!free_all(chain))
			atomic_store(&thread_result, DAMAGED);
	}
	return NULL;
}

static int threads_exhaust(void)
{
	static const size_t sizes[] = { 64, 500, 40000 };
	pthread_t threads[3];
	size_t i, bytes;

	for (i = 0; i < 3; i++)
		if (pthread_create(&threads[i], NULL, hungry_thread, (void *)sizes[i]) != 0)
			return CRASHED;
	for (i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	free_all(take_all(100000, &bytes));
	return atomic_load(&thread_result) ? atomic_load(&thread_result) : bytes < LIMIT / 8 ? LOST_MEMORY : GOOD;
}

/* Growing by realloc until it fails: the block that could not grow is still there. */
static int grow_until_null(void)
{
	size_t n = 1000, next;
	unsigned char *p = block_hide(malloc(n)), *q;

	memset(p, 3, n);
	for (next = n + n / 2; (q = block_hide(realloc(p, next))) != NULL; next = n + n / 2) {
		p = q;
		memset(p + n, 3, next - n);
		n = next;
	}
	if (errno != ENOMEM)
		return BAD_ERRNO;
	if (!block_all(p, n, 3))
		return DAMAGED;
	free(p);
	return n < 8 * MIB ? TOO_LITTLE : GOOD;
}

static void run(const char *name, int (*function)(void))
{
	static const char *const reasons[] = { "no limit could be set", "errno is not ENOMEM", "a block was damaged",
					       "less memory than before", "too little before the end",
					       "not NULL", "could not begin" };
	pid_t pid = fork();
	int status = 0, code;

	if (pid == 0) {
		alarm(CHILD_SECONDS);
		_exit(limit_memory() ? function() : NO_LIMIT);
	}
	waitpid(pid, &status, 0);
	code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
	if (!tap_ok(code == GOOD, "%s", name))
		printf("# %s (status 0x%x)\n",
		       code >= NO_LIMIT && code <= CRASHED ? reasons[code - NO_LIMIT] : "killed", status);
}

int main(void)
{
	run("24 bytes until the end, four times", exhaust_16);
	run("1,000 bytes until the end, four times", exhaust_1k);
	run("100,000 bytes until the end, four times", exhaust_100k);
	run("5 MiB until the end, four times", exhaust_5m);
	run("one size after another until the end", exhaust_in_turn);
	run("every function: NULL and ENOMEM", every_function);
	run("three threads until the end", threads_exhaust);
	run("realloc until the end", grow_until_null);
	return tap_done();
}
