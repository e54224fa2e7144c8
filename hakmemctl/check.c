/* SPDX-License-Identifier: MIT */
/*
 * hakmemctl check UNIT|PID: does it run on the library, has it registered, and if not, why?
 *
 * A process is looked at through /proc, as the caller may; a unit through systemctl, then its main process.
 */
#include <config.h>

#include "hakmemctl/unit.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hakmemd/text.h"
#include "hakmemd/util.h"
#include "protocol/wire.h"

#define CHECK_ENVIRON_MAX (1u << 20)

struct check_process {
	int pid;
	bool mapped;
	bool deleted; /* the mapped file has been replaced since */
	bool preload; /* LD_PRELOAD of its first environment names the library */
	bool filtered;
	bool thread;     /* the control thread is there */
	char control[16]; /* HAKMEM_CONTROL=, "" = not set */
};

static FILE *check_open(int pid, const char *name)
{
	char path[64];

	snprintf(path, sizeof path, "/proc/%d/%s", pid, name);
	return fopen(path, "re");
}

static int check_read_maps(struct check_process *process)
{
	CLEANUP_FILE FILE *file = check_open(process->pid, "maps");
	char line[PATH_MAX + 256];

	if (!file)
		return -errno;
	while (fgets(line, sizeof line, file))
		if (strstr(line, "/libhakmem.so.0")) {
			process->mapped = true;
			process->deleted |= strstr(line, " (deleted)") != NULL;
		}
	return ferror(file) ? -EACCES : 0;
}

static void check_read_environ(struct check_process *process)
{
	CLEANUP_FILE FILE *file = check_open(process->pid, "environ");
	CLEANUP_FREE char *text = malloc(CHECK_ENVIRON_MAX + 1);
	size_t length = file && text ? fread(text, 1, CHECK_ENVIRON_MAX, file) : 0;

	if (!length)
		return;
	text[length] = '\0';
	for (const char *entry = text; entry < text + length; entry += strlen(entry) + 1) {
		if (!strncmp(entry, "LD_PRELOAD=", 11) && strstr(entry, "libhakmem"))
			process->preload = true;
		if (!strncmp(entry, "HAKMEM_CONTROL=", 15))
			snprintf(process->control, sizeof process->control, "%s", entry + 15);
	}
}

static void check_read_status(struct check_process *process)
{
	CLEANUP_FILE FILE *file = check_open(process->pid, "status");
	char line[256];
	int mode;

	while (file && fgets(line, sizeof line, file))
		if (sscanf(line, "Seccomp: %d", &mode) == 1)
			process->filtered = mode > 0;
}

static void check_read_threads(struct check_process *process)
{
	char path[64], task[32], name[16];
	struct dirent *entry;
	DIR *tasks;

	snprintf(path, sizeof path, "/proc/%d/task", process->pid);
	tasks = opendir(path);
	while (tasks && (entry = readdir(tasks))) {
		snprintf(task, sizeof task, "task/%.16s/comm", entry->d_name);
		CLEANUP_FILE FILE *file = check_open(process->pid, task);

		if (file && fgets(name, sizeof name, file) && !strcmp(name, "hakmem\n"))
			process->thread = true;
	}
	if (tasks)
		closedir(tasks);
}

/* Look for the process among those that have registered; an exit code of the call. */
static int check_registered(const struct ctl_options *options, int pid, json_t **ret_process)
{
	json_t *answer, *process;
	size_t i;
	int r = ctl_call(options, "io.hakmem.List", NULL, &answer);

	*ret_process = NULL;
	if (r != CTL_OK)
		return r;
	json_array_foreach(json_object_get(answer, "processes"), i, process)
		if ((int)ctl_number(process, "pid") == pid)
			*ret_process = json_incref(process);
	json_decref(answer);
	return CTL_OK;
}

static void check_why_unmapped(const struct check_process *process, struct findings *findings)
{
	char program[64];

	snprintf(program, sizeof program, "/proc/%d/exe", process->pid);
	if (unit_program_static(program))
		findings_add(findings, FINDING_PROBLEM, "the program is linked statically: nothing can be preloaded");
	else if (process->preload)
		findings_add(findings, FINDING_PROBLEM,
			"LD_PRELOAD names the library, but the loader did not take it: NoExecPaths=, raised privileges, "
			"another root; the loader's word is in the journal of the service, if it said one");
	else
		findings_add(findings, FINDING_PROBLEM,
			"it was started without LD_PRELOAD: hakmemctl enable UNIT, then systemctl restart UNIT");
}

