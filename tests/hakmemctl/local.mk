# SPDX-License-Identifier: MIT
dist_check_SCRIPTS += tests/hakmemctl/enable.test
TESTS += tests/hakmemctl/enable.test
