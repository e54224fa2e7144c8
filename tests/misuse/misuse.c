// SPDX-License-Identifier: MIT
/*
 * misuse: what the library says when a program hands it a pointer that it must not.
 *
 * Why: the one line on stderr is all that a person sees of such a fault, and scripts look for it; it is compared
 * to the letter.
 * How: one table of cases.  The runner executes itself for each, `misuse CASE`; the case prints the address
 * it is going to misuse, then does so.  The runner puts the address into the expected line and compares it with the
 * first line on stderr, and expects SIGABRT.  A pointer that is not ours must be noticed at once; a double
 * free and a pointer into a block at the latest when the copy reaches its slab, which malloc_trim() forces.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/api/block.h"
#include "tests/api/family.h"
#include "tests/api/tap.h"

#define UNNOTICED 7 /* exit status of a case that came to its end */
#define CASE_SECONDS 20

#define NOT_OURS "hakmem: free(): invalid pointer 0x%lx: not allocated by hakmem"
#define INTERIOR "hakmem: free(): invalid pointer 0x%lx: inside a block, not its start"
#define DOUBLE "hakmem: double free of 0x%lx"
#define REALLOC_NOT_OURS "hakmem: realloc(): invalid pointer 0x%lx: not allocated by hakmem"
#define REALLOC_INTERIOR "hakmem: realloc(): invalid pointer 0x%lx: inside a block, not its start"

static struct family family;

/* Says which address the line must name, and hides the pointer from a compiler that knows what free does. */
static void *announce(const void *p)
{
	printf("0x%lx\n", (unsigned long)(uintptr_t)p);
	fflush(stdout);
	return block_hide((void *)(uintptr_t)p);
}

/* Brings every cached block back to its slab: the latest moment for what a magazine cannot see. */
static void flush(void)
{
	malloc_trim(0);
}

/* Announces a block, so that nothing is allocated between the case's own calls. */
static char *announced_block(size_t n)
{
	char *p = block_hide(malloc(n));

	return announce(p);
}

/* A neighbour of the same size keeps the slab where the second copy is noticed. */
static void double_free_of(size_t n)
{
	char *neighbour = block_hide(malloc(n));
	char *p = announced_block(n);

	free(p);
	free(block_hide(p));
	flush();
	free(neighbour);
}

/* The first copy empties its slab, which may be gone when the second arrives. */
static void double_free_lone(void)
{
	char *p = announced_block(3000);

	free(p);
	free(block_hide(p));
	flush();
}

static void double_free(void)
{
	double_free_of(16);
}

static void double_free_1000(void)
{
	double_free_of(1000);
}

static void double_free_20k(void)
{
	double_free_of(20 * KIB);
}

static void double_free_200k(void)
{
	double_free_of(200 * KIB);
}

static void double_free_5m(void)
{
	double_free_of(5 * MIB);
}

static void free_many(size_t n, size_t size)
{
	enum { MAX = 5000 };
	static void *blocks[MAX];
	size_t i;

	for (i = 0; i < n; i++)
		blocks[i] = block_hide(malloc(size));
	for (i = 0; i < n; i++)
		free(blocks[i]);
}

/* Others of the class are freed between: the two copies are far apart in the magazines. */
static void double_free_after_others(void)
{
	void *between[100];
	char *p;
	size_t i;

	for (i = 0; i < 100; i++)
		between[i] = block_hide(malloc(64));
	p = announced_block(64);
	free(p);
	for (i = 0; i < 100; i++)
		free(between[i]);
	free(block_hide(p));
	flush();
}

/* The first copy is in its slab already when the second comes. */
static void double_free_after_flush(void)
{
	char *neighbour = block_hide(malloc(48)); /* keeps the slab alive */
	char *p = announced_block(48);

	free(p);
	flush();
	free(block_hide(p));
	flush();
	free(neighbour);
}

