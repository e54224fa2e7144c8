/* SPDX-License-Identifier: MIT */
/* hakmemctl completions bash|zsh: shell completions out of the verb table, for the build. */
#include <config.h>

#include <stdio.h>
#include <string.h>

#include "hakmemctl/verbs.h"

#define COMPLETIONS_PIDS "$(hakmemctl list --json 2>/dev/null | sed -n 's/^ *\"pid\": \\([0-9]*\\),*$/\\1/p')"
#define COMPLETIONS_UNITS \
	"$(systemctl list-units --all --plain --no-legend --type=service 2>/dev/null | cut -d' ' -f1)"

/* What lists the words that may stand behind a verb; NULL = none, or a command. */
static const char *completions_words(enum ctl_words words)
{
	static const char *const lists[] = {
		[CTL_WORDS_MAY_PID] = COMPLETIONS_PIDS,
		[CTL_WORDS_PID] = COMPLETIONS_PIDS,
		[CTL_WORDS_SHELL] = "bash zsh",
		[CTL_WORDS_SOME] = COMPLETIONS_PIDS,
		[CTL_WORDS_UNIT] = COMPLETIONS_UNITS,
		[CTL_WORDS_UNIT_PID] = COMPLETIONS_UNITS " " COMPLETIONS_PIDS,
		[CTL_WORDS_COMMAND] = NULL,
	};

	return lists[words];
}

/* Names in one line, or each with its help in zsh's way. */
static void completions_verbs(bool with_help)
{
	for (size_t i = 0; i < CTL_N_VERBS; i++)
		if (!ctl_verbs[i].help)
			continue;
		else if (with_help)
			printf("\t'%s:%s'\n", ctl_verbs[i].name, ctl_verbs[i].help);
		else
			printf("%s ", ctl_verbs[i].name);
}

/* The options of a verb, or with NULL those of all verbs. */
static void completions_options(const char *verb)
{
	for (size_t i = 0; i < CTL_N_OPTIONS; i++)
		if (verb ? ctl_option_goes(&ctl_option_rows[i], verb) : !ctl_option_rows[i].verbs)
			printf(" --%s", ctl_option_rows[i].name);
}

static void completions_bash(void)
{
	printf("# bash completion of hakmemctl, made from its verb table\n"
	       "_hakmemctl() {\n"
	       "\tlocal word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} verb= i options=\n"
	       "\tfor ((i = 1; i < COMP_CWORD; i++)); do\n"
	       "\t\tcase ${COMP_WORDS[i]} in\n\t\t");
	for (size_t i = 0, n = 0; i < CTL_N_VERBS; i++)
		if (ctl_verbs[i].help)
			printf("%s%s", n++ ? "|" : "", ctl_verbs[i].name);
	printf(") verb=${verb:-${COMP_WORDS[i]}} ;;\n\t\tesac\n\tdone\n\tcase $before in\n"
	       "\t--runtime-dir) COMPREPLY=($(compgen -d -- \"$word\")); return ;;\n"
	       "\t--level) COMPREPLY=($(compgen -W '0 1 2 3' -- \"$word\")); return ;;\n"
	       "\t--sort) COMPREPLY=($(compgen -W 'free rss used idle back pid' -- \"$word\")); return ;;\n"
	       "\t--timeout|--target|--interval|--cgroup|--unit) return ;;\n\tesac\n\tcase $verb in\n");
	for (size_t i = 0; i < CTL_N_VERBS; i++)
		if (ctl_verbs[i].help) {
			printf("\t%s) options='", ctl_verbs[i].name);
			completions_options(ctl_verbs[i].name);
			printf("'");
			if (completions_words(ctl_verbs[i].words))
				printf("\n\t\t[[ $word == -* ]] || options=\"%s\"", completions_words(ctl_verbs[i].words));
			else if (ctl_verbs[i].words == CTL_WORDS_COMMAND)
				printf("\n\t\t[[ $word == -* ]] || { COMPREPLY=($(compgen -c -- \"$word\")); return; }");
			printf(" ;;\n");
		}
	printf("\t*) options='");
	completions_verbs(false);
	completions_options(NULL);
	printf("' ;;\n\tesac\n\tCOMPREPLY=($(compgen -W \"$options\" -- \"$word\"))\n}\n"
	       "complete -F _hakmemctl hakmemctl\n");
}

static void completions_zsh(void)
{
	printf("#compdef hakmemctl\n# zsh completion of hakmemctl, made from its verb table\n"
	       "local -a verbs options\nlocal verb=${words[(r)(");
	for (size_t i = 0, n = 0; i < CTL_N_VERBS; i++)
		if (ctl_verbs[i].help)
			printf("%s%s", n++ ? "|" : "", ctl_verbs[i].name);
	printf(")]}\nverbs=(\n");
	completions_verbs(true);
	printf(")\ncase $verb in\n");
	for (size_t i = 0; i < CTL_N_VERBS; i++)
		if (ctl_verbs[i].help) {
			printf("%s) options=(", ctl_verbs[i].name);
			completions_options(ctl_verbs[i].name);
			printf(") ;;\n");
		}
	printf("*) options=(");
	completions_options(NULL);
	printf(") ;;\nesac\nif [[ $PREFIX == -* ]]; then\n\tcompadd -a options\nelif [[ -z $verb ]]; then\n"
	       "\t_describe verb verbs\nelse\n\tcase $verb in\n");
	for (size_t i = 0; i < CTL_N_VERBS; i++)
		if (ctl_verbs[i].help && completions_words(ctl_verbs[i].words))
			printf("\t%s) compadd %s ;;\n", ctl_verbs[i].name, completions_words(ctl_verbs[i].words));
		else if (ctl_verbs[i].words == CTL_WORDS_COMMAND)
			printf("\t%s) _command_names -e ;;\n", ctl_verbs[i].name);
	printf("\tesac\nfi\n");
}

int verb_completions(const struct ctl_options *options)
{
	if (options->word && !strcmp(options->word, "bash"))
		completions_bash();
	else if (options->word && !strcmp(options->word, "zsh"))
		completions_zsh();
	else {
		ctl_complain("completions: for bash or zsh?");
		return CTL_USAGE;
	}
	return CTL_OK;
}
