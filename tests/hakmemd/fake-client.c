/* SPDX-License-Identifier: MIT */
/*
 * A process that speaks the protocol without being on libhakmem: for the daemon's tests.
 *
 * It holds real memory, which a FLUSH unmaps, so that what the daemon measures is real.  It prints a line for
 * each frame that it gets.  --hold is what it holds, --cold what of it it says is in cold magazines (all), --cached what
 * in freed large blocks (none), --hot what its eight threads keep.  --mode chooses how it misbehaves:
 *   normal     as libhakmem would
 *   unsealed, short, no-fd, two-fds, many-fds, hugetlb, regular   a wrong stats segment, or a wrong number of them
 *   wild       a stats segment full of nonsense behind its head
 *   garbage, truncated, major, early-result             a wrong frame
 *   mute       never answers a FLUSH
 *   dies       exits when asked to flush
 *   liar       claims a tebibyte, and returns nothing
 *   unread     never reads
 *   flood      sends results that nobody asked for
 * Exit codes: 0 said BYE or hung up on, 3 dropped for breaking the protocol, 4 quota, 1 other.
 */
#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "protocol/board.h"
#include "protocol/stats.h"
#include "protocol/wire.h"

#define FDS_MAX 253 /* the kernel takes no more with one message */

struct fake {
	const char *mode;
	const char *path;
	int fd;
	struct hkp_stats *stats;
	size_t held_bytes;
	uint64_t hot_bytes;
	uint64_t cached_bytes;
	uint64_t cold_bytes; /* UINT64_MAX = as much as it says it could give */
	void *held;
	unsigned retries; /* connect again so many times, 100 ms apart */
};

static bool is(const struct fake *fake, const char *mode)
{
	return !strcmp(fake->mode, mode);
}

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

static int make_segment(struct fake *fake)
{
	char name[] = "/tmp/fake-client.XXXXXX";
	int fd = is(fake, "regular")  ? mkstemp(name)
		: is(fake, "hugetlb") ? memfd_create("fake", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_HUGETLB)
				      : memfd_create("fake", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	size_t size = is(fake, "short") ? 100 : is(fake, "hugetlb") ? 2 << 20 : HKP_STATS_BYTES;
	void *map;

	if (is(fake, "regular"))
		unlink(name);
	if (fd < 0 || ftruncate(fd, (off_t)size) < 0)
		die("segment");
	map = mmap(NULL, HKP_STATS_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	fake->stats = map == MAP_FAILED || is(fake, "short") ? calloc(1, HKP_STATS_BYTES) : map;
	if (!is(fake, "hugetlb")) {
		fake->stats->magic = HKP_STATS_MAGIC;
		fake->stats->version = HKP_STATS_VERSION;
		fake->stats->size = HKP_STATS_BYTES;
	}
	if (!is(fake, "unsealed") && !is(fake, "regular") &&
		fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL) < 0)
		die("seals");
	return fd;
}

static void hold(struct fake *fake)
{
	if (fake->held_bytes) {
		fake->held = mmap(NULL, fake->held_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (fake->held == MAP_FAILED)
			die("mmap");
		memset(fake->held, 1, fake->held_bytes);
	}
	fake->stats->activity_nsec = now_nsec();
	fake->stats->mapped_bytes = fake->held_bytes + 1000000;
	fake->stats->used_bytes = 1000000;
	fake->stats->hot_bytes = fake->hot_bytes;
	fake->stats->large_cached_bytes = fake->cached_bytes;
	fake->stats->threads = 8;
	fake->stats->superslabs = 7;
	fake->stats->superslabs_empty = 3;
	fake->stats->n_classes = 1;
	fake->stats->classes[0] = (struct hkp_stats_class){.block_bytes = 16, .used = 10, .free = 6, .slabs = 1};
	if (is(fake, "wild"))
		memset(&fake->stats->activity_nsec, 0xff, HKP_STATS_BYTES - offsetof(struct hkp_stats, activity_nsec));
	fake->stats->releasable_bytes = is(fake, "liar") ? UINT64_C(1) << 40 : fake->held_bytes;
	if (!is(fake, "wild"))
		fake->stats->cold_bytes = fake->cold_bytes == UINT64_MAX ? fake->stats->releasable_bytes : fake->cold_bytes;
}

static void send_bytes(struct fake *fake, const void *bytes, size_t length, const int *fds, size_t n_fds)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(FDS_MAX * sizeof(int))];
	} control = {.bytes = {0}};
	struct iovec iov = {(void *)(uintptr_t)bytes, length};
	struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};

	if (n_fds) {
		message.msg_control = &control;
		message.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
		control.align.cmsg_level = SOL_SOCKET;
		control.align.cmsg_type = SCM_RIGHTS;
		control.align.cmsg_len = CMSG_LEN(n_fds * sizeof(int));
		memcpy(CMSG_DATA(CMSG_FIRSTHDR(&message)), fds, n_fds * sizeof(int));
	}
	if (sendmsg(fake->fd, &message, MSG_NOSIGNAL) < 0)
		fprintf(stderr, "fake-client: send: %s\n", strerror(errno));
}

