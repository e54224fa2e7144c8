/* SPDX-License-Identifier: MIT */
/*
 * The record: everything that the policy is told and says, one JSON object a line (hakmemd --record FILE).
 *
 * Why: what went wrong on a machine under pressure can be replayed, with another policy if need be, by feeding the
 * same signals to the same pure functions.
 *
 * How: an "event" is
 *   config    the configuration file's text; a daemon begins
 *   reload    the same, read anew
 *   step      signals of the domains, views of the clients where they were looked at, and all that the policy
 *             answered: of each view wants_cpu and wants_held, with "releasable" as it was after that and "said" as the client
 *             says; of the step levels, look, wants_clients, verdicts, waiting (n_waiting) and advice
 *   sent, result, timeout   the calls of these names, each with the client's seed: they may come before its first view
 *   survey    the client brought its figures up to date, which is not its program's doing (rebase)
 *   note      words for the reader
 * Domains go by cgroup id (0 = the host), clients by the daemon's id.  What is 0, empty, or never ("look"), is left
 * out; a target left out is all there is.  Of a view "cold" is left out where it is not known, as in older records, and
 * not where it is 0.
 */
#ifndef HAKMEMD_RECORD_H
#define HAKMEMD_RECORD_H

#include <stdint.h>
#include <stdio.h>

#include "hakmemd/policy.h"

/* X(name in the record, member): figures of a domain, a view and an outcome, besides those that are no plain numbers, and
 * cold_bytes. */
#define RECORD_DOMAIN(X)                                                                                      \
	X("sampled", sampled) X("triggered", triggered) X("some", some_usec) X("full", full_usec)             \
	X("limit", limit_bytes) X("protected", protected_) X("reclaims", n_reclaims) X("stalls", n_stalls)    \
	X("ooms", n_ooms) X("hits", n_hits) X("quiet", quiet)
#define RECORD_VIEW(X)                                                                                        \
	X("activity", activity_nsec) X("changes", changes) X("releasable", releasable_bytes)                  \
	X("cpu", cpu_nsec) X("has_cpu", has_cpu) X("taken", taken_bytes) X("held", held_bytes)                \
	X("hot", hot_bytes) X("cached", cached_bytes) X("threads", n_threads) X("excluded", excluded)         \
	X("omit", omit) X("busy", busy_level) X("seed", seed)
#define RECORD_OUTCOME(X)                                                                                     \
	X("claimed", claimed_bytes) X("actual", actual_bytes) X("usec", usec) X("target", target_bytes)       \
	X("taken", taken_bytes) X("held", held_bytes)

struct record {
	FILE *file; /* NULL = nothing is recorded */
};

/* Begin a record; 0 or a negative errno.  `config_path` may be absent. */
int record_open(struct record *record, const char *path, const char *config_path);
void record_close(struct record *record);

/* All of these do nothing where nothing is recorded. */
void record_config(struct record *record, const char *event, const char *config_path);
void record_domains(
	struct record *record, uint64_t now_nsec, const struct policy_scene *scene, uint64_t looked_nsec);
void record_clients(struct record *record, const struct policy_scene *scene); /* left out where they are not looked at */
void record_answers(struct record *record, const struct policy_scene *scene, const struct policy_advice *advice,
	size_t n_advice); /* advice is NULL where they were not */
void record_survey(struct record *record, uint64_t now_nsec, const struct policy_client *client);
void record_sent(struct record *record, uint64_t now_nsec, const struct policy_client *client, unsigned level,
	enum hkp_reason reason);
void record_result(struct record *record, uint64_t now_nsec, const struct policy_client *client,
	const struct policy_outcome *outcome);
void record_timeout(struct record *record, uint64_t now_nsec, const struct policy_client *client, unsigned level,
	unsigned n_in_a_row);

#endif
