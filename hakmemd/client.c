/* SPDX-License-Identifier: MIT */
/* One connection of a process: see client.h. */
#include <config.h>

#include "hakmemd/client.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>

#include "hakmemd/cgroup.h"
#include "hakmemd/daemon.h"
#include "hakmemd/util.h"

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77 /* Linux 6.5 */
#endif

/* Linux 6.13, of which the headers may be older: the first size of the record, and the ioctl. */
struct client_pidfd_info {
	uint64_t mask;
	uint64_t cgroup_id;
	uint32_t others[12];
};

#define CLIENT_PIDFD_CGROUP   (UINT64_C(1) << 2)
#define CLIENT_PIDFD_GET_INFO _IOWR(0xff, 11, struct client_pidfd_info)

#define CLIENT_SEND_BUFFER 4608 /* some frames: a peer that does not read must not pin kernel memory */
#define CLIENT_FDS_MAX     4    /* room for more than the one allowed, so that more are seen */
#define CLIENT_FIGURE_MAX  (UINT64_C(1) << 60) /* beyond every true one; sums and doubles made of such stay in range */
#define CLIENT_SEALS       (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

bool client_alive(const struct client *client)
{
	struct pollfd poll_fd = {.fd = client->pidfd, .events = POLLIN};

	return client->pidfd < 0 || poll(&poll_fd, 1, 0) == 0;
}

/* Older kernels: open by number, then ask again.  The number cannot have changed hands while the connection's
 * owner lives, and a pidfd of a successor would have to be opened after it died. */
static int client_open_pidfd(int fd, pid_t pid)
{
	struct pollfd poll_fd = {.fd = fd, .events = 0};
	int pidfd = -1;
	socklen_t size = sizeof pidfd;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERPIDFD, &pidfd, &size) == 0)
		return pidfd;
	if (pid <= 0)
		return -1;
	pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (pidfd >= 0 && poll(&poll_fd, 1, 0) != 0)
		util_close(&pidfd);
	return pidfd;
}

static int client_identify(struct client *client)
{
	struct ucred peer;
	socklen_t size = sizeof peer;
	int bytes = CLIENT_SEND_BUFFER;

	if (getsockopt(client->fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
		return -errno;
	if (setsockopt(client->fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes) < 0)
		return -errno;
	client->pid = peer.pid;
	client->uid = peer.uid;
	client->pidfd = client_open_pidfd(client->fd, peer.pid);
	if (client->pidfd >= 0 && fcntl(client->pidfd, F_SETFD, FD_CLOEXEC) < 0)
		return -errno;
	if (proc_comm(client->pid, client->comm) < 0)
		strcpy(client->comm, "?");
	return client_alive(client) ? 0 : -ESRCH;
}

int client_new(struct daemon *daemon, int fd, struct client **ret_client)
{
	struct client *client = calloc(1, sizeof *client);
	int r;

	if (!client) {
		close(fd);
		return -ENOMEM;
	}
	client->daemon = daemon;
	client->fd = fd;
	client->pidfd = -1;
	client->connected_nsec = util_now_nsec();
	client->next_seq = 1;
	r = client_identify(client);
	if (r < 0) {
		client_free(client);
		return r;
	}
	*ret_client = client;
	return 0;
}

static void client_unmap_stats(struct client *client)
{
	if (client->stats)
		munmap((void *)(uintptr_t)client->stats, HKP_STATS_BYTES);
	client->stats = NULL;
}

void client_free(struct client *client)
{
	if (client->watched)
		loop_set_remove(client->daemon->server.clients, client->fd, client);
	util_close(&client->fd);
	util_close(&client->pidfd);
	client_unmap_stats(client);
	free(client);
}

/* Collect the descriptors of a message; returns their number. */
static size_t client_take_fds(struct msghdr *message, int *fds)
{
	size_t n_fds = 0, bytes;

	for (struct cmsghdr *control = CMSG_FIRSTHDR(message); control; control = CMSG_NXTHDR(message, control)) {
		if (control->cmsg_level != SOL_SOCKET || control->cmsg_type != SCM_RIGHTS)
			continue;
		bytes = util_min(control->cmsg_len - CMSG_LEN(0), (CLIENT_FDS_MAX - n_fds) * sizeof *fds);
		memcpy(fds + n_fds, CMSG_DATA(control), bytes);
		n_fds += bytes / sizeof *fds;
	}
	return n_fds;
}

int client_receive(struct client *client, struct client_frame *ret_frame)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(CLIENT_FDS_MAX * sizeof(int))];
	} control;
	char record[HKP_FRAME_MAX + 1];
	struct iovec iov = {.iov_base = record, .iov_len = sizeof record};
	struct msghdr message = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
	int fds[CLIENT_FDS_MAX], r;
	size_t n_fds;
	ssize_t length;

	ret_frame->fd = -1;
	length = recvmsg(client->fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	if (length < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -ECONNRESET;
	n_fds = client_take_fds(&message, fds);
	if (length == 0 && n_fds == 0)
		return -ECONNRESET;
	if (n_fds > 1 || message.msg_flags & MSG_CTRUNC)
		r = -ETOOMANYREFS;
	else
		r = hkp_decode(record, (size_t)length, &ret_frame->frame);
	for (size_t i = 0; i < n_fds && r < 0; i++)
		close(fds[i]);
	if (r < 0)
		return r;
	if (n_fds)
		ret_frame->fd = fds[0];
	return 1;
}

int client_send(struct client *client, const struct hkp_frame *frame, int fd)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = {.bytes = {0}};
	char record[HKP_FRAME_MAX];
	struct iovec iov = {.iov_base = record};
	struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};
	int length = hkp_encode(frame, record, sizeof record);

	if (length < 0)
		return length;
	iov.iov_len = (size_t)length;
	if (fd >= 0) {
		message.msg_control = &control;
		message.msg_controllen = sizeof control.bytes;
		control.align.cmsg_level = SOL_SOCKET;
		control.align.cmsg_type = SCM_RIGHTS;
		control.align.cmsg_len = CMSG_LEN(sizeof fd);
		memcpy(CMSG_DATA(CMSG_FIRSTHDR(&message)), &fd, sizeof fd);
	}
	return sendmsg(client->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -errno : 0;
}

