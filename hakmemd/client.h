/* SPDX-License-Identifier: MIT */
/*
 * One connection of a process that runs on libhakmem.
 *
 * Why: everything known about a process, and all that its descriptors may do, stands in one place.
 *
 * How: identity is taken from the socket when it is accepted, never from a frame.  HELLO brings the stats
 * segment, which is checked (sealed against shrinking, plain shared memory, the right size) and mapped to be read;
 * no descriptor of it is kept.  Every figure from it is a stranger's hint.
 *
 * Invariants: at most one FLUSH and one SURVEY are outstanding, at most one FLUSH is queued.
 */
#ifndef HAKMEMD_CLIENT_H
#define HAKMEMD_CLIENT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>

#include "hakmemd/loop.h"
#include "hakmemd/policy.h"
#include "hakmemd/proc.h"
#include "hakmemd/why.h"
#include "protocol/stats.h"
#include "protocol/wire.h"

struct daemon;
struct domain;

enum client_state {
	CLIENT_NEW,   /* connected, HELLO not yet seen */
	CLIENT_READY, /* registered */
};

/* A flush that was asked for: outstanding or queued. */
struct client_flush {
	uint64_t ticket; /* names it towards whoever waits; 0 = none here */
	uint64_t target_bytes;
	struct why why;
};

/* What is known of the outstanding one besides. */
struct client_sent {
	uint64_t when_nsec;
	struct proc_memory before;
	uint32_t seq;    /* on the wire */
};

/* The latest flush that ended. */
struct client_last {
	uint64_t when_nsec; /* 0 = there was none */
	uint64_t actual_bytes;
	struct why why;
};

/* There are thousands of these: what is small stands together. */
struct client {
	struct policy_client policy; /* first: client_of_policy() */
	struct daemon *daemon;
	struct domain *domain;       /* NULL until HELLO */
	const struct hkp_stats *stats; /* the segment, as it changes; NULL until HELLO */
	uint64_t id;
	uint64_t connected_nsec;
	uint64_t cgroup_id;          /* as of client_moved() */
	uint32_t index;              /* in the registry */
	uint32_t library_version;
	int fd;
	int pidfd;                   /* -1 = not to be had */
	pid_t pid;                   /* 0 = in a pid namespace that we cannot see */
	uid_t uid;
	char comm[PROC_COMM_MAX];
	uint8_t state;               /* enum client_state */
	bool watched;                /* its socket is in the server's set */
	bool wants_cpu;              /* what the policy answered in the latest view */
	bool wants_held;
	uint8_t n_timeouts;          /* in a row; no more are counted than fit */
	uint8_t n_unsolicited;       /* frames that answered nothing, since the last that did */
	uint32_t next_seq;
	uint32_t survey_seq;         /* 0 = none outstanding */
	uint32_t n_flushes;          /* that the daemon asked for and that were answered */
	uint64_t survey_for;         /* id of the control connection that waits for it */
	uint64_t actual_bytes;       /* that its flushes gave back */
	uint64_t viewed_rss_bytes;   /* read together with policy.held_bytes */
	uint64_t said_bytes;         /* releasable in the latest view, before the kernel had its say */
	struct client_flush current;
	struct client_flush queued;
	struct client_sent sent;     /* of current */
	struct client_last last;
	TAILQ_ENTRY(client) waiting; /* in the controller's list while current is outstanding, oldest first */
};

static inline struct client *client_of_policy(struct policy_client *policy)
{
	return (struct client *)policy;
}

/* A frame as received; `fd` is the caller's to close, -1 = none came along. */
struct client_frame {
	struct hkp_frame frame;
	int fd;
};

/* Take over an accepted socket, which is closed on failure too. */
int client_new(struct daemon *daemon, int fd, struct client **ret_client);
void client_free(struct client *client);

/* Receive one frame: 1, or 0 when there is none now, or a negative errno when the peer is to be dropped:
 * -ECONNRESET it has gone, -EBADMSG and -EPROTONOSUPPORT as hkp_decode(), -ETOOMANYREFS descriptors astray. */
int client_receive(struct client *client, struct client_frame *ret_frame);

/* Send a frame, with a descriptor unless `fd` is -1.  0, -EAGAIN when the peer does not read, or worse. */
int client_send(struct client *client, const struct hkp_frame *frame, int fd);

/* Is `fd` a stats segment that cannot hurt?  0, or a negative errno with the reason in *ret_why. */
int client_check_stats(int fd, const char **ret_why);

/* Map the segment that client_check_stats() let pass, instead of the one before.  0 or a negative errno; `fd` stays the
 * caller's. */
int client_map_stats(struct client *client, int fd);

/* Read the first `size` bytes of the segment: all 0 where there is none, and absurd figures as a limit. */
void client_read_stats(const struct client *client, struct hkp_stats *ret_stats, size_t size);

/* As the functions of proc.h and cgroup.h, and -ESRCH where the process's number may be another's by now; its
 * memory reads as 0 then. */
int client_memory(const struct client *client, struct proc_memory *ret_memory);
int client_cpu_nsec(const struct client *client, uint64_t *ret_nsec);
int client_cgroup(const struct client *client, char *ret_path, size_t size);

/* False where the kernel says (Linux 6.13) that the process is in the same cgroup as it was when this was last asked: the
 * cheap question before client_cgroup(). */
bool client_moved(struct client *client);

/* True while the process that connected still lives, as far as a pidfd can tell. */
bool client_alive(const struct client *client);

#endif
