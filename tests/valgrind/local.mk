# SPDX-License-Identifier: MIT
# The unit tests and the model under valgrind: minutes, so no part of check.
EXTRA_DIST += tests/valgrind/check-valgrind tests/valgrind/move.c tests/valgrind/remap.c

.PHONY: check-valgrind
check-valgrind: all
	$(MAKE) check TESTS=
	top_builddir='$(abs_top_builddir)' CC='$(CC)' $(top_srcdir)/tests/valgrind/check-valgrind
