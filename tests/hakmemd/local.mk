# SPDX-License-Identifier: MIT
# Unit tests of the daemon's modules.
if HAVE_CMOCKA
hakmemd_unit_tests = \
	tests/hakmemd/kernel-test \
	tests/hakmemd/policy-client-test \
	tests/hakmemd/policy-level-test \
	tests/hakmemd/policy-round-test \
	tests/hakmemd/registry-test \
	tests/hakmemd/text-test
check_PROGRAMS += $(hakmemd_unit_tests)
TESTS += $(hakmemd_unit_tests)
hakmemd_unit_cflags = $(AM_CFLAGS) $(CMOCKA_CFLAGS) $(JANSSON_CFLAGS)
hakmemd_unit_ldadd = hakmemd/libdaemon.la $(CMOCKA_LIBS)
tests_hakmemd_kernel_test_SOURCES = tests/hakmemd/kernel-test.c tests/hakmemd/unit.h
tests_hakmemd_kernel_test_CFLAGS = $(hakmemd_unit_cflags)
tests_hakmemd_kernel_test_LDADD = $(hakmemd_unit_ldadd)
hakmemd_policy_world = tests/hakmemd/policy-world.c tests/hakmemd/policy-world.h tests/hakmemd/unit.h
tests_hakmemd_policy_client_test_SOURCES = tests/hakmemd/policy-client-test.c $(hakmemd_policy_world)
tests_hakmemd_policy_client_test_CFLAGS = $(hakmemd_unit_cflags)
tests_hakmemd_policy_client_test_LDADD = $(hakmemd_unit_ldadd)
tests_hakmemd_policy_level_test_SOURCES = tests/hakmemd/policy-level-test.c $(hakmemd_policy_world)
tests_hakmemd_policy_level_test_CFLAGS = $(hakmemd_unit_cflags)
tests_hakmemd_policy_level_test_LDADD = $(hakmemd_unit_ldadd)
tests_hakmemd_policy_round_test_SOURCES = tests/hakmemd/policy-round-test.c $(hakmemd_policy_world)
tests_hakmemd_policy_round_test_CFLAGS = $(hakmemd_unit_cflags)
tests_hakmemd_policy_round_test_LDADD = $(hakmemd_unit_ldadd)
tests_hakmemd_registry_test_SOURCES = tests/hakmemd/registry-test.c tests/hakmemd/unit.h
tests_hakmemd_registry_test_CFLAGS = $(hakmemd_unit_cflags)
tests_hakmemd_registry_test_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=cgroup_of_pid
tests_hakmemd_registry_test_LDADD = $(hakmemd_unit_ldadd)
tests_hakmemd_text_test_SOURCES = tests/hakmemd/text-test.c tests/hakmemd/unit.h
tests_hakmemd_text_test_CFLAGS = $(hakmemd_unit_cflags)
tests_hakmemd_text_test_LDADD = $(hakmemd_unit_ldadd)
endif

# A client that speaks the protocol, well or badly, and the daemon tested through its sockets with it.
check_PROGRAMS += tests/hakmemd/fake-client
tests_hakmemd_fake_client_SOURCES = tests/hakmemd/fake-client.c
tests_hakmemd_fake_client_LDADD = protocol/libprotocol.la

# Records of the daemon, played back to the policy.
check_PROGRAMS += tests/hakmemd/replay
tests_hakmemd_replay_SOURCES = tests/hakmemd/replay.c
tests_hakmemd_replay_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS)
tests_hakmemd_replay_LDADD = hakmemd/libdaemon.la $(JANSSON_LIBS)
EXTRA_DIST += tests/hakmemd/traces tests/hakmemd/break-rules tests/hakmemd/daemon.sh tests/hakmemd/record-traces \
	tests/hakmemd/write-traces

hakmemd_scripts = tests/hakmemd/container.test tests/hakmemd/faults.test tests/hakmemd/pressure.test tests/hakmemd/replay.test \
	tests/hakmemd/service.test
dist_check_SCRIPTS += $(hakmemd_scripts)
TESTS += $(hakmemd_scripts)
