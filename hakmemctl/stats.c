/* SPDX-License-Identifier: MIT */
/* hakmemctl stats [PID]: what processes hold and could give back, counted anew for the question. */
#include <config.h>

#include "hakmemctl/ctl.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "hakmemd/text.h"
#include "hakmemd/util.h"
#include "protocol/stats.h"

static void stats_print_all(const json_t *answer)
{
	struct ctl_table table = {.heads = {"PID", "<COMMAND", "RSS", "MAPPED", "USED", "HOT", "COLD", "RELEASABLE",
					  "SUPERSLABS", "EMPTY", "PHANTOM", "FLUSHES", "RELEASED", "IDLE"},
		.n_columns = 14};
	static const char *const bytes[] = {
		"rss_bytes", "mapped_bytes", "used_bytes", "hot_bytes", "cold_bytes", "releasable_bytes"};
	static const char *const counts[] = {"superslabs", "superslabs_empty", "superslabs_phantom", "flushes"};
	const json_t *process;
	size_t i;

	json_array_foreach(json_object_get(answer, "processes"), i, process) {
		ctl_table_cell(&table, "%" PRIu64, ctl_number(process, "pid"));
		ctl_table_cell(&table, "%s", ctl_text(process, "comm"));
		for (size_t j = 0; j < ARRAY_SIZE(bytes); j++)
			ctl_table_bytes(&table, ctl_number(process, bytes[j]));
		for (size_t j = 0; j < ARRAY_SIZE(counts); j++)
			ctl_table_cell(&table, "%" PRIu64, ctl_number(process, counts[j]));
		ctl_table_bytes(&table, ctl_number(process, "released_bytes"));
		ctl_table_seconds(&table, ctl_real(process, "idle_seconds"));
	}
	if (table.n_cells)
		ctl_table_print(&table);
	else
		printf("no process of yours is registered\n");
	ctl_print_others(answer);
}

static void stats_print_line(const char *name, const char *unit, uint64_t value, const char *help)
{
	char text[32];

	if (!strcmp(unit, "bytes"))
		text_bytes(value, text, sizeof text);
	else
		snprintf(text, sizeof text, "%" PRIu64 "%s%s", value, *unit ? " " : "", unit);
	printf("  %-22s %14s  %s\n", name, text, help);
}

static void stats_print_classes(const json_t *classes)
{
	struct ctl_table table = {
		.heads = {"BLOCK", "USED", "HOT", "COLD", "FREE", "SLABS"}, .n_columns = 6};
	static const char *const counts[] = {"used", "hot", "cold", "free", "slabs"};
	const json_t *row;
	size_t i;

	json_array_foreach(classes, i, row) {
		if (!ctl_number(row, "slabs"))
			continue;
		ctl_table_cell(&table, "%" PRIu64, ctl_number(row, "block_bytes"));
		for (size_t j = 0; j < ARRAY_SIZE(counts); j++)
			ctl_table_cell(&table, "%" PRIu64, ctl_number(row, counts[j]));
	}
	if (!table.n_cells)
		return;
	printf("\nblocks by size class:\n");
	ctl_table_print(&table);
}

static void stats_print_one(const json_t *process)
{
	const json_t *last = json_object_get(process, "last_flush");
	char a[32], b[32];

	printf("%s, pid %" PRIu64 ", uid %" PRIu64 ", cgroup %s, libhakmem %s, idle %s\n", ctl_text(process, "comm"),
		ctl_number(process, "pid"), ctl_number(process, "uid"), ctl_text(process, "cgroup"),
		ctl_text(process, "library"), text_duration(ctl_real(process, "idle_seconds"), a, sizeof a));
	if (json_is_object(last))
		printf("last flush: %s, level %" PRIu64 ", %s ago, %s came back\n", ctl_text(last, "reason"),
			ctl_number(last, "level"), text_duration(ctl_real(last, "seconds_ago"), a, sizeof a),
			text_bytes(ctl_number(last, "returned_bytes"), b, sizeof b));
	stats_print_line("rss_bytes", "bytes", ctl_number(process, "rss_bytes"), "in memory, as the kernel says");
#define X(name, unit, help)                                                                                   \
	if (strcmp(unit, "ns") != 0)                                                                          \
		stats_print_line(#name, unit, ctl_number(process, #name), help);
	HKP_STATS_GLOBALS(X)
#undef X
	stats_print_classes(json_object_get(process, "classes"));
}

int verb_stats(const struct ctl_options *options)
{
	json_t *answer, *parameters = options->has_pid ? json_pack("{s:i}", "pid", options->pid) : NULL;
	int r = ctl_call(options, "io.hakmem.Stats", parameters, &answer);

	if (r != CTL_OK)
		return r;
	if (options->json)
		ctl_print_json(answer);
	else if (options->has_pid)
		stats_print_one(json_array_get(json_object_get(answer, "processes"), 0));
	else
		stats_print_all(answer);
	json_decref(answer);
	return CTL_OK;
}
