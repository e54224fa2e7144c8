// SPDX-License-Identifier: MIT
/*
 * model: random operations beside a reference heap that knows every live block.
 *
 * Why: an allocator's faults show as blocks that overlap, lose bytes or come twice, and only under orders of
 * calls that nobody thinks of; with the seed a failure can be run again.
 * How: each thread owns a table of blocks; each block is filled to its usable size with words that depend on its
 * address and a sequence number, checked when it is resized or freed.  Threads hand blocks to one another through
 * an exchange.  With --flush a further thread flushes at random levels all the time, and so do the threads now
 * and then; with --fork the process forks and the child goes on for a while.  With one thread a sorted list of
 * the live blocks is searched for overlaps, and all contents are checked, every so often.
 *
 * model [--seed N] [--ops N] [--threads N] [--blocks N] [--flush] [--fork]
 * Without arguments it runs a list of such runs and prints a TAP line for each.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

#include "block.h"
#include "family.h"
#include "tap.h"

#define MAX_THREADS 64
#define N_EXCHANGE 256
#define CHECK_EVERY 50000 /* operations of a single thread between searches for overlaps */
#define FILL_MAX (16 * KIB) /* of larger blocks the two ends are filled, each half of this */

struct run {
	uint64_t seed;
	uint64_t n_ops;
	unsigned int n_threads;
	unsigned int n_blocks; /* table size per thread */
	bool flush;
	bool fork;
};

struct entry {
	unsigned char *p;
	size_t size;   /* as asked for; the first bytes that realloc must keep */
	size_t usable; /* as filled */
	uint64_t key;
	bool aligned;  /* by one of the aligned functions: not for free_sized */
};

struct worker {
	const struct run *run;
	struct entry *table;
	uint64_t random;
	uint64_t sequence;
	unsigned int id;
	uint64_t n_live_bytes;
};

static struct family family;
static _Atomic(struct entry *) exchange[N_EXCHANGE];
static atomic_bool stopping;
static uint64_t seed_in_use;

/* A fault is reported at once with what is needed to repeat it. */
__attribute__((format(printf, 1, 2), noreturn)) static void fault(const char *format, ...)
{
	char text[256];
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(text, sizeof(text) - 1, format, args);
	va_end(args);
	dprintf(STDOUT_FILENO, "# seed %" PRIu64 ": %.*s\n", seed_in_use, n, text);
	_exit(1);
}

static uint64_t next_random(struct worker *worker)
{
	worker->random += 0x9e3779b97f4a7c15u;
	return block_mix(worker->random);
}

/* Several distributions, as programs have them: small uniform, powers of two and their neighbours, a long tail. */
static size_t random_size(struct worker *worker)
{
	uint64_t random = next_random(worker);
	size_t at = random >> 16;

	switch (random % 32) {
	case 0: return at % 8 ? at % 65536 : at % (MIB + MIB / 2);
	case 1: return ((size_t)1 << (4 + at % 14)) + (at >> 8) % 3 - 1;
	case 2:
	case 3: return 1024 + at % 31744;
	case 4: return (at & 1023) == 0 ? at >> 20 & (8 * MIB - 1) : at % 200;
	case 5: return at % 17;
	default: return random & 64 ? at % 1024 : at % 128;
	}
}

static void fill_entry(struct entry *entry)
{
	size_t n = entry->usable;

	if (n <= FILL_MAX) {
		block_fill(entry->p, n, entry->key);
		return;
	}
	block_fill(entry->p, FILL_MAX / 2, entry->key);
	block_fill(entry->p + n - FILL_MAX / 2, FILL_MAX / 2, ~entry->key);
}

static void check_range(const struct entry *entry, const unsigned char *p, size_t n, uint64_t key, const char *when)
{
	size_t at = block_differs(p, n, key);

	if (at < n)
		fault("%s: block %p of %zu bytes (usable %zu) differs at byte %zu", when, (void *)entry->p,
		      entry->size, entry->usable, (size_t)(p - entry->p) + at);
}

static void check_entry(const struct entry *entry, const char *when)
{
	size_t n = entry->usable;

	if (malloc_usable_size(entry->p) != n)
		fault("%s: usable size of %p went from %zu to %zu", when, (void *)entry->p, n,
		      malloc_usable_size(entry->p));
	if (n <= FILL_MAX) {
		check_range(entry, entry->p, n, entry->key, when);
		return;
	}
	check_range(entry, entry->p, FILL_MAX / 2, entry->key, when);
	check_range(entry, entry->p + n - FILL_MAX / 2, FILL_MAX / 2, ~entry->key, when);
}