static void send_frame(struct fake *fake, const struct hkp_frame *frame, const int *fds, size_t n_fds)
{
	char bytes[HKP_FRAME_MAX];
	int length = hkp_encode(frame, bytes, sizeof bytes);

	send_bytes(fake, bytes, (size_t)length - (is(fake, "truncated") ? 4 : 0), fds, n_fds);
}

static bool connect_daemon(struct fake *fake)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	snprintf(address.sun_path, sizeof address.sun_path, "%s/" HKP_CLIENT_SOCKET, fake->path);
	fake->fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fake->fd >= 0 && connect(fake->fd, (struct sockaddr *)&address, sizeof address) == 0)
		return true;
	close(fake->fd);
	return false;
}

static void say_hello(struct fake *fake)
{
	struct hkp_frame frame = {.header = {.type = HKP_HELLO},
		.hello = {.library_version = 0x000100, .stats_bytes = HKP_STATS_BYTES}};
	int fds[FDS_MAX];

	fds[0] = make_segment(fake);
	for (int i = 1; i < FDS_MAX; i++)
		fds[i] = fds[0];
	hold(fake);
	if (is(fake, "garbage"))
		send_bytes(fake, "hello, daemon, this is no frame", 31, NULL, 0);
	else if (is(fake, "major"))
		send_bytes(fake, "HKM1\x02\x0a\x10\x00\0\0\0\0\0\0\0\0", 16, NULL, 0);
	else if (is(fake, "early-result")) {
		frame.header.type = HKP_RESULT;
		send_frame(fake, &frame, NULL, 0);
	} else
		send_frame(fake, &frame, fds, is(fake, "no-fd") ? 0 : is(fake, "two-fds") ? 2 : is(fake, "many-fds") ? FDS_MAX : 1);
	if (is(fake, "hugetlb") || !is(fake, "normal"))
		close(fds[0]);
}

static void answer(struct fake *fake, const struct hkp_frame *asked)
{
	struct hkp_frame frame = {.header = {.type = HKP_RESULT, .seq = asked->header.seq}};
	struct hkp_stats *stats = fake->stats;

	if (asked->header.type == HKP_SURVEY) {
		stats->superslabs_phantom = 5;
		send_frame(fake, &frame, NULL, 0);
		return;
	}
	if (is(fake, "mute"))
		return;
	if (is(fake, "dies"))
		_exit(0);
	frame.result.level = asked->flush.level;
	frame.result.usec = 123;
	frame.result.threads_swept = 2;
	if (is(fake, "liar"))
		frame.result.released_bytes = UINT64_C(1) << 40;
	else if (fake->held) {
		munmap(fake->held, fake->held_bytes);
		fake->held = NULL;
		frame.result.released_bytes = fake->held_bytes;
		stats->released_bytes += fake->held_bytes;
		stats->releasable_bytes = stats->cold_bytes = 0;
	}
	stats->flushes++;
	stats->superslabs_made++; /* a flush changes figures too: that must not look like the program's doing */
	send_frame(fake, &frame, NULL, 0);
}