/* Read first, then see that the number was still its own. */
static int client_if_alive(const struct client *client, int r)
{
	return r >= 0 && !client_alive(client) ? -ESRCH : r;
}

int client_memory(const struct client *client, struct proc_memory *ret_memory)
{
	int r = client_if_alive(client, proc_memory(client->pid, ret_memory));

	if (r < 0)
		*ret_memory = (struct proc_memory){0};
	return r;
}

int client_cpu_nsec(const struct client *client, uint64_t *ret_nsec)
{
	return client_if_alive(client, proc_cpu_nsec(client->pid, ret_nsec));
}

int client_cgroup(const struct client *client, char *ret_path, size_t size)
{
	return client->pid <= 0 ? -ESRCH : client_if_alive(client, cgroup_of_pid(client->pid, ret_path, size));
}

bool client_moved(struct client *client)
{
	struct client_pidfd_info info = {.mask = CLIENT_PIDFD_CGROUP};
	uint64_t before = client->cgroup_id;

	if (client->pidfd < 0 || ioctl(client->pidfd, CLIENT_PIDFD_GET_INFO, &info) < 0 ||
		!(info.mask & CLIENT_PIDFD_CGROUP))
		return true;
	client->cgroup_id = info.cgroup_id;
	return info.cgroup_id != before;
}

int client_check_stats(int fd, const char **ret_why)
{
	struct hkp_stats head;
	struct stat st;
	struct statfs fs;
	int seals;

	*ret_why = "is not a sealed memfd";
	seals = fcntl(fd, F_GET_SEALS);
	if (seals < 0)
		return -errno;
	if ((seals & CLIENT_SEALS) != CLIENT_SEALS)
		return -EPERM;
	*ret_why = "is not plain shared memory";
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || fstatfs(fd, &fs) < 0 ||
		(unsigned long)fs.f_type != TMPFS_MAGIC)
		return -EMEDIUMTYPE;
	*ret_why = "has the wrong size";
	if (st.st_size != HKP_STATS_BYTES)
		return -EMSGSIZE;
	*ret_why = "does not begin like one";
	if (pread(fd, &head, 16, 0) != 16 || head.magic != HKP_STATS_MAGIC || head.size != HKP_STATS_BYTES ||
		head.version < HKP_STATS_VERSION)
		return -EBADMSG;
	return 0;
}

int client_map_stats(struct client *client, int fd)
{
	void *stats = mmap(NULL, HKP_STATS_BYTES, PROT_READ, MAP_SHARED, fd, 0);

	if (stats == MAP_FAILED)
		return -errno;
	client_unmap_stats(client);
	client->stats = stats;
	return 0;
}

void client_read_stats(const struct client *client, struct hkp_stats *ret_stats, size_t size)
{
	const volatile uint64_t *from = (const volatile uint64_t *)client->stats; /* its owner writes at any time */
	uint64_t figures[sizeof *ret_stats / sizeof(uint64_t)];

	for (size_t i = 0; i < size / sizeof *figures; i++)
		figures[i] = from ? util_min(from[i], CLIENT_FIGURE_MAX) : 0;
	memcpy(ret_stats, figures, size);
}
