// SPDX-License-Identifier: MIT
/*
 * misuse: what the library says when a program hands it a pointer that it must not.
 *
 * Why: the one line on stderr is all that a person sees of such a fault, and scripts look for it; it is compared
 * to the letter.
 * How: one table of cases.  The runner executes itself for each, `misuse CASE`; the case prints the address
 * it is going to misuse, then does so.  The runner puts the address into the expected line and compares it with the
 * first line on stderr, and expects SIGABRT.  Each case runs in both modes: as the library is, where a pointer that
 * is not ours must be noticed at once, a double free and a pointer into a block at the latest when the copy reaches
 * its slab, which malloc_trim() forces; and with HAKMEM_CHECK=1, where all of it must be noticed at once.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/time.h>
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
#define BEYOND(n) "hakmem: the block of " #n " bytes at 0x%lx was written beyond its end"
#define AFTER(n) "hakmem: the block of " #n " bytes at 0x%lx was written after it was freed"
#define SIZED(n) "hakmem: free_sized(): " #n " bytes is not the size of the block at 0x%lx"
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

/* HAKMEM_CHECK=1 */
static bool checked(void)
{
	return getenv("HAKMEM_CHECK") != NULL;
}

/* After the misuse: every cached block back to its slab, the latest moment for what a magazine cannot see.  Where
 * blocks are watched that is too late. */
static void flush(void)
{
	if (checked())
		_exit(UNNOTICED);
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
	malloc_trim(0);
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
	malloc_trim(0);
	_exit(0);
}

static void must(bool good)
{
	if (!good)
		_exit(1);
}

#define MUST_FAIL(call, number)                                                                              \
	do {                                                                                                 \
		errno = 0;                                                                                   \
		must(block_hide(call) == NULL && errno == (number));                                         \
	} while (0)

static void calloc_overflow(void)
{
	volatile size_t n = SIZE_MAX / 8, size = 16;

	announce(NULL);
	MUST_FAIL(calloc(n, size), ENOMEM);
	finish_well();
}

static void reallocarray_overflow(void)
{
	volatile size_t n = SIZE_MAX / 8, size = 16;
	char *p = announced_block(40);

	memset(p, 7, 40);
	MUST_FAIL(reallocarray(block_hide(p), n, size), ENOMEM);
	must(block_all((unsigned char *)p, 40, 7)); /* still there */
	free(p);
	finish_well();
}

static void memalign_overflow(void)
{
	volatile size_t alignment = (size_t)1 << 63, size = SIZE_MAX - 100;
	void *p = NULL;

	announce(NULL);
	MUST_FAIL(memalign(4096, size), ENOMEM);
	MUST_FAIL(memalign(alignment, 100), ENOMEM);
	MUST_FAIL(aligned_alloc(alignment, 100), ENOMEM);
	MUST_FAIL(valloc(size), ENOMEM);
	MUST_FAIL(pvalloc(size), ENOMEM);
	must(posix_memalign(&p, alignment, size) == ENOMEM && p == NULL);
	finish_well();
}

static void free_sized_as(size_t n, size_t said)
{
	char *p = announced_block(n);

	must(family.free_sized != NULL);
	family.free_sized(p, said);
}

static void free_sized_more(void)
{
	free_sized_as(48, 4000);
}

static void free_sized_less(void)
{
	free_sized_as(4000, 48);
}

static void free_sized_mid(void)
{
	free_sized_as(300000, 200000);
}

static void free_sized_large(void)
{
	free_sized_as(5 * MIB, 5 * MIB + 4097);
}

static void free_sized_close(void)
{
	free_sized_as(100, 99);
}

static void free_sized_wild(void)
{
	must(family.free_sized != NULL);
	family.free_sized(announce((const void *)0xdeadbeef0000), 100);
}

static void free_aligned_sized_wrong(void)
{
	char *p = announce(block_hide(aligned_alloc(64, 128)));

	must(family.free_aligned_sized != NULL);
	family.free_aligned_sized(p, 64, 8192);
}

static void free_aligned_sized_askew(void)
{
	char *p = block_hide(aligned_alloc(64, 128));

	announce(p);
	must(family.free_aligned_sized != NULL);
	family.free_aligned_sized(block_hide(p), (size_t)1 << 40, 128);
}

