/* SPDX-License-Identifier: MIT */
/*
 * Configuration: `[Section] Key=Value` lines, read into one struct by one table.
 *
 * A fact stands once: name, section, type, default, limits and help of a key are a row of the table in
 * config.c, from which defaults, parser, messages and `hakmemd --help` come.  A file is taken whole or not at
 * all: any wrong line makes config_load() fail after it has said what is wrong with each.
 */
#ifndef HAKMEMD_CONFIG_H
#define HAKMEMD_CONFIG_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "hakmemd/policy.h"

#define CONFIG_TEXT_MAX 1024

enum config_mode {
	CONFIG_MODE_ACT,
	CONFIG_MODE_OBSERVE, /* decide, log and count, but send nothing by itself */
};

struct config {
	struct policy_config policy;
	uint64_t mode;                       /* enum config_mode */
	uint64_t stay_away_nsec;
	uint64_t poll_nsec;
	uint64_t timeout_nsec;
	uint64_t clients_max;
	uint64_t clients_per_uid;
	uint64_t control_max;
	char control_group[CONFIG_TEXT_MAX];
	char proc_root[CONFIG_TEXT_MAX];
	char exclude[CONFIG_TEXT_MAX];
	char cgroup_root[CONFIG_TEXT_MAX];   /* empty = where /proc/self/mountinfo says */
};

/* Receives one line about what is wrong: "FILE:LINE: ...". */
typedef void config_complain(void *data, const char *line);

/* All defaults. */
void config_init(struct config *ret_config);

/*
 * Read `file`, called `name` in messages, over the defaults.  Returns 0 or -EINVAL after complaints, and then
 * leaves *ret_config alone.
 */
int config_parse(FILE *file, const char *name, config_complain *complain, void *data, struct config *ret_config);

/* The same by path; a file that is not there means the defaults unless `must_exist`. */
int config_load(const char *path, bool must_exist, config_complain *complain, void *data,
	struct config *ret_config);

/* The words of a mode; config_mode_from_name returns -EINVAL for another word. */
const char *config_mode_name(uint64_t mode);
int config_mode_from_name(const char *name, uint64_t *ret_mode);

/* Every key with its default and help, for --help. */
void config_print_keys(FILE *out);

#endif
