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

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

/* Length of the longest path of the list that is `path` or a folder above it; 0 = none. */
static size_t unit_covers(const char *list, const char *path)
{
	char word[PATH_MAX], real[PATH_MAX];
	size_t best = 0, length;
	const char *covering;

	while (list && unit_next_word(&list, word, sizeof word)) {
		covering = word + strspn(word, "-+");
		if (strchr(covering, ':'))
			*strchr(covering, ':') = '\0'; /* options of TemporaryFileSystem= */
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
	if (unit_covers(unit_get(unit, "NoExecPaths"), library) > unit_covers(unit_get(unit, "ExecPaths"), library))
		findings_add(findings, FINDING_PROBLEM,
			"NoExecPaths= keeps the library from being loaded, without a word; add: ExecPaths=%s", CTL_LIBRARY);
}

static void look_root(const struct ctl_options *options, const struct unit *unit, struct findings *findings)
{
	const char *root = unit_get(unit, "RootDirectory");

	if (!root || !*root)
		root = unit_get(unit, "RootImage");
	if (root && *root)
		findings_add(findings, FINDING_PROBLEM,
			"it has a root of its own, %s, without library and socket; add: BindReadOnlyPaths=%s %s/" HKP_CLIENT_SOCKET,
			root, CTL_LIBRARY, options->runtime_dir);
}

static void look_hidden(const struct ctl_options *options, const struct unit *unit, struct findings *findings)
{
	static const char *const properties[] = {"InaccessiblePaths", "TemporaryFileSystem"};
	char library[PATH_MAX], socket_path[PATH_MAX];

	if (!realpath(CTL_LIBRARY, library))
		return;
	snprintf(socket_path, sizeof socket_path, "%s/" HKP_CLIENT_SOCKET, options->runtime_dir);
	for (size_t i = 0; i < ARRAY_SIZE(properties); i++) {
		if (unit_covers(unit_get(unit, properties[i]), library))
			findings_add(findings, FINDING_PROBLEM, "%s= hides the library; add: BindReadOnlyPaths=%s",
				properties[i], CTL_LIBRARY);
		if (unit_covers(unit_get(unit, properties[i]), socket_path))
			findings_add(findings, FINDING_PROBLEM, "%s= hides the daemon's socket; add: BindReadOnlyPaths=%s",
				properties[i], socket_path);
	}
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
	const char *environment = unit_get(unit, "Environment"), *value;
	size_t length;

	(void)options;
	value = environment ? strstr(environment, "LD_PRELOAD=") : NULL;
	if (!value)
		return;
	value += strlen("LD_PRELOAD=");
	length = strcspn(value, " \"");
	if (length != strlen(CTL_LIBRARY) || strncmp(value, CTL_LIBRARY, length) != 0)
		findings_add(findings, FINDING_PROBLEM, "it has LD_PRELOAD=%.*s already, which the drop-in would replace",
			(int)length, value);
}

static void look_apparmor(const struct ctl_options *options, const struct unit *unit, struct findings *findings)
{
	const char *profile = unit_get(unit, "AppArmorProfile");

	if (profile && *profile)
		findings_add(findings, FINDING_NOTE,
			"its AppArmor profile %s has to permit: %s mr, and %s/" HKP_CLIENT_SOCKET " rw", profile,
			CTL_LIBRARY, options->runtime_dir);
}

void unit_examine(const struct ctl_options *options, const struct unit *unit, struct findings *findings)
{
	static void (*const looks[])(const struct ctl_options *, const struct unit *, struct findings *) = {
		look_library, look_exec_paths, look_root, look_hidden, look_families, look_syscalls, look_preload,
		look_apparmor};

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
