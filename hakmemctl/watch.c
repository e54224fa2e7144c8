/* SPDX-License-Identifier: MIT */
/* hakmemctl watch: events as they happen, one JSON object a line. */
#include <config.h>

#include "hakmemctl/ctl.h"

#include <stdio.h>

static void watch_print(const json_t *event)
{
	json_dumpf(event, stdout, JSON_COMPACT);
	putchar('\n');
	fflush(stdout);
}

int verb_watch(const struct ctl_options *options)
{
	return ctl_stream(options, "io.hakmem.Watch", watch_print);
}
