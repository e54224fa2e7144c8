// SPDX-License-Identifier: MIT
/*
 * worker: one measurement in a process of its own.  worker NAME [ARGUMENT...] prints key=value lines.
 *
 * It is started by hakmem-bench with an allocator preloaded, and can be started by hand the same way.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "bench/worker.h"

#define MAX_RESULTS 128

static struct {
	char key[48];
	double value;
} results[MAX_RESULTS];
static unsigned int n_results;

void worker_fail(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fputs("worker: ", stderr);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	va_end(args);
	exit(1);
}

void worker_report(double value, const char *format, ...)
{
	va_list args;

	if (n_results == MAX_RESULTS)
		worker_fail("too many results");
	va_start(args, format);
	vsnprintf(results[n_results].key, sizeof(results[0].key), format, args);
	va_end(args);
	results[n_results++].value = value;
}

size_t worker_realistic_size(uint64_t *random)
{
	uint64_t percent = worker_below(random, 100);

	if (percent < 80)
		return 16 + worker_below(random, 113);
	if (percent < 95)
		return 128 + worker_below(random, 897);
	return 1024 + worker_below(random, 31 * 1024 + 1);
}

uint64_t worker_number(int argc, char **argv, int i, uint64_t fallback)
{
	return i < argc ? strtoull(argv[i], NULL, 0) : fallback;
}

static uint64_t field_kib(const char *text, const char *name)
{
	const char *at = strstr(text, name);

	return at ? strtoull(at + strlen(name), NULL, 10) : 0;
}

/* Into a buffer of its own: stdio would allocate. */
static const char *read_text(const char *path)
{
	static char text[8192];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	if (n <= 0)
		worker_fail("cannot read %s", path);
	close(fd);
	text[n] = '\0';
	return text;
}

static struct worker_memory memory_at(const char *path)
{
	const char *text = read_text(path);
	struct worker_memory memory;

	memory.lazyfree_kib = field_kib(text, "\nLazyFree:");
	memory.rss_kib = field_kib(text, "\nRss:") - memory.lazyfree_kib;
	memory.anonymous_kib = field_kib(text, "\nAnonymous:");
	memory.thp_kib = field_kib(text, "\nAnonHugePages:");
	return memory;
}

struct worker_memory worker_memory(void)
{
	return memory_at("/proc/self/smaps_rollup");
}

struct worker_memory worker_memory_of(int pid)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", pid);
	return memory_at(path);
}

int worker_spawn(char *const argv[], int output)
{
	int pid = fork();

	if (pid != 0)
		return pid;
	unsetenv("LD_PRELOAD");
	if (output < 0)
		output = open("/dev/null", O_WRONLY | O_CLOEXEC);
	if (dup2(output, STDOUT_FILENO) >= 0)
		execvp(argv[0], argv);
	_exit(127);
}

double worker_rss_mib(void)
{
	return (double)worker_memory().rss_kib / 1024;
}

double worker_peak_mib(void)
{
	return (double)field_kib(read_text("/proc/self/status"), "\nVmHWM:") / 1024;
}

