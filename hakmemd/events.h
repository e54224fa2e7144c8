/* SPDX-License-Identifier: MIT */
/*
 * A file of the kernel's that says when it has changed: memory.events of a cgroup.
 *
 * What the kernel does, and this file relies on: such a file always polls as readable, and as POLLPRI | POLLERR from
 * a change until it is read again; one whose cgroup was removed does so for ever and reads ENODEV.  So it is
 * watched with edges, and read at each.
 */
#ifndef HAKMEMD_EVENTS_H
#define HAKMEMD_EVENTS_H

#include "hakmemd/loop.h"

struct events_watch {
	int fd; /* -1 = not armed */
	struct loop_io *io;
	loop_fn *fn;
	void *data;
};

/* Call `fn` whenever the file changes.  0 or a negative errno. */
int events_arm(struct events_watch *watch, struct loop *loop, const char *path, loop_fn *fn, void *data);

/* Close; allowed at any time, even twice. */
void events_disarm(struct events_watch *watch);

#endif
