/* SPDX-License-Identifier: MIT */
/* hakmemctl resume: the daemon decides by itself again. */
#include <config.h>

#include "hakmemctl/ctl.h"

#include <stdio.h>

int verb_resume(const struct ctl_options *options)
{
	json_t *answer;
	int r = ctl_call(options, "io.hakmem.Resume", NULL, &answer);

	if (r != CTL_OK)
		return r;
	if (options->json)
		ctl_print_json(answer);
	else
		puts("resumed");
	json_decref(answer);
	return CTL_OK;
}
