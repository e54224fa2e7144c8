# SPDX-License-Identifier: MIT
# The whole: daemon, preloaded programs and hakmemctl together.  (A library with sanitizers cannot be preloaded.)
if !SANITIZERS
TESTS += tests/system/system.test
endif
dist_check_SCRIPTS += tests/system/system.test
