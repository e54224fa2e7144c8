/* SPDX-License-Identifier: MIT */
/*
 * The listening sockets, and what clients say.
 *
 * How: client.sock is a SOCK_SEQPACKET socket of mode 0666: any process may register itself, and nothing else.
 * Frames go through a table of handlers.  Whoever breaks the protocol is dropped, and nobody else notices.
 * When descriptors run out, an emergency descriptor is given up for long enough to turn the caller away, so
 * that the loop does not spin on a connection that it cannot take.  It does not come to that by one user's doing: what
 * one has taken three quarters of, others find a quarter of.
 */
#ifndef HAKMEMD_SERVER_H
#define HAKMEMD_SERVER_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "hakmemd/client.h"
#include "hakmemd/log.h"
#include "hakmemd/loop.h"
#include "hakmemd/notify.h"

/* One listening socket. */
struct server_socket {
	int fd;
	struct loop_io *io;
	char path[PATH_MAX]; /* empty = given by the service manager: not ours to remove */
};

struct server {
	struct daemon *daemon;
	struct server_socket client;
	struct server_socket control;
	struct loop_set *clients; /* their sockets */
	int spare_fd;           /* the emergency descriptor */
	int n_fds_max;          /* RLIMIT_NOFILE */
	struct log_limit limit; /* of lines about peers */
	uint64_t n_refused;     /* connections over a limit */
	uint64_t n_dropped;     /* clients that broke the protocol */
};

int server_init(struct server *server, struct daemon *daemon, const struct notify_sockets *given);
void server_deinit(struct server *server);

/* Tell a client who it is and which domain's slot of the board is its own; again, without the board, when it moved. */
int server_welcome(struct server *server, struct client *client, bool with_board);

/* Say BYE to every client: the daemon stops. */
void server_say_bye(struct server *server, uint32_t reason, uint32_t stay_away_sec);

/* Drop a client that broke the protocol, with a line that says how. */
void server_drop(struct server *server, struct client *client, const char *why);

/* Accept on a listening socket; -EAGAIN when nobody waits.  Survives the lack of descriptors. */
int server_accept(struct server *server, int listen_fd);

#endif
