// SPDX-License-Identifier: MIT
/* signals: handlers that allocate, at 1 kHz; and whom signals reach. */
#include <stdatomic.h>
#include <sys/time.h>

#include "case.h"

static atomic_ulong n_signals;

static void every_millisecond(void (*handler)(int))
{
	struct itimerval timer = { { 0, 1000 }, { 0, 1000 } };

	MUST(signal(SIGALRM, handler) != SIG_ERR && setitimer(ITIMER_REAL, &timer, NULL) == 0);
}

/* In bad programs that work by luck, a handler frees what it allocates. */
static void allocate(int sig)
{
	void *blocks[20];
	size_t i;

	(void)sig;
	for (i = 0; i < 20; i++)
		blocks[i] = block_hide(malloc(i * 50));
	for (i = 20; i-- != 0;)
		free(blocks[i]);
	n_signals++;
}

/* Until the library says so and ends the process, or `seconds` are over. */
static void work_for(time_t seconds)
{
	time_t end = time(NULL) + seconds;

	while (time(NULL) < end)
		case_work(1);
}

static void handlers_case(void)
{
	every_millisecond(allocate);
	work_for(10);
	dprintf(1, "%lu signals\n", n_signals);
}

/* What is interrupted is the main thread's arithmetic, never malloc: nothing to find. */
static void handlers_outside_case(void)
{
	sigset_t alarms;
	int i;

	sigemptyset(&alarms);
	sigaddset(&alarms, SIGALRM);
	every_millisecond(allocate);
	for (i = 0; i < 50; i++) {
		sigprocmask(SIG_BLOCK, &alarms, NULL);
		case_work(1);
		sigprocmask(SIG_UNBLOCK, &alarms, NULL);
	}
	MUST(n_signals > 0);
}

static void count(int sig)
{
	(void)sig;
	n_signals++;
}

/* The program's handlers run in its own threads: nothing is lost on the control thread. */
static void delivery_case(void)
{
	sigset_t one;
	int i;

	sigemptyset(&one);
	sigaddset(&one, SIGUSR1);
	case_start_control();
	MUST(signal(SIGUSR1, count) != SIG_ERR);
	for (i = 0; i < 50; i++) {
		unsigned long before = n_signals;

		/* While the program's only thread blocks it, it must wait: nobody else takes it. */
		MUST(sigprocmask(SIG_BLOCK, &one, NULL) == 0 && kill(getpid(), SIGUSR1) == 0);
		case_sleep_msec(2);
		MUST(n_signals == before);
		MUST(sigprocmask(SIG_UNBLOCK, &one, NULL) == 0 && n_signals == before + 1);
	}
	MUST(case_threads() == 2);
}

/* errno is the program's. */
static void errno_case(void)
{
	int i;

	for (i = 0; i < 200; i++) {
		void *p[50];
		int j;

		errno = 77;
		for (j = 0; j < 50; j++)
			p[j] = block_hide(malloc((size_t)1 << (j % 24)));
		for (j = 0; j < 50; j++)
			p[j] = block_hide(realloc(p[j], (size_t)3 << (j % 22)));
		for (j = 0; j < 50; j++)
			free(p[j]);
		malloc_trim(0);
		MUST(errno == 77);
	}
	MUST(block_hide(malloc(SIZE_MAX / 2)) == NULL && errno == ENOMEM);
}

static const struct test_case cases[] = {
	{ "handlers", handlers_case },
	{ "handlers-outside", handlers_outside_case },
	{ "delivery", delivery_case },
	{ "errno", errno_case },
};

CASE_MAIN(cases)
