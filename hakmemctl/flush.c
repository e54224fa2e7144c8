/* SPDX-License-Identifier: MIT */
/*
 * hakmemctl flush: have one process, or several, give memory back now.
 *
 * Several are asked one after another, those with the most to give first, until the target is reached: so many
 * callers never empty a machine at once, and what is printed is what each one did.
 */
#include <config.h>

#include "hakmemctl/ctl.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hakmemd/text.h"
#include "hakmemd/util.h"

static void flush_print(const json_t *answer)
{
	char released[32], before[32], after[32];

	printf("%s (pid %" PRIu64 ") released %s in %.1f ms; RSS %s -> %s\n", ctl_text(answer, "comm"),
		ctl_number(answer, "pid"), text_bytes(ctl_number(answer, "released_bytes"), released, sizeof released),
		(double)ctl_number(answer, "usec") / 1000,
		text_bytes(ctl_number(answer, "rss_before_bytes"), before, sizeof before),
		text_bytes(ctl_number(answer, "rss_after_bytes"), after, sizeof after));
	if (!strcmp(ctl_text(answer, "status"), "partial"))
		printf("partial: %" PRIu64 " threads were inside the allocator, or time or target was reached; "
		       "ask again for the rest\n",
			ctl_number(answer, "threads_pending"));
}

static int flush_call(const struct ctl_options *options, int pid, uint64_t target_bytes, json_t **ret_answer)
{
	json_t *parameters = json_pack("{s:i}", "pid", pid);

	if (options->level >= 0)
		json_object_set_new(parameters, "level", json_integer(options->level));
	if (target_bytes)
		json_object_set_new(parameters, "target", json_integer((json_int_t)target_bytes));
	return ctl_call(options, "io.hakmem.Flush", parameters, ret_answer);
}

static int flush_one(const struct ctl_options *options)
{
	json_t *answer;
	int r = flush_call(options, options->pid, options->target_bytes, &answer);

	if (r != CTL_OK)
		return r;
	if (options->json)
		ctl_print_json(answer);
	else
		flush_print(answer);
	if (!strcmp(ctl_text(answer, "status"), "error")) {
		ctl_complain("the process says that its flush failed");
		r = CTL_ERROR;
	}
	json_decref(answer);
	return r;
}

/* ---- several ---- */

static bool flush_inside(const char *path, const char *ancestor)
{
	size_t length = strlen(ancestor);

	while (length > 1 && ancestor[length - 1] == '/')
		length--;
	return length <= 1 || (!strncmp(path, ancestor, length) && (path[length] == '/' || !path[length]));
}

/* A unit is a component of the path; its ".service" may be left out. */
static bool flush_of_unit(const char *path, const char *unit)
{
	size_t length = strlen(unit), n;

	for (const char *at = path; *at; at += n) {
		at += strspn(at, "/");
		n = strcspn(at, "/");
		if (n >= length && !strncmp(at, unit, length) &&
			(n == length || (n == length + 8 && !strncmp(at + length, ".service", 8))))
			return true;
	}
	return false;
}

static bool flush_wanted(const struct ctl_options *options, const json_t *process)
{
	const char *path = ctl_text(process, "cgroup");

	if (options->has_pid)
		return ctl_number(process, "pid") == (uint64_t)options->pid;
	if (options->cgroup)
		return flush_inside(path, options->cgroup);
	return options->all || flush_of_unit(path, options->unit);
}

static int flush_compare(const void *a, const void *b)
{
	uint64_t left = ctl_number(*(json_t *const *)a, "releasable_bytes");
	uint64_t right = ctl_number(*(json_t *const *)b, "releasable_bytes");

	return left < right ? 1 : left > right ? -1 : 0;
}

/* Those meant, the most releasable first; the references stay with `list`. */
static json_t **flush_pick(const struct ctl_options *options, const json_t *list, size_t *ret_n)
{
	json_t **picked = calloc(json_array_size(list) + 1, sizeof *picked), *process;
	size_t i;

	*ret_n = 0;
	json_array_foreach(list, i, process)
		if (picked && flush_wanted(options, process))
			picked[(*ret_n)++] = process;
	if (picked)
		qsort(picked, *ret_n, sizeof *picked, flush_compare);
	return picked;
}

