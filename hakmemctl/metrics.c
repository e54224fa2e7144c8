/* SPDX-License-Identifier: MIT */
/* hakmemctl metrics: sums over all processes in Prometheus' text format 0.0.4. */
#include <config.h>

#include "hakmemctl/ctl.h"

#include <stdio.h>

int verb_metrics(const struct ctl_options *options)
{
	json_t *answer;
	int r = ctl_call(options, "io.hakmem.Metrics", NULL, &answer);

	if (r != CTL_OK)
		return r;
	if (options->json)
		ctl_print_json(answer);
	else
		fputs(ctl_text(answer, "text"), stdout);
	json_decref(answer);
	return CTL_OK;
}
