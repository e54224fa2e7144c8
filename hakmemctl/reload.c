/* SPDX-License-Identifier: MIT */
/* hakmemctl reload: the daemon reads its configuration anew. */
#include <config.h>

#include "hakmemctl/ctl.h"

#include <stdio.h>

int verb_reload(const struct ctl_options *options)
{
	json_t *answer;
	int r = ctl_call(options, "io.hakmem.Reload", NULL, &answer);

	if (r != CTL_OK)
		return r;
	if (options->json)
		ctl_print_json(answer);
	else
		puts("configuration read anew");
	json_decref(answer);
	return CTL_OK;
}
