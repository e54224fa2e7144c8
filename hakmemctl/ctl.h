/* SPDX-License-Identifier: MIT */
/*
 * What the verbs of hakmemctl share: options, one call to the daemon, tables for people.
 *
 * A verb is a file with one function and one row in the table of verbs.c.
 */
#ifndef HAKMEMCTL_CTL_H
#define HAKMEMCTL_CTL_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* CTL_LIBRARY, the installed library's path, comes from the Makefile. */

enum ctl_exit { /* exit codes; scripts rely on them */
	CTL_OK = 0,
	CTL_ERROR = 1,
	CTL_USAGE = 2,
	CTL_NO_DAEMON = 3,
	CTL_NO_PROCESS = 4,
	CTL_DENIED = 5,
	CTL_TIMEOUT = 6,
};

struct ctl_options {
	const char *runtime_dir;
	double timeout_sec;
	bool json;
	/* Of single verbs. */
	bool has_pid;
	int pid;
	int level;             /* -1 = not given */
	uint64_t target_bytes; /* 0 = not given */
	bool all;
	const char *cgroup;    /* NULL = not given; so are the others */
	const char *unit;
	bool dry_run;
	bool force;
	bool once;
	double interval_sec;
	const char *sort;
	const char *word;      /* a shell, a UNIT, or a UNIT or PID */
	char **command;        /* of run; ended by NULL */
};

/* Carries a verb out; returns an exit code. */
typedef int ctl_verb(const struct ctl_options *options);

ctl_verb verb_status, verb_list, verb_stats, verb_top, verb_pressure, verb_explain, verb_maps, verb_watch, verb_flush,
	verb_pause, verb_resume, verb_reload, verb_check, verb_enable, verb_disable, verb_run, verb_metrics,
	verb_completions;

/*
 * Call `method` of the daemon; takes the reference to `parameters` (NULL = none).  Returns CTL_OK with the answer's
 * parameters in *ret_answer, which the caller owns, or another exit code after it has said what is wrong.
 */
int ctl_call(const struct ctl_options *options, const char *method, json_t *parameters, json_t **ret_answer);

/* The same for a method that answers by one object after another: `fn` gets each, until the daemon ends it. */
typedef void ctl_each(const json_t *parameters);
int ctl_stream(const struct ctl_options *options, const char *method, ctl_each *fn);

/* Print a line for people on stderr: "hakmemctl: ...". */
void ctl_complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The answer as it is, for programs. */
void ctl_print_json(const json_t *answer);

/* Fields of a JSON object, 0 and "" where they are not there. */
uint64_t ctl_number(const json_t *object, const char *name);
double ctl_real(const json_t *object, const char *name);
const char *ctl_text(const json_t *object, const char *name);

/* A table: columns as wide as their widest cell, two spaces apart; numbers stand right. */
#define CTL_COLUMNS_MAX 16

struct ctl_table {
	const char *heads[CTL_COLUMNS_MAX]; /* a head that begins with '<' stands left */
	size_t n_columns;
	char **cells;
	size_t n_cells;
	size_t capacity;
};

void ctl_table_cell(struct ctl_table *table, const char *format, ...) __attribute__((format(printf, 2, 3)));
void ctl_table_bytes(struct ctl_table *table, uint64_t bytes);
void ctl_table_seconds(struct ctl_table *table, double seconds);
void ctl_table_print(struct ctl_table *table); /* and free the cells */

/* The line about processes that may not be shown one by one. */
void ctl_print_others(const json_t *answer);

#endif
