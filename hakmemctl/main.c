/* SPDX-License-Identifier: MIT */
/*
 * hakmemctl: shows what hakmemd knows, and steers it.
 *
 * Verbs and options are tables: usage, help and the nearest valid name for a wrong one come from them.
 * Options may stand before or after the verb.
 */
#include <config.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hakmemctl/ctl.h"
#include "hakmemd/text.h"
#include "hakmemd/util.h"
#include "protocol/wire.h"

enum main_pid { PID_NONE, PID_MAY, PID_MUST, WORD_UNIT, WORD_UNIT_PID, WORD_COMMAND };

static const struct main_verb {
	const char *name;
	ctl_verb *run;
	enum main_pid pid;
	const char *help;
} main_verbs[] = {
	{"status", verb_status, PID_NONE, "the daemon, pressure, and what it has done"},
	{"list", verb_list, PID_NONE, "registered processes"},
	{"stats", verb_stats, PID_MAY, "what processes hold and could give back"},
	{"flush", verb_flush, PID_MUST, "have a process give memory back now"},
	{"pause", verb_pause, PID_NONE, "no flush but on request, until resume"},
	{"resume", verb_resume, PID_NONE, "end a pause"},
	{"reload", verb_reload, PID_NONE, "have the daemon read its configuration anew"},
	{"check", verb_check, WORD_UNIT_PID, "does it run on the library, and if not, why"},
	{"enable", verb_enable, WORD_UNIT, "have a service run on the library from its next start"},
	{"disable", verb_disable, WORD_UNIT, "undo enable"},
	{"run", verb_run, WORD_COMMAND, "run a command on the library"},
};

enum main_option { OPTION_JSON, OPTION_DIR, OPTION_TIMEOUT, OPTION_LEVEL, OPTION_TARGET, OPTION_FORCE, OPTION_HELP, OPTION_VERSION };

static const struct main_option_row {
	const char *name;
	const char *argument; /* NULL = takes none */
	const char *verb;     /* NULL = goes with every verb */
	const char *help;
} main_options[] = {
	[OPTION_JSON] = {"json", NULL, NULL, "JSON, for programs"},
	[OPTION_DIR] = {"runtime-dir", "DIR", NULL,
		"the daemon's sockets ($HAKMEM_RUNTIME_DIR, else " HKP_RUNTIME_DIR ")"},
	[OPTION_TIMEOUT] = {"timeout", "SEC", NULL, "wait this long for an answer (10)"},
	[OPTION_LEVEL] = {"level", "N", "flush", "0 cold, 1 caches, 2 pages (default), 3 everything"},
	[OPTION_TARGET] = {"target", "SIZE", "flush", "stop once so much came back, e.g. 64M"},
	[OPTION_FORCE] = {"force", NULL, "enable", "whatever speaks against it"},
	[OPTION_HELP] = {"help", NULL, NULL, "print this; with a verb, help on it"},
	[OPTION_VERSION] = {"version", NULL, NULL, "print the version"},
};

static const char *main_pid_usage(enum main_pid pid)
{
	static const char *const usages[] = {[PID_NONE] = "", [PID_MAY] = " [PID]", [PID_MUST] = " PID",
		[WORD_UNIT] = " UNIT", [WORD_UNIT_PID] = " UNIT|PID", [WORD_COMMAND] = " -- COMMAND"};

	return usages[pid];
}

static void main_print_options(const char *verb)
{
	char option[64];

	for (size_t i = 0; i < ARRAY_SIZE(main_options); i++) {
		const struct main_option_row *row = &main_options[i];

		if (row->verb && (!verb || strcmp(row->verb, verb) != 0))
			continue;
		snprintf(option, sizeof option, "--%s%s%s", row->name, row->argument ? " " : "",
			row->argument ? row->argument : "");
		printf("  %-20s %s\n", option, row->help);
	}
}

