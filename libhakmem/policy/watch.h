/* SPDX-License-Identifier: MIT */
/*
 * $MEMORY_PRESSURE_WATCH: the service manager's way to say that memory is short.
 *
 * Why: without hakmemd a service under systemd is still told when its cgroup stalls on memory.
 *
 * How: see watch.c.  init is for the constructor; the rest belongs to the control thread.
 */
#ifndef HK_POLICY_WATCH_H
#define HK_POLICY_WATCH_H

#include "base/attr.h"

/* Take the two variables out of `envp`.  The caller has made sure that the environment may be trusted. */
void hk_watch_init(char *const envp[]);

/* Open what they name, in the caller's descriptor table.  Returns a descriptor to poll, or -1 for none. */
int hk_watch_open(void);

/* The poll events that mean pressure. */
short hk_watch_events(void);

/*
 * Look at `revents` and discard what can be read.  Returns 1 if there was an event, 0 if not, and -1 if the
 * source is gone for good: the caller closes the descriptor and never opens it again.
 */
int hk_watch_take(int fd, short revents);

#endif
