/* SPDX-License-Identifier: MIT */
/* The tables of verbs and options: see verbs.h. */
#include <config.h>

#include "hakmemctl/verbs.h"

#include <string.h>

#include "protocol/wire.h"

const struct ctl_verb_row ctl_verbs[CTL_N_VERBS] = {
	{"status", verb_status, CTL_WORDS_NONE, "the daemon, pressure, and what it has done"},
	{"list", verb_list, CTL_WORDS_NONE, "registered processes"},
	{"stats", verb_stats, CTL_WORDS_MAY_PID, "what processes hold and could give back"},
	{"top", verb_top, CTL_WORDS_NONE, "the same, live; q ends it"},
	{"pressure", verb_pressure, CTL_WORDS_NONE, "cgroups watched, their levels and signals"},
	{"explain", verb_explain, CTL_WORDS_PID, "why a process was asked for memory, or not"},
	{"maps", verb_maps, CTL_WORDS_PID, "where the memory of a process is, as the kernel sees it"},
	{"watch", verb_watch, CTL_WORDS_NONE, "events as they happen, one JSON object a line"},
	{"flush", verb_flush, CTL_WORDS_SOME, "have processes give memory back now"},
	{"pause", verb_pause, CTL_WORDS_NONE, "no flush but on request, until resume"},
	{"resume", verb_resume, CTL_WORDS_NONE, "end a pause"},
	{"reload", verb_reload, CTL_WORDS_NONE, "have the daemon read its configuration anew"},
	{"check", verb_check, CTL_WORDS_UNIT_PID, "does it run on the library, and if not, why"},
	{"enable", verb_enable, CTL_WORDS_UNIT, "have a service run on the library from its next start"},
	{"disable", verb_disable, CTL_WORDS_UNIT, "undo enable"},
	{"run", verb_run, CTL_WORDS_COMMAND, "run a command on the library"},
	{"metrics", verb_metrics, CTL_WORDS_NONE, "sums over all processes, for Prometheus"},
	{"completions", verb_completions, CTL_WORDS_SHELL, NULL},
};

const struct ctl_option_row ctl_option_rows[CTL_N_OPTIONS] = {
	[OPTION_JSON] = {"json", NULL, NULL, "JSON, for programs"},
	[OPTION_DIR] = {"runtime-dir", "DIR", NULL,
		"the daemon's sockets ($HAKMEM_RUNTIME_DIR, else " HKP_RUNTIME_DIR ")"},
	[OPTION_TIMEOUT] = {"timeout", "SEC", NULL, "wait this long for an answer (10)"},
	[OPTION_LEVEL] = {"level", "N", "flush", "0 cold, 1 caches, 2 pages (default), 3 everything"},
	[OPTION_TARGET] = {"target", "SIZE", "flush", "stop once so much came back in all, e.g. 64M"},
	[OPTION_ALL] = {"all", NULL, "flush", "every registered process"},
	[OPTION_CGROUP] = {"cgroup", "PATH", "flush", "those in this cgroup and below it"},
	[OPTION_UNIT] = {"unit", "NAME", "flush", "those of this systemd unit"},
	[OPTION_DRY_RUN] = {"dry-run", NULL, "flush", "only say who would be asked, and for how much"},
	[OPTION_FORCE] = {"force", NULL, "flush enable",
		"flush: level 3 on several processes; enable: whatever speaks against it"},
	[OPTION_ONCE] = {"once", NULL, "top", "print once, without a terminal"},
	[OPTION_INTERVAL] = {"interval", "SEC", "top", "look so often (2)"},
	[OPTION_SORT] = {"sort", "KEY", "top", "free, rss, used, idle, back or pid"},
	[OPTION_HELP] = {"help", NULL, NULL, "print this; with a verb, help on it"},
	[OPTION_VERSION] = {"version", NULL, NULL, "print the version"},
};

bool ctl_option_goes(const struct ctl_option_row *row, const char *verb)
{
	size_t length = strlen(verb);

	for (const char *at = row->verbs; at && *at; at += strcspn(at, " "), at += strspn(at, " "))
		if (!strncmp(at, verb, length) && (at[length] == ' ' || !at[length]))
			return true;
	return !row->verbs;
}
