// SPDX-License-Identifier: MIT
/*
 * daemon: a hakmemd in a directory of its own, beside a job; it asks for the memory of who has been quiet for
 * a second.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/bench.h"

#define ANSWER_TRIES 250
#define ANSWER_USEC  20000

static char directory[64], config[96];
static pid_t daemon_pid;

static bool write_config(void)
{
	FILE *stream = fopen(config, "w");

	if (!stream)
		return false;
	fputs("[Daemon]\nControlGroup=\n[Idle]\nProcessIdleSec=1\n", stream);
	return fclose(stream) == 0;
}

static void exec_daemon(const char *path)
{
	int fd = open("/dev/null", O_WRONLY);

	dup2(fd, STDOUT_FILENO);
	dup2(fd, STDERR_FILENO);
	execl(path, "hakmemd", "--config", config, "--runtime-dir", directory, (char *)NULL);
	_exit(127);
}

static bool answers(void)
{
	char socket[96];
	int i;

	snprintf(socket, sizeof(socket), "%s/client.sock", directory);
	for (i = 0; i < ANSWER_TRIES && access(socket, F_OK) != 0; i++)
		usleep(ANSWER_USEC);
	return i < ANSWER_TRIES;
}

const char *bench_daemon_start(const char *path)
{
	if (!path) {
		fputs("hakmem-bench: hakmemd is not built, what needs it is left out\n", stderr);
		return NULL;
	}
	snprintf(directory, sizeof(directory), "/tmp/hakmem-bench-daemon.XXXXXX");
	if (!mkdtemp(directory)) {
		fprintf(stderr, "hakmem-bench: no directory in /tmp: %s\n", strerror(errno));
		return NULL;
	}
	snprintf(config, sizeof(config), "%s/config", directory);
	daemon_pid = write_config() ? fork() : -1;
	if (daemon_pid == 0)
		exec_daemon(path);
	if (daemon_pid > 0 && answers())
		return directory;
	fputs("hakmem-bench: hakmemd does not answer\n", stderr);
	bench_daemon_stop();
	return NULL;
}

void bench_daemon_stop(void)
{
	static const char *const names[] = {"config", "client.sock", "control.sock", "board", "lock"};
	char path[96];
	size_t i;

	if (daemon_pid > 0) {
		kill(daemon_pid, SIGTERM);
		waitpid(daemon_pid, NULL, 0);
	}
	daemon_pid = 0;
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", directory, names[i]);
		unlink(path);
	}
	if (rmdir(directory) < 0)
		fprintf(stderr, "hakmem-bench: %s stays: %s\n", directory, strerror(errno));
}
