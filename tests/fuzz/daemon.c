/* SPDX-License-Identifier: MIT */
/* A daemon inside the fuzz target: see daemon.h. */
#include <config.h>

#include "tests/fuzz/daemon.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "hakmemd/util.h"
#include "protocol/stats.h"
#include "tests/fuzz/fuzz.h"

static struct daemon the_daemon;
static struct loop_timer *turn;
static char directory[] = "/tmp/hakmem-fuzz.XXXXXX";

static void fuzz_end(void)
{
	registry_deinit(&the_daemon.registry); /* its clients leave the server's set */
	server_deinit(&the_daemon.server);
	ctl_deinit(&the_daemon.ctl);
	controller_deinit(&the_daemon.controller);
	board_deinit(&the_daemon.board);
	loop_timer_free(turn);
	loop_free(the_daemon.loop);
	rmdir(directory);
}

static void fuzz_stop(void *data)
{
	loop_stop(((struct daemon *)data)->loop);
}

/* As daemon_start(), less what belongs to a process of its own: lock, signals, service manager. */
static void fuzz_start(struct daemon *daemon)
{
	const struct notify_sockets none = {-1, -1, -1};

	signal(SIGPIPE, SIG_IGN);
	FUZZ_HOLDS(mkdtemp(directory));
	config_init(&daemon->config);
	daemon->config.policy.idle_nsec = 0;
	*daemon->config.control_group = '\0';
	strcpy(daemon->config.proc_root, directory); /* no triggers: the kernel takes milliseconds to let go of one */
	strcpy(daemon->config.cgroup_root, directory);
	daemon->options.config_path = "/dev/null";
	daemon->runtime_dir = directory;
	daemon->metrics.listen_fd = -1;
	FUZZ_HOLDS(loop_new(&daemon->loop) == 0 && board_init(&daemon->board, directory) == 0 &&
		registry_init(&daemon->registry, daemon) == 0 && controller_init(&daemon->controller, daemon) == 0 &&
		ctl_init(&daemon->ctl, daemon) == 0 && server_init(&daemon->server, daemon, &none) == 0 &&
		loop_timer_new(daemon->loop, fuzz_stop, daemon, &turn) == 0 && atexit(fuzz_end) == 0);
}

struct daemon *fuzz_daemon(void)
{
	if (!the_daemon.loop)
		fuzz_start(&the_daemon);
	return &the_daemon;
}

void fuzz_turn(struct daemon *daemon, unsigned n_turns)
{
	while (n_turns--) {
		FUZZ_HOLDS(loop_timer_set(turn, 0) == 0);
		FUZZ_HOLDS(loop_run(daemon->loop) == 0);
	}
}

int fuzz_connect(struct daemon *daemon, const char *name, int type)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	snprintf(address.sun_path, sizeof address.sun_path, "%s/%s", daemon->runtime_dir, name);
	FUZZ_HOLDS(fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) == 0);
	return fd;
}

int fuzz_segment(const void *data, size_t size)
{
	int fd = memfd_create("fuzz", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	FUZZ_HOLDS(fd >= 0 && ftruncate(fd, HKP_STATS_BYTES) == 0);
	FUZZ_HOLDS(pwrite(fd, data, util_min(size, HKP_STATS_BYTES), 0) >= 0);
	FUZZ_HOLDS(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0);
	return fd;
}

void fuzz_send(int socket, const void *data, size_t size, int fd, unsigned n_times)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(8 * sizeof(int))];
	} control = {.bytes = {0}};
	struct iovec iov = {(void *)(uintptr_t)data, size};
	struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};

	n_times = fd < 0 ? 0 : (unsigned)util_min(n_times, 8);
	if (n_times) {
		message.msg_control = &control;
		message.msg_controllen = CMSG_SPACE(n_times * sizeof fd);
		control.align.cmsg_level = SOL_SOCKET;
		control.align.cmsg_type = SCM_RIGHTS;
		control.align.cmsg_len = CMSG_LEN(n_times * sizeof fd);
	}
	for (unsigned i = 0; i < n_times; i++)
		memcpy(CMSG_DATA(&control.align) + i * sizeof fd, &fd, sizeof fd);
	(void)sendmsg(socket, &message, MSG_NOSIGNAL);
}

struct fuzz_client fuzz_register(struct daemon *daemon)
{
	const struct hkp_stats stats = {.magic = HKP_STATS_MAGIC, .version = HKP_STATS_VERSION, .size = HKP_STATS_BYTES};
	struct hkp_frame hello = {.header = {.type = HKP_HELLO}, .hello = {.stats_bytes = HKP_STATS_BYTES}};
	struct fuzz_client client = {
		fuzz_connect(daemon, HKP_CLIENT_SOCKET, SOCK_SEQPACKET), fuzz_segment(&stats, sizeof stats)};
	char bytes[HKP_FRAME_MAX];
	int length = hkp_encode(&hello, bytes, sizeof bytes);

	fuzz_send(client.socket, bytes, (size_t)length, client.segment, 1);
	for (unsigned i = 0; i < 10 && !daemon->registry.n_ready; i++)
		fuzz_turn(daemon, 1);
	FUZZ_HOLDS(daemon->registry.n_ready == 1);
	return client;
}
