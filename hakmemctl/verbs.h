/* SPDX-License-Identifier: MIT */
/*
 * The tables of verbs and options: what usage, help, nearest names and completions come from.
 */
#ifndef HAKMEMCTL_VERBS_H
#define HAKMEMCTL_VERBS_H

#include "hakmemctl/ctl.h"

enum ctl_words { /* what may stand behind a verb */
	CTL_WORDS_NONE,
	CTL_WORDS_MAY_PID,
	CTL_WORDS_PID,
	CTL_WORDS_SHELL, /* bash or zsh */
	CTL_WORDS_SOME,  /* PID, or an option that names several */
	CTL_WORDS_UNIT,
	CTL_WORDS_UNIT_PID,
	CTL_WORDS_COMMAND, /* all that follows is the command's */
};

struct ctl_verb_row {
	const char *name;
	ctl_verb *run;
	enum ctl_words words;
	const char *help; /* NULL = not for people */
};

enum ctl_option {
	OPTION_JSON,
	OPTION_DIR,
	OPTION_TIMEOUT,
	OPTION_LEVEL,
	OPTION_TARGET,
	OPTION_ALL,
	OPTION_CGROUP,
	OPTION_UNIT,
	OPTION_DRY_RUN,
	OPTION_FORCE,
	OPTION_ONCE,
	OPTION_INTERVAL,
	OPTION_SORT,
	OPTION_HELP,
	OPTION_VERSION,
	CTL_N_OPTIONS,
};

struct ctl_option_row {
	const char *name;
	const char *argument; /* NULL = takes none */
	const char *verbs;    /* that it goes with, apart by spaces; NULL = all */
	const char *help;
};

#define CTL_N_VERBS 18
extern const struct ctl_verb_row ctl_verbs[CTL_N_VERBS];
extern const struct ctl_option_row ctl_option_rows[CTL_N_OPTIONS];

/* True where the option goes with that verb. */
bool ctl_option_goes(const struct ctl_option_row *row, const char *verb);

#endif