static void new_entry(struct worker *worker, struct entry *entry, void *p, size_t size, size_t alignment,
		      bool aligned)
{
	if (!p)
		fault("NULL for %zu bytes aligned to %zu: %s", size, alignment, strerror(errno));
	if (!block_aligned(p, alignment))
		fault("%p for %zu bytes is not aligned to %zu", p, size, alignment);
	entry->p = p;
	entry->size = size;
	entry->aligned = aligned;
	entry->usable = malloc_usable_size(p);
	if (entry->usable < size)
		fault("usable size %zu of a block of %zu bytes", entry->usable, size);
	entry->key = (uint64_t)(uintptr_t)p ^ block_mix(++worker->sequence << 8 | worker->id);
	worker->n_live_bytes += entry->usable;
	fill_entry(entry);
}

static void allocate(struct worker *worker, struct entry *entry)
{
	uint64_t random = next_random(worker);
	size_t size = random_size(worker), alignment = 16;
	void *p;

	switch (random % 16) {
	case 0:
		alignment = (size_t)16 << (random >> 8) % ((random >> 16) % 64 == 0 ? 18 : 9);
		p = memalign(alignment, size);
		break;
	case 1:
		alignment = (size_t)16 << (random >> 8) % 9;
		if (posix_memalign(&p, alignment, size) != 0)
			p = NULL;
		break;
	case 2:
	case 3:
		p = block_hide(calloc(1, size));
		if (p && !block_all(p, size, 0))
			fault("calloc of %zu bytes is not zero", size);
		break;
	default:
		p = malloc(size);
	}
	new_entry(worker, entry, block_hide(p), size, alignment, random % 16 < 2);
}

static void release(struct worker *worker, struct entry *entry, const char *when)
{
	uint64_t random = next_random(worker);

	check_entry(entry, when);
	worker->n_live_bytes -= entry->usable;
	if (family.free_sized && !entry->aligned && random % 8 == 0)
		family.free_sized(entry->p, entry->size);
	else
		free(entry->p);
	entry->p = NULL;
}

static void resize(struct worker *worker, struct entry *entry)
{
	struct entry old = *entry;
	size_t size = random_size(worker) + 1, kept;
	unsigned char *p;

	check_entry(entry, "before realloc");
	worker->n_live_bytes -= entry->usable;
	p = block_hide(realloc(entry->p, size));
	if (!p)
		fault("realloc from %zu to %zu: %s", old.size, size, strerror(errno));
	kept = (old.size < size ? old.size : size) & ~(size_t)7;
	if (old.usable > FILL_MAX && kept > FILL_MAX / 2)
		kept = FILL_MAX / 2;
	if (block_differs(p, kept, old.key) != kept)
		fault("realloc from %zu to %zu lost the contents at byte %zu", old.size, size,
		      block_differs(p, kept, old.key));
	new_entry(worker, entry, p, size, 16, false);
}

/* Hands one of our blocks to whoever comes next and takes what lay there: it is freed by a stranger. */
static void trade(struct worker *worker, struct entry *entry)
{
	struct entry *given = block_hide(malloc(sizeof(*given))), *taken;

	if (!given)
		fault("NULL for %zu bytes", sizeof(*given));
	*given = *entry;
	worker->n_live_bytes -= entry->usable;
	entry->p = NULL;
	taken = atomic_exchange(&exchange[next_random(worker) % N_EXCHANGE], given);
	if (!taken)
		return;
	*entry = *taken;
	worker->n_live_bytes += entry->usable;
	free(taken);
}

static void flush_somehow(uint64_t random)
{
	if (family.hak_flush && random % 4 != 0)
		family.hak_flush((int)(random >> 8) % 4, random & 16 ? SIZE_MAX : random >> 44, NULL);
	else if (family.hak_tiny_magazine_flush_all && random % 8 != 0)
		family.hak_tiny_magazine_flush_all();
	else if (family.hak_tiny_magazine_flush)
		family.hak_tiny_magazine_flush((int)(random >> 8) % 80 - 1);
	else
		malloc_trim(0);
}

