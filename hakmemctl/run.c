/* SPDX-License-Identifier: MIT */
/* hakmemctl run -- COMMAND: a command on the library, for trying it. */
#include <config.h>

#include "hakmemctl/ctl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hakmemd/util.h"

int verb_run(const struct ctl_options *options)
{
	const char *before = getenv("LD_PRELOAD");
	CLEANUP_FREE char *preload = NULL;

	if (access(CTL_LIBRARY, R_OK) < 0) {
		ctl_complain("%s: %s", CTL_LIBRARY, strerror(errno));
		return CTL_ERROR;
	}
	if (asprintf(&preload, "%s%s%s", CTL_LIBRARY, before && *before ? ":" : "", before ? before : "") < 0)
		return CTL_ERROR;
	setenv("LD_PRELOAD", preload, 1);
	setenv("HAKMEM_RUNTIME_DIR", options->runtime_dir, 1);
	execvp(options->command[0], options->command);
	ctl_complain("%s: %s", options->command[0], strerror(errno));
	return CTL_ERROR;
}
