# SPDX-License-Identifier: MIT
# What breaks programs under LD_PRELOAD, row by row: docs/preload.md has the table.
preload_programs = tests/preload/limits tests/preload/process tests/preload/signals

if !SANITIZERS
check_PROGRAMS += $(preload_programs)
check_LTLIBRARIES += tests/preload/meddler.la
TESTS += tests/preload/preload.bats
endif
EXTRA_DIST += tests/preload/preload.bats tests/preload/defences

tests_preload_limits_SOURCES = tests/preload/limits.c tests/preload/case.h tests/api/block.h
tests_preload_limits_CPPFLAGS = $(api_cppflags)
tests_preload_limits_CFLAGS = $(api_cflags)
tests_preload_process_SOURCES = tests/preload/process.c tests/preload/case.h tests/api/block.h
tests_preload_process_CPPFLAGS = $(api_cppflags)
tests_preload_process_CFLAGS = $(api_cflags)
tests_preload_signals_SOURCES = tests/preload/signals.c tests/preload/case.h tests/api/block.h
tests_preload_signals_CPPFLAGS = $(api_cppflags)
tests_preload_signals_CFLAGS = $(api_cflags)

tests_preload_meddler_la_SOURCES = tests/preload/meddler.c
tests_preload_meddler_la_LDFLAGS = $(AM_LDFLAGS) -module -avoid-version -shared -rpath /nowhere

# Each defence taken out once, and the test of its row seen to fail: some minutes, so no part of check.
.PHONY: check-defences
check-defences: $(preload_programs) tests/preload/meddler.la
	top_builddir='$(abs_top_builddir)' CC='$(CC)' $(top_srcdir)/tests/preload/defences
