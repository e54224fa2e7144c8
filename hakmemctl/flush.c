/* SPDX-License-Identifier: MIT */
/* hakmemctl flush PID: have one process give memory back now. */
#include <config.h>

#include "hakmemctl/ctl.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "hakmemd/text.h"

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

int verb_flush(const struct ctl_options *options)
{
	json_t *answer, *parameters = json_pack("{s:i}", "pid", options->pid);
	int r;

	if (options->level >= 0)
		json_object_set_new(parameters, "level", json_integer(options->level));
	if (options->target_bytes)
		json_object_set_new(parameters, "target", json_integer((json_int_t)options->target_bytes));
	r = ctl_call(options, "io.hakmem.Flush", parameters, &answer);
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
