/* SPDX-License-Identifier: MIT */
/* Files that say when they change: see events.h. */
#include <config.h>

#include "hakmemd/events.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>

#include "hakmemd/util.h"

static void events_ready(int fd, unsigned what, void *data)
{
	struct events_watch *watch = data;
	struct pollfd poll_fd = {.fd = fd, .events = POLLPRI};
	bool changed = poll(&poll_fd, 1, 0) > 0 && poll_fd.revents & POLLPRI;
	loop_fn *fn = watch->fn;
	char text[512];

	(void)what;
	if (pread(fd, text, sizeof text, 0) < 0) {
		events_disarm(watch);
		return;
	}
	if (changed) /* else the callback that registration brings along */
		fn(watch->data);
}

int events_arm(struct events_watch *watch, struct loop *loop, const char *path, loop_fn *fn, void *data)
{
	char text[512];
	int r;

	*watch = (struct events_watch){.fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), .fn = fn, .data = data};
	if (watch->fd < 0)
		return -errno;
	r = pread(watch->fd, text, sizeof text, 0) < 0 ? -errno : 0; /* changes count from here */
	if (r >= 0)
		r = loop_io_new(loop, watch->fd, LOOP_READ | LOOP_EDGE, events_ready, watch, &watch->io);
	if (r < 0)
		events_disarm(watch);
	return r;
}

void events_disarm(struct events_watch *watch)
{
	loop_io_free(watch->io);
	watch->io = NULL;
	util_close(&watch->fd);
}
