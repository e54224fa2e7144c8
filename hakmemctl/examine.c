/* SPDX-License-Identifier: MIT */
/*
 * What in a unit would be in the library's way: each look is a function, and unit_examine takes them all.
 *
 * Why: a preload that the unit does not permit fails without a word, and a seccomp filter may kill for a system
 * call that it does not know.  What is found is said with the line that would change it; whether a sandbox is
 * widened is for the administrator to decide.
 */
#include <config.h>

#include "hakmemctl/unit.h"

#include <elf.h>
#include <glob.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "hakmemd/util.h"
#include "protocol/syscalls.h"
#include "protocol/wire.h"

/* ---- names ---- */

static const struct {
	const char *name; /* of the service; a name that ends in '-' or '@' stands for all that begin so */
	const char *why;
} unit_refusals[] = {
	{"systemd-", "it is part of the service manager"},
	{"dbus", "it carries the system's messages"},
	{"dbus-broker", "it carries the system's messages"},
	{"udev", "it starts programs of all kinds"},
	{"hakmemd", "it is the daemon that the library talks to"},
	{"user@", "it starts the programs of a session, and all would inherit the library"},
	{"session-", "it starts the programs of a session, and all would inherit the library"},
	{"getty@", "it starts sessions"},
	{"serial-getty@", "it starts sessions"},
	{"ssh", "it starts sessions, and sandboxes itself"},
	{"sshd", "it starts sessions, and sandboxes itself"},
	{"ssh@", "it starts sessions, and sandboxes itself"},
	{"display-manager", "it starts sessions"},
	{"gdm", "it starts sessions"},
	{"gdm3", "it starts sessions"},
	{"lightdm", "it starts sessions"},
	{"sddm", "it starts sessions"},
	{"greetd", "it starts sessions"},
	{"containerd", "it starts containers, where the library's path means nothing"},
	{"docker", "it starts containers, where the library's path means nothing"},
	{"podman", "it starts containers, where the library's path means nothing"},
	{"crio", "it starts containers, where the library's path means nothing"},
	{"kubelet", "it starts containers, where the library's path means nothing"},
	{"k3s", "it starts containers, where the library's path means nothing"},
	{"lxc", "it starts containers, where the library's path means nothing"},
	{"lxd", "it starts containers, where the library's path means nothing"},
	{"incus", "it starts containers, where the library's path means nothing"},
	{"lxc@", "it starts containers, where the library's path means nothing"},
	{"libvirtd", "it starts virtual machines"},
};

const char *unit_refused(const struct unit *unit)
{
	for (size_t i = 0; i < ARRAY_SIZE(unit_refusals); i++) {
		size_t length = strlen(unit_refusals[i].name);
		char last = unit_refusals[i].name[length - 1];

		if (strncmp(unit->id, unit_refusals[i].name, length) != 0)
			continue;
		if (last == '-' || last == '@' || unit->id[length] == '.')
			return unit_refusals[i].why;
	}
	return NULL;
}

/* ---- lists of words and paths ---- */

/* The next word of a list; NULL at its end.  `*list` moves on; the word is in `buffer`. */
static const char *unit_next_word(const char **list, char *buffer, size_t size)
{
	size_t length;

	*list += strspn(*list, " ");
	length = strcspn(*list, " ");
	if (!length || length >= size)
		return NULL;
	memcpy(buffer, *list, length);
	buffer[length] = '\0';
	*list += length;
	return buffer;
}

/* Whether the list has the word; what follows its first `until` character does not count. */
static bool unit_has_word(const char *list, const char *wanted, char until)
{
	char word[PATH_MAX];

	while (unit_next_word(&list, word, sizeof word)) {
		if (until && strchr(word, until))
			*strchr(word, until) = '\0';
		if (!strcmp(word, wanted))
			return true;
	}
	return false;
}

/*
 * "A B C": these and no other; "~A B C": all but these; NULL: no limit.  A:EPERM is a call that fails with that
 * error, on either list.
 */
static bool unit_permits(const char *list, const char *name)
{
	if (!list)
		return true;
	return *list == '~' ? !unit_has_word(list + 1, name, ':') : unit_has_word(list, name, '\0');
}

