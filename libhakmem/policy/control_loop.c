/* SPDX-License-Identifier: MIT */
/*
 * What the control thread does: stay in touch with hakmemd, and act on what it says.
 *
 * Why: see control.c.  This file is the client's half of protocol/wire.h.
 *
 * How: one thread, one poll.  First it gets a descriptor table of its own, so that a program that closes all
 * its descriptors does not close ours and ours never take a number the program relies on; then it gives its
 * capabilities up.  From there it sleeps in ppoll on the signalfd (wake, stop), on the connection once there
 * is one, and on the pressure source that the service manager named.  It wakes by itself only to try to
 * connect, with exponential back-off, and to let reserves decay.
 *
 * Invariants:
 *  - raw system calls only; nothing here allocates, and of libc only memcpy, memset and strlen are called.
 *  - nothing here blocks but ppoll and hk_flush_run, which keeps to its time budget: a stop is never late.
 *  - the peer is untrusted until its credentials were looked at, and what it sends is always checked:
 * whatever is malformed ends the connection, and no descriptor that comes along stays open.
 *
 * Locking: none; the state is on the thread's stack, except loop_not_before_nsec, which outlives it.
 */
#include "policy/control.h"

#include "base/options.h"
#include "base/syscall.h"
#include "hakmem.h"
#include "policy/board.h"
#include "policy/flush.h"
#include "policy/stats.h"
#include "policy/watch.h"
#include "protocol/stats.h"
#include "protocol/wire.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/close_range.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008u
#endif
#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010
#endif

#define NSEC_PER_MSEC 1000000ull
#define NSEC_PER_SEC  1000000000ull
#define NEVER         UINT64_MAX

#define LOOP_FDS_MAX        8 /* received with one frame; more set MSG_CTRUNC and are dropped by the kernel */
#define LOOP_UNMAPPED_UID   65534 /* the kernel's overflowuid */
#define LOOP_STOPPED_STEPS  4u   /* back-off doubles so often while the daemon is stopped: 8 to 16 s */
#define LOOP_FLUSH_MSEC     1000            /* time of a FLUSH that sets none */
#define LOOP_FLUSH_MAX_MSEC 5000            /* setuid may have to wait for it; the daemon can ask again */
#define LOOP_STAY_AWAY_MAX  3600            /* seconds; no daemon may send us away for good by mistake */
#define LOOP_WATCH_LEVEL    HAK_LEVEL_PAGES /* the service manager knows one degree of pressure only */

struct hk_control_timing hk_control_timing = {
        .backoff_min_msec = 1000,
        .backoff_max_msec = 60000,
        .restart_msec = 10,
        .watch_pause_msec = 2000, /* a trigger without privileges fires once per 2 s at most */
};

struct loop {
	int signal_fd;
	int socket_fd;         /* -1 = not connected */
	int stats_fd;          /* -1 = not published yet */
	int watch_fd;          /* -1 = none, or gone for good */
	bool welcome;          /* WELCOME came on this connection */
	uint32_t random;       /* xorshift state, never 0 */
	unsigned failures;     /* attempts to connect since the last WELCOME */
	uint64_t connect_nsec; /* next attempt; NEVER while connected */
	uint64_t watch_nsec;   /* pressure events before this are ignored */
};

/* Nobody of this process connects before: a daemon told us to stay away.  Kept across stop and fork. */
static _Atomic uint64_t loop_not_before_nsec;

