# SPDX-License-Identifier: MIT
# Fuzz targets.  In check each runs the files of its corpus and mutants of them; `make fuzz` builds them once more in
# build/fuzz, with libFuzzer in the place of replay.c.
FUZZ_ENGINE = tests/fuzz/libreplay.la
check_LTLIBRARIES += tests/fuzz/libreplay.la tests/fuzz/libfuzzdaemon.la
tests_fuzz_libreplay_la_SOURCES = tests/fuzz/replay.c tests/fuzz/fuzz.h
tests_fuzz_libfuzzdaemon_la_SOURCES = tests/fuzz/daemon.c tests/fuzz/daemon.h
tests_fuzz_libfuzzdaemon_la_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS)
tests_fuzz_libfuzzdaemon_la_LIBADD = hakmemd/libdaemon.la

fuzz_targets = \
	tests/fuzz/cgroup-fuzz \
	tests/fuzz/client-fuzz \
	tests/fuzz/config-fuzz \
	tests/fuzz/control-fuzz \
	tests/fuzz/kernel-fuzz \
	tests/fuzz/options-fuzz \
	tests/fuzz/stats-fuzz \
	tests/fuzz/text-fuzz \
	tests/fuzz/watch-fuzz \
	tests/fuzz/wire-fuzz
check_PROGRAMS += $(fuzz_targets)
TESTS += $(fuzz_targets)
EXTRA_DIST += tests/fuzz/corpus tests/fuzz/fuzz

tests_fuzz_cgroup_fuzz_SOURCES = tests/fuzz/cgroup-fuzz.c
tests_fuzz_cgroup_fuzz_LDADD = $(FUZZ_ENGINE) hakmemd/libdaemon.la
tests_fuzz_cgroup_fuzz_DEPENDENCIES = tests/fuzz/libreplay.la hakmemd/libdaemon.la
tests_fuzz_client_fuzz_SOURCES = tests/fuzz/client-fuzz.c
tests_fuzz_client_fuzz_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS)
tests_fuzz_client_fuzz_LDADD = $(FUZZ_ENGINE) tests/fuzz/libfuzzdaemon.la $(JANSSON_LIBS)
tests_fuzz_client_fuzz_DEPENDENCIES = tests/fuzz/libreplay.la tests/fuzz/libfuzzdaemon.la
tests_fuzz_config_fuzz_SOURCES = tests/fuzz/config-fuzz.c
tests_fuzz_config_fuzz_LDADD = $(FUZZ_ENGINE) hakmemd/libdaemon.la
tests_fuzz_config_fuzz_DEPENDENCIES = tests/fuzz/libreplay.la hakmemd/libdaemon.la
tests_fuzz_control_fuzz_SOURCES = tests/fuzz/control-fuzz.c
tests_fuzz_control_fuzz_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS)
tests_fuzz_control_fuzz_LDADD = $(FUZZ_ENGINE) tests/fuzz/libfuzzdaemon.la $(JANSSON_LIBS)
tests_fuzz_control_fuzz_DEPENDENCIES = tests/fuzz/libreplay.la tests/fuzz/libfuzzdaemon.la
tests_fuzz_kernel_fuzz_SOURCES = tests/fuzz/kernel-fuzz.c
tests_fuzz_kernel_fuzz_LDADD = $(FUZZ_ENGINE) hakmemd/libdaemon.la
tests_fuzz_kernel_fuzz_DEPENDENCIES = tests/fuzz/libreplay.la hakmemd/libdaemon.la
tests_fuzz_options_fuzz_SOURCES = tests/fuzz/options-fuzz.c
tests_fuzz_options_fuzz_LDADD = $(FUZZ_ENGINE) libhakmem/libhakmem-core.la
tests_fuzz_options_fuzz_DEPENDENCIES = tests/fuzz/libreplay.la libhakmem/libhakmem-core.la
tests_fuzz_stats_fuzz_SOURCES = tests/fuzz/stats-fuzz.c
tests_fuzz_stats_fuzz_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS)
tests_fuzz_stats_fuzz_LDADD = $(FUZZ_ENGINE) tests/fuzz/libfuzzdaemon.la $(JANSSON_LIBS)
tests_fuzz_stats_fuzz_DEPENDENCIES = tests/fuzz/libreplay.la tests/fuzz/libfuzzdaemon.la
tests_fuzz_text_fuzz_SOURCES = tests/fuzz/text-fuzz.c
tests_fuzz_text_fuzz_LDADD = $(FUZZ_ENGINE) hakmemd/libdaemon.la
tests_fuzz_text_fuzz_DEPENDENCIES = tests/fuzz/libreplay.la hakmemd/libdaemon.la
tests_fuzz_watch_fuzz_SOURCES = tests/fuzz/watch-fuzz.c
tests_fuzz_watch_fuzz_LDADD = $(FUZZ_ENGINE) libhakmem/libhakmem-core.la
tests_fuzz_watch_fuzz_DEPENDENCIES = tests/fuzz/libreplay.la libhakmem/libhakmem-core.la
tests_fuzz_wire_fuzz_SOURCES = tests/fuzz/wire-fuzz.c
tests_fuzz_wire_fuzz_LDADD = $(FUZZ_ENGINE) protocol/libprotocol.la
tests_fuzz_wire_fuzz_DEPENDENCIES = tests/fuzz/libreplay.la protocol/libprotocol.la

.PHONY: fuzz
fuzz:
	top_builddir='$(abs_top_builddir)' $(top_srcdir)/tests/fuzz/fuzz
