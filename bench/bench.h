/* SPDX-License-Identifier: MIT */
/*
 * bench.h: what the parts of hakmem-bench share: the plan (plan.c, goals.c), the runs (run.c) and what is shown
 * (show.c).
 *
 * A job is one command line of the worker; the word "hakmemd" before it stands for a daemon that runs beside it, a
 * word VAR=VALUE for a change of its environment.  A table's column names a job and a key of its output, so several
 * columns, and several tables, may come from one job, which runs once.
 */
#ifndef BENCH_BENCH_H
#define BENCH_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#define BENCH_MAX_LIBS 24
#define BENCH_MAX_RUNS 101
#define BENCH_MAX_COLUMNS 16

struct bench_column {
	const char *job;
	const char *key;
	const char *title;
	double floor;	   /* what the data alone needs; 0 = none */
	const char *minus; /* a job whose value for the key is taken away; NULL = none */
};

struct bench_table {
	const char *bench; /* the name for --only */
	const char *title; /* with the unit; smaller is better in every table */
	int n_decimals;
	struct bench_column columns[BENCH_MAX_COLUMNS]; /* ended by job == NULL */
};

extern const struct bench_table bench_tables[];
extern const size_t bench_n_tables;

/* A row of the table of goals: one figure of hakmem's beside the best peer's. */
enum bench_against {
	BENCH_LIMIT,  /* the figure itself has a limit */
	BENCH_BEST,   /* the ratio to the best peer has one */
	BENCH_NAMED,  /* the same to one peer */
	BENCH_ITSELF, /* the same to hakmem's own figure in `other` */
};

struct bench_options;

struct bench_goal {
	const char *group; /* memory, speed or calls: a name for --only */
	const char *title;
	const char *unit;
	struct bench_column column;
	struct bench_column other; /* what peers are measured by, where that differs; .job NULL = `column` */
	enum bench_against against;
	const char *peer; /* for BENCH_NAMED */
	double limit;
};

extern const struct bench_goal bench_goals[];
extern const size_t bench_n_goals;

/* Is the row wanted: by its group's name, or by that of all, "goals"? */
bool bench_goal_wanted(const struct bench_options *options, const struct bench_goal *goal);

struct bench_lib {
	char name[32];
	char *path; /* NULL: nothing is preloaded, libc serves */
};

struct bench_options {
	struct bench_lib libs[BENCH_MAX_LIBS];
	size_t n_libs;
	unsigned int n_runs;
	const char *only;   /* comma-separated; NULL = all */
	const char *worker; /* path of the worker */
	const char *daemon; /* path of hakmemd; NULL = not built */
	const char *json;
	const char *plot;
};

/* Is `name` in a comma-separated list? */
bool bench_listed(const char *list, const char *name);
bool bench_wanted(const struct bench_options *options, const char *bench);
bool bench_is_hakmem(const struct bench_lib *lib);

/* run.c: runs every job that a wanted table needs, for each library in turn, `n_runs` times. */
void bench_run(const struct bench_options *options);

/* The values of a job's key, ascending; returns how many.  `ret_values` holds BENCH_MAX_RUNS. */
size_t bench_values(const char *job, size_t lib, const char *key, double *ret_values);

/* The median of a column's values; false where there are none. */
bool bench_median(const struct bench_column *column, size_t lib, double *ret_median);

/* Starts a worker that writes to `output` (-1: nowhere); returns its process id, or -1. */
int bench_start(const struct bench_options *options, const struct bench_lib *lib, const char *job, int output);

/* daemon.c: a hakmemd that asks processes for their memory after a second of quiet.  NULL where there is none; else its
 * runtime directory. */
const char *bench_daemon_start(const char *path);
void bench_daemon_stop(void);

/* goals.c: the rows, as text and as a member of the JSON object. */
void bench_print_goals(const struct bench_options *options);
void bench_write_goals(const struct bench_options *options, FILE *stream);

/* Calls `visit` for each job, library and key that was measured. */
void bench_each(void (*visit)(void *arg, const char *job, size_t lib, const char *key), void *arg);

/* show.c */
void bench_json_string(FILE *stream, const char *text);
void bench_print(const struct bench_options *options);
bool bench_write_json(const struct bench_options *options);
bool bench_plot(const struct bench_options *options);

#endif
