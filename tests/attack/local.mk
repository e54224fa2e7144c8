# SPDX-License-Identifier: MIT
# The daemon under attack, and who may do what, with real users.
attack_scripts = tests/attack/attack.test tests/attack/rights.test
dist_check_SCRIPTS += $(attack_scripts)
TESTS += $(attack_scripts)