static void check_why_silent(
	const struct ctl_options *options, const struct check_process *process, struct findings *findings)
{
	char path[PATH_MAX];

	snprintf(path, sizeof path, "/proc/%d/root%s/" HKP_CLIENT_SOCKET, process->pid, options->runtime_dir);
	if (!strcmp(process->control, "off") || !strcmp(process->control, "inline"))
		findings_add(findings, FINDING_PROBLEM, "HAKMEM_CONTROL=%s: it does not register", process->control);
	else if (!process->thread && process->filtered && strcmp(process->control, "thread") != 0)
		findings_add(findings, FINDING_PROBLEM,
			"a seccomp filter keeps it quiet: HAKMEM_CONTROL=thread, once the filter permits the library's "
			"calls (hakmemctl enable checks that)");
	else if (!process->thread)
		findings_add(findings, FINDING_NOTE,
			"its heap is below the threshold (HAKMEM_CONTROL_THRESHOLD, 4 MiB unless set): it registers once "
			"it has grown");
	else if (access(path, F_OK) < 0)
		findings_add(findings, FINDING_PROBLEM, "it cannot see the daemon's socket: %s", strerror(errno));
	else
		findings_add(findings, FINDING_NOTE,
			"it is trying to register: back-off of up to a minute after the daemon was away, or the daemon "
			"refuses it (journalctl -u hakmemd)");
}

static void check_daemon(
	const struct ctl_options *options, const struct check_process *process, struct findings *findings)
{
	char used[32], releasable[32];
	json_t *registered;

	if (check_registered(options, process->pid, &registered) != CTL_OK) {
		findings_add(findings, FINDING_PROBLEM, "the daemon cannot be asked");
		return;
	}
	if (!registered) {
		check_why_silent(options, process, findings);
		return;
	}
	findings_add(findings, FINDING_GOOD, "it has registered: %s used, %s could be given back",
		text_bytes(ctl_number(registered, "used_bytes"), used, sizeof used),
		text_bytes(ctl_number(registered, "releasable_bytes"), releasable, sizeof releasable));
	json_decref(registered);
}

static int check_pid(const struct ctl_options *options, int pid, struct findings *findings)
{
	struct check_process process = {.pid = pid};
	int r = check_read_maps(&process);

	if (r == -ENOENT || r == -ESRCH) {
		ctl_complain("there is no process %d", pid);
		return CTL_NO_PROCESS;
	}
	if (r < 0) {
		ctl_complain("process %d: %s", pid, strerror(-r));
		return CTL_DENIED;
	}
	check_read_environ(&process);
	check_read_status(&process);
	check_read_threads(&process);
	if (!process.mapped) {
		check_why_unmapped(&process, findings);
		return CTL_OK;
	}
	findings_add(findings, FINDING_GOOD, "process %d runs on the library", pid);
	if (process.deleted)
		findings_add(findings, FINDING_NOTE, "its library has been upgraded since; it has the old one until restarted");
	check_daemon(options, &process, findings);
	return CTL_OK;
}

static int check_unit(const struct ctl_options *options, struct findings *findings)
{
	const char *refused, *pid;
	char path[PATH_MAX];
	struct unit unit;
	int r = unit_load(options->word, &unit);

	if (r != CTL_OK)
		return r;
	refused = unit_refused(&unit);
	if (refused)
		findings_add(findings, FINDING_PROBLEM, "%s is not for preloading: %s", unit.id, refused);
	unit_examine(options, &unit, findings);
	if (!findings->n_problems)
		findings_add(findings, FINDING_GOOD, "nothing in the unit is in the library's way");
	if (unit_drop_in_path(&unit, path, sizeof path) && access(path, F_OK) == 0)
		findings_add(findings, FINDING_GOOD, "%s is there", path);
	pid = unit_get(&unit, "MainPID");
	if (pid && atoi(pid) > 0)
		r = check_pid(options, atoi(pid), findings);
	else
		findings_add(findings, FINDING_NOTE, "%s is not running", unit.id);
	unit_free(&unit);
	return r;
}

int verb_check(const struct ctl_options *options)
{
	struct findings findings = {0};
	uint64_t pid;
	int r;

	if (text_to_u64(options->word, 1, INT32_MAX, &pid) >= 0)
		r = check_pid(options, (int)pid, &findings);
	else
		r = check_unit(options, &findings);
	if (findings.n)
		findings_print(&findings, options->json);
	if (r == CTL_OK && findings.n_problems)
		r = CTL_ERROR;
	findings_free(&findings);
	return r;
}
