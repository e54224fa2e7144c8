/* SPDX-License-Identifier: MIT */
/* hakmemctl status: the daemon, its domains and what it has done. */
#include <config.h>

#include "hakmemctl/ctl.h"

#include <inttypes.h>
#include <stdio.h>

#include "hakmemd/text.h"

static void status_print_domains(const json_t *domains)
{
	struct ctl_table table = {
		.heads = {"<DOMAIN", "<LEVEL", "PROCESSES", "STALL", "HEADROOM", "<SIGNAL"}, .n_columns = 6};
	const json_t *domain;
	size_t i;

	json_array_foreach(domains, i, domain) {
		ctl_table_cell(&table, "%s", ctl_text(domain, "path"));
		ctl_table_cell(&table, "%s", ctl_text(domain, "level"));
		ctl_table_cell(&table, "%" PRIu64, ctl_number(domain, "processes"));
		ctl_table_cell(&table, "%.1f %%",
			ctl_number(domain, "window_usec")
				? 100.0 * (double)ctl_number(domain, "some_usec") /
					(double)ctl_number(domain, "window_usec")
				: 0);
		if (json_is_number(json_object_get(domain, "headroom")))
			ctl_table_cell(&table, "%.0f %%", ctl_real(domain, "headroom") * 100);
		else
			ctl_table_cell(&table, "-");
		ctl_table_cell(&table, "%s", ctl_text(domain, "signal"));
	}
	ctl_table_print(&table);
}

static void status_print(const json_t *answer)
{
	const json_t *totals = json_object_get(answer, "totals"), *flushes = json_object_get(answer, "flushes");
	char a[32], b[32];

	printf("hakmemd %s, pid %" PRIu64 ", up %s, mode %s%s\n", ctl_text(answer, "version"),
		ctl_number(answer, "pid"), text_duration(ctl_real(answer, "uptime_seconds"), a, sizeof a),
		ctl_text(answer, "mode"),
		json_is_true(json_object_get(answer, "paused")) ? ", paused (hakmemctl resume)" : "");
	printf("processes: %" PRIu64 ", using %s, could give back %s\n", ctl_number(totals, "processes"),
		text_bytes(ctl_number(totals, "used_bytes"), a, sizeof a),
		text_bytes(ctl_number(totals, "releasable_bytes"), b, sizeof b));
	printf("flushes:   %" PRIu64 " idle, %" PRIu64 " pressure, %" PRIu64 " on request, %" PRIu64
	       " observed only, %" PRIu64 " unanswered; %s came back\n\n",
		ctl_number(flushes, "idle"), ctl_number(flushes, "pressure"), ctl_number(flushes, "request"),
		ctl_number(flushes, "observed"), ctl_number(flushes, "timeouts"),
		text_bytes(ctl_number(flushes, "returned_bytes"), a, sizeof a));
	status_print_domains(json_object_get(answer, "domains"));
}

int verb_status(const struct ctl_options *options)
{
	json_t *answer;
	int r = ctl_call(options, "io.hakmem.Status", NULL, &answer);

	if (r != CTL_OK)
		return r;
	if (options->json)
		ctl_print_json(answer);
	else
		status_print(answer);
	json_decref(answer);
	return CTL_OK;
}
