/* SPDX-License-Identifier: MIT */
/*
 * hakmemctl enable UNIT: a drop-in that has a service run on the library from its next start.
 *
 * The service is never restarted: when that may happen is for others to say.
 */
#include <config.h>

#include "hakmemctl/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "hakmemd/util.h"
#include "protocol/wire.h"

static void enable_print(const struct ctl_options *options, const struct unit *unit, FILE *file)
{
	fprintf(file, UNIT_DROP_IN_MARK "; hakmemctl disable %s removes it.\n[Service]\n", unit->id);
	fprintf(file, "Environment=LD_PRELOAD=%s\n", CTL_LIBRARY);
	if (unit_filtered(unit) && unit_filter_allows(unit))
		fputs("# There is a seccomp filter, under which the library would keep quiet; this one lets its calls "
		      "through.\nEnvironment=HAKMEM_CONTROL=thread\n",
			file);
	if (strcmp(options->runtime_dir, HKP_RUNTIME_DIR) != 0)
		fprintf(file, "Environment=HAKMEM_RUNTIME_DIR=%s\n", options->runtime_dir);
}

/* Whole or not at all: written beside, then renamed. */
static int enable_write(const struct ctl_options *options, const struct unit *unit, const char *path)
{
	char beside[PATH_MAX + 8], *slash;
	FILE *file;
	bool good;
	int fd;

	snprintf(beside, sizeof beside, "%s", path);
	slash = strrchr(beside, '/');
	*slash = '\0';
	if (mkdir(beside, 0755) < 0 && errno != EEXIST)
		return -errno;
	snprintf(beside, sizeof beside, "%s.new", path);
	fd = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);
	file = fd < 0 ? NULL : fdopen(fd, "w");
	if (!file)
		return -errno;
	enable_print(options, unit, file);
	good = fchmod(fd, 0644) == 0 && !ferror(file);
	good &= fclose(file) == 0;
	if (good && rename(beside, path) == 0)
		return 0;
	fd = -errno;
	unlink(beside);
	return fd ? fd : -EIO;
}

/* Whether to go on; says why not. */
static bool enable_may(const struct ctl_options *options, const struct unit *unit, const char *path)
{
	struct findings findings = {0};
	const char *refused = unit_refused(unit);
	bool may;

	if (refused)
		findings_add(&findings, FINDING_PROBLEM, "%s is not for preloading: %s", unit->id, refused);
	if (access(path, F_OK) == 0 && !unit_drop_in_ours(path))
		findings_add(&findings, FINDING_PROBLEM, "%s is there, and somebody else wrote it", path);
	unit_examine(options, unit, &findings);
	for (size_t i = 0; i < findings.n; i++)
		ctl_complain("%s", findings.list[i].text);
	may = !findings.n_problems || options->force;
	if (!may)
		ctl_complain("%s was left alone; lines to add go into the unit with: systemctl edit %s "
			     "(--force goes on regardless)",
			unit->id, unit->id);
	findings_free(&findings);
	return may;
}

int verb_enable(const struct ctl_options *options)
{
	static const char *const reload[] = {"systemctl", "daemon-reload", NULL};
	char path[PATH_MAX];
	struct unit unit;
	int r = unit_load(options->word, &unit);

	if (r != CTL_OK)
		return r;
	if (!unit_drop_in_path(&unit, path, sizeof path) || !enable_may(options, &unit, path))
		r = CTL_ERROR;
	else if ((r = enable_write(options, &unit, path)) < 0) {
		ctl_complain("%s: %s", path, strerror(-r));
		r = r == -EACCES || r == -EPERM ? CTL_DENIED : CTL_ERROR;
	} else if (unit_run(reload, NULL, NULL) != 0) {
		ctl_complain("%s is written, but systemctl daemon-reload failed", path);
		r = CTL_ERROR;
	} else
		printf("wrote %s\n%s runs on libhakmem from its next start: systemctl restart %s\n", path, unit.id, unit.id);
	unit_free(&unit);
	return r;
}
