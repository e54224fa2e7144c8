/* SPDX-License-Identifier: MIT */
/* hakmemctl list: who is registered. */
#include <config.h>

#include "hakmemctl/ctl.h"

#include <inttypes.h>
#include <stdio.h>

static void list_print(const json_t *answer)
{
	struct ctl_table table = {
		.heads = {"PID", "UID", "<COMMAND", "RSS", "USED", "RELEASABLE", "IDLE", "<LAST FLUSH", "<ASK", "<CGROUP"},
		.n_columns = 10};
	const json_t *process, *last;
	size_t i;

	json_array_foreach(json_object_get(answer, "processes"), i, process) {
		last = json_object_get(process, "last_flush");
		ctl_table_cell(&table, "%" PRIu64, ctl_number(process, "pid"));
		ctl_table_cell(&table, "%" PRIu64, ctl_number(process, "uid"));
		ctl_table_cell(&table, "%s", ctl_text(process, "comm"));
		ctl_table_bytes(&table, ctl_number(process, "rss_bytes"));
		ctl_table_bytes(&table, ctl_number(process, "used_bytes"));
		ctl_table_bytes(&table, ctl_number(process, "releasable_bytes"));
		ctl_table_seconds(&table, ctl_real(process, "idle_seconds"));
		ctl_table_cell(&table, "%s", json_is_object(last) ? ctl_text(last, "reason") : "-");
		ctl_table_cell(&table, "%s", json_is_true(json_object_get(process, "excluded")) ? "never" : "yes");
		ctl_table_cell(&table, "%s", ctl_text(process, "cgroup"));
	}
	if (table.n_cells)
		ctl_table_print(&table);
	else
		printf("no process of yours is registered\n");
	ctl_print_others(answer);
}

int verb_list(const struct ctl_options *options)
{
	json_t *answer;
	int r = ctl_call(options, "io.hakmem.List", NULL, &answer);

	if (r != CTL_OK)
		return r;
	if (options->json)
		ctl_print_json(answer);
	else
		list_print(answer);
	json_decref(answer);
	return CTL_OK;
}
