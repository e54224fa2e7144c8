/* SPDX-License-Identifier: MIT */
/* Pressure stall information: see psi.h. */
#include <config.h>

#include "hakmemd/psi.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <poll.h>
#include <string.h>
#include <sys/vfs.h>

#include "hakmemd/proc.h"
#include "hakmemd/util.h"

#define PSI_UNPRIVILEGED_WINDOW_USEC 2000000 /* the only windows allowed then are multiples of this */
#define PSI_WINDOW_MAX_USEC          10000000

static int psi_parse_line(const char *text, const char *kind, uint64_t *ret_total)
{
	const char *line = strstr(text, kind);
	const char *total;

	if (!line)
		return -ENOENT;
	total = strstr(line, "total=");
	if (!total || memchr(line, '\n', (size_t)(total - line)))
		return -EBADMSG;
	return sscanf(total, "total=%" SCNu64, ret_total) == 1 ? 0 : -EBADMSG;
}

int psi_parse(const char *text, struct psi_totals *ret_totals)
{
	struct psi_totals totals = {0};
	int r;

	if (strncmp(text, "some ", 5) != 0 || psi_parse_line(text, "some ", &totals.some_usec) < 0)
		return -EBADMSG;
	r = psi_parse_line(text, "full ", &totals.full_usec);
	if (r < 0 && r != -ENOENT)
		return -EBADMSG;
	*ret_totals = totals;
	return 0;
}

int psi_read(const char *path, struct psi_totals *ret_totals)
{
	char text[512];
	int r = proc_read(path, text, sizeof text);

	return r < 0 ? r : psi_parse(text, ret_totals);
}

int psi_parse_share(const char *text, double *ret_share)
{
	double avg10, avg60;

	if (sscanf(text, "some avg10=%lf avg60=%lf", &avg10, &avg60) != 2)
		return -EBADMSG;
	*ret_share = (avg10 > avg60 ? avg10 : avg60) / 100;
	return 0;
}

int psi_read_share(const char *path, double *ret_share)
{
	char text[512];
	int r = proc_read(path, text, sizeof text);

	return r < 0 ? r : psi_parse_share(text, ret_share);
}

static void psi_ready(int fd, unsigned what, void *data)
{
	struct psi_trigger *trigger = data;
	struct pollfd poll_fd = {.fd = fd, .events = POLLPRI};
	psi_fn *fn = trigger->fn;

	(void)what;
	if (poll(&poll_fd, 1, 0) > 0 && poll_fd.revents & (POLLERR | POLLNVAL)) {
		psi_disarm(trigger);
		fn(PSI_GONE, trigger->data);
		return;
	}
	if (!trigger->primed) {
		trigger->primed = true;
		return;
	}
	fn(PSI_CROSSED, trigger->data);
}

/* Only the kernel's own files take a trigger; writing to any other would damage it. */
static bool psi_is_kernel_file(int fd)
{
	struct statfs fs;

	return fstatfs(fd, &fs) == 0 &&
		((unsigned long)fs.f_type == PROC_SUPER_MAGIC || (unsigned long)fs.f_type == CGROUP2_SUPER_MAGIC);
}

static int psi_open(const char *path, bool full, uint64_t stall_usec, uint64_t window_usec)
{
	CLEANUP_FD int fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	char text[64];
	int length, trigger_fd;

	if (fd < 0)
		return -errno;
	if (!psi_is_kernel_file(fd))
		return -EOPNOTSUPP;
	length = snprintf(text, sizeof text, "%s %" PRIu64 " %" PRIu64, full ? "full" : "some", stall_usec,
		window_usec);
	if (write(fd, text, (size_t)length + 1) < 0)
		return -errno;
	trigger_fd = fd;
	fd = -1;
	return trigger_fd;
}

int psi_arm(struct psi_trigger *trigger, struct loop *loop, const char *path, const struct policy_stall *stall,
	psi_fn *fn, void *data)
{
	uint64_t window = stall->window_usec, wide;
	int fd = psi_open(path, stall->full, stall->stall_usec, window), r;
	bool prompt = fd >= 0 && window % PSI_UNPRIVILEGED_WINDOW_USEC;

	if (fd == -EINVAL) {
		wide = (window + PSI_UNPRIVILEGED_WINDOW_USEC - 1) / PSI_UNPRIVILEGED_WINDOW_USEC *
			PSI_UNPRIVILEGED_WINDOW_USEC;
		wide = util_min(wide, PSI_WINDOW_MAX_USEC);
		fd = psi_open(path, stall->full, stall->stall_usec * wide / window, wide);
	}
	if (fd < 0)
		return fd;
	*trigger = (struct psi_trigger){.fd = fd, .prompt = prompt, .fn = fn, .data = data};
	r = loop_io_new(loop, fd, LOOP_READ | LOOP_EDGE, psi_ready, trigger, &trigger->io);
	if (r < 0)
		psi_disarm(trigger);
	return r;
}

void psi_disarm(struct psi_trigger *trigger)
{
	loop_io_free(trigger->io);
	trigger->io = NULL;
	util_close(&trigger->fd);
}
