/* SPDX-License-Identifier: MIT */
/*
 * The controller: brings signals to the policy and carries its advice out.
 *
 * How: a step reads signals and views, asks the policy, sends FLUSH, publishes the board and sets the next
 * step: every poll_nsec where pressure is raised or the kernel sends no prompt events, else a few seconds, and
 * never without clients.  A FLUSH that is not answered in time is given up on.
 */
#ifndef HAKMEMD_CONTROLLER_H
#define HAKMEMD_CONTROLLER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "hakmemd/client.h"
#include "hakmemd/log.h"
#include "hakmemd/loop.h"
#include "hakmemd/metrics.h"

struct daemon;

struct controller_totals {
	uint64_t n_steps;
	uint64_t n_flushes[4];     /* answered, by enum hkp_reason */
	uint64_t n_observed;       /* would have been sent, in observe mode */
	uint64_t n_timeouts;
	uint64_t claimed_bytes;    /* as clients said */
	uint64_t actual_bytes;     /* by the kernel's account */
	uint64_t usec;
	uint64_t n_in_bucket[METRICS_BUCKETS + 1]; /* of flush times, see metrics.h */
};

/* Flushes that ended and got no line of their own. */
struct controller_unsaid {
	uint64_t since_nsec; /* lines are counted from here */
	unsigned n_lines;
	unsigned n_flushes;
	unsigned n_unanswered;
	uint64_t claimed_bytes;
	uint64_t actual_bytes;
	uint64_t longest_usec;
};

struct controller {
	struct daemon *daemon;
	struct loop_timer *tick;
	struct loop_timer *deadline;
	bool ticking;
	bool paused;
	uint64_t stepped_nsec;        /* the latest step */
	uint64_t looked_nsec;         /* the latest in which clients were looked at; 0 = look in the next */
	bool board_raised;
	bool blinded;                 /* said so in the log */
	size_t n_waiting;             /* clients for which another flush has to end first */
	TAILQ_HEAD(, client) waiting; /* clients with a flush outstanding, oldest first */
	uint64_t next_ticket;
	struct controller_totals totals;
	struct controller_unsaid unsaid;
};

/* How a flush ended, for whoever asked for it. */
struct controller_report {
	int error;                /* 0, -ETIMEDOUT, -ESRCH: the process has gone, -EIO: it failed there */
	uint32_t status;          /* enum hkp_status */
	uint32_t level;
	uint64_t claimed_bytes;   /* never more than it had */
	uint64_t actual_bytes;
	uint64_t usec;
	uint64_t first_usec;      /* until the first bytes were given back; 0 = none were */
	uint32_t threads_swept;
	uint32_t threads_pending;
	struct proc_memory before;
	struct proc_memory after;
};

int controller_init(struct controller *controller, struct daemon *daemon);
void controller_deinit(struct controller *controller);

/* Step soon: a client came, the kernel says pressure, or the configuration changed. */
void controller_wake(struct controller *controller);

/*
 * Ask a client to flush: now, or after the one under way (a queued one of a lower level is replaced, and whoever
 * waits for it gets the deeper one's report).  Returns the ticket under which ctl_flush_done() will be called.
 */
uint64_t controller_flush(struct controller *controller, struct client *client, uint32_t level,
	uint64_t target_bytes, const struct why *why);

/* Ask a client to bring its figures up to date; false where it cannot be asked now. */
bool controller_survey(struct controller *controller, struct client *client, uint64_t for_connection);

/* A RESULT came; false where it answers nothing. */
bool controller_result(struct controller *controller, struct client *client, const struct hkp_frame *frame);

/* A client goes: whoever waits for it is told. */
void controller_gone(struct controller *controller, struct client *client);

#endif
