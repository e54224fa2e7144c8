/* SPDX-License-Identifier: MIT */
/*
 * The control socket: what hakmemctl asks.
 *
 * How: SOCK_STREAM, JSON objects ended by NUL (Varlink's framing): {"method":"io.hakmem.Stats","parameters":{}}
 * is answered by {"parameters":{...}} or {"error":"io.hakmem.NoSuchProcess","parameters":{"message":"..."}}.
 * One call at a time per connection; Flush and Stats answer when the processes have.  Watch is answered by one
 * object per event, each with "continues":true, until the caller hangs up.
 *
 * Rights come from the socket's peer credentials: root, the daemon's own user and members of the control group
 * act on any process; others on processes of their own uid, and see the rest in sums only.
 *
 * Limits: bytes per request, connections in all and per user, time for a peer to read its answer.
 */
#ifndef HAKMEMD_CTL_H
#define HAKMEMD_CTL_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>

#include "hakmemd/controller.h"

struct daemon;
struct ctl_connection;

struct ctl {
	struct daemon *daemon;
	TAILQ_HEAD(, ctl_connection) connections;
	size_t n_connections;
	uint64_t next_id;
	size_t n_watching;     /* connections that get events: without one, none need to be made */
	gid_t group;           /* the control group */
	bool has_group;
};

int ctl_init(struct ctl *ctl, struct daemon *daemon);
void ctl_deinit(struct ctl *ctl);

/* Look the control group up: at the start and on reload, never in between (it may ask the network). */
void ctl_find_group(struct ctl *ctl);

/* Take over an accepted connection. */
void ctl_take(struct ctl *ctl, int fd);

/*
 * Something happened: tell who watches.  `client` is whom it concerns, which decides who may know; NULL = those who
 * may see every process.  Takes the reference.
 */
void ctl_event(struct ctl *ctl, const struct client *client, json_t *event);

/* A flush or a survey that a connection may wait for has ended. */
void ctl_flush_done(struct ctl *ctl, uint64_t ticket, const struct client *client,
	const struct controller_report *report);
void ctl_survey_done(struct ctl *ctl, uint64_t connection_id);

#endif
