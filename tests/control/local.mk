# SPDX-License-Identifier: MIT
# The control thread against a stand-in for the allocator's core (stubs.c) and one for hakmemd (harness.c).
control_test_sources = \
	tests/control/harness.c \
	tests/control/harness.h \
	tests/control/stubs.c \
	libhakmem/front/identity.c \
	libhakmem/os/mark.c \
	libhakmem/os/pages.c \
	libhakmem/policy/board.c \
	libhakmem/policy/control.c \
	libhakmem/policy/control_loop.c \
	libhakmem/policy/watch.c

check_PROGRAMS += tests/control/test-life tests/control/test-link tests/control/test-watch
dist_check_SCRIPTS += tests/control/check-imports
TESTS += tests/control/test-life tests/control/test-link tests/control/test-watch tests/control/check-imports

control_test_cppflags = $(AM_CPPFLAGS)

tests_control_test_life_SOURCES = tests/control/test-life.c $(control_test_sources)
tests_control_test_life_CPPFLAGS = $(control_test_cppflags)
tests_control_test_life_LDADD = protocol/libprotocol.la -lpthread

tests_control_test_link_SOURCES = tests/control/test-link.c $(control_test_sources)
tests_control_test_link_CPPFLAGS = $(control_test_cppflags)
tests_control_test_link_LDADD = protocol/libprotocol.la

tests_control_test_watch_SOURCES = tests/control/test-watch.c $(control_test_sources)
tests_control_test_watch_CPPFLAGS = $(control_test_cppflags)
tests_control_test_watch_LDADD = protocol/libprotocol.la
