/* SPDX-License-Identifier: MIT */
/*
 * Metrics in Prometheus' text format 0.0.4, and the socket that serves them where the service manager passes one
 * named "metrics" (its unit is off by default).
 *
 * Aggregates only: no process number, no name of a program or cgroup.  The socket speaks just enough HTTP/1.0 for a
 * scraper: it reads a request's head, answers any with the metrics, and closes.
 *
 * Limits: connections at a time, bytes of a request, time for all of it.
 */
#ifndef HAKMEMD_METRICS_H
#define HAKMEMD_METRICS_H

#include <stddef.h>
#include <stdint.h>

#include "hakmemd/loop.h"

struct daemon;

/* Upper bounds of the histogram of flush times, in us; one more bucket is +Inf. */
#define METRICS_BUCKETS 10
extern const uint64_t metrics_bucket_usec[METRICS_BUCKETS];

struct metrics {
	struct daemon *daemon;
	int listen_fd; /* -1 = not served */
	struct loop_io *io;
	size_t n_connections;
};

int metrics_init(struct metrics *metrics, struct daemon *daemon, int listen_fd);
void metrics_deinit(struct metrics *metrics);

/* The text, for the caller to free; NULL where memory is out. */
char *metrics_text(struct daemon *daemon);

#endif