/* Enough frees that the magazines spilled in between. */
static void double_free_after_spill(void)
{
	char *neighbour = block_hide(malloc(32));
	char *p = announced_block(32);

	free_many(5000, 32);
	free(p);
	free_many(5000, 32);
	free(block_hide(p));
	flush();
	free(neighbour);
}

static void *free_in_thread(void *p)
{
	free(p);
	return NULL;
}

static void double_free_by_thread(void)
{
	char *p = block_hide(malloc(80));
	pthread_t thread;

	announce(p);
	pthread_create(&thread, NULL, free_in_thread, p);
	pthread_join(thread, NULL);
	free(block_hide(p));
	flush();
}

static void double_free_aligned(void)
{
	char *p = announce(block_hide(memalign(4096, 100)));

	free(p);
	free(block_hide(p));
	flush();
}

static void free_stack(void)
{
	char local[64];

	free(announce(local + 16));
}

static char global[64] __attribute__((aligned(16)));

static void free_global(void)
{
	free(announce(global + 16));
}

static void free_constant(void)
{
	free(announce("a string constant"));
}

static void free_code(void)
{
	free(announce((const void *)(uintptr_t)free_code));
}

static void free_mapping(void)
{
	free(announce(mmap(NULL, MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)));
}

static void free_no_access(void)
{
	free(announce(mmap(NULL, MIB, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)));
}

static void free_wild(void)
{
	free(announce((const void *)0xdeadbeef0000));
}

static void free_small_number(void)
{
	free(announce((const void *)16));
}

/* Not canonical on x86-64, beyond every map of addresses. */
static void free_letters(void)
{
	free(announce((const void *)0x4141414141414141));
}

static void free_top(void)
{
	free(announce((const void *)(UINTPTR_MAX - 15)));
}

static void free_brk(void)
{
	free(announce(sbrk(4096)));
}

static void free_inside_by(size_t size, size_t offset)
{
	char *p = block_hide(malloc(size));

	free(announce(p + offset));
	flush();
}

static void free_inside_16(void)
{
	free_inside_by(64, 16);
}

static void free_inside_8(void)
{
	free_inside_by(64, 8);
}

static void free_inside_1(void)
{
	free_inside_by(16, 1);
}

static void free_inside_1000(void)
{
	free_inside_by(1000, 496);
}

static void free_inside_20k(void)
{
	free_inside_by(20 * KIB, 4096);
}

static void free_inside_200k(void)
{
	free_inside_by(200 * KIB, 64 * KIB);
}

static void free_inside_5m(void)
{
	free_inside_by(5 * MIB, 2 * MIB);
}

static void realloc_stack(void)
{
	char local[64];

	block_hide(realloc(announce(local + 16), 100));
}

static void realloc_wild(void)
{
	block_hide(realloc(announce((const void *)0xdeadbeef0000), 100));
}

/* To a size that cannot be had in place, so that the freed block would be copied and freed again. */
static void realloc_freed(void)
{
	char *neighbour = block_hide(malloc(40));
	char *p = announced_block(40);

	free(p);
	block_hide(realloc(block_hide(p), 5000));
	flush();
	free(neighbour);
}

static void realloc_inside(void)
{
	char *p = block_hide(malloc(200));

	block_hide(realloc(announce(p + 16), 5000));
	flush();
}

/* The heap must be whole after a call that was refused or ignored. */
static void finish_well(void)
{
	char *p = block_hide(malloc(100));

	memset(p, 1, 100);
	free_many(2000, 48);
	free(p);
	flush();
	_exit(0);
}

static void calloc_overflow(void)
{
	volatile size_t n = SIZE_MAX / 8, size = 16;

	announce(NULL);
	errno = 0;
	if (block_hide(calloc(n, size)) != NULL || errno != ENOMEM)
		_exit(1);
	finish_well();
}

static void free_sized_wrong(void)
{
	char *p = announced_block(48);

	if (!family.free_sized)
		_exit(1);
	family.free_sized(p, 4000);
	finish_well();
}

