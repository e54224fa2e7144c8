// SPDX-License-Identifier: MIT
/*
 * steady: which system calls an allocator makes under a load that no longer changes.
 *
 * Threads replace blocks of the sizes of realistic at random in 20,000 slots each.  After a warm-up `strace
 * -c -f` is attached, and taken away again when the time is over: its summary is what is reported, per
 * second.
 */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/worker.h"

#define N_SLOTS         20000
#define MAX_THREADS     64
#define WARM_UP_SECONDS 3

static atomic_bool over;
static atomic_ullong n_replaced;

static void *load(void *arg)
{
	void **slots = worker_array(N_SLOTS * sizeof(*slots));
	uint64_t random = (uint64_t)(uintptr_t)arg + 1;
	unsigned int i;

	while (!atomic_load_explicit(&over, memory_order_relaxed)) {
		for (i = 0; i < 1000; i++) {
			void **slot = &slots[worker_below(&random, N_SLOTS)];

			free(*slot);
			*slot = worker_keep(malloc(worker_realistic_size(&random)));
			*(volatile char *)*slot = 1;
		}
		atomic_fetch_add_explicit(&n_replaced, 1000, memory_order_relaxed);
	}
	return NULL;
}

static bool is_traced(void)
{
	char line[128];
	FILE *status = fopen("/proc/self/status", "r");
	int tracer = 0;

	while (status && fgets(line, sizeof(line), status))
		sscanf(line, "TracerPid: %d", &tracer);
	if (status)
		fclose(status);
	return tracer != 0;
}

static int attach(const char *summary)
{
	char pid[16];
	char *argv[] = {(char *)"strace", (char *)"-qq", (char *)"-c", (char *)"-f", (char *)"-o",
	                (char *)summary,  (char *)"-p",  pid,          NULL};
	int strace, i;

	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY, 0, 0, 0);
	strace = worker_spawn(argv, -1);
	for (i = 0; i < 200 && !is_traced(); i++) {
		if (waitpid(strace, NULL, WNOHANG) != 0)
			break;
		usleep(20000);
	}
	if (!is_traced())
		worker_fail("strace (Debian: strace) could not be attached");
	return strace;
}

/* A line of the summary: share, seconds, usecs/call, calls, errors if any, name. */
static bool read_line(const char *line, double *ret_calls, char ret_name[32])
{
	char rest[64];

	if (sscanf(line, "%*f %*f %*f %lf %63[^\n]", ret_calls, rest) != 2)
		return false;
	return sscanf(rest, "%*d %31s", ret_name) == 1 || sscanf(rest, "%31s", ret_name) == 1;
}

static void report(const char *summary, double seconds)
{
	double calls, all = 0, memory = 0, futex = 0;
	char line[256], name[32];
	FILE *stream = fopen(summary, "r");

	if (!stream)
		worker_fail("strace left no summary");
	while (fgets(line, sizeof(line), stream)) {
		if (!read_line(line, &calls, name) || strcmp(name, "total") == 0)
			continue;
		all += calls;
		if (strcmp(name, "madvise") == 0 || strcmp(name, "munmap") == 0 || strcmp(name, "mmap") == 0)
			memory += calls;
		if (strcmp(name, "futex") == 0)
			futex += calls;
	}
	fclose(stream);
	worker_report(memory / seconds, "memory_calls");
	worker_report(futex / seconds, "futex_calls");
	worker_report(all / seconds, "all_calls");
}

static void run_steady(int argc, char **argv)
{
	unsigned int seconds = (unsigned int)worker_number(argc, argv, 0, 10);
	unsigned int n = (unsigned int)worker_number(argc, argv, 1, 2), i;
	char summary[] = "/tmp/hakmem-bench-strace.XXXXXX";
	pthread_t threads[MAX_THREADS];
	unsigned long long before;
	int strace, fd = mkstemp(summary);

	if (n < 1 || n > MAX_THREADS || fd < 0)
		worker_fail("steady: 1 to %d threads, and a file in /tmp", MAX_THREADS);
	close(fd);
	for (i = 0; i < n; i++)
		if (pthread_create(&threads[i], NULL, load, (void *)(uintptr_t)i) != 0)
			worker_fail("no thread");
	sleep(WARM_UP_SECONDS);
	strace = attach(summary);
	before = atomic_load(&n_replaced);
	sleep(seconds);
	worker_report((double)(atomic_load(&n_replaced) - before) / seconds / 1e6, "mops");
	worker_report(worker_rss_mib() / n, "mib_per_thread");
	kill(strace, SIGINT);
	waitpid(strace, NULL, 0);
	atomic_store(&over, true);
	for (i = 0; i < n; i++)
		pthread_join(threads[i], NULL);
	report(summary, seconds);
	unlink(summary);
}

const struct worker_bench worker_steady[] = {
        {"steady", "[SECONDS [N-THREADS]]", run_steady},
        {NULL, NULL, NULL},
};