static int by_address(const void *a, const void *b)
{
	const struct entry *x = *(const struct entry *const *)a, *y = *(const struct entry *const *)b;

	return x->p < y->p ? -1 : x->p > y->p;
}

static void check_all(struct worker *worker)
{
	unsigned int n = 0, i;
	struct entry **sorted = block_hide(malloc(worker->run->n_blocks * sizeof(*sorted)));

	if (!sorted)
		fault("NULL for the list of blocks");
	for (i = 0; i < worker->run->n_blocks; i++) {
		if (!worker->table[i].p)
			continue;
		check_entry(&worker->table[i], "at rest");
		sorted[n++] = &worker->table[i];
	}
	qsort(sorted, n, sizeof(*sorted), by_address);
	for (i = 1; i < n; i++)
		if (sorted[i - 1]->p + sorted[i - 1]->usable > sorted[i]->p)
			fault("blocks overlap: %p of %zu bytes and %p", (void *)sorted[i - 1]->p,
			      sorted[i - 1]->usable, (void *)sorted[i]->p);
	free(sorted);
}

static void step(struct worker *worker)
{
	uint64_t random = next_random(worker);
	struct entry *entry = &worker->table[(random >> 32) % worker->run->n_blocks];

	if (!entry->p)
		allocate(worker, entry);
	else if (random % 16 < 3)
		resize(worker, entry);
	else if (random % 16 < 5 && worker->run->n_threads > 1)
		trade(worker, entry);
	else
		release(worker, entry, "at free");
	if (worker->run->flush && random % 8192 == 77)
		flush_somehow(random >> 16);
}

/* Now and then a thread frees nearly all it has, so that slabs and SuperSlabs empty. */
static void ebb(struct worker *worker)
{
	unsigned int i;

	for (i = 0; i < worker->run->n_blocks; i++)
		if (worker->table[i].p && next_random(worker) % 64 != 0)
			release(worker, &worker->table[i], "at ebb");
}

