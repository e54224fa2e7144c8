/* SPDX-License-Identifier: MIT */
/*
 * Lines for people, without allocating: the only words the library ever says.
 *
 * Formats know %s, %u (unsigned), %lu (unsigned long), %lx (unsigned long, with 0x) and %c.  A line is cut at
 * 255 bytes.  Any thread may call these, the control thread included.
 */
#ifndef HK_BASE_LOG_H
#define HK_BASE_LOG_H

#include "base/attr.h"

#include <stdarg.h>

/* Format into buffer (always terminated); returns the length. */
size_t hk_log_format(char *buffer, size_t size, const char *format, va_list ap);

/* Write "hakmem: ", the message and a newline to the program's standard error. */
void hk_log(const char *format, ...) HK_PRINTF(1, 2);

/* The same, then end the process with SIGABRT.  The caller holds no lock. */
void hk_fatal(const char *format, ...) HK_PRINTF(1, 2) __attribute__((noreturn, cold));

/* Tell the log that the calling thread has a descriptor table of its own and is unknown to libc; 0 undoes it. */
void hk_log_set_foreign(int tid);

#endif
