# SPDX-License-Identifier: MIT
# How tests are run, by the end of their names; each folder says which it has.  All print TAP.
#   (none)     a unit test, linked against the parts it tests
#   *.test     a script that starts what it tests
#   *.preload  a program that runs on the preloaded library
#   *.bats     a bats file, which preloads where it means to
TEST_EXTENSIONS = .test .preload .bats
tap_driver = env AM_TAP_AWK='$(AWK)' $(SHELL) $(top_srcdir)/build-aux/tap-driver.sh

LOG_DRIVER = $(tap_driver)
TEST_LOG_DRIVER = $(tap_driver)

PRELOAD_LOG_DRIVER = $(tap_driver)
PRELOAD_LOG_COMPILER = $(SHELL) $(top_srcdir)/tests/with-hakmem

BATS_LOG_DRIVER = $(tap_driver)
BATS_LOG_COMPILER = env BATS='$(BATS)' $(SHELL) $(top_srcdir)/tests/run-bats

AM_TESTS_ENVIRONMENT = \
	CMOCKA_MESSAGE_OUTPUT=TAP; export CMOCKA_MESSAGE_OUTPUT; \
	top_builddir='$(abs_top_builddir)'; export top_builddir; \
	top_srcdir='$(abs_top_srcdir)'; export top_srcdir;

EXTRA_DIST += tests/harness.py tests/layers tests/manual tests/prometheus tests/run-bats tests/sandbox tests/syscalls
EXTRA_DIST += tests/with-hakmem

include tests/protocol/local.mk
include tests/control/local.mk
include tests/libhakmem/local.mk
include tests/api/local.mk
include tests/misuse/local.mk
include tests/preload/local.mk
include tests/programs/local.mk
include tests/hakmemd/local.mk
include tests/hakmemctl/local.mk
include tests/vm/local.mk
include tests/system/local.mk
include tests/attack/local.mk
include tests/fuzz/local.mk
include tests/soak/local.mk
include tests/valgrind/local.mk
