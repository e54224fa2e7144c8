# SPDX-License-Identifier: MIT
noinst_LTLIBRARIES += protocol/libprotocol.la
protocol_libprotocol_la_SOURCES = \
	protocol/board.h \
	protocol/stats.h \
	protocol/syscalls.h \
	protocol/wire.c \
	protocol/wire.h