static void main_help(const struct main_verb *verb)
{
	char name[64];

	if (verb) {
		printf("Usage: hakmemctl %s%s [OPTION]...\n%s\n\nOptions:\n", verb->name, main_pid_usage(verb->pid),
			verb->help);
		main_print_options(verb->name);
		return;
	}
	printf("Usage: hakmemctl VERB [OPTION]...\nShow and steer hakmemd.\n\nVerbs:\n");
	for (size_t i = 0; i < ARRAY_SIZE(main_verbs); i++) {
		snprintf(name, sizeof name, "%s%s", main_verbs[i].name, main_pid_usage(main_verbs[i].pid));
		printf("  %-20s %s\n", name, main_verbs[i].help);
	}
	printf("\nOptions:\n");
	main_print_options(NULL);
	printf("\nExit status: 0 ok, 1 error, 2 wrong usage, 3 no daemon, 4 no such process, 5 denied, 6 timeout.\n");
}

static int main_unknown_verb(const char *wrong)
{
	const char *names[ARRAY_SIZE(main_verbs)], *nearest;

	for (size_t i = 0; i < ARRAY_SIZE(main_verbs); i++)
		names[i] = main_verbs[i].name;
	nearest = text_nearest(wrong, names, ARRAY_SIZE(names));
	if (nearest)
		ctl_complain("unknown verb \"%s\", did you mean \"%s\"?", wrong, nearest);
	else
		ctl_complain("unknown verb \"%s\"; hakmemctl --help lists them", wrong);
	return CTL_USAGE;
}

static int main_unknown_option(const char *wrong)
{
	const char *names[ARRAY_SIZE(main_options)], *nearest;

	for (size_t i = 0; i < ARRAY_SIZE(main_options); i++)
		names[i] = main_options[i].name;
	nearest = text_nearest(wrong + strspn(wrong, "-"), names, ARRAY_SIZE(names));
	if (nearest)
		ctl_complain("unknown option %s, did you mean --%s?", wrong, nearest);
	else
		ctl_complain("unknown option %s; hakmemctl --help lists them", wrong);
	return CTL_USAGE;
}

static const struct main_verb *main_find_verb(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(main_verbs); i++)
		if (!strcmp(name, main_verbs[i].name))
			return &main_verbs[i];
	return NULL;
}

/* Everything on the command line but the options' values. */
struct main_line {
	struct ctl_options options;
	const struct main_verb *verb;
	bool help;
	bool version;
	const char *only_for; /* an option given that goes with this verb alone */
	const char *only_name;
};

static int main_set_option(struct main_line *line, enum main_option option, const char *value)
{
	struct ctl_options *options = &line->options;
	uint64_t number;
	char *end;

	switch (option) {
	case OPTION_JSON:
		options->json = true;
		return CTL_OK;
	case OPTION_FORCE:
		options->force = true;
		return CTL_OK;
	case OPTION_HELP:
		line->help = true;
		return CTL_OK;
	case OPTION_VERSION:
		line->version = true;
		return CTL_OK;
	case OPTION_DIR:
		options->runtime_dir = value;
		return CTL_OK;
	case OPTION_TIMEOUT:
		options->timeout_sec = strtod(value, &end);
		if (end != value && !*end && options->timeout_sec > 0 && options->timeout_sec < 1e6)
			return CTL_OK;
		ctl_complain("--timeout %s: a number of seconds is needed", value);
		return CTL_USAGE;
	case OPTION_LEVEL:
		if (text_to_u64(value, 0, 3, &number) < 0) {
			ctl_complain("--level %s: 0 (cold), 1 (caches), 2 (pages) or 3 (everything)", value);
			return CTL_USAGE;
		}
		options->level = (int)number;
		return CTL_OK;
	case OPTION_TARGET:
		if (text_to_bytes(value, &options->target_bytes) >= 0 && options->target_bytes)
			return CTL_OK;
		ctl_complain("--target %s: a size is needed, like 512K, 64M or 1G", value);
		return CTL_USAGE;
	default:
		return CTL_USAGE;
	}
}

