/* SPDX-License-Identifier: MIT */
/* hakmemctl pressure: the cgroups that are watched, how much they are pressed, and how that is known. */
#include <config.h>

#include "hakmemctl/ctl.h"

#include <inttypes.h>
#include <stdio.h>

static void pressure_share(struct ctl_table *table, const json_t *domain, const char *name)
{
	uint64_t window = ctl_number(domain, "window_usec");

	ctl_table_cell(table, "%.1f %%", window ? 100.0 * (double)ctl_number(domain, name) / (double)window : 0);
}

static void pressure_bytes(struct ctl_table *table, uint64_t bytes)
{
	if (bytes)
		ctl_table_bytes(table, bytes);
	else
		ctl_table_cell(table, "-");
}

static void pressure_print(const json_t *answer)
{
	struct ctl_table table = {
		.heads = {"<LEVEL", "SOME", "FULL", "HEADROOM", "LIMIT", "BUDGET", "PROCESSES", "<SIGNAL", "<CGROUP"},
		.n_columns = 9};
	const json_t *domain, *headroom;
	bool blinded = false;
	size_t i;

	json_array_foreach(json_object_get(answer, "domains"), i, domain) {
		headroom = json_object_get(domain, "headroom");
		blinded |= json_is_true(json_object_get(domain, "blinded"));
		ctl_table_cell(&table, "%s", ctl_text(domain, "level"));
		pressure_share(&table, domain, "some_usec");
		pressure_share(&table, domain, "full_usec");
		if (json_is_number(headroom))
			ctl_table_cell(&table, "%.0f %%", json_number_value(headroom) * 100);
		else
			ctl_table_cell(&table, "-");
		pressure_bytes(&table, ctl_number(domain, "limit_bytes"));
		pressure_bytes(&table, ctl_number(domain, "budget_bytes"));
		ctl_table_cell(&table, "%" PRIu64, ctl_number(domain, "processes"));
		ctl_table_cell(&table, "%s%s", ctl_text(domain, "signal"),
			json_is_true(json_object_get(domain, "events")) ? "+events" : "");
		ctl_table_cell(&table, "%s", ctl_text(domain, "path"));
	}
	ctl_table_print(&table);
	if (blinded)
		printf("the host's stall counter is held back by a program that reads it too often: reclaim counts instead\n");
}

int verb_pressure(const struct ctl_options *options)
{
	json_t *answer;
	int r = ctl_call(options, "io.hakmem.Status", NULL, &answer);

	if (r != CTL_OK)
		return r;
	if (options->json)
		ctl_print_json(json_object_get(answer, "domains"));
	else
		pressure_print(answer);
	json_decref(answer);
	return CTL_OK;
}
