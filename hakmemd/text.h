/* SPDX-License-Identifier: MIT */
/*
 * Text to values and back, and the nearest valid name for a wrong one.
 *
 * Pure; shared by the daemon's configuration and the control tool.
 */
#ifndef HAKMEMD_TEXT_H
#define HAKMEMD_TEXT_H

#include <stddef.h>
#include <stdint.h>

/* Single-character edits (neighbours swapped count as one) from `a` to `b`, upper and lower case alike. */
unsigned text_distance(const char *a, const char *b);

/*
 * The name in `names` nearest to `wrong`, for "did you mean"; NULL when nothing is near enough to be meant.
 * A name of which `wrong` is the beginning is always near.
 */
const char *text_nearest(const char *wrong, const char *const *names, size_t n_names);

/* Whole number in [min, max]; returns 0, -EINVAL for other text, -ERANGE beyond the limits. */
int text_to_u64(const char *text, uint64_t min, uint64_t max, uint64_t *ret_value);

/* "4096", "512K", "1.5G", with or without "B" or "iB": bytes in powers of 1024.  Errors as text_to_u64. */
int text_to_bytes(const char *text, uint64_t *ret_bytes);

/* "30", "500ms", "2min": nanoseconds; a bare number counts in `unit_nsec`.  Errors as text_to_u64. */
int text_to_nsec(const char *text, uint64_t unit_nsec, uint64_t *ret_nsec);

/* "512 B", "1.0 KiB", "61.4 MiB" into `buffer`; returns it. */
char *text_bytes(uint64_t bytes, char *buffer, size_t size);

/* "1.2 s", "4 min", "3 h": a duration for people. */
char *text_duration(double seconds, char *buffer, size_t size);

/* Copy at most size - 1 bytes of `from`; what a terminal or a log could misread becomes '?'. */
void text_printable(const char *from, char *to, size_t size);

#endif
