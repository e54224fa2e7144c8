/* SPDX-License-Identifier: MIT */
/*
 * Thousands of clients that speak the protocol: load for the daemon.
 *
 *   swarm DIR N      register N processes at DIR, print "ready", answer whatever comes, and for each line on stdin
 *                    print what came since the line before; end of file ends it
 *
 * Each client is a process of its own, because the daemon takes the newer of two connections of one process as the one
 * that counts, and reads /proc of each.  They are small: forked, not executed, one page of stack each in use.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "protocol/stats.h"
#include "protocol/wire.h"

/* What the children tell, in memory that all share. */
struct swarm {
	_Atomic uint64_t n_ready;
	_Atomic uint64_t n_flushes;
	_Atomic uint64_t first_nsec; /* earliest FLUSH since the last report; UINT64_MAX = none */
	_Atomic uint64_t last_nsec;
};

static struct swarm *swarm;

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static uint64_t now_nsec(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static void send_frame(int fd, const struct hkp_frame *frame, int passed)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = {.bytes = {0}};
	char bytes[HKP_FRAME_MAX];
	struct iovec iov = {bytes, (size_t)hkp_encode(frame, bytes, sizeof bytes)};
	struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};

	if (passed >= 0) {
		message.msg_control = &control;
		message.msg_controllen = sizeof control.bytes;
		control.align.cmsg_level = SOL_SOCKET;
		control.align.cmsg_type = SCM_RIGHTS;
		control.align.cmsg_len = CMSG_LEN(sizeof passed);
		memcpy(CMSG_DATA(&control.align), &passed, sizeof passed);
	}
	if (sendmsg(fd, &message, MSG_NOSIGNAL) < 0)
		_exit(1);
}

static int hello(const char *dir)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct hkp_frame frame = {.header = {.type = HKP_HELLO},
		.hello = {.library_version = 0x000100, .stats_bytes = HKP_STATS_BYTES}};
	int fd = socket(AF_UNIX, SOCK_SEQPACKET, 0), memory = memfd_create("swarm", MFD_ALLOW_SEALING);
	struct hkp_stats *stats;

	snprintf(address.sun_path, sizeof address.sun_path, "%s/" HKP_CLIENT_SOCKET, dir);
	if (fd < 0 || memory < 0 || ftruncate(memory, HKP_STATS_BYTES) < 0)
		die("swarm");
	stats = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
	if (stats == MAP_FAILED)
		die("mmap");
	stats->magic = HKP_STATS_MAGIC;
	stats->version = HKP_STATS_VERSION;
	stats->size = HKP_STATS_BYTES;
	stats->activity_nsec = now_nsec();
	stats->releasable_bytes = 64 << 20; /* the daemon cuts it to what the kernel says, which is little */
	stats->used_bytes = 1 << 20;
	if (fcntl(memory, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL) < 0)
		die("seals");
	while (connect(fd, (struct sockaddr *)&address, sizeof address) < 0) {
		if (errno != EAGAIN)
			die("connect");
		usleep(10000);
	}
	send_frame(fd, &frame, memory);
	close(memory);
	return fd;
}

static void note_flush(void)
{
	uint64_t now = now_nsec(), first = atomic_load(&swarm->first_nsec), last = atomic_load(&swarm->last_nsec);

	while (now < first && !atomic_compare_exchange_weak(&swarm->first_nsec, &first, now))
		;
	while (now > last && !atomic_compare_exchange_weak(&swarm->last_nsec, &last, now))
		;
	atomic_fetch_add(&swarm->n_flushes, 1);
}

static void child(const char *dir)
{
	struct hkp_frame frame, answer = {.header = {.type = HKP_RESULT}};
	char bytes[HKP_FRAME_MAX];
	int fd;
	ssize_t n;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	fd = hello(dir);
	while ((n = recv(fd, bytes, sizeof bytes, 0)) > 0) {
		if (hkp_decode(bytes, (size_t)n, &frame) < 0 || frame.header.type == HKP_BYE)
			break;
		if (frame.header.type == HKP_WELCOME)
			atomic_fetch_add(&swarm->n_ready, 1);
		if (frame.header.type != HKP_FLUSH && frame.header.type != HKP_SURVEY)
			continue;
		if (frame.header.type == HKP_FLUSH)
			note_flush();
		answer.header.seq = frame.header.seq;
		answer.result.level = frame.flush.level;
		send_frame(fd, &answer, -1);
	}
	_exit(0);
}

int main(int argc, char **argv)
{
	uint64_t n = argc == 3 ? strtoull(argv[2], NULL, 10) : 0;
	char line[16];

	swarm = mmap(NULL, sizeof *swarm, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (!n || swarm == MAP_FAILED)
		return 2;
	signal(SIGCHLD, SIG_IGN);
	atomic_store(&swarm->first_nsec, UINT64_MAX);
	for (uint64_t i = 0; i < n; i++) {
		pid_t pid = fork();

		if (pid < 0)
			die("fork");
		if (!pid)
			child(argv[1]);
	}
	for (int i = 0; i < 600 && atomic_load(&swarm->n_ready) < n; i++)
		usleep(100000);
	printf("ready %llu\n", (unsigned long long)atomic_load(&swarm->n_ready));
	fflush(stdout);
	while (fgets(line, sizeof line, stdin)) {
		uint64_t flushes = atomic_exchange(&swarm->n_flushes, 0), first = atomic_exchange(&swarm->first_nsec, UINT64_MAX);
		uint64_t last = atomic_exchange(&swarm->last_nsec, 0);

		printf("flushes %llu nsec %llu\n", (unsigned long long)flushes,
			(unsigned long long)(flushes ? last - first : 0));
		fflush(stdout);
	}
	kill(0, SIGTERM); /* our own process group, which bench/control made for us */
	return 0;
}