static uint64_t loop_now(void)
{
	struct timespec ts = {0};

	hk_sys2(SYS_clock_gettime, CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * NSEC_PER_SEC + (uint64_t)ts.tv_nsec;
}

static void loop_close(int *fd)
{
	if (*fd >= 0)
		hk_sys1(SYS_close, *fd);
	*fd = -1;
}

/* ---- back-off ---- */

static uint32_t loop_random(struct loop *loop)
{
	uint32_t x = loop->random;

	x ^= x << 13;
	x ^= x >> 17;
	x ^= x << 5;
	return loop->random = x;
}

static void loop_seed(struct loop *loop)
{
	if (hk_sys3(SYS_getrandom, &loop->random, sizeof loop->random, 1 /* GRND_NONBLOCK */) !=
	    sizeof loop->random)
		loop->random = (uint32_t)loop_now();
	loop->random |= 1;
}

/* Half of the delay is fixed, half random: the clients of a dead daemon must not come back as one. */
static void loop_back_off(struct loop *loop)
{
	const struct hk_control_timing *timing = &hk_control_timing;
	uint64_t msec = (uint64_t)timing->backoff_min_msec << HK_MIN(loop->failures, 16u);

	msec = HK_MIN(msec, (uint64_t)timing->backoff_max_msec);
	msec = msec / 2 + loop_random(loop) % (msec / 2 + 1);
	loop->failures++;
	loop->connect_nsec = HK_MAX(loop_now(), atomic_load(&loop_not_before_nsec)) + msec * NSEC_PER_MSEC;
}

static void loop_disconnect(struct loop *loop)
{
	loop_close(&loop->socket_fd);
	loop->welcome = false;
	loop_back_off(loop);
}

/* ---- sending ---- */

/* Send one frame, with `fd` along unless it is -1.  Never waits: a daemon that does not read is dead. */
static bool loop_send(const struct loop *loop, const struct hkp_frame *frame, int fd)
{
	unsigned char buffer[HKP_FRAME_MAX];
	int length = hkp_encode(frame, buffer, sizeof buffer);
	struct iovec iov = {buffer, (size_t)length};
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr header;
	} control = {{0}};
	struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};

	if (length < 0)
		return false;
	if (fd >= 0) {
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(&control.header), &fd, sizeof fd);
		message.msg_control = &control;
		message.msg_controllen = sizeof control;
	}
	return hk_sys3(SYS_sendmsg, loop->socket_fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT) == length;
}

/* ---- connecting ---- */

/*
 * The stats segment, once per thread: its descriptor lives in this thread's table.  Sealed only after the
 * core has its own writable mapping; nobody else gets one from then on.
 */
static bool loop_publish(struct loop *loop)
{
	const long seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL;
	const unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
	int fd;

	if (loop->stats_fd >= 0)
		return true;
	fd = (int)hk_sys2(SYS_memfd_create, "hakmem-stats", flags | MFD_NOEXEC_SEAL);
	if (fd == -EINVAL) /* before Linux 6.3 */
		fd = (int)hk_sys2(SYS_memfd_create, "hakmem-stats", flags);
	if (fd < 0)
		return false;
	if (hk_sys2(SYS_ftruncate, fd, HKP_STATS_BYTES) == 0 && hk_stats_publish(fd) == 0 &&
	    hk_sys3(SYS_fcntl, fd, F_ADD_SEALS, seals) == 0) {
		loop->stats_fd = fd;
		return true;
	}
	loop_close(&fd);
	return false;
}

/*
 * Root, ourselves, or the owner of a runtime directory that nobody else can write to.  From within a user namespace
 * all who are not mapped there look the same, the host's root among them: then it has to be root here or ourselves
 * to whom the directory belongs, and who let the socket in.
 */
