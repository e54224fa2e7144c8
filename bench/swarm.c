/* SPDX-License-Identifier: MIT */
/*
 * Thousands of clients that speak the protocol: load for the daemon.
 *
 *   swarm DIR N      register N processes at DIR, print "ready", answer whatever comes, and for each line on stdin
 *                    print what came since the line before; end of file ends it
 *
 * A line tells to how many clients a FLUSH came and how long it was from the first to the last of those: by when the
 * kernel put them into the clients' sockets, which is when the daemon's part is done; after a line "seen" by when the
 * clients ran and saw them, which depends on how many of them share how many CPUs.
 *
 * Each client is a process of its own, because the daemon takes the newer of two connections of one process as the one
 * that counts, and reads /proc of each.  They are small: forked, not executed, one page of stack each in use.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
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
	struct span {
		_Atomic uint64_t first_nsec; /* earliest since the last report; UINT64_MAX = none */
		_Atomic uint64_t last_nsec;
	} received, seen;
};

static struct swarm *swarm;

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static uint64_t nsec_of(const struct timespec *ts)
{
	return (uint64_t)ts->tv_sec * 1000000000 + (uint64_t)ts->tv_nsec;
}

static uint64_t now_nsec(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return nsec_of(&ts);
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
	stats->cold_bytes = stats->releasable_bytes; /* low rounds reach it too */
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

static void note(struct span *span, uint64_t when)
{
	uint64_t first = atomic_load(&span->first_nsec), last = atomic_load(&span->last_nsec);

	while (when < first && !atomic_compare_exchange_weak(&span->first_nsec, &first, when))
		;
	while (when > last && !atomic_compare_exchange_weak(&span->last_nsec, &last, when))
		;
}

static uint64_t take(struct span *span)
{
	uint64_t first = atomic_exchange(&span->first_nsec, UINT64_MAX), last = atomic_exchange(&span->last_nsec, 0);

	return last > first ? last - first : 0;
}

/* One record, with the time (CLOCK_REALTIME) at which the kernel put it into the socket; 0 = it does not say. */
static ssize_t receive(int fd, char *bytes, uint64_t *ret_nsec)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(struct timespec)) + CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec iov = {bytes, HKP_FRAME_MAX};
	struct msghdr message = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
	ssize_t n = recvmsg(fd, &message, MSG_CMSG_CLOEXEC);
	struct timespec stamp;
	int passed;

	*ret_nsec = 0;
	for (struct cmsghdr *c = n > 0 ? CMSG_FIRSTHDR(&message) : NULL; c; c = CMSG_NXTHDR(&message, c))
		if (c->cmsg_type == SCM_TIMESTAMPNS) {
			memcpy(&stamp, CMSG_DATA(c), sizeof stamp);
			*ret_nsec = nsec_of(&stamp);
		} else if (c->cmsg_type == SCM_RIGHTS) { /* the board */
			memcpy(&passed, CMSG_DATA(c), sizeof passed);
			close(passed);
		}
	return n;
}

static void note_flush(uint64_t received_nsec)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	if (received_nsec)
		note(&swarm->received, received_nsec);
	note(&swarm->seen, nsec_of(&now));
	atomic_fetch_add(&swarm->n_flushes, 1);
}

static void child(const char *dir)
{
	struct hkp_frame frame, answer = {.header = {.type = HKP_RESULT}};
	char bytes[HKP_FRAME_MAX];
	uint64_t received_nsec;
	bool noted = false;
	int fd, on = 1;
	ssize_t n;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	fd = hello(dir);
	if (setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on) < 0)
		die("timestamps");
	while ((n = receive(fd, bytes, &received_nsec)) > 0) {
		if (hkp_decode(bytes, (size_t)n, &frame) < 0 || frame.header.type == HKP_BYE)
			break;
		if (frame.header.type == HKP_WELCOME)
			atomic_fetch_add(&swarm->n_ready, 1);
		if (frame.header.type != HKP_FLUSH && frame.header.type != HKP_SURVEY)
			continue;
		/* A second one, a level higher, is no part of the same broadcast. */
		if (frame.header.type == HKP_FLUSH && !noted) {
			note_flush(received_nsec);
			noted = true;
		}
		answer.header.seq = frame.header.seq;
		answer.result.level = frame.flush.level;
		send_frame(fd, &answer, -1);
	}
	_exit(0);
}

int main(int argc, char **argv)
{
	uint64_t n = argc == 3 ? strtoull(argv[2], NULL, 10) : 0, n_flushes = 0, received = 0, seen = 0;
	char line[16];

	swarm = mmap(NULL, sizeof *swarm, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (!n || swarm == MAP_FAILED)
		return 2;
	signal(SIGCHLD, SIG_IGN);
	(void)take(&swarm->received); /* sets both ends */
	(void)take(&swarm->seen);
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
		if (strcmp(line, "seen\n") != 0) {
			n_flushes = atomic_exchange(&swarm->n_flushes, 0);
			received = take(&swarm->received);
			seen = take(&swarm->seen);
		}
		printf("flushes %llu nsec %llu\n", (unsigned long long)n_flushes,
			(unsigned long long)(strcmp(line, "seen\n") ? received : seen));
		fflush(stdout);
	}
	kill(0, SIGTERM); /* our own process group, which bench/control made for us */
	return 0;
}