static void check_board(int fd)
{
	struct hkp_board board;
	int seals = fcntl(fd, F_GET_SEALS);

	if (pread(fd, &board, sizeof board, 0) != sizeof board || board.magic != HKP_BOARD_MAGIC)
		printf("board bad\n");
	else
		printf("board ok sealed=%d writable=%d\n",
			(seals & (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)) ==
				(F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL),
			(fcntl(fd, F_GETFL) & O_ACCMODE) != O_RDONLY);
}

/* One frame; false at the end of the connection. */
static bool receive(struct fake *fake, struct hkp_frame *ret_frame)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control;
	char bytes[HKP_FRAME_MAX];
	struct iovec iov = {bytes, sizeof bytes};
	struct msghdr message = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
	ssize_t length = recvmsg(fake->fd, &message, MSG_CMSG_CLOEXEC);
	struct cmsghdr *rights;
	int fd;

	if (length <= 0 || hkp_decode(bytes, (size_t)length, ret_frame) < 0)
		return false;
	rights = CMSG_FIRSTHDR(&message);
	if (rights && rights->cmsg_type == SCM_RIGHTS) {
		memcpy(&fd, CMSG_DATA(rights), sizeof fd);
		check_board(fd);
		close(fd);
	}
	return true;
}

/* Returns the exit code when the connection is over, -1 = it just ended. */
static int talk(struct fake *fake)
{
	struct hkp_frame frame;
	int code = -1;

	while (code < 0 && receive(fake, &frame)) {
		switch (frame.header.type) {
		case HKP_WELCOME:
			printf("welcome\n");
			break;
		case HKP_FLUSH:
			printf("flush level=%u reason=%s\n", frame.flush.level, hkp_reason_name(frame.flush.reason));
			answer(fake, &frame);
			break;
		case HKP_SURVEY:
			answer(fake, &frame);
			break;
		case HKP_BYE:
			printf("bye reason=%u stay_away=%u\n", frame.bye.reason, frame.bye.stay_away_sec);
			code = frame.bye.reason == HKP_BYE_PROTOCOL ? 3 : frame.bye.reason == HKP_BYE_QUOTA ? 4 : 0;
			break;
		default:
			printf("type %u\n", frame.header.type);
			break;
		}
	}
	return code;
}

static int live(struct fake *fake)
{
	struct hkp_frame result = {.header = {.type = HKP_RESULT, .seq = 99}};
	int code;

	say_hello(fake);
	if (is(fake, "unread"))
		for (;;)
			pause();
	for (int i = 0; is(fake, "flood") && i < 1000; i++)
		send_frame(fake, &result, NULL, 0);
	code = talk(fake);
	if (code < 0)
		printf("hung up\n");
	close(fake->fd);
	return code;
}

int main(int argc, char **argv)
{
	struct fake fake = {.mode = "normal", .hot_bytes = 1111, .cold_bytes = UINT64_MAX};
	int code = 1;

	setvbuf(stdout, NULL, _IOLBF, 0);
	for (int i = 1; i + 1 < argc; i += 2)
		if (!strcmp(argv[i], "--dir"))
			fake.path = argv[i + 1];
		else if (!strcmp(argv[i], "--mode"))
			fake.mode = argv[i + 1];
		else if (!strcmp(argv[i], "--hold"))
			fake.held_bytes = (size_t)atol(argv[i + 1]);
		else if (!strcmp(argv[i], "--hot"))
			fake.hot_bytes = (uint64_t)atol(argv[i + 1]);
		else if (!strcmp(argv[i], "--cached"))
			fake.cached_bytes = (uint64_t)atol(argv[i + 1]);
		else if (!strcmp(argv[i], "--cold"))
			fake.cold_bytes = (uint64_t)atol(argv[i + 1]);
		else if (!strcmp(argv[i], "--retries"))
			fake.retries = (unsigned)atoi(argv[i + 1]);
	if (!fake.path)
		return 1;
	for (unsigned i = 0; i <= fake.retries; i++) {
		if (i)
			usleep(100000);
		if (connect_daemon(&fake))
			code = live(&fake);
	}
	return code < 0 ? 0 : code;
}
