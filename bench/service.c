// SPDX-License-Identifier: MIT
/*
 * service: a real program: redis loads 750,000 keys of 200 bytes, drops them all, and falls quiet.
 *
 * The worker only talks to it; memory and processor time are the server's.  Debian's redis has its server in
 * one file with redis-check-rdb, so redis-tools suffices; it is linked with jemalloc, so libc's malloc has to
 * be preloaded too.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/worker.h"

#define REDIS       "/usr/bin/redis-check-rdb"
#define N_KEYS      750000
#define N_GETS      750000
#define BATCH       500
#define VALUE_BYTES 200

static char value[VALUE_BYTES + 1];

static pid_t start(const char *directory, const char *path)
{
	pid_t pid = fork();

	if (pid != 0)
		return pid;
	if (!getenv("LD_PRELOAD"))
		setenv("LD_PRELOAD", "libc.so.6", 1);
	if (!freopen("/dev/null", "w", stdout))
		_exit(127);
	execl(REDIS, "redis-server", "--port", "0", "--unixsocket", path, "--save", "", "--appendonly", "no",
	      "--dir", directory, (char *)NULL);
	_exit(127);
}

static int reach(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), i;

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	for (i = 0; i < 100; i++) {
		if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
			return fd;
		usleep(50000);
	}
	worker_fail("redis (Debian: redis-tools) does not answer");
}

/* Sends what is in `buffer` and reads until `n_lines` lines have come back. */
static void talk(int fd, const char *buffer, size_t n_bytes, unsigned int n_lines)
{
	static char answer[1 << 16];
	unsigned int seen = 0;
	ssize_t n, i;

	if (write(fd, buffer, n_bytes) != (ssize_t)n_bytes)
		worker_fail("redis: write");
	while (seen < n_lines) {
		n = read(fd, answer, sizeof(answer));
		if (n <= 0)
			worker_fail("redis: read");
		for (i = 0; i < n; i++)
			seen += answer[i] == '\n';
	}
}

static void load(int fd)
{
	static char buffer[BATCH * (VALUE_BYTES + 64)];
	unsigned int key, i;

	for (key = 0; key < N_KEYS; key += BATCH) {
		size_t at = 0;

		for (i = 0; i < BATCH; i++)
			at += (size_t)sprintf(buffer + at,
			                      "*3\r\n$3\r\nSET\r\n$10\r\nkey:%06u\r\n$%d\r\n%s\r\n", key + i,
			                      VALUE_BYTES, value);
		talk(fd, buffer, at, BATCH);
	}
}

static void look_up(int fd)
{
	static char buffer[BATCH * 64];
	uint64_t random = 7;
	unsigned int n, i;

	for (n = 0; n < N_GETS; n += BATCH) {
		size_t at = 0;

		for (i = 0; i < BATCH; i++)
			at += (size_t)sprintf(buffer + at, "*2\r\n$3\r\nGET\r\n$10\r\nkey:%06u\r\n",
			                      (unsigned int)worker_below(&random, N_KEYS));
		talk(fd, buffer, at, 2 * BATCH);
	}
}

static double mib(pid_t pid)
{
	return (double)worker_memory_of(pid).rss_kib / 1024;
}

static double seconds(const struct rusage *usage)
{
	return (double)(usage->ru_utime.tv_sec + usage->ru_stime.tv_sec) +
	       (double)(usage->ru_utime.tv_usec + usage->ru_stime.tv_usec) / 1e6;
}

static void run_redis(int argc, char **argv)
{
	char directory[] = "/tmp/hakmem-bench-redis.XXXXXX", path[64];
	struct rusage usage;
	pid_t pid;
	int fd;

	if (!mkdtemp(directory))
		worker_fail("no directory in /tmp");
	snprintf(path, sizeof(path), "%s/socket", directory);
	memset(value, 'v', VALUE_BYTES);
	pid = start(directory, path);
	fd = reach(path);
	worker_report(mib(pid), "empty");
	load(fd);
	worker_report(mib(pid), "full");
	look_up(fd);
	talk(fd, "FLUSHALL\r\n", 10, 1);
	worker_report(mib(pid), "dropped");
	sleep((unsigned int)worker_number(argc, argv, 0, 2));
	worker_report(mib(pid), "idle");
	kill(pid, SIGKILL);
	wait4(pid, NULL, 0, &usage);
	worker_report(seconds(&usage) * 1e9 / (N_KEYS + N_GETS), "cpu_ns");
	unlink(path);
	rmdir(directory);
}

const struct worker_bench worker_redis[] = {
        {"redis", "[SECONDS]", run_redis},
        {NULL, NULL, NULL},
};
