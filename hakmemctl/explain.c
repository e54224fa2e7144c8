/* SPDX-License-Identifier: MIT */
/* hakmemctl explain PID: why a process was asked for memory lately, or was not. */
#include <config.h>

#include "hakmemctl/ctl.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "hakmemd/text.h"

static void explain_last(const json_t *answer)
{
	const json_t *last = json_object_get(answer, "last_flush");
	char ago[32], bytes[32];

	if (!json_is_object(last)) {
		printf("last asked:  never\n");
		return;
	}
	printf("last asked:  %s ago, level %" PRIu64 ", because of %s (%s); %s came back\n",
		text_duration(ctl_real(last, "seconds_ago"), ago, sizeof ago), ctl_number(last, "level"),
		ctl_text(last, "reason"), ctl_text(answer, "last_why"),
		text_bytes(ctl_number(last, "returned_bytes"), bytes, sizeof bytes));
}

static void explain_held_off(const json_t *answer)
{
	const json_t *seconds;
	char text[32];
	size_t level;
	bool any = false;

	printf("held off:    ");
	json_array_foreach(json_object_get(answer, "held_off_seconds"), level, seconds)
		if (json_number_value(seconds) > 0) {
			printf("%slevel %zu for %s", any ? ", " : "", level,
				text_duration(json_number_value(seconds), text, sizeof text));
			any = true;
		}
	printf("%s; back-off %s\n", any ? "" : "no",
		text_duration(ctl_real(answer, "backoff_seconds"), text, sizeof text));
}

static void explain_around(const json_t *answer)
{
	const json_t *domain, *headroom;
	size_t i;

	json_array_foreach(json_object_get(answer, "around"), i, domain) {
		headroom = json_object_get(domain, "headroom");
		printf("%-12s %s: %s, stalled %.1f %% of the time", i ? "" : "inside:", ctl_text(domain, "path"),
			ctl_text(domain, "level"),
			100.0 * (double)ctl_number(domain, "some_usec") / ((double)ctl_number(domain, "window_usec") + 1e-9));
		if (json_is_number(headroom))
			printf(", %.0f %% of its memory free", json_number_value(headroom) * 100);
		printf("\n");
	}
}

static void explain_print(const json_t *answer)
{
	char a[32], b[32], c[32];
	bool idle = json_is_true(json_object_get(answer, "idle"));

	printf("%s (pid %" PRIu64 ", uid %" PRIu64 ")\n", ctl_text(answer, "comm"), ctl_number(answer, "pid"),
		ctl_number(answer, "uid"));
	printf("now:         %s\n", ctl_text(answer, "words"));
	explain_around(answer);
	printf("quiet:       for %s%s\n", text_duration(ctl_real(answer, "quiet_seconds"), a, sizeof a),
		idle ? json_is_true(json_object_get(answer, "idle_flushed")) ? ": idle, and asked for that once" : ": idle"
		     : ": not idle");
	printf("could give:  %s, at level 0 %s; expected %s (its word was %.0f %% true), at %s/us\n",
		text_bytes(ctl_number(answer, "releasable_bytes"), a, sizeof a),
		text_bytes(ctl_number(answer, "cold_bytes"), c, sizeof c),
		text_bytes(ctl_number(answer, "expected_bytes"), b, sizeof b), ctl_real(answer, "trust") * 100,
		text_bytes((uint64_t)ctl_real(answer, "bytes_per_usec"), (char[32]){0}, 32));
	explain_last(answer);
	explain_held_off(answer);
	printf("so far:      asked %" PRIu64 " times, gave %s; took %s of it again soon after (%" PRIu64 " times)\n",
		ctl_number(answer, "asked_flushes"), text_bytes(ctl_number(answer, "returned_bytes"), a, sizeof a),
		text_bytes(ctl_number(answer, "regret_bytes"), b, sizeof b), ctl_number(answer, "regrets"));
	if (ctl_number(answer, "timeouts_in_a_row"))
		printf("unanswered:  %" PRIu64 " in a row\n", ctl_number(answer, "timeouts_in_a_row"));
}

int verb_explain(const struct ctl_options *options)
{
	json_t *answer;
	int r = ctl_call(options, "io.hakmem.Explain", json_pack("{s:i}", "pid", options->pid), &answer);

	if (r != CTL_OK)
		return r;
	if (options->json)
		ctl_print_json(answer);
	else
		explain_print(answer);
	json_decref(answer);
	return CTL_OK;
}
