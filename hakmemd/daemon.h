/* SPDX-License-Identifier: MIT */
/*
 * The daemon: one root struct from which everything hangs, its start, reload and end.
 *
 * There are no globals.  Order of life: runtime directory and its lock, loop, board, registry, controller,
 * control, sockets; taken down in the reverse order.
 */
#ifndef HAKMEMD_DAEMON_H
#define HAKMEMD_DAEMON_H

#include <limits.h>
#include <stdbool.h>

#include "hakmemd/board.h"
#include "hakmemd/config.h"
#include "hakmemd/controller.h"
#include "hakmemd/ctl.h"
#include "hakmemd/loop.h"
#include "hakmemd/metrics.h"
#include "hakmemd/notify.h"
#include "hakmemd/record.h"
#include "hakmemd/registry.h"
#include "hakmemd/server.h"

#define DAEMON_VERSION        PACKAGE_VERSION
#define DAEMON_VERSION_NUMBER (0u << 16 | 1u << 8 | 0u)
#define DAEMON_CONFIG         "/etc/hakmem/hakmemd.conf"

struct daemon_options {
	const char *config_path; /* NULL = the standard one, which may be absent */
	const char *runtime_dir;
	const char *mode;        /* NULL = as configured */
	const char *record_path; /* NULL = nothing is recorded */
};

struct daemon {
	struct config config;
	struct daemon_options options;
	const char *runtime_dir;
	bool made_runtime_dir;   /* ours to remove */
	bool activated;          /* the sockets are the service manager's, and outlive us */
	int lock_fd;
	uint64_t started_nsec;
	struct loop *loop;
	struct loop_signal *signals[3];
	struct notify notify;
	struct record record;
	struct board board;
	struct registry registry;
	struct controller controller;
	struct ctl ctl;
	struct server server;
	struct metrics metrics;
};

/* Parse the command line.  Returns -1 to go on, or the exit code of what has been done already. */
int daemon_parse(int argc, char **argv, struct daemon_options *ret_options);

/* Run until a signal; returns the exit code. */
int daemon_main(const struct daemon_options *options);

/* Read the configuration anew.  On failure what was in force stays, and complaints say why. */
int daemon_reload(struct daemon *daemon, char *ret_complaints, size_t size);

#endif
