/* SPDX-License-Identifier: MIT */
/* systemctl and the findings: see unit.h. */
#include <config.h>

#include "hakmemctl/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "hakmemd/util.h"

#define UNIT_OUTPUT_MAX (1u << 20) /* a unit's properties are a few KiB */

/* Those that are looked at anywhere. */
static const char unit_properties[] =
	"Id,LoadState,ActiveState,MainPID,ExecStart,Environment,EnvironmentFiles,UnsetEnvironment,ExecPaths,NoExecPaths,"
	"RootDirectory,RootImage,InaccessiblePaths,TemporaryFileSystem,BindPaths,BindReadOnlyPaths,AppArmorProfile,"
	"RestrictAddressFamilies,SystemCallFilter,SystemCallLog,"
	"SystemCallArchitectures,RestrictNamespaces,MemoryDenyWriteExecute,RestrictRealtime,RestrictSUIDSGID,"
	"ProtectKernelTunables,ProtectKernelModules,ProtectKernelLogs,ProtectClock,ProtectHostname,PrivateDevices,"
	"LockPersonality,DynamicUser";

extern char **environ;

/* ---- commands ---- */

static bool unit_read_all(int fd, char **ret_output, size_t *ret_length)
{
	char *output = malloc(UNIT_OUTPUT_MAX + 1);
	size_t length = 0;
	ssize_t n = 0;

	while (output && length < UNIT_OUTPUT_MAX) {
		n = read(fd, output + length, UNIT_OUTPUT_MAX - length);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		length += (size_t)n;
	}
	if (!output || n < 0) {
		free(output);
		return false;
	}
	output[length] = '\0';
	*ret_output = output;
	*ret_length = length;
	return true;
}

static int unit_wait(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

int unit_run(const char *const arguments[], char **ret_output, size_t *ret_length)
{
	posix_spawn_file_actions_t actions;
	CLEANUP_FD int in = -1;
	int pipe_fds[2] = {-1, -1}, r;
	bool read_all = true;
	pid_t pid;

	if (ret_output && pipe2(pipe_fds, O_CLOEXEC) < 0)
		return -1;
	posix_spawn_file_actions_init(&actions);
	if (ret_output)
		posix_spawn_file_actions_adddup2(&actions, pipe_fds[1], STDOUT_FILENO);
	r = posix_spawnp(&pid, arguments[0], &actions, NULL, (char *const *)(uintptr_t)arguments, environ);
	posix_spawn_file_actions_destroy(&actions);
	util_close(&pipe_fds[1]);
	in = pipe_fds[0];
	if (r != 0) {
		ctl_complain("%s: %s", arguments[0], strerror(r));
		return -1;
	}
	if (ret_output)
		read_all = unit_read_all(in, ret_output, ret_length);
	r = unit_wait(pid);
	return read_all ? r : -1;
}

/* ---- a unit ---- */

const char *unit_get_next(const struct unit *unit, const char *property, const char *before)
{
	size_t length = strlen(property);
	const char *line = before ? before + strlen(before) + 1 : unit->text;

	for (; line < unit->text + unit->length; line += strlen(line) + 1)
		if (!strncmp(line, property, length) && line[length] == '=')
			return line + length + 1;
	return NULL;
}

const char *unit_get(const struct unit *unit, const char *property)
{
	return unit_get_next(unit, property, NULL);
}

static int unit_judge(const char *name, struct unit *unit)
{
	const char *state = unit_get(unit, "LoadState"), *dot;

	unit->id = unit_get(unit, "Id");
	if (!unit->id || !state || strcmp(state, "loaded") != 0) {
		ctl_complain("%s: no such service (systemctl says: %s)", name, state ? state : "nothing");
		return CTL_ERROR;
	}
	dot = strrchr(unit->id, '.');
	if (!dot || strcmp(dot, ".service") != 0 || strchr(unit->id, '/')) {
		ctl_complain("%s: not a service", unit->id);
		return CTL_USAGE;
	}
	return CTL_OK;
}

int unit_load(const char *name, struct unit *ret_unit)
{
	const char *arguments[] = {"systemctl", "show", "--no-pager", "--property", unit_properties, "--", name, NULL};
	int r;

	*ret_unit = (struct unit){0};
	if (unit_run(arguments, &ret_unit->text, &ret_unit->length) != 0) {
		ctl_complain("systemctl show %s failed", name);
		unit_free(ret_unit);
		return CTL_ERROR;
	}
	for (char *c = ret_unit->text; (c = strchr(c, '\n')); c++)
		*c = '\0';
	r = unit_judge(name, ret_unit);
	if (r != CTL_OK)
		unit_free(ret_unit);
	return r;
}

void unit_free(struct unit *unit)
{
	free(unit->text);
	*unit = (struct unit){0};
}

bool unit_drop_in_path(const struct unit *unit, char *buffer, size_t size)
{
	return snprintf(buffer, size, UNIT_DROP_IN_DIR "/%s.d/" UNIT_DROP_IN, unit->id) < (int)size;
}

bool unit_drop_in_ours(const char *path)
{
	CLEANUP_FILE FILE *file = fopen(path, "re");
	char line[sizeof UNIT_DROP_IN_MARK];

	return file && fgets(line, sizeof line, file) && !strcmp(line, UNIT_DROP_IN_MARK);
}

/* ---- findings ---- */

void findings_add(struct findings *findings, enum finding_kind kind, const char *format, ...)
{
	va_list arguments;
	char *text;

	if (findings->n == FINDINGS_MAX)
		return;
	va_start(arguments, format);
	if (vasprintf(&text, format, arguments) < 0)
		abort(); /* out of memory for a line: nothing sensible is left to print */
	va_end(arguments);
	findings->list[findings->n++] = (struct finding){kind, text};
	findings->n_problems += kind == FINDING_PROBLEM;
}

void findings_print(const struct findings *findings, bool json)
{
	static const char *const kinds[] = {"good", "note", "problem"};
	json_t *list = json_array(), *answer;

	for (size_t i = 0; i < findings->n; i++) {
		const struct finding *finding = &findings->list[i];

		if (json)
			json_array_append_new(
				list, json_pack("{s:s, s:s}", "kind", kinds[finding->kind], "text", finding->text));
		else
			printf("%-7s  %s\n", kinds[finding->kind], finding->text);
	}
	answer = json_pack("{s:I, s:o}", "problems", (json_int_t)findings->n_problems, "findings", list);
	if (json)
		ctl_print_json(answer);
	json_decref(answer);
}

void findings_free(struct findings *findings)
{
	for (size_t i = 0; i < findings->n; i++)
		free(findings->list[i].text);
	*findings = (struct findings){0};
}
