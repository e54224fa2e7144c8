# SPDX-License-Identifier: MIT
# The malloc family from outside: each program runs on the preloaded library (tests/with-hakmem).
# A sanitizer brings a malloc of its own, so these programs are not built with one.
api_tests = \
	tests/api/aligned.preload \
	tests/api/exit-order.preload \
	tests/api/filter.preload \
	tests/api/fork.preload \
	tests/api/info.preload \
	tests/api/interpose.preload \
	tests/api/limits.preload \
	tests/api/model.preload \
	tests/api/oom.preload \
	tests/api/realloc.preload \
	tests/api/sizes.preload \
	tests/api/threads.preload

# A compiler that knows malloc assumes what these programs are to find out, errno included.
api_cflags = $(AM_CFLAGS) -fno-builtin -pthread
api_cppflags = $(AM_CPPFLAGS) -D_GNU_SOURCE
api_headers = tests/api/block.h tests/api/family.h tests/api/tap.h

if !SANITIZERS
check_PROGRAMS += $(api_tests)
check_LTLIBRARIES += tests/api/interpose-module.la
TESTS += $(api_tests) tests/api/symbols.bats
endif
EXTRA_DIST += tests/api/symbols.bats tests/api/soak-model

# 10^9 operations of the model: about an hour, so no part of check.
.PHONY: soak-model
soak-model: tests/api/model.preload libhakmem/libhakmem.la
	$(top_srcdir)/tests/api/soak-model

tests_api_interpose_module_la_SOURCES = tests/api/interpose-module.c
tests_api_interpose_module_la_LDFLAGS = $(AM_LDFLAGS) -module -avoid-version -shared -rpath /nowhere

tests_api_aligned_preload_SOURCES = tests/api/aligned.c $(api_headers)
tests_api_aligned_preload_CPPFLAGS = $(api_cppflags)
tests_api_aligned_preload_CFLAGS = $(api_cflags)
tests_api_exit_order_preload_SOURCES = tests/api/exit-order.c $(api_headers)
tests_api_exit_order_preload_CPPFLAGS = $(api_cppflags)
tests_api_exit_order_preload_CFLAGS = $(api_cflags)
tests_api_filter_preload_SOURCES = tests/api/filter.c $(api_headers)
tests_api_filter_preload_CPPFLAGS = $(api_cppflags)
tests_api_filter_preload_CFLAGS = $(api_cflags)
tests_api_fork_preload_SOURCES = tests/api/fork.c $(api_headers)
tests_api_fork_preload_CPPFLAGS = $(api_cppflags)
tests_api_fork_preload_CFLAGS = $(api_cflags)
tests_api_info_preload_SOURCES = tests/api/info.c $(api_headers)
tests_api_info_preload_CPPFLAGS = $(api_cppflags)
tests_api_info_preload_CFLAGS = $(api_cflags)
tests_api_interpose_preload_SOURCES = tests/api/interpose.c $(api_headers)
tests_api_interpose_preload_CPPFLAGS = $(api_cppflags)
tests_api_interpose_preload_CFLAGS = $(api_cflags)
tests_api_limits_preload_SOURCES = tests/api/limits.c $(api_headers)
tests_api_limits_preload_CPPFLAGS = $(api_cppflags)
tests_api_limits_preload_CFLAGS = $(api_cflags)
tests_api_model_preload_SOURCES = tests/api/model.c $(api_headers)
tests_api_model_preload_CPPFLAGS = $(api_cppflags)
tests_api_model_preload_CFLAGS = $(api_cflags)
tests_api_oom_preload_SOURCES = tests/api/oom.c $(api_headers)
tests_api_oom_preload_CPPFLAGS = $(api_cppflags)
tests_api_oom_preload_CFLAGS = $(api_cflags)
tests_api_realloc_preload_SOURCES = tests/api/realloc.c $(api_headers)
tests_api_realloc_preload_CPPFLAGS = $(api_cppflags)
tests_api_realloc_preload_CFLAGS = $(api_cflags)
tests_api_sizes_preload_SOURCES = tests/api/sizes.c $(api_headers)
tests_api_sizes_preload_CPPFLAGS = $(api_cppflags)
tests_api_sizes_preload_CFLAGS = $(api_cflags)
tests_api_threads_preload_SOURCES = tests/api/threads.c $(api_headers)
tests_api_threads_preload_CPPFLAGS = $(api_cppflags)
tests_api_threads_preload_CFLAGS = $(api_cflags)