/* The option at argv[*at], its value behind '=' or in the next word. */
static int main_take_option(struct main_line *line, int argc, char **argv, int *at)
{
	const char *word = argv[*at], *name = word + 2, *equals = strchr(name, '='), *value = NULL;
	size_t length = equals ? (size_t)(equals - name) : strlen(name);

	for (size_t i = 0; !strncmp(word, "--", 2) && i < ARRAY_SIZE(main_options); i++) {
		const struct main_option_row *row = &main_options[i];

		if (strlen(row->name) != length || strncmp(row->name, name, length) != 0)
			continue;
		if (equals && !row->argument) {
			ctl_complain("--%s takes no value", row->name);
			return CTL_USAGE;
		}
		if (row->argument)
			value = equals ? equals + 1 : *at + 1 < argc ? argv[++*at] : NULL;
		if (row->argument && !value) {
			ctl_complain("--%s needs a value: --%s %s", row->name, row->name, row->argument);
			return CTL_USAGE;
		}
		if (row->verb) {
			line->only_for = row->verb;
			line->only_name = row->name;
		}
		return main_set_option(line, (enum main_option)i, value);
	}
	return main_unknown_option(word);
}

static int main_take_word(struct main_line *line, const char *word)
{
	uint64_t pid;

	if (!line->verb) {
		line->verb = main_find_verb(word);
		return line->verb ? CTL_OK : main_unknown_verb(word);
	}
	if (line->verb->pid >= WORD_UNIT && !line->options.word) {
		line->options.word = word;
		return CTL_OK;
	}
	if (line->verb->pid == PID_NONE || line->options.has_pid || line->options.word) {
		ctl_complain("%s: \"%s\" is one word too many", line->verb->name, word);
		return CTL_USAGE;
	}
	if (text_to_u64(word, 1, INT32_MAX, &pid) < 0) {
		ctl_complain("%s: \"%s\" is not a process number", line->verb->name, word);
		return CTL_USAGE;
	}
	line->options.pid = (int)pid;
	line->options.has_pid = true;
	return CTL_OK;
}

static int main_check(const struct main_line *line)
{
	if (!line->verb) {
		ctl_complain("a verb is needed; hakmemctl --help lists them");
		return CTL_USAGE;
	}
	if (line->verb->pid == PID_MUST && !line->options.has_pid) {
		ctl_complain("%s: which process? hakmemctl %s PID (hakmemctl list shows them)", line->verb->name,
			line->verb->name);
		return CTL_USAGE;
	}
	if (line->verb->pid >= WORD_UNIT && !line->options.word) {
		ctl_complain("%s: which? hakmemctl %s%s", line->verb->name, line->verb->name,
			main_pid_usage(line->verb->pid));
		return CTL_USAGE;
	}
	if (line->only_for && strcmp(line->only_for, line->verb->name) != 0) {
		ctl_complain("--%s goes with %s only", line->only_name, line->only_for);
		return CTL_USAGE;
	}
	return CTL_OK;
}

/* From here on the words are a command's: "--" ends the options, and so does the command itself. */
static bool main_at_command(const struct main_line *line, char **argv, int *at)
{
	if (!line->verb || line->verb->pid != WORD_COMMAND)
		return false;
	if (!strcmp(argv[*at], "--"))
		return argv[++*at] != NULL;
	return argv[*at][0] != '-';
}

int main(int argc, char **argv)
{
	const char *env = secure_getenv("HAKMEM_RUNTIME_DIR");
	struct main_line line = {.options = {.runtime_dir = env && *env ? env : HKP_RUNTIME_DIR,
					 .timeout_sec = 10,
					 .level = -1}};
	int r = CTL_OK;

	for (int i = 1; i < argc && r == CTL_OK; i++) {
		if (main_at_command(&line, argv, &i)) {
			line.options.command = argv + i;
			line.options.word = argv[i];
			break;
		}
		if (i == argc)
			break;
		r = argv[i][0] == '-' ? main_take_option(&line, argc, argv, &i) : main_take_word(&line, argv[i]);
	}
	if (r != CTL_OK)
		return r;
	if (line.help)
		main_help(line.verb);
	else if (line.version)
		printf("hakmemctl %s\n", PACKAGE_VERSION);
	else if ((r = main_check(&line)) == CTL_OK)
		r = line.verb->run(&line.options);
	if (fflush(stdout) != 0 && r == CTL_OK) {
		ctl_complain("the output could not be written");
		r = CTL_ERROR;
	}
	return r;
}
