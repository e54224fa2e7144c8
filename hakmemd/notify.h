/* SPDX-License-Identifier: MIT */
/*
 * The service manager's side: readiness, status line, reloads, watchdog, and sockets that it opened for us.
 * Without a service manager everything here does nothing.
 */
#ifndef HAKMEMD_NOTIFY_H
#define HAKMEMD_NOTIFY_H

#include "hakmemd/loop.h"
#include "hakmemd/util.h"

struct notify {
	struct loop_timer *watchdog;
	uint64_t watchdog_nsec;
};

struct notify_sockets {
	int client;  /* -1 = make it yourself */
	int control;
	int metrics; /* -1 = none are served */
};

/* The listening sockets named "client", "control" and "metrics".  0 or a negative errno. */
int notify_sockets(struct notify_sockets *ret_sockets);

int notify_init(struct notify *notify, struct loop *loop);
void notify_deinit(struct notify *notify);
void notify_ready(const char *status);
void notify_status(const char *format, ...) PRINTF(1, 2);
void notify_reloading(void);
void notify_stopping(void);

#endif
