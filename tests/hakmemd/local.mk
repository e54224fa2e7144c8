# SPDX-License-Identifier: MIT
# A client that speaks the protocol, well or badly, and the daemon tested through its sockets with it.
check_PROGRAMS += tests/hakmemd/fake-client
tests_hakmemd_fake_client_SOURCES = tests/hakmemd/fake-client.c
tests_hakmemd_fake_client_LDADD = protocol/libprotocol.la

dist_check_SCRIPTS += tests/hakmemd/service.test
TESTS += tests/hakmemd/service.test
