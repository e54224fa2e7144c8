# SPDX-License-Identifier: MIT
# An hour of mixed load: by hand, no part of check.
EXTRA_DIST += tests/soak/soak
check_PROGRAMS += tests/soak/load
tests_soak_load_SOURCES = tests/soak/load.c
tests_soak_load_CFLAGS = $(AM_CFLAGS) -pthread

.PHONY: soak
soak: all tests/soak/load
	top_builddir='$(abs_top_builddir)' top_srcdir='$(abs_top_srcdir)' $(top_srcdir)/tests/soak/soak