static void fork_once(struct worker *worker)
{
	pid_t pid = fork();
	int status = 0, i;

	if (pid == 0) {
		alarm(60);
		for (i = 0; i < 3000; i++)
			step(worker);
		check_all(worker);
		_exit(0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0)
		fault("a forked child ended with status 0x%x", status);
}

static void work(struct worker *worker)
{
	uint64_t i, n_ops = worker->run->n_ops / worker->run->n_threads;

	for (i = 1; i <= n_ops; i++) {
		step(worker);
		if (i % CHECK_EVERY == 0 && worker->run->n_threads == 1)
			check_all(worker);
		if (i % (n_ops / 5 + 1) == 0)
			ebb(worker);
		if (worker->run->fork && i % (n_ops / 6 + 1) == 0)
			fork_once(worker);
	}
	check_all(worker);
	for (i = 0; i < worker->run->n_blocks; i++)
		if (worker->table[i].p)
			release(worker, &worker->table[i], "at the end");
	if (worker->run->n_threads == 1 && worker->n_live_bytes != 0)
		fault("%" PRIu64 " bytes live at the end", worker->n_live_bytes);
}

static void *worker_thread(void *arg)
{
	struct worker *worker = arg;

	worker->table = block_hide(calloc(worker->run->n_blocks, sizeof(*worker->table)));
	if (!worker->table)
		fault("NULL for the table");
	worker->random = block_mix(worker->run->seed) + worker->id * 0x123456789u;
	work(worker);
	free(worker->table);
	return NULL;
}

static void *flusher_thread(void *arg)
{
	const struct run *run = arg;
	uint64_t i;

	for (i = 0; !atomic_load(&stopping); i++) {
		flush_somehow(block_mix(run->seed ^ i));
		usleep(i % 10 == 0 ? 2000 : 100);
	}
	return NULL;
}

static void empty_exchange(void)
{
	unsigned int i;

	for (i = 0; i < N_EXCHANGE; i++) {
		struct entry *left = atomic_exchange(&exchange[i], NULL);

		if (!left)
			continue;
		check_entry(left, "left in the exchange");
		free(left->p);
		free(left);
	}
}

static void start(pthread_t *thread, void *(*function)(void *), const void *arg)
{
	int error = pthread_create(thread, NULL, function, (void *)(uintptr_t)arg);

	if (error)
		fault("no thread: %s", strerror(error));
}

static int run_model(const struct run *run)
{
	static struct worker workers[MAX_THREADS];
	pthread_t threads[MAX_THREADS], flusher;
	unsigned int i;

	seed_in_use = run->seed;
	memset(workers, 0, sizeof(workers));
	if (run->flush)
		start(&flusher, flusher_thread, run);
	for (i = 0; i < run->n_threads; i++) {
		workers[i].run = run;
		workers[i].id = i;
		if (run->n_threads > 1)
			start(&threads[i], worker_thread, &workers[i]);
	}
	if (run->n_threads == 1)
		worker_thread(&workers[0]); /* a single-threaded process has ways of its own */
	for (i = 0; run->n_threads > 1 && i < run->n_threads; i++)
		pthread_join(threads[i], NULL);
	atomic_store(&stopping, true);
	if (run->flush)
		pthread_join(flusher, NULL);
	empty_exchange();
	return 0;
}

static const struct run check_runs[] = {
	{ .seed = 1, .n_ops = 1000000, .n_threads = 1, .n_blocks = 5000 },
	{ .seed = 2, .n_ops = 500000, .n_threads = 1, .n_blocks = 300, .flush = true },
	{ .seed = 3, .n_ops = 1000000, .n_threads = 4, .n_blocks = 2000 },
	{ .seed = 4, .n_ops = 1000000, .n_threads = 4, .n_blocks = 1000, .flush = true },
	{ .seed = 5, .n_ops = 300000, .n_threads = 3, .n_blocks = 500, .flush = true, .fork = true },
	{ .seed = 6, .n_ops = 400000, .n_threads = 16, .n_blocks = 100, .flush = true },
};

/* A process each: a fault ends one run, not all. */
static int run_all(void)
{
	size_t i;

	for (i = 0; i < sizeof(check_runs) / sizeof(check_runs[0]); i++) {
		const struct run *run = &check_runs[i];
		pid_t pid = fork();
		int status = 0;

		if (pid == 0) {
			alarm(120);
			_exit(run_model(run));
		}
		waitpid(pid, &status, 0);
		tap_ok(status == 0, "seed %" PRIu64 ", %" PRIu64 " operations, %u threads%s%s (status 0x%x)",
		       run->seed, run->n_ops, run->n_threads, run->flush ? ", flushes" : "",
		       run->fork ? ", forks" : "", status);
	}
	return tap_done();
}

static void usage(FILE *stream)
{
	fputs("usage: model [--seed N] [--ops N] [--threads N] [--blocks N] [--flush] [--fork]\n", stream);
}

static const struct option options[] = {
	{ "seed", required_argument, NULL, 's' },  { "ops", required_argument, NULL, 'o' },
	{ "threads", required_argument, NULL, 't' }, { "blocks", required_argument, NULL, 'b' },
	{ "flush", no_argument, NULL, 'f' },	   { "fork", no_argument, NULL, 'k' },
	{ "help", no_argument, NULL, 'h' },	   { NULL, 0, NULL, 0 },
};

static void set_option(struct run *run, int option)
{
	switch (option) {
	case 's': run->seed = strtoull(optarg, NULL, 0); break;
	case 'o': run->n_ops = strtoull(optarg, NULL, 0); break;
	case 't': run->n_threads = (unsigned int)strtoul(optarg, NULL, 0); break;
	case 'b': run->n_blocks = (unsigned int)strtoul(optarg, NULL, 0); break;
	case 'f': run->flush = true; break;
	case 'k': run->fork = true; break;
	case 'h': usage(stdout); exit(0);
	default: usage(stderr); exit(2);
	}
}

int main(int argc, char **argv)
{
	struct run run = { .seed = 1, .n_ops = 1000000, .n_threads = 1, .n_blocks = 2000 };
	int option;

	family_find(&family);
	if (argc == 1)
		return run_all();
	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1)
		set_option(&run, option);
	if (run.n_threads < 1 || run.n_threads > MAX_THREADS || run.n_blocks < 1) {
		fprintf(stderr, "model: --threads must be 1 to %d, --blocks at least 1\n", MAX_THREADS);
		return 2;
	}
	if (run_model(&run) != 0)
		return 1;
	printf("seed %" PRIu64 ": %" PRIu64 " operations, %u threads: good\n", run.seed, run.n_ops, run.n_threads);
	return 0;
}