static bool loop_peer_trusted(int fd)
{
	long own_uid = hk_sys0(SYS_geteuid);
	struct ucred peer;
	socklen_t length = sizeof peer;
	struct stat dir;

	if (hk_sys5(SYS_getsockopt, fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0)
		return false;
	if (peer.uid == 0 || (long)peer.uid == own_uid)
		return true;
	if (hk_sys4(SYS_newfstatat, AT_FDCWD, hk_options.runtime_dir, &dir, 0) != 0 ||
	    (dir.st_mode & (S_IWGRP | S_IWOTH)))
		return false;
	return dir.st_uid == peer.uid ||
	       (peer.uid == LOOP_UNMAPPED_UID && (dir.st_uid == 0 || (long)dir.st_uid == own_uid));
}

/* The address of a file in the runtime directory. */
static bool loop_address(const char *name, struct sockaddr_un *ret_address)
{
	const char *dir = hk_options.runtime_dir;
	size_t length = strlen(dir);

	if (length + 1 + strlen(name) >= sizeof ret_address->sun_path)
		return false;
	memset(ret_address, 0, sizeof *ret_address);
	ret_address->sun_family = AF_UNIX;
	memcpy(ret_address->sun_path, dir, length);
	ret_address->sun_path[length] = '/';
	memcpy(ret_address->sun_path + length + 1, name, strlen(name));
	return true;
}

/*
 * A daemon that was stopped on purpose left a file.  Its socket may still be open in the service manager's hands,
 * and to connect there would start it again.
 */
static bool loop_daemon_stopped(void)
{
	struct sockaddr_un address;
	struct stat st;

	return loop_address(HKP_STOPPED_FILE, &address) &&
	       hk_sys4(SYS_newfstatat, AT_FDCWD, address.sun_path, &st, 0) == 0;
}

static bool loop_hello(struct loop *loop)
{
	struct hkp_frame frame = {.header.type = HKP_HELLO};

	frame.hello.library_version =
	        HAKMEM_VERSION_MAJOR << 16 | HAKMEM_VERSION_MINOR << 8 | HAKMEM_VERSION_PATCH;
	frame.hello.stats_bytes = HKP_STATS_BYTES;
	return loop_send(loop, &frame, loop->stats_fd);
}

static void loop_connect(struct loop *loop)
{
	struct sockaddr_un address;
	int fd;

	if (!loop_address(HKP_CLIENT_SOCKET, &address)) {
		loop->connect_nsec = NEVER;
		return;
	}
	if (loop_daemon_stopped()) {
		loop->failures = HK_MIN(loop->failures, LOOP_STOPPED_STEPS);
		loop_back_off(loop);
		return;
	}
	/* Non-blocking: with a full backlog connect says EAGAIN, and does not wait for a daemon that hangs. */
	fd = (int)hk_sys3(SYS_socket, AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	loop->socket_fd = fd < 0 ? -1 : fd;
	loop->connect_nsec = NEVER;
	if (fd < 0 || hk_sys3(SYS_connect, fd, &address, sizeof address) != 0 || !loop_peer_trusted(fd) ||
	    !loop_publish(loop) || !loop_hello(loop))
		loop_disconnect(loop);
}

/* ---- receiving ---- */

/* What one record brought. */
struct received {
	struct hkp_frame frame;
	int fds[LOOP_FDS_MAX];
	size_t n_fds;
};

static void received_close(struct received *received)
{
	for (size_t i = 0; i < received->n_fds; i++)
		loop_close(&received->fds[i]);
	received->n_fds = 0;
}

/* Read one record.  Returns 1, 0 if there is none, or -1 for end of file, an error or a malformed frame. */
static int loop_receive(struct loop *loop, struct received *ret)
{
	unsigned char buffer[HKP_FRAME_MAX];
	struct iovec iov = {buffer, sizeof buffer};
	union {
		char bytes[CMSG_SPACE(sizeof ret->fds)];
		struct cmsghdr header;
	} control;
	struct msghdr message = {
	        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
	long n = hk_sys3(SYS_recvmsg, loop->socket_fd, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);

	ret->n_fds = 0;
	if (n == -EAGAIN || n == -EINTR)
		return 0;
	if (n < 0)
		return -1;
	/* The kernel puts all descriptors of a record into one message; nothing else was asked for. */
	if (message.msg_controllen >= CMSG_LEN(sizeof(int)) && control.header.cmsg_level == SOL_SOCKET &&
	    control.header.cmsg_type == SCM_RIGHTS) {
		ret->n_fds =
		        HK_MIN((control.header.cmsg_len - CMSG_LEN(0)) / sizeof(int), (size_t)LOOP_FDS_MAX);
		memcpy(ret->fds, CMSG_DATA(&control.header), ret->n_fds * sizeof(int));
	}
	if (n == 0 || (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) ||
	    hkp_decode(buffer, (size_t)n, &ret->frame) != 0) {
		received_close(ret);
		return -1;
	}
	return 1;
}

/* ---- what the daemon says; a handler returns false to end the connection ---- */

static bool loop_on_welcome(struct loop *loop, const struct received *received)
{
	loop->welcome = true;
	loop->failures = 0;
	hk_board_set_domain(received->frame.welcome.domain);
	if (received->n_fds == 1)
		hk_board_adopt(received->fds[0]); /* without a board the frames still do */
	return true;
}

static bool loop_on_flush(struct loop *loop, const struct received *received)
{
	const struct hkp_flush *flush = &received->frame.flush;
	uint64_t msec = flush->deadline_msec ? flush->deadline_msec : LOOP_FLUSH_MSEC;
	unsigned level = HK_MIN(flush->level, (uint32_t)HAK_LEVEL_EVERYTHING);
	struct hkp_frame answer = {.header = {.type = HKP_RESULT, .seq = received->frame.header.seq}};
	struct hak_report report = {0};

	msec = HK_MIN(msec, (uint64_t)LOOP_FLUSH_MAX_MSEC);
	if (level == HAK_LEVEL_COLD && flush->rest_msec != 0)
		hk_flush_rested(flush->rest_msec * NSEC_PER_MSEC, msec * 1000, &report);
	else
		hk_flush_run(level, flush->target_bytes, msec * 1000, &report);
	answer.result = (struct hkp_result){
	        .status = report.status == HAK_OK ? HKP_STATUS_OK : HKP_STATUS_PARTIAL,
	        .level = level,
	        .released_bytes = report.released_bytes,
	        .usec = report.usec,
	        .threads_swept = report.threads_swept,
	        .threads_pending = report.threads_pending,
	        .releasable_bytes = hk_stats_releasable(),
	        .first_usec = report.first_usec,
	};
	return loop_send(loop, &answer, -1);
}

static bool loop_on_survey(struct loop *loop, const struct received *received)
{
	struct hkp_frame answer = {.header = {.type = HKP_RESULT, .seq = received->frame.header.seq}};
	uint64_t start = loop_now();

	hk_stats_survey();
	answer.result.usec = (loop_now() - start) / 1000;
	answer.result.releasable_bytes = hk_stats_releasable();
	return loop_send(loop, &answer, -1);
}

static bool loop_on_bye(struct loop *loop, const struct received *received)
{
	const struct hkp_bye_frame *bye = &received->frame.bye;
	uint64_t away_sec = HK_MIN(bye->stay_away_sec, (uint32_t)LOOP_STAY_AWAY_MAX);

	if (away_sec > 0)
		atomic_store(&loop_not_before_nsec, loop_now() + away_sec * NSEC_PER_SEC);
	/* Whom the daemon does not want should not ask every second. */
	if (bye->reason == HKP_BYE_QUOTA || bye->reason == HKP_BYE_PROTOCOL)
		loop->failures = 16;
	return false;
}

/* Types that are not here are from a later minor version, or not for a client: ignored. */
static const struct {
	uint8_t type;
	bool (*handle)(struct loop *loop, const struct received *received);
} loop_handlers[] = {
        {HKP_BYE, loop_on_bye},
        {HKP_WELCOME, loop_on_welcome},
        {HKP_FLUSH, loop_on_flush},
        {HKP_SURVEY, loop_on_survey},
};

static bool loop_dispatch(struct loop *loop, const struct received *received)
{
	for (size_t i = 0; i < HK_COUNT(loop_handlers); i++)
		if (loop_handlers[i].type == received->frame.header.type)
			return loop_handlers[i].handle(loop, received);
	return true;
}

static void loop_on_socket(struct loop *loop)
{
	struct received received;
	int got = loop_receive(loop, &received);
	bool stay = got >= 0;

	if (got > 0) {
		stay = loop_dispatch(loop, &received);
		received_close(&received);
	}
	if (!stay)
		loop_disconnect(loop);
}

/* ---- the other two sources ---- */

static void loop_on_signal(struct loop *loop)
{
	struct signalfd_siginfo info;

	while (hk_sys3(SYS_read, loop->signal_fd, &info, sizeof info) > 0)
		continue;
}

static void loop_on_watch(struct loop *loop, short revents)
{
	int taken = hk_watch_take(loop->watch_fd, revents);
	uint64_t now;

	if (taken < 0)
		loop_close(&loop->watch_fd);
	if (taken <= 0 || loop->welcome) /* the daemon sees the same pressure, and more */
		return;
	now = loop_now();
	if (now < loop->watch_nsec)
		return;
	hk_flush_run(LOOP_WATCH_LEVEL, HAK_TARGET_ALL, LOOP_FLUSH_MSEC * 1000, NULL);
	loop->watch_nsec = loop_now() + hk_control_timing.watch_pause_msec * NSEC_PER_MSEC;
}

/* ---- the loop ---- */

/* Do what is due and say when to wake up again. */
static uint64_t loop_run_timers(struct loop *loop)
{
	uint64_t now = loop_now();
	uint64_t next = NEVER;

	if (loop->connect_nsec <= now)
		loop_connect(loop);
	/* Dozing is said first: whoever adds to the reserves after we looked sees it and wakes us. */
	hk_control_doze(true);
	hk_decay_run(now, &next);
	if (next != NEVER)
		hk_control_doze(false);
	return HK_MIN(next, loop->connect_nsec);
}

static void loop_wait(struct loop *loop, uint64_t until_nsec)
{
	struct pollfd fds[] = {
	        {.fd = loop->signal_fd, .events = POLLIN},
	        {.fd = loop->socket_fd, .events = POLLIN},
	        {.fd = loop->watch_fd, .events = hk_watch_events()},
	};
	uint64_t now = loop_now();
	/* At least a millisecond, so that no deadline in the past can make us spin. */
	uint64_t nsec = HK_MAX(until_nsec > now ? until_nsec - now : 0, NSEC_PER_MSEC);
	struct timespec timeout = {(time_t)(nsec / NSEC_PER_SEC), (long)(nsec % NSEC_PER_SEC)};

	if (hk_sys5(SYS_ppoll, fds, HK_COUNT(fds), until_nsec == NEVER ? NULL : &timeout, NULL, 0) <= 0)
		return;
	if (fds[0].revents)
		loop_on_signal(loop);
	if (fds[1].revents && !hk_control_stop_wanted())
		loop_on_socket(loop);
	if (fds[2].revents && !hk_control_stop_wanted())
		loop_on_watch(loop, fds[2].revents);
}

/*
 * A descriptor table of our own, empty but for 0-2, which take what a stray write to standard error would
 * otherwise put into a socket.
 */
static bool loop_own_table(void)
{
	if (hk_sys3(SYS_close_range, 0, ~0u, CLOSE_RANGE_UNSHARE) != 0)
		return false;
	for (int i = 0; i < 3; i++) {
		long fd = hk_sys4(SYS_openat, AT_FDCWD, "/dev/null", O_RDWR | O_CLOEXEC, 0);

		if (fd < 0) /* a chroot without /dev: writing to an O_PATH descriptor fails */
			fd = hk_sys4(SYS_openat, AT_FDCWD, "/", O_PATH | O_CLOEXEC, 0);
		if (fd != i)
			return false;
	}
	return true;
}

/*
 * Only of this thread, and not its uid: a change of that would make the whole process undumpable.  Where there is
 * nothing to give up, not a word: filters of services forbid capset (systemd's @privileged), and may kill for it.
 */
static void loop_drop_capabilities(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {{0}};

	if (hk_sys2(SYS_capget, &header, data) == 0 && !(data[0].permitted | data[1].permitted))
		return;
	memset(data, 0, sizeof data);
	hk_sys2(SYS_capset, &header, data);
}

static bool loop_init(struct loop *loop)
{
	const uint64_t mask = 1ull << (HK_CONTROL_SIGNAL - 1);

	*loop = (struct loop){.signal_fd = -1, .socket_fd = -1, .stats_fd = -1, .watch_fd = -1};
	if (!loop_own_table())
		return false;
	hk_sys5(SYS_prctl, PR_SET_NAME, "hakmem", 0, 0, 0);
	loop_drop_capabilities();
	loop->signal_fd = (int)hk_sys4(SYS_signalfd4, -1, &mask, sizeof mask, SFD_CLOEXEC | SFD_NONBLOCK);
	if (loop->signal_fd < 0)
		return false;
	loop_seed(loop);
	loop->watch_fd = hk_watch_open();
	loop->connect_nsec = atomic_load(&loop_not_before_nsec); /* at once, unless we were sent away */
	return true;
}

bool hk_control_loop(void)
{
	const struct hkp_frame bye = {.header.type = HKP_BYE, .bye.reason = HKP_BYE_CLIENT};
	struct loop loop;

	if (!loop_init(&loop))
		return false;
	while (!hk_control_stop_wanted())
		loop_wait(&loop, loop_run_timers(&loop));
	if (loop.socket_fd >= 0)
		loop_send(&loop, &bye, -1);
	return true; /* the descriptors go with the table, as the thread ends */
}
