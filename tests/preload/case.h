/* SPDX-License-Identifier: MIT */
/*
 * case.h: the programs behind tests/preload/preload.bats, each a table of cases.
 *
 * `PROGRAM CASE` runs one on the preloaded library and ends with 0; with 1 and what went wrong; or with 77 and why
 * it cannot run here.  A case that hangs is killed by its alarm.
 */
#ifndef TESTS_PRELOAD_CASE_H
#define TESTS_PRELOAD_CASE_H

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/api/block.h"

#define CASE_SECONDS 120

struct test_case {
	const char *name;
	void (*run)(void);
};

/* Stops the case unless `good`; may be called where stdio must not be. */
#define MUST(good)                                                                                           \
	do {                                                                                                 \
		if (!(good)) {                                                                               \
			dprintf(1, "%s:%d: not so: %s (errno %d)\n", __FILE__, __LINE__, #good, errno);      \
			_exit(1);                                                                            \
		}                                                                                            \
	} while (0)

#define SKIP(why)                                                                                            \
	do {                                                                                                 \
		dprintf(1, "%s\n", why);                                                                     \
		_exit(77);                                                                                   \
	} while (0)

static inline void case_sleep_msec(unsigned int msec)
{
	struct timespec nap = { msec / 1000, (long)(msec % 1000) * 1000000 };

	nanosleep(&nap, NULL);
}

static inline int case_count(const char *folder)
{
	DIR *dir = opendir(folder);
	struct dirent *entry;
	int n = 0;

	MUST(dir != NULL);
	while ((entry = readdir(dir)) != NULL)
		n += entry->d_name[0] != '.';
	closedir(dir);
	return n;
}

static inline int case_threads(void)
{
	return case_count("/proc/self/task");
}

/* Blocks of all kinds, written, read back and freed: the heap is whole. */
__attribute__((unused)) static void case_work(unsigned int rounds)
{
	enum { N = 600 };
	static void *blocks[N];
	uint64_t key = 1;
	unsigned int round, i;

	for (round = 0; round < rounds; round++) {
		for (i = 0; i < N; i++, key++)
			blocks[i] = block_labelled(16 + block_mix(key) % (i % 100 == 0 ? 3000000 : i % 10 == 0 ? 40000 : 800), key);
		for (i = 0; i < N; i++)
			MUST(block_end_labelled(blocks[i]));
	}
}

/* More than the threshold, so that the control thread comes; soon after one was stopped it takes a while. */
__attribute__((unused)) static void case_start_control(void)
{
	void *p = block_hide(malloc(8 * MIB));
	int i;

	for (i = 0; i < 1000 && case_threads() != 2; i++) {
		free(block_hide(malloc(300 * KIB))); /* a slow path */
		case_sleep_msec(i < 100 ? 1 : 10);
	}
	MUST(case_threads() == 2);
	free(p);
}

/* A child that does `act`; its wait status. */
__attribute__((unused)) static int case_child(void (*act)(void))
{
	pid_t pid = fork();
	int status = 0;

	MUST(pid >= 0);
	if (pid == 0) {
		alarm(CASE_SECONDS);
		act();
		_exit(0);
	}
	MUST(waitpid(pid, &status, 0) == pid);
	return status;
}

static inline int case_main(const struct test_case *cases, size_t n, int argc, char **argv)
{
	size_t i;

	alarm(CASE_SECONDS);
	for (i = 0; i < n; i++) {
		if (argc < 2 || strcmp(cases[i].name, argv[1]) != 0)
			continue;
		cases[i].run();
		return 0;
	}
	fprintf(stderr, "no case \"%s\"\n", argc < 2 ? "" : argv[1]);
	return 2;
}

#define CASE_MAIN(cases)                                                                                     \
	int main(int argc, char **argv)                                                                      \
	{                                                                                                    \
		return case_main(cases, sizeof(cases) / sizeof(cases[0]), argc, argv);                       \
	}

#endif
