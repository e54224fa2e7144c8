# SPDX-License-Identifier: MIT
if HAVE_CMOCKA
check_PROGRAMS += tests/protocol/wire-test
TESTS += tests/protocol/wire-test
tests_protocol_wire_test_SOURCES = tests/protocol/wire-test.c
tests_protocol_wire_test_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_protocol_wire_test_LDADD = protocol/libprotocol.la $(CMOCKA_LIBS)
endif
