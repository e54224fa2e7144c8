# SPDX-License-Identifier: MIT
# The whole: daemon, preloaded programs and hakmemctl together.  (A library with sanitizers cannot be preloaded.)
system_scripts = tests/system/storm.test tests/system/system.test
check_PROGRAMS += tests/system/member
tests_system_member_SOURCES = tests/system/member.c
if !SANITIZERS
TESTS += $(system_scripts)
endif
dist_check_SCRIPTS += $(system_scripts)
EXTRA_DIST += tests/system/skew tests/system/storm

# Not part of check: it takes minutes.
.PHONY: check-storm
check-storm: all $(check_PROGRAMS)
	$(top_srcdir)/tests/system/storm --build $(abs_top_builddir)