/* What a word of a list of paths speaks of: PATH, PATH:OPTIONS, or, of a bind, SOURCE:PATH:OPTIONS. */
static const char *unit_path_of(char *word, bool bind)
{
	char *path = word + strspn(word, "-+"), *colon = strchr(path, ':');

	if (bind && colon) {
		path = colon + 1;
		colon = strchr(path, ':');
	}
	if (colon)
		*colon = '\0';
	return path;
}

/* Length of the longest path of the list that is `path` or a folder above it; 0 = none. */
static size_t unit_covers(const char *list, const char *path, bool bind)
{
	char word[2 * PATH_MAX], real[PATH_MAX];
	size_t best = 0, length;
	const char *covering;

	while (list && unit_next_word(&list, word, sizeof word)) {
		covering = unit_path_of(word, bind);
		if (realpath(covering, real))
			covering = real;
		length = strlen(covering);
		if (length == 1 && *covering == '/')
			best = util_max(best, 1);
		else if (!strncmp(path, covering, length) && (path[length] == '/' || !path[length]))
			best = util_max(best, length);
	}
	return best;
}

/* Whether the unit binds the path into what it sees. */
static bool unit_binds(const struct unit *unit, const char *path)
{
	return unit_covers(unit_get(unit, "BindReadOnlyPaths"), path, true) ||
		unit_covers(unit_get(unit, "BindPaths"), path, true);
}

/* The value of a variable in a list of assignments, each in quotes or not; NULL = not there. */
static const char *unit_variable(const char *list, const char *name)
{
	size_t length = strlen(name);

	for (const char *at = list; at && (at = strstr(at, name)); at += length)
		if ((at == list || strchr(" \"", at[-1])) && at[length] == '=')
			return at + length + 1;
	return NULL;
}

/* ---- looks ---- */

static void look_library(const struct ctl_options *options, const struct unit *unit, struct findings *findings)
{
	(void)options;
	(void)unit;
	if (access(CTL_LIBRARY, R_OK) < 0)
		findings_add(findings, FINDING_PROBLEM, "%s is not there: install libhakmem0", CTL_LIBRARY);
}

static void look_exec_paths(const struct ctl_options *options, const struct unit *unit, struct findings *findings)
{
	char library[PATH_MAX];

	(void)options;
	if (!realpath(CTL_LIBRARY, library))
		return;
	if (unit_covers(unit_get(unit, "NoExecPaths"), library, false) >
		unit_covers(unit_get(unit, "ExecPaths"), library, false))
		findings_add(findings, FINDING_PROBLEM,
			"NoExecPaths= keeps the library from being loaded, without a word; add: ExecPaths=%s", CTL_LIBRARY);
}

/* Whether the service sees one path; `real` is where that leads. */
static void look_path(const struct unit *unit, const char *path, const char *real, struct findings *findings)
{
	const char *root = unit_get(unit, "RootDirectory");

	/* Nothing can be bound below what is inaccessible: systemd leaves such binds out without a word. */
	if (unit_covers(unit_get(unit, "InaccessiblePaths"), real, false)) {
		findings_add(findings, FINDING_PROBLEM, "InaccessiblePaths= hides %s, and nothing opens it again: "
			"name what is to be hidden more narrowly, or hide it with TemporaryFileSystem=", path);
		return;
	}
	if (unit_binds(unit, real))
		return;
	if (!root || !*root)
		root = unit_get(unit, "RootImage");
	if (root && *root)
		findings_add(findings, FINDING_PROBLEM, "it has a root of its own, %s, without %s; add: BindReadOnlyPaths=%s",
			root, path, path);
	else if (unit_covers(unit_get(unit, "TemporaryFileSystem"), real, false))
		findings_add(findings, FINDING_PROBLEM, "TemporaryFileSystem= hides %s; add: BindReadOnlyPaths=%s", path, path);
}

