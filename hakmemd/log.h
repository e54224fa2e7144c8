/* SPDX-License-Identifier: MIT */
/*
 * Log lines: to the journal when stderr is connected to it, else to stderr.
 *
 * There is nothing to initialise.  One call is one line; names that come from strangers are made printable by
 * the caller (text_printable).
 */
#ifndef HAKMEMD_LOG_H
#define HAKMEMD_LOG_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>

#include "hakmemd/util.h"

void log_error(const char *format, ...) PRINTF(1, 2);
void log_warning(const char *format, ...) PRINTF(1, 2);
void log_info(const char *format, ...) PRINTF(1, 2);
void log_debug(const char *format, ...) PRINTF(1, 2); /* only with HAKMEMD_DEBUG in the environment */

/* The fields that a flush bears in the journal, beside its line. */
struct log_flush {
	int pid;
	const char *comm;
	unsigned level;
	const char *reason;
	uint64_t claimed_bytes;
	uint64_t actual_bytes;
	uint64_t usec;
};

void log_flush(const struct log_flush *flush, const char *format, ...) PRINTF(2, 3);

/*
 * For lines that a peer can cause at will: at most 20 in 10 s.  Returns true where the line may be written, and
 * counts the others, which the first line allowed again mentions.
 */
struct log_limit {
	uint64_t since_nsec;
	unsigned n_lines;
	unsigned n_dropped;
};

bool log_allowed(struct log_limit *limit);

#endif
