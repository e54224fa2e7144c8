# SPDX-License-Identifier: MIT
# Real programs with the library preloaded and without.
if !SANITIZERS
TESTS += tests/programs/programs.bats
endif
EXTRA_DIST += tests/programs/programs.bats