/* ---- what only HAKMEM_CHECK=1 sees ---- */

/* A string that is one byte too long. */
static void overflow_of(size_t n)
{
	char *p = announced_block(n);

	memset(p, 'x', n);
	p[n] = '\0';
	free(block_hide(p));
}

static void overflow_24(void)
{
	overflow_of(24);
}

static void overflow_1000(void)
{
	overflow_of(1000);
}

static void overflow_20k(void)
{
	overflow_of(20 * KIB);
}

static void overflow_200k(void)
{
	overflow_of(200 * KIB);
}

static void overflow_5m(void)
{
	overflow_of(5 * MIB);
}

static void overflow_of_nothing(void)
{
	overflow_of(0);
}

static void overflow_of_calloc(void)
{
	char *p = announce(block_hide(calloc(3, 8)));

	p[24] = 1;
	free(block_hide(p));
}

static void overflow_of_aligned(void)
{
	char *p = announce(block_hide(memalign(4096, 24)));

	p[24] = 1;
	free(block_hide(p));
}

static void overflow_before_realloc(void)
{
	char *p = announced_block(24);

	p[25] = 1;
	block_hide(realloc(block_hide(p), 4000));
}

static void overflow_at_exit(void)
{
	char *p = announced_block(24);

	p[39] = 1;
	exit(UNNOTICED);
}

static void write_after_free(void)
{
	char *p = announced_block(40);

	free(p);
	((char *)block_hide(p))[8] = 1;
	free_many(5000, 40);
}

static void write_after_free_at_exit(void)
{
	char *p = announced_block(40);

	free(p);
	((char *)block_hide(p))[39] = 1;
	exit(UNNOTICED);
}

/* The block is not handed out again for a while, so that the write cannot hit another's. */
static void double_free_after_malloc(void)
{
	char *p = announced_block(40);

	free(p);
	block_hide(malloc(40));
	free(block_hide(p));
}

static void patterns(void)
{
	unsigned char *p = (unsigned char *)announced_block(40);

	must(block_all(p, 40, 0xa5) && malloc_usable_size(p) == 40);
	memset(p, 0, 40);
	free(p);
	must(block_all(block_hide(p), 40, 0xdd));
	p = block_hide(calloc(40, 1));
	must(block_all(p, 40, 0));
	p = block_hide(realloc(p, 60));
	must(block_all(p, 40, 0) && block_all(p + 40, 20, 0xa5));
	free(p);
	finish_well();
}

static void allocate_in_handler(int sig)
{
	(void)sig;
	free(block_hide(malloc(100)));
}

/* A timer at 1 kHz sooner or later interrupts malloc. */
static void malloc_in_handler(void)
{
	struct itimerval timer = { { 0, 1000 }, { 0, 1000 } };

	announce(NULL);
	signal(SIGALRM, allocate_in_handler);
	setitimer(ITIMER_REAL, &timer, NULL);
	for (;;)
		free_many(100, 200);
}

enum outcome {
	STOPS,   /* one of the lines, then SIGABRT */
	GOES_ON, /* exit status 0, nothing on stderr */
	UNSEEN,  /* nothing is promised in this mode, so the case does not run */
};

struct misuse {
	const char *name;
	void (*run)(void);
	enum outcome outcome;        /* as the library is */
	enum outcome check_outcome;  /* with HAKMEM_CHECK=1 */
	const char *line, *or_line;  /* the second where two places may be the first to notice */
};