uint64_t worker_nsec(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void *worker_array(size_t n_bytes)
{
	void *array = mmap(NULL, n_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	if (array == MAP_FAILED)
		worker_fail("no memory for an array of %zu bytes", n_bytes);
	return array;
}

void worker_array_free(void *array, size_t n_bytes)
{
	munmap(array, n_bytes);
}

void worker_shuffle(void **pointers, size_t n, uint64_t seed)
{
	size_t i;

	for (i = n; i > 1; i--) {
		size_t j = worker_below(&seed, i);
		void *p = pointers[i - 1];

		pointers[i - 1] = pointers[j];
		pointers[j] = p;
	}
}

/* Looked up before the first reading: dlsym may allocate. */
static struct {
	size_t (*hak_flush)(int level, size_t target, void *report);
	void (*mi_collect)(bool force);
	int (*mallctl)(const char *name, void *old, size_t *old_size, void *new, size_t new_size);
	void (*release_free_memory)(void);
	void (*mark_thread_idle)(void);
	void (*rpmalloc_thread_collect)(void);
	int (*malloc_trim)(size_t pad);
} own;

#define FIND(function, name) (*(void **)&(own.function) = dlsym(RTLD_DEFAULT, name))

static void find_own(void)
{
	FIND(hak_flush, "hak_flush");
	FIND(mi_collect, "mi_collect");
	FIND(mallctl, "mallctl");
	FIND(release_free_memory, "MallocExtension_ReleaseFreeMemory");
	FIND(mark_thread_idle, "MallocExtension_MarkThreadIdle");
	FIND(rpmalloc_thread_collect, "rpmalloc_thread_collect");
	FIND(malloc_trim, "malloc_trim");
}

#define HAK_LEVEL_PAGES 2	    /* what malloc_trim() does there */
#define JEMALLOC_ALL_ARENAS "4096" /* MALLCTL_ARENAS_ALL */

void worker_release_own(void)
{
	if (own.hak_flush)
		return; /* no thread needs to be asked */
	if (own.mi_collect)
		own.mi_collect(true);
	else if (own.mallctl)
		own.mallctl("thread.tcache.flush", NULL, NULL, NULL, 0);
	else if (own.mark_thread_idle)
		own.mark_thread_idle();
	else if (own.rpmalloc_thread_collect)
		own.rpmalloc_thread_collect();
}

void worker_release(void)
{
	if (own.hak_flush) {
		own.hak_flush(HAK_LEVEL_PAGES, SIZE_MAX, NULL);
	} else if (own.mi_collect) {
		own.mi_collect(true);
	} else if (own.mallctl) {
		own.mallctl("thread.tcache.flush", NULL, NULL, NULL, 0);
		own.mallctl("arena." JEMALLOC_ALL_ARENAS ".purge", NULL, NULL, NULL, 0);
	} else if (own.release_free_memory) {
		own.mark_thread_idle();
		own.release_free_memory();
	} else if (own.rpmalloc_thread_collect) {
		own.rpmalloc_thread_collect();
	} else if (own.malloc_trim) {
		own.malloc_trim(0);
	}
}

/* The driver compares this with what it preloaded: a number of the wrong allocator is worse than none. */
static void print_server(void)
{
	Dl_info info;

	if (dladdr(dlsym(RTLD_DEFAULT, "malloc"), &info))
		printf("served_by=%s\n", info.dli_fname);
}

static const struct worker_bench *const groups[] = {
	worker_battle, worker_micro, worker_loads, worker_threads, worker_fixed, worker_latency, worker_busy,
	worker_steady, worker_waves, worker_attached, worker_redis,
};
#define N_GROUPS (sizeof(groups) / sizeof(groups[0]))

static const struct worker_bench *find(const char *name)
{
	const struct worker_bench *bench;
	size_t i;

	for (i = 0; i < N_GROUPS; i++)
		for (bench = groups[i]; bench->name; bench++)
			if (strcmp(bench->name, name) == 0)
				return bench;
	return NULL;
}

static int usage(void)
{
	const struct worker_bench *bench;
	size_t i;

	fputs("usage: worker NAME [ARGUMENT...], with an allocator in LD_PRELOAD\n", stderr);
	for (i = 0; i < N_GROUPS; i++)
		for (bench = groups[i]; bench->name; bench++)
			fprintf(stderr, "  %s %s\n", bench->name, bench->arguments);
	return 2;
}

int main(int argc, char **argv)
{
	const struct worker_bench *bench = argc > 1 ? find(argv[1]) : NULL;
	unsigned int i;

	if (!bench)
		return usage();
	if (strcmp(bench->name, "trivial") != 0) /* which flushes nothing, and is to allocate no more than it says */
		find_own();
	bench->run(argc - 2, argv + 2);
	print_server();
	for (i = 0; i < n_results; i++)
		printf("%s=%.10g\n", results[i].key, results[i].value);
	return 0;
}
