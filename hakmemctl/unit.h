/* SPDX-License-Identifier: MIT */
/*
 * A systemd service as enable, disable and check see it: its properties, and what is in the library's way.
 *
 * Properties come from `systemctl show`, which has parsed and merged every file of the unit.
 */
#ifndef HAKMEMCTL_UNIT_H
#define HAKMEMCTL_UNIT_H

#include <stdbool.h>
#include <stddef.h>

#include "hakmemctl/ctl.h"

#define UNIT_DROP_IN_DIR  "/etc/systemd/system"
#define UNIT_DROP_IN      "50-hakmem.conf"
#define UNIT_DROP_IN_MARK "# Written by hakmemctl enable" /* only files that begin so are ours to remove */

struct unit {
	char *text;     /* what systemctl said, one NAME=VALUE a line, lines ended by NUL */
	size_t length;
	const char *id; /* the full name, with aliases resolved; points into text */
};

/* What was found out, in the order in which it was. */
enum finding_kind { FINDING_GOOD, FINDING_NOTE, FINDING_PROBLEM };

#define FINDINGS_MAX 32

struct findings {
	struct finding {
		enum finding_kind kind;
		char *text; /* owned */
	} list[FINDINGS_MAX];
	size_t n;
	size_t n_problems;
};

/* Run a command and wait; its standard output goes to *ret_output unless that is NULL.  Returns its exit code, or -1. */
int unit_run(const char *const arguments[], char **ret_output, size_t *ret_length);

/* The service called `name`.  Returns an exit code after it has said what is wrong; unit_free takes both. */
int unit_load(const char *name, struct unit *ret_unit);
void unit_free(struct unit *unit);

/* A property, or NULL where systemctl does not show it, which means that it is not set. */
const char *unit_get(const struct unit *unit, const char *property);

/* Of a property with a line for each value, the one after `before`; NULL = the first. */
const char *unit_get_next(const struct unit *unit, const char *property, const char *before);

/* Path of the unit's drop-in, in `buffer`; false where it would be too long. */
bool unit_drop_in_path(const struct unit *unit, char *buffer, size_t size);

/* Whether the file is one that enable wrote. */
bool unit_drop_in_ours(const char *path);

/* Why this service should not run on the library at all, or NULL. */
const char *unit_refused(const struct unit *unit);

/* Whether the unit's settings make systemd install a seccomp filter of any kind. */
bool unit_filtered(const struct unit *unit);

/* Whether the program is linked statically, so that nothing can be preloaded. */
bool unit_program_static(const char *path);

/* Whether its filter lets the library's system calls through. */
bool unit_filter_allows(const struct unit *unit);

/* Everything that would make preloading fail silently or kill the service. */
void unit_examine(const struct ctl_options *options, const struct unit *unit, struct findings *findings);

void findings_add(struct findings *findings, enum finding_kind kind, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
void findings_print(const struct findings *findings, bool json);
void findings_free(struct findings *findings);

#endif
