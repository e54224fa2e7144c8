/* SPDX-License-Identifier: MIT */
/* hakmemctl disable UNIT: removes the drop-in that enable wrote; the service is not restarted. */
#include <config.h>

#include "hakmemctl/unit.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int disable_remove(const struct unit *unit, char *path)
{
	static const char *const reload[] = {"systemctl", "daemon-reload", NULL};

	if (access(path, F_OK) < 0) {
		printf("%s has no drop-in of hakmem\n", unit->id);
		return CTL_OK;
	}
	if (!unit_drop_in_ours(path)) {
		ctl_complain("%s: not written by hakmemctl enable, so it is left alone", path);
		return CTL_ERROR;
	}
	if (unlink(path) < 0) {
		ctl_complain("%s: %s", path, strerror(errno));
		return errno == EACCES || errno == EPERM ? CTL_DENIED : CTL_ERROR;
	}
	*strrchr(path, '/') = '\0';
	rmdir(path); /* fails where others have drop-ins: right so */
	if (unit_run(reload, NULL, NULL) != 0) {
		ctl_complain("the drop-in is gone, but systemctl daemon-reload failed");
		return CTL_ERROR;
	}
	printf("%s keeps the library until it is restarted: systemctl restart %s\n", unit->id, unit->id);
	return CTL_OK;
}

int verb_disable(const struct ctl_options *options)
{
	char path[PATH_MAX];
	struct unit unit;
	int r = unit_load(options->word, &unit);

	if (r != CTL_OK)
		return r;
	r = unit_drop_in_path(&unit, path, sizeof path) ? disable_remove(&unit, path) : CTL_ERROR;
	unit_free(&unit);
	return r;
}
