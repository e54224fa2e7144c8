# SPDX-License-Identifier: MIT
# The daemon under attack, who may do what with real users, and each of its calls failing once.
# (Memory that a sanitizer keeps is not the daemon's, and it has a malloc of its own.)
attack_scripts = tests/attack/rights.test
if !SANITIZERS
attack_scripts += tests/attack/attack.test tests/attack/faults.test
check_LTLIBRARIES += tests/attack/fail.la
endif
dist_check_SCRIPTS += tests/attack/attack.test tests/attack/faults.test tests/attack/rights.test
TESTS += $(attack_scripts)
tests_attack_fail_la_SOURCES = tests/attack/fail.c
tests_attack_fail_la_CFLAGS = $(AM_CFLAGS) -fno-builtin
tests_attack_fail_la_LDFLAGS = $(AM_LDFLAGS) -module -avoid-version -shared -rpath /nowhere
