/* SPDX-License-Identifier: MIT */
/*
 * What fuzz targets share.
 *
 * Each target is one function that libFuzzer calls with bytes (make fuzz), or replay.c with the files of its corpus and
 * with mutants of them (make check, any compiler).
 */
#ifndef TESTS_FUZZ_H
#define TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Not assert(): it holds in every build. */
#define FUZZ_HOLDS(condition)                                                                                 \
	do {                                                                                                  \
		if (!(condition))                                                                             \
			__builtin_trap();                                                                     \
	} while (0)

/* The input as text of its own length, so that a sanitizer sees the first byte too far. */
static inline char *fuzz_text(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);

	FUZZ_HOLDS(text);
	if (size)
		memcpy(text, data, size);
	text[size] = '\0';
	return text;
}

/* The input as an environment: its NUL-ended pieces.  Free the text and the array. */
static inline char **fuzz_environment(char *text, size_t size)
{
	char **environment = calloc(size + 2, sizeof *environment);
	size_t n = 0;

	FUZZ_HOLDS(environment);
	for (size_t at = 0; at <= size; at += strlen(text + at) + 1)
		environment[n++] = text + at;
	return environment;
}

#endif
