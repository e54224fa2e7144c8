/* SPDX-License-Identifier: MIT */
/*
 * hakmemctl: shows what hakmemd knows, and steers it.
 *
 * Verbs and options are tables (verbs.c): usage, help and the nearest valid name for a wrong one come from them.
 * Options may stand before or after the verb.
 */
#include <config.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hakmemctl/ctl.h"
#include "hakmemctl/verbs.h"
#include "hakmemd/text.h"
#include "hakmemd/util.h"
#include "protocol/wire.h"

static const char *main_words_usage(enum ctl_words words)
{
	static const char *const usage[] = {
		[CTL_WORDS_NONE] = "",
		[CTL_WORDS_MAY_PID] = " [PID]",
		[CTL_WORDS_PID] = " PID",
		[CTL_WORDS_SHELL] = " bash|zsh",
		[CTL_WORDS_SOME] = " PID | --all | --cgroup PATH | --unit NAME",
		[CTL_WORDS_UNIT] = " UNIT",
		[CTL_WORDS_UNIT_PID] = " UNIT|PID",
		[CTL_WORDS_COMMAND] = " -- COMMAND",
	};

	return usage[words];
}

static void main_print_options(const char *verb)
{
	char option[64];

	for (size_t i = 0; i < CTL_N_OPTIONS; i++) {
		const struct ctl_option_row *row = &ctl_option_rows[i];

		if (row->verbs && (!verb || !ctl_option_goes(row, verb)))
			continue;
		snprintf(option, sizeof option, "--%s%s%s", row->name, row->argument ? " " : "",
			row->argument ? row->argument : "");
		printf("  %-20s %s\n", option, row->help);
	}
}

static void main_help(const struct ctl_verb_row *verb)
{
	char name[64];

	if (verb) {
		printf("Usage: hakmemctl %s%s [OPTION]...\n%s\n\nOptions:\n", verb->name, main_words_usage(verb->words),
			verb->help);
		main_print_options(verb->name);
		return;
	}
	printf("Usage: hakmemctl VERB [OPTION]...\nShow and steer hakmemd.\n\nVerbs:\n");
	for (size_t i = 0; i < CTL_N_VERBS; i++) {
		if (!ctl_verbs[i].help)
			continue;
		snprintf(name, sizeof name, "%s%s", ctl_verbs[i].name, main_words_usage(ctl_verbs[i].words));
		printf("  %-20s %s\n", name, ctl_verbs[i].help);
	}
	printf("\nOptions:\n");
	main_print_options(NULL);
	printf("\nExit status: 0 ok, 1 error, 2 wrong usage, 3 no daemon, 4 no such process, 5 denied, 6 timeout.\n");
}

static int main_unknown_verb(const char *wrong)
{
	const char *names[CTL_N_VERBS], *nearest;

	for (size_t i = 0; i < CTL_N_VERBS; i++)
		names[i] = ctl_verbs[i].name;
	nearest = text_nearest(wrong, names, ARRAY_SIZE(names));
	if (nearest)
		ctl_complain("unknown verb \"%s\", did you mean \"%s\"?", wrong, nearest);
	else
		ctl_complain("unknown verb \"%s\"; hakmemctl --help lists them", wrong);
	return CTL_USAGE;
}

static int main_unknown_option(const char *wrong)
{
	const char *names[CTL_N_OPTIONS], *nearest;

	for (size_t i = 0; i < CTL_N_OPTIONS; i++)
		names[i] = ctl_option_rows[i].name;
	nearest = text_nearest(wrong + strspn(wrong, "-"), names, ARRAY_SIZE(names));
	if (nearest)
		ctl_complain("unknown option %s, did you mean --%s?", wrong, nearest);
	else
		ctl_complain("unknown option %s; hakmemctl --help lists them", wrong);
	return CTL_USAGE;
}

static const struct ctl_verb_row *main_find_verb(const char *name)
{
	for (size_t i = 0; i < CTL_N_VERBS; i++)
		if (!strcmp(name, ctl_verbs[i].name))
			return &ctl_verbs[i];
	return NULL;
}

/* Everything on the command line but the options' values. */
struct main_line {
	struct ctl_options options;
	const struct ctl_verb_row *verb;
	bool help;
	bool version;
	const struct ctl_option_row *given[CTL_N_OPTIONS];
	size_t n_given;
};

