/* SPDX-License-Identifier: MIT */
/*
 * What the control socket tells, as JSON: read live, at the moment of the question.
 *
 * Figures of processes are as they claim them, bounded so that they fit JSON's integers; rss_bytes is the
 * kernel's.  Whoever is not privileged sees processes of the own uid, and sums of the rest.
 */
#ifndef HAKMEMD_REPORT_H
#define HAKMEMD_REPORT_H

#include <jansson.h>
#include <stdbool.h>
#include <sys/types.h>

#include "hakmemd/policy.h"

struct client;
struct controller_report;
struct daemon;
struct domain;

enum report_detail {
	REPORT_BRIEF,   /* who is there */
	REPORT_FULL,    /* all counters */
	REPORT_CLASSES, /* and the size classes */
};

json_t *report_status(struct daemon *daemon, uid_t uid, bool privileged);

/* {"processes": [...], "others": {sums}}; of one process where `pid` is not 0. */
json_t *report_processes(
	struct daemon *daemon, uid_t uid, bool privileged, enum report_detail detail, pid_t pid);

/* Why this process was asked, or not. */
json_t *report_explain(const struct client *client);

/* Events, for those who watch: a flush ended, one would have been sent, a domain's level changed, a process came
 * ("register") or went ("leave"). */
json_t *report_flush_event(const struct client *client, const struct controller_report *report);
json_t *report_observe_event(const struct client *client, const struct policy_advice *advice);
json_t *report_level_event(const struct domain *domain, enum hkp_pressure before);
json_t *report_client_event(const struct client *client, const char *event);

json_t *report_flush(const struct client *client, const struct controller_report *report);

#endif
