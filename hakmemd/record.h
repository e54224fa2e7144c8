/* SPDX-License-Identifier: MIT */
/*
 * The record: everything that the policy is told and says, one JSON object a line (hakmemd --record FILE).
 *
 * Why: what went wrong on a machine under pressure can be replayed, with another policy if need be, by feeding the
 * same signals to the same pure function.
 *
 * How: "config" the configuration file's text; "step" signals, views (where clients were looked at) and the advice given; "sent", "result" and
 * "timeout" the calls of these names.  Domains go by cgroup id (0 = the host), clients by the daemon's id.
 */
#ifndef HAKMEMD_RECORD_H
#define HAKMEMD_RECORD_H

#include <stdint.h>
#include <stdio.h>

#include "hakmemd/policy.h"

struct client;

struct record {
	FILE *file; /* NULL = nothing is recorded */
};

/* Begin a record; 0 or a negative errno.  `config_path` may be absent. */
int record_open(struct record *record, const char *path, const char *config_path);
void record_close(struct record *record);

/* All of these do nothing where nothing is recorded. */
void record_domains(struct record *record, uint64_t now_nsec, const struct policy_scene *scene);
void record_clients(struct record *record, const struct policy_scene *scene); /* left out where they are not looked at */
void record_advice(struct record *record, const struct policy_advice *advice, size_t n_advice);
void record_sent(struct record *record, uint64_t now_nsec, const struct policy_client *client, unsigned level,
	enum hkp_reason reason);
void record_result(struct record *record, uint64_t now_nsec, const struct policy_client *client,
	const struct policy_outcome *outcome);
void record_timeout(struct record *record, uint64_t now_nsec, const struct policy_client *client, unsigned level,
	unsigned n_in_a_row);

#endif