static int main_set_option(struct main_line *line, enum ctl_option option, const char *value)
{
	struct ctl_options *options = &line->options;
	uint64_t number;
	char *end;

	switch (option) {
	case OPTION_JSON:
		options->json = true;
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
	case OPTION_ALL:
		options->all = true;
		return CTL_OK;
	case OPTION_CGROUP:
		options->cgroup = value;
		return CTL_OK;
	case OPTION_UNIT:
		options->unit = value;
		return CTL_OK;
	case OPTION_DRY_RUN:
		options->dry_run = true;
		return CTL_OK;
	case OPTION_FORCE:
		options->force = true;
		return CTL_OK;
	case OPTION_ONCE:
		options->once = true;
		return CTL_OK;
	case OPTION_SORT:
		options->sort = value;
		return CTL_OK;
	case OPTION_INTERVAL:
		options->interval_sec = strtod(value, &end);
		if (end != value && !*end && options->interval_sec >= 0.1 && options->interval_sec < 1e6)
			return CTL_OK;
		ctl_complain("--interval %s: a number of seconds from 0.1 on is needed", value);
		return CTL_USAGE;
	case CTL_N_OPTIONS:
	default:
		return CTL_USAGE;
	}
}

/* The option at argv[*at], its value behind '=' or in the next word. */
static int main_take_option(struct main_line *line, int argc, char **argv, int *at)
{
	const char *word = argv[*at], *name = word + 2, *equals = strchr(name, '='), *value = NULL;
	size_t length = equals ? (size_t)(equals - name) : strlen(name);

	for (size_t i = 0; !strncmp(word, "--", 2) && i < CTL_N_OPTIONS; i++) {
		const struct ctl_option_row *row = &ctl_option_rows[i];

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
		if (line->n_given < CTL_N_OPTIONS)
			line->given[line->n_given++] = row;
		return main_set_option(line, (enum ctl_option)i, value);
	}
	return main_unknown_option(word);
}

/* A verb that takes its word as it is. */
static bool main_wants_word(const struct ctl_verb_row *verb)
{
	switch (verb->words) {
	case CTL_WORDS_SHELL:
	case CTL_WORDS_UNIT:
	case CTL_WORDS_UNIT_PID:
	case CTL_WORDS_COMMAND:
		return true;
	case CTL_WORDS_NONE:
	case CTL_WORDS_MAY_PID:
	case CTL_WORDS_PID:
	case CTL_WORDS_SOME:
	default:
		return false;
	}
}

static int main_take_word(struct main_line *line, const char *word)
{
	uint64_t pid;

	if (!line->verb) {
		line->verb = main_find_verb(word);
		return line->verb ? CTL_OK : main_unknown_verb(word);
	}
	if (line->verb->words == CTL_WORDS_NONE || line->options.has_pid || line->options.word) {
		ctl_complain("%s: \"%s\" is one word too many", line->verb->name, word);
		return CTL_USAGE;
	}
	if (main_wants_word(line->verb)) {
		line->options.word = word;
		return CTL_OK;
	}
	if (text_to_u64(word, 1, INT32_MAX, &pid) < 0) {
		ctl_complain("%s: \"%s\" is not a process number", line->verb->name, word);
		return CTL_USAGE;
	}
	line->options.pid = (int)pid;
	line->options.has_pid = true;
	return CTL_OK;
}

/* Whom to flush: exactly one way of saying it. */
static int main_check_some(const struct main_line *line)
{
	const struct ctl_options *options = &line->options;
	int n = options->has_pid + options->all + (options->cgroup != NULL) + (options->unit != NULL);

	if (n == 1)
		return CTL_OK;
	if (n)
		ctl_complain("%s: one of PID, --all, --cgroup and --unit", line->verb->name);
	else
		ctl_complain("%s: which process? hakmemctl %s PID (hakmemctl list shows them), or --all, --cgroup PATH, "
			     "--unit NAME",
			line->verb->name, line->verb->name);
	return CTL_USAGE;
}

static int main_check(const struct main_line *line)
{
	if (!line->verb) {
		ctl_complain("a verb is needed; hakmemctl --help lists them");
		return CTL_USAGE;
	}
	for (size_t i = 0; i < line->n_given; i++)
		if (line->given[i]->verbs && !ctl_option_goes(line->given[i], line->verb->name)) {
			ctl_complain("--%s goes only with: %s", line->given[i]->name, line->given[i]->verbs);
			return CTL_USAGE;
		}
	if (line->verb->words == CTL_WORDS_PID && !line->options.has_pid) {
		ctl_complain("%s: which process? hakmemctl %s PID (hakmemctl list shows them)", line->verb->name,
			line->verb->name);
		return CTL_USAGE;
	}
	if (main_wants_word(line->verb) && !line->options.word) {
		ctl_complain("%s: which? hakmemctl %s%s", line->verb->name, line->verb->name,
			main_words_usage(line->verb->words));
		return CTL_USAGE;
	}
	if (line->verb->words == CTL_WORDS_SOME)
		return main_check_some(line);
	return CTL_OK;
}

/* From here on the words are a command's: "--" ends the options, and so does the command itself. */
static bool main_at_command(const struct main_line *line, char **argv, int *at)
{
	if (!line->verb || line->verb->words != CTL_WORDS_COMMAND)
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
					 .interval_sec = 2,
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