static void look_paths(const struct ctl_options *options, const struct unit *unit, struct findings *findings)
{
	char library[PATH_MAX], socket_path[PATH_MAX];

	if (realpath(CTL_LIBRARY, library))
		look_path(unit, CTL_LIBRARY, library, findings);
	snprintf(socket_path, sizeof socket_path, "%s/" HKP_CLIENT_SOCKET, options->runtime_dir);
	look_path(unit, socket_path, socket_path, findings);
}

static void look_families(const struct ctl_options *options, const struct unit *unit, struct findings *findings)
{
	(void)options;
	if (!unit_permits(unit_get(unit, "RestrictAddressFamilies"), "AF_UNIX"))
		findings_add(findings, FINDING_PROBLEM,
			"RestrictAddressFamilies= keeps the library from the daemon; add: RestrictAddressFamilies=AF_UNIX");
}

#define X(name) #name,
static const char *const unit_syscalls[] = {HKP_SYSCALLS(X)};
#undef X

/* Names of the list that the filter does not permit, in `buffer`, with a space before each. */
static void unit_missing_syscalls(const struct unit *unit, char *buffer, size_t size)
{
	const char *filter = unit_get(unit, "SystemCallFilter");
	size_t length = 0;

	*buffer = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(unit_syscalls) && length < size; i++)
		if (!unit_permits(filter, unit_syscalls[i]))
			length += (size_t)snprintf(buffer + length, size - length, " %s", unit_syscalls[i]);
}

bool unit_filter_allows(const struct unit *unit)
{
	char missing[2048];

	unit_missing_syscalls(unit, missing, sizeof missing);
	return !*missing;
}

static void look_syscalls(const struct ctl_options *options, const struct unit *unit, struct findings *findings)
{
	char missing[2048];

	(void)options;
	unit_missing_syscalls(unit, missing, sizeof missing);
	if (*missing)
		findings_add(findings, FINDING_PROBLEM,
			"SystemCallFilter= forbids what the library calls; add: SystemCallFilter=%s", missing + 1);
}

static void look_preload(const struct ctl_options *options, const struct unit *unit, struct findings *findings)
{
	const char *value = unit_variable(unit_get(unit, "Environment"), "LD_PRELOAD");
	size_t length;

	(void)options;
	if (!value)
		return;
	length = strcspn(value, " \"");
	if (length != strlen(CTL_LIBRARY) || strncmp(value, CTL_LIBRARY, length) != 0)
		findings_add(findings, FINDING_PROBLEM, "it has LD_PRELOAD=%.*s already, which the drop-in would replace",
			(int)length, value);
}

/* Whether a file of assignments, as EnvironmentFile= reads it, sets LD_PRELOAD. */
static bool unit_file_preloads(const char *path)
{
	CLEANUP_FILE FILE *file = fopen(path, "re");
	CLEANUP_FREE char *line = NULL;
	size_t size = 0;

	while (file && getline(&line, &size, file) >= 0)
		if (!strncmp(line + strspn(line, " \t"), "LD_PRELOAD=", 11))
			return true;
	return false;
}

/* What a file or UnsetEnvironment= says of a variable wins over any Environment=, a drop-in's as well. */
static void look_environment(const struct ctl_options *options, const struct unit *unit, struct findings *findings)
{
	const char *list = unit_get(unit, "UnsetEnvironment"), *files = NULL;
	char pattern[PATH_MAX];

	(void)options;
	if (list && unit_has_word(list, "LD_PRELOAD", '='))
		findings_add(findings, FINDING_PROBLEM,
			"UnsetEnvironment= takes LD_PRELOAD away from it: take the name out of there");
	while ((files = unit_get_next(unit, "EnvironmentFiles", files))) {
		glob_t found;

		list = files;
		if (!unit_next_word(&list, pattern, sizeof pattern) || glob(pattern, 0, NULL, &found) != 0)
			continue;
		for (size_t i = 0; i < found.gl_pathc; i++)
			if (unit_file_preloads(found.gl_pathv[i]))
				findings_add(findings, FINDING_PROBLEM, "%s sets LD_PRELOAD, which wins over the drop-in's: add %s to it there",
					found.gl_pathv[i], CTL_LIBRARY);
		globfree(&found);
	}
}