static int flush_dry_run(const struct ctl_options *options, json_t **picked, size_t n)
{
	struct ctl_table table = {.heads = {"PID", "<COMMAND", "RSS", "RELEASABLE", "<CGROUP"}, .n_columns = 5};
	json_t *list = json_array();
	uint64_t sum = 0;
	char text[32];
	size_t i;

	for (i = 0; i < n && (!options->target_bytes || sum < options->target_bytes); i++) {
		sum += ctl_number(picked[i], "releasable_bytes");
		json_array_append(list, picked[i]);
		ctl_table_cell(&table, "%" PRIu64, ctl_number(picked[i], "pid"));
		ctl_table_cell(&table, "%s", ctl_text(picked[i], "comm"));
		ctl_table_bytes(&table, ctl_number(picked[i], "rss_bytes"));
		ctl_table_bytes(&table, ctl_number(picked[i], "releasable_bytes"));
		ctl_table_cell(&table, "%s", ctl_text(picked[i], "cgroup"));
	}
	if (options->json)
		ctl_print_json(list);
	else {
		ctl_table_print(&table);
		printf("%zu would be asked for %s; nothing was done\n", i, text_bytes(sum, text, sizeof text));
	}
	json_decref(list);
	return CTL_OK;
}

struct flush_sums {
	uint64_t returned_bytes, released_bytes, usec;
	size_t n_asked, n_failed;
};

static void flush_progress(const struct ctl_options *options, const struct flush_sums *sums, size_t n,
	const json_t *process)
{
	char text[32];

	if (!options->json && isatty(STDERR_FILENO))
		fprintf(stderr, "\r\033[K%zu/%zu %s (pid %" PRIu64 "), %s so far", sums->n_asked + sums->n_failed + 1, n,
			ctl_text(process, "comm"), ctl_number(process, "pid"),
			text_bytes(sums->returned_bytes, text, sizeof text));
}

static void flush_clear_progress(const struct ctl_options *options)
{
	if (!options->json && isatty(STDERR_FILENO))
		fputs("\r\033[K", stderr);
}

static int flush_each(const struct ctl_options *options, json_t **picked, size_t n, struct flush_sums *sums, json_t *list)
{
	int worst = CTL_OK, r;
	json_t *answer;

	for (size_t i = 0; i < n; i++) {
		uint64_t left = options->target_bytes > sums->returned_bytes ? options->target_bytes - sums->returned_bytes : 0;

		if (options->target_bytes && !left)
			break;
		flush_progress(options, sums, n, picked[i]);
		r = flush_call(options, (int)ctl_number(picked[i], "pid"), left, &answer);
		flush_clear_progress(options);
		if (r == CTL_NO_DAEMON)
			return r;
		if (r != CTL_OK) { /* one that went away meanwhile is no failure of the whole */
			sums->n_failed++;
			worst = r == CTL_NO_PROCESS ? worst : r;
			continue;
		}
		sums->n_asked++;
		sums->returned_bytes += ctl_number(answer, "returned_bytes");
		sums->released_bytes += ctl_number(answer, "released_bytes");
		sums->usec += ctl_number(answer, "usec");
		if (!options->json)
			flush_print(answer);
		json_array_append_new(list, answer);
	}
	return worst;
}

static int flush_several(const struct ctl_options *options, json_t **picked, size_t n)
{
	struct flush_sums sums = {0};
	json_t *list = json_array();
	uint64_t start_nsec = util_now_nsec();
	int r = flush_each(options, picked, n, &sums, list);
	char text[32];

	if (options->json) {
		json_t *object = json_pack("{s:O, s:i, s:i, s:I, s:I, s:I}", "processes", list, "asked", (int)sums.n_asked,
			"failed", (int)sums.n_failed, "released_bytes", (json_int_t)sums.released_bytes, "returned_bytes",
			(json_int_t)sums.returned_bytes, "usec", (json_int_t)sums.usec);

		ctl_print_json(object);
		json_decref(object);
	} else
		printf("%zu asked, %zu failed: %s came back in %.1f ms\n", sums.n_asked, sums.n_failed,
			text_bytes(sums.returned_bytes, text, sizeof text), (double)(util_now_nsec() - start_nsec) / 1e6);
	json_decref(list);
	return r;
}

int verb_flush(const struct ctl_options *options)
{
	json_t *answer, **picked;
	size_t n;
	int r;

	if (options->has_pid && !options->dry_run)
		return flush_one(options);
	r = ctl_call(options, "io.hakmem.List", NULL, &answer);
	if (r != CTL_OK)
		return r;
	picked = flush_pick(options, json_object_get(answer, "processes"), &n);
	if (!picked)
		r = CTL_ERROR;
	else if (!n) {
		ctl_complain("no process that you may flush is registered there");
		r = CTL_NO_PROCESS;
	} else if (options->dry_run)
		r = flush_dry_run(options, picked, n);
	else if (n > 1 && options->level == 3 && !options->force) {
		ctl_complain("level 3 keeps caches small until pressure is gone: on %zu processes only with --force", n);
		r = CTL_USAGE;
	} else
		r = flush_several(options, picked, n);
	free(picked);
	json_decref(answer);
	return r;
}