static void free_aligned_sized_wrong(void)
{
	char *p = announce(block_hide(aligned_alloc(64, 128)));

	if (!family.free_aligned_sized)
		_exit(1);
	family.free_aligned_sized(p, 4096, 8192);
	finish_well();
}

enum outcome {
	STOPS,      /* one of the lines, then SIGABRT */
	GOES_ON,    /* exit status 0, nothing on stderr */
	EITHER,     /* goes on with a whole heap, or stops with a line of ours */
};

struct misuse {
	const char *name;
	void (*run)(void);
	enum outcome outcome;
	const char *line, *or_line; /* the second where two places may be the first to notice */
};

/* A large block's mapping may be gone by the second free: then its address is nobody's. */
static const struct misuse cases[] = {
	{ "double free", double_free, STOPS, DOUBLE, NULL },
	{ "double free of a lone block", double_free_lone, STOPS, DOUBLE, NOT_OURS },
	{ "double free of 1,000 bytes", double_free_1000, STOPS, DOUBLE, NULL },
	{ "double free of 20 KiB", double_free_20k, STOPS, DOUBLE, NULL },
	{ "double free of 200 KiB", double_free_200k, STOPS, DOUBLE, NOT_OURS },
	{ "double free of 5 MiB", double_free_5m, STOPS, DOUBLE, NOT_OURS },
	{ "double free after others", double_free_after_others, STOPS, DOUBLE, NULL },
	{ "double free after a flush", double_free_after_flush, STOPS, DOUBLE, NULL },
	{ "double free after a spill", double_free_after_spill, STOPS, DOUBLE, NULL },
	{ "double free by two threads", double_free_by_thread, STOPS, DOUBLE, NULL },
	{ "double free of an aligned block", double_free_aligned, STOPS, DOUBLE, NULL },
	{ "free of the stack", free_stack, STOPS, NOT_OURS, NULL },
	{ "free of a global", free_global, STOPS, NOT_OURS, NULL },
	{ "free of a constant", free_constant, STOPS, NOT_OURS, NULL },
	{ "free of code", free_code, STOPS, NOT_OURS, NULL },
	{ "free of a mapping", free_mapping, STOPS, NOT_OURS, NULL },
	{ "free of a mapping without access", free_no_access, STOPS, NOT_OURS, NULL },
	{ "free of a wild pointer", free_wild, STOPS, NOT_OURS, NULL },
	{ "free of a small number", free_small_number, STOPS, NOT_OURS, NULL },
	{ "free of letters", free_letters, STOPS, NOT_OURS, NULL },
	{ "free of the last address", free_top, STOPS, NOT_OURS, NULL },
	{ "free of the data segment's end", free_brk, STOPS, NOT_OURS, NULL },
	{ "free 16 bytes into a block", free_inside_16, STOPS, INTERIOR, NULL },
	{ "free 8 bytes into a block", free_inside_8, STOPS, INTERIOR, NULL },
	{ "free 1 byte into a block", free_inside_1, STOPS, INTERIOR, NULL },
	{ "free into a block of 1,000 bytes", free_inside_1000, STOPS, INTERIOR, NULL },
	{ "free into a block of 20 KiB", free_inside_20k, STOPS, INTERIOR, NULL },
	{ "free into a block of 200 KiB", free_inside_200k, STOPS, INTERIOR, NULL },
	{ "free into a block of 5 MiB", free_inside_5m, STOPS, INTERIOR, NULL },
	{ "realloc of the stack", realloc_stack, STOPS, REALLOC_NOT_OURS, NULL },
	{ "realloc of a wild pointer", realloc_wild, STOPS, REALLOC_NOT_OURS, NULL },
	{ "realloc of a freed block", realloc_freed, STOPS, DOUBLE, NULL },
	{ "realloc into a block", realloc_inside, STOPS, REALLOC_INTERIOR, INTERIOR },
	{ "calloc that overflows", calloc_overflow, GOES_ON, NULL, NULL },
	{ "free_sized with a wrong size", free_sized_wrong, EITHER, NULL, NULL },
	{ "free_aligned_sized with a wrong size", free_aligned_sized_wrong, EITHER, NULL, NULL },
};
#define N_CASES (sizeof(cases) / sizeof(cases[0]))

