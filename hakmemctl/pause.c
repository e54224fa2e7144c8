/* SPDX-License-Identifier: MIT */
/* hakmemctl pause: the daemon decides nothing by itself until it resumes. */
#include <config.h>

#include "hakmemctl/ctl.h"

#include <stdio.h>

int verb_pause(const struct ctl_options *options)
{
	json_t *answer;
	int r = ctl_call(options, "io.hakmem.Pause", NULL, &answer);

	if (r != CTL_OK)
		return r;
	if (options->json)
		ctl_print_json(answer);
	else
		puts("paused: hakmemctl flush still works; hakmemctl resume ends it");
	json_decref(answer);
	return CTL_OK;
}
