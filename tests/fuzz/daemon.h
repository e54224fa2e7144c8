/* SPDX-License-Identifier: MIT */
/*
 * A whole daemon inside the fuzz target: its loop is turned by hand, its sockets are real ones in a directory of its own.
 */
#ifndef TESTS_FUZZ_DAEMON_H
#define TESTS_FUZZ_DAEMON_H

#include "hakmemd/daemon.h"

/* The one daemon, made at the first call. */
struct daemon *fuzz_daemon(void);

/* Let it do what is due, `n_turns` times over. */
void fuzz_turn(struct daemon *daemon, unsigned n_turns);

/* A connection to one of its sockets. */
int fuzz_connect(struct daemon *daemon, const char *name, int type);

/* A stats segment as the daemon takes it, writable for ever: `size` bytes of `data` from its beginning. */
int fuzz_segment(const void *data, size_t size);

/* Send one record with a descriptor, unless `fd` is -1; `n_times` of it. */
void fuzz_send(int socket, const void *data, size_t size, int fd, unsigned n_times);

/* A process (this one) that has registered; its connection and its segment. */
struct fuzz_client {
	int socket;
	int segment;
};
struct fuzz_client fuzz_register(struct daemon *daemon);

#endif
