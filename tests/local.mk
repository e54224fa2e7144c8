# SPDX-License-Identifier: MIT
# How tests are run, by the end of their names; each folder says which it has.
#   *.preload  a program that prints TAP and runs on the preloaded library
#   *.bats     a bats file, which preloads where it means to
TEST_EXTENSIONS = .preload .bats
tap_driver = env AM_TAP_AWK='$(AWK)' $(SHELL) $(top_srcdir)/build-aux/tap-driver.sh

PRELOAD_LOG_DRIVER = $(tap_driver)
PRELOAD_LOG_COMPILER = $(SHELL) $(top_srcdir)/tests/with-hakmem

BATS_LOG_DRIVER = $(tap_driver)
BATS_LOG_COMPILER = env BATS='$(BATS)' $(SHELL) $(top_srcdir)/tests/run-bats

EXTRA_DIST += tests/run-bats tests/with-hakmem

include tests/api/local.mk
include tests/misuse/local.mk
include tests/programs/local.mk
