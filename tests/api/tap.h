/* SPDX-License-Identifier: MIT */
/*
 * tap.h: the Test Anything Protocol for the programs that test the library from outside.
 *
 * Why: a program that tests malloc must not depend on a framework that allocates behind its back, and must
 * build with nothing but libc.
 * How: each check prints one line; tap_done() prints the plan and yields the exit status.  A check inside a
 * loop is gathered in `struct tap_tally`, so that 70,000 sizes are one line and the first failure is shown.
 * Only the main thread of the first process prints; threads and children report through counters or status.
 */
#ifndef TESTS_API_TAP_H
#define TESTS_API_TAP_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

static int tap_n_run;
static int tap_n_failed;

/* Counts the checks of one loop; `n_failed` may be added to by one thread only. */
struct tap_tally {
	long n_checked;
	long n_failed;
};

__attribute__((format(printf, 2, 3), unused)) static bool tap_ok(bool good, const char *format, ...)
{
	va_list args;

	printf("%sok %d - ", good ? "" : "not ", ++tap_n_run);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
	fflush(stdout); /* the next check may crash */
	tap_n_failed += !good;
	return good;
}

__attribute__((format(printf, 2, 3), unused)) static void tap_skip(const char *name, const char *format, ...)
{
	va_list args;

	printf("ok %d - %s # SKIP ", ++tap_n_run, name);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
	fflush(stdout);
}

__attribute__((format(printf, 3, 4), unused)) static bool tap_tally(struct tap_tally *tally, bool good,
								   const char *format, ...)
{
	va_list args;

	tally->n_checked++;
	if (good)
		return true;
	if (tally->n_failed++ < 3) {
		fputs("# ", stdout);
		va_start(args, format);
		vprintf(format, args);
		va_end(args);
		putchar('\n');
	}
	return false;
}

/* One line for all that `tally` counted; a loop that checked nothing is a failure. */
__attribute__((unused)) static bool tap_tally_ok(const struct tap_tally *tally, const char *name)
{
	return tap_ok(tally->n_checked > 0 && tally->n_failed == 0, "%s (%ld checks, %ld failed)", name,
		      tally->n_checked, tally->n_failed);
}

__attribute__((unused)) static int tap_done(void)
{
	printf("1..%d\n", tap_n_run);
	fflush(stdout);
	return tap_n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* Set by tests/with-hakmem: what glibc may lack, the library must have. */
__attribute__((unused)) static bool tap_under_hakmem(void)
{
	return getenv("HKTEST_UNDER_TEST") != NULL;
}

#endif