/* A program without an interpreter loads no libraries at all. */
bool unit_program_static(const char *path)
{
	CLEANUP_FILE FILE *file = fopen(path, "re");
	Elf64_Ehdr head;
	Elf64_Phdr part;

	if (!file || fread(&head, sizeof head, 1, file) != 1 || memcmp(head.e_ident, ELFMAG, SELFMAG) != 0)
		return false;
	for (unsigned i = 0; i < head.e_phnum; i++) {
		if (fseek(file, (long)(head.e_phoff + (uint64_t)i * head.e_phentsize), SEEK_SET) < 0 ||
			fread(&part, sizeof part, 1, file) != 1 || part.p_type == PT_INTERP)
			return false;
	}
	return true;
}

static void look_program(const struct ctl_options *options, const struct unit *unit, struct findings *findings)
{
	const char *start = unit_get(unit, "ExecStart");
	char program[PATH_MAX];
	struct stat status;

	(void)options;
	if (!start || sscanf(start, "{ path=%4095[^ ;]", program) != 1 || stat(program, &status) < 0)
		return;
	if (unit_program_static(program))
		findings_add(findings, FINDING_PROBLEM, "%s is linked statically: nothing can be preloaded", program);
	if ((status.st_mode & (S_ISUID | S_ISGID)) || getxattr(program, "security.capability", NULL, 0) > 0)
		findings_add(findings, FINDING_PROBLEM,
			"%s raises its privileges at its start (set-user-ID or file capabilities): the loader then preloads nothing",
			program);
}

/* The profile that the unit names, or that the kernel has found for the running program by its path. */
static const char *unit_apparmor(const struct unit *unit, char *buffer, size_t size)
{
	const char *profile = unit_get(unit, "AppArmorProfile"), *pid = unit_get(unit, "MainPID");
	char path[64];

	if (profile && *profile)
		return profile;
	snprintf(path, sizeof path, "/proc/%d/attr/apparmor/current", pid ? atoi(pid) : 0);
	CLEANUP_FILE FILE *file = fopen(path, "re");

	if (!file || !fgets(buffer, (int)size, file))
		return NULL;
	buffer[strcspn(buffer, "\n")] = '\0';
	return strcmp(buffer, "unconfined") ? buffer : NULL;
}

static void look_apparmor(const struct ctl_options *options, const struct unit *unit, struct findings *findings)
{
	char buffer[256];
	const char *profile = unit_apparmor(unit, buffer, sizeof buffer);

	if (profile && *profile)
		findings_add(findings, FINDING_NOTE,
			"its AppArmor profile %s has to permit: %s mr, and %s/" HKP_CLIENT_SOCKET " rw", profile,
			CTL_LIBRARY, options->runtime_dir);
}

void unit_examine(const struct ctl_options *options, const struct unit *unit, struct findings *findings)
{
	static void (*const looks[])(const struct ctl_options *, const struct unit *, struct findings *) = {
		look_library, look_program, look_exec_paths, look_paths, look_families, look_syscalls, look_preload,
		look_environment, look_apparmor};

	for (size_t i = 0; i < ARRAY_SIZE(looks); i++)
		looks[i](options, unit, findings);
}

/* ---- filters ---- */

/* The settings for which systemd installs a seccomp filter, and what each says when it installs none. */
bool unit_filtered(const struct unit *unit)
{
	static const char *const settings[] = {"MemoryDenyWriteExecute", "RestrictRealtime", "RestrictSUIDSGID",
		"ProtectKernelTunables", "ProtectKernelModules", "ProtectKernelLogs", "ProtectClock", "ProtectHostname",
		"PrivateDevices", "LockPersonality", "DynamicUser"};
	static const char *const lists[] = {
		"SystemCallFilter", "SystemCallLog", "SystemCallArchitectures", "RestrictAddressFamilies"};
	const char *value;

	for (size_t i = 0; i < ARRAY_SIZE(settings); i++)
		if ((value = unit_get(unit, settings[i])) && !strcmp(value, "yes"))
			return true;
	for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
		if ((value = unit_get(unit, lists[i])) && *value)
			return true;
	value = unit_get(unit, "RestrictNamespaces");
	return value && strcmp(value, "no") != 0;
}