struct result {
	int status;
	char address[64]; /* stdout */
	char error[512];  /* stderr, its first line */
};

static void read_line(int fd, char *text, size_t size)
{
	size_t length = 0;
	ssize_t n;

	while (length < size - 1 && (n = read(fd, text + length, size - 1 - length)) > 0)
		length += (size_t)n;
	text[length] = '\0';
	text[strcspn(text, "\n")] = '\0';
	close(fd);
}

static void exec_case(const struct misuse *misuse, int out, int error)
{
	struct rlimit none = { 0, 0 };

	setrlimit(RLIMIT_CORE, &none);
	alarm(CASE_SECONDS);
	dup2(out, STDOUT_FILENO);
	dup2(error, STDERR_FILENO);
	execl("/proc/self/exe", "misuse", misuse->name, NULL);
	_exit(126);
}

static bool run_case(const struct misuse *misuse, struct result *result)
{
	int out[2], error[2];
	pid_t pid;

	if (pipe2(out, O_CLOEXEC) < 0 || pipe2(error, O_CLOEXEC) < 0 || (pid = fork()) < 0)
		return false;
	if (pid == 0)
		exec_case(misuse, out[1], error[1]);
	close(out[1]);
	close(error[1]);
	read_line(out[0], result->address, sizeof(result->address));
	read_line(error[0], result->error, sizeof(result->error));
	return waitpid(pid, &result->status, 0) == pid;
}

static bool line_matches(const char *format, const struct result *result)
{
	unsigned long address = strtoul(result->address, NULL, 0);
	char expected[256];

	if (!format)
		return false;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral" /* the table's own formats, each with one address */
	snprintf(expected, sizeof(expected), format, address);
#pragma GCC diagnostic pop
	return strcmp(expected, result->error) == 0;
}

static bool as_expected(const struct misuse *misuse, const struct result *result)
{
	bool aborted = WIFSIGNALED(result->status) && WTERMSIG(result->status) == SIGABRT;
	bool went_on = WIFEXITED(result->status) && WEXITSTATUS(result->status) == 0 && !result->error[0];

	switch (misuse->outcome) {
	case STOPS: return aborted && (line_matches(misuse->line, result) || line_matches(misuse->or_line, result));
	case GOES_ON: return went_on;
	default: return went_on || (aborted && strncmp(result->error, "hakmem: ", 8) == 0);
	}
}

static void report(const struct misuse *misuse)
{
	struct result result;

	memset(&result, 0, sizeof(result));
	if (!run_case(misuse, &result)) {
		tap_ok(false, "%s: cannot be run: %s", misuse->name, strerror(errno));
		return;
	}
	if (tap_ok(as_expected(misuse, &result), "%s", misuse->name))
		return;
	printf("# address %s, status 0x%x%s, stderr: %s\n", result.address, result.status,
	       WIFEXITED(result.status) && WEXITSTATUS(result.status) == UNNOTICED ? " (unnoticed)" : "",
	       result.error);
	printf("# expected: %s\n", misuse->line ? misuse->line : "to go on");
}

static int run_named(const char *name)
{
	size_t i;

	for (i = 0; i < N_CASES; i++) {
		if (strcmp(cases[i].name, name) != 0)
			continue;
		cases[i].run();
		_exit(UNNOTICED);
	}
	fprintf(stderr, "misuse: no case \"%s\"\n", name);
	return 2;
}

int main(int argc, char **argv)
{
	size_t i;

	family_find(&family);
	if (argc > 1)
		return run_named(argv[1]);
	if (!tap_under_hakmem()) {
		puts("1..0 # SKIP the lines are libhakmem's own: run it through tests/with-hakmem");
		return 0;
	}
	for (i = 0; i < N_CASES; i++)
		report(&cases[i]);
	return tap_done();
}
