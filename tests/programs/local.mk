# SPDX-License-Identifier: MIT
# Real programs with the library preloaded and without.
if !SANITIZERS
TESTS += tests/programs/programs.bats
endif
EXTRA_DIST += tests/programs/matrix tests/programs/programs.bats

# Programs that bring services, long loads: by hand, with what is installed.
.PHONY: check-programs
check-programs: all
	top_builddir='$(abs_top_builddir)' $(top_srcdir)/tests/programs/matrix