/* A large block's mapping may be gone by the second free: then its address is nobody's. */
static const struct misuse cases[] = {
	{ "double free", double_free, STOPS, STOPS, DOUBLE, NULL },
	{ "double free of a lone block", double_free_lone, STOPS, STOPS, DOUBLE, NOT_OURS },
	{ "double free of 1,000 bytes", double_free_1000, STOPS, STOPS, DOUBLE, NULL },
	{ "double free of 20 KiB", double_free_20k, STOPS, STOPS, DOUBLE, NULL },
	{ "double free of 200 KiB", double_free_200k, STOPS, STOPS, DOUBLE, NOT_OURS },
	{ "double free of 5 MiB", double_free_5m, STOPS, STOPS, DOUBLE, NOT_OURS },
	{ "double free after others", double_free_after_others, STOPS, STOPS, DOUBLE, NULL },
	{ "double free after a flush", double_free_after_flush, STOPS, STOPS, DOUBLE, NULL },
	{ "double free after a spill", double_free_after_spill, STOPS, STOPS, DOUBLE, NULL },
	{ "double free by two threads", double_free_by_thread, STOPS, STOPS, DOUBLE, NULL },
	{ "double free of an aligned block", double_free_aligned, STOPS, STOPS, DOUBLE, NULL },
	{ "free of the stack", free_stack, STOPS, STOPS, NOT_OURS, NULL },
	{ "free of a global", free_global, STOPS, STOPS, NOT_OURS, NULL },
	{ "free of a constant", free_constant, STOPS, STOPS, NOT_OURS, NULL },
	{ "free of code", free_code, STOPS, STOPS, NOT_OURS, NULL },
	{ "free of a mapping", free_mapping, STOPS, STOPS, NOT_OURS, NULL },
	{ "free of a mapping without access", free_no_access, STOPS, STOPS, NOT_OURS, NULL },
	{ "free of a wild pointer", free_wild, STOPS, STOPS, NOT_OURS, NULL },
	{ "free of a small number", free_small_number, STOPS, STOPS, NOT_OURS, NULL },
	{ "free of letters", free_letters, STOPS, STOPS, NOT_OURS, NULL },
	{ "free of the last address", free_top, STOPS, STOPS, NOT_OURS, NULL },
	{ "free of the data segment's end", free_brk, STOPS, STOPS, NOT_OURS, NULL },
	{ "free 16 bytes into a block", free_inside_16, STOPS, STOPS, INTERIOR, NULL },
	{ "free 8 bytes into a block", free_inside_8, STOPS, STOPS, INTERIOR, NULL },
	{ "free 1 byte into a block", free_inside_1, STOPS, STOPS, INTERIOR, NULL },
	{ "free into a block of 1,000 bytes", free_inside_1000, STOPS, STOPS, INTERIOR, NULL },
	{ "free into a block of 20 KiB", free_inside_20k, STOPS, STOPS, INTERIOR, NULL },
	{ "free into a block of 200 KiB", free_inside_200k, STOPS, STOPS, INTERIOR, NULL },
	{ "free into a block of 5 MiB", free_inside_5m, STOPS, STOPS, INTERIOR, NULL },
	{ "realloc of the stack", realloc_stack, STOPS, STOPS, REALLOC_NOT_OURS, NULL },
	{ "realloc of a wild pointer", realloc_wild, STOPS, STOPS, REALLOC_NOT_OURS, NULL },
	{ "realloc of a freed block", realloc_freed, STOPS, STOPS, DOUBLE, NULL },
	{ "realloc into a block", realloc_inside, STOPS, STOPS, REALLOC_INTERIOR, INTERIOR },
	{ "calloc that overflows", calloc_overflow, GOES_ON, GOES_ON, NULL, NULL },
	{ "reallocarray that overflows", reallocarray_overflow, GOES_ON, GOES_ON, NULL, NULL },
	{ "memalign and its kin that overflow", memalign_overflow, GOES_ON, GOES_ON, NULL, NULL },
	{ "free_sized with more", free_sized_more, STOPS, STOPS, SIZED(4000), NULL },
	{ "free_sized with less", free_sized_less, STOPS, STOPS, SIZED(48), NULL },
	{ "free_sized of 300,000 bytes with less", free_sized_mid, STOPS, STOPS, SIZED(200000), NULL },
	{ "free_sized of 5 MiB with more", free_sized_large, STOPS, STOPS, SIZED(5246977), NULL },
	{ "free_sized with one byte less", free_sized_close, UNSEEN, STOPS, SIZED(99), NULL },
	{ "free_sized of a wild pointer", free_sized_wild, STOPS, STOPS,
	  "hakmem: free_sized(): invalid pointer 0x%lx: not allocated by hakmem", NULL },
	{ "free_aligned_sized with more", free_aligned_sized_wrong, STOPS, STOPS,
	  "hakmem: free_aligned_sized(): 8192 bytes is not the size of the block at 0x%lx", NULL },
	{ "free_aligned_sized with another alignment", free_aligned_sized_askew, STOPS, STOPS,
	  "hakmem: free_aligned_sized(): the block at 0x%lx is not aligned to 1099511627776 bytes", NULL },
	{ "a byte beyond 24", overflow_24, UNSEEN, STOPS, BEYOND(24), NULL },
	{ "a byte beyond 1,000", overflow_1000, UNSEEN, STOPS, BEYOND(1000), NULL },
	{ "a byte beyond 20 KiB", overflow_20k, UNSEEN, STOPS, BEYOND(20480), NULL },
	{ "a byte beyond 200 KiB", overflow_200k, UNSEEN, STOPS, BEYOND(204800), NULL },
	{ "a byte beyond 5 MiB", overflow_5m, UNSEEN, STOPS, BEYOND(5242880), NULL },
	{ "a byte beyond nothing", overflow_of_nothing, UNSEEN, STOPS, BEYOND(0), NULL },
	{ "a byte beyond calloc's", overflow_of_calloc, UNSEEN, STOPS, BEYOND(24), NULL },
	{ "a byte beyond memalign's", overflow_of_aligned, UNSEEN, STOPS, BEYOND(24), NULL },
	{ "beyond the end, noticed by realloc", overflow_before_realloc, UNSEEN, STOPS, BEYOND(24), NULL },
	{ "beyond the end, noticed at exit", overflow_at_exit, UNSEEN, STOPS, BEYOND(24), NULL },
	{ "write after free", write_after_free, UNSEEN, STOPS, AFTER(40), NULL },
	{ "write after free, noticed at exit", write_after_free_at_exit, UNSEEN, STOPS, AFTER(40), NULL },
	{ "double free after another malloc", double_free_after_malloc, UNSEEN, STOPS, DOUBLE, NULL },
	{ "fresh and freed blocks have patterns", patterns, UNSEEN, GOES_ON, NULL, NULL },
	{ "malloc in a signal handler inside malloc", malloc_in_handler, UNSEEN, STOPS,
	  "hakmem: a signal handler called malloc or free, and had interrupted one of them", NULL },
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

static void exec_case(const struct misuse *misuse, bool check, int out, int error)
{
	struct rlimit none = { 0, 0 };

	setrlimit(RLIMIT_CORE, &none);
	alarm(CASE_SECONDS);
	if (check)
		setenv("HAKMEM_CHECK", "1", 1);
	else
		unsetenv("HAKMEM_CHECK");
	dup2(out, STDOUT_FILENO);
	dup2(error, STDERR_FILENO);
	execl("/proc/self/exe", "misuse", misuse->name, NULL);
	_exit(126);
}

static bool run_case(const struct misuse *misuse, bool check, struct result *result)
{
	int out[2], error[2];
	pid_t pid;

	if (pipe2(out, O_CLOEXEC) < 0 || pipe2(error, O_CLOEXEC) < 0 || (pid = fork()) < 0)
		return false;
	if (pid == 0)
		exec_case(misuse, check, out[1], error[1]);
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

static bool as_expected(const struct misuse *misuse, enum outcome outcome, const struct result *result)
{
	bool aborted = WIFSIGNALED(result->status) && WTERMSIG(result->status) == SIGABRT;
	bool went_on = WIFEXITED(result->status) && WEXITSTATUS(result->status) == 0 && !result->error[0];

	if (outcome == GOES_ON)
		return went_on;
	return aborted && (line_matches(misuse->line, result) || line_matches(misuse->or_line, result));
}

static void report(const struct misuse *misuse, bool check)
{
	enum outcome outcome = check ? misuse->check_outcome : misuse->outcome;
	const char *mode = check ? ", HAKMEM_CHECK=1" : "";
	struct result result;

	if (outcome == UNSEEN)
		return;
	memset(&result, 0, sizeof(result));
	if (!run_case(misuse, check, &result)) {
		tap_ok(false, "%s%s: cannot be run: %s", misuse->name, mode, strerror(errno));
		return;
	}
	if (tap_ok(as_expected(misuse, outcome, &result), "%s%s", misuse->name, mode))
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
		report(&cases[i], false);
	for (i = 0; i < N_CASES; i++)
		report(&cases[i], true);
	return tap_done();
}
