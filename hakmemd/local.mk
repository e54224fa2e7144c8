# SPDX-License-Identifier: MIT
# Pure text helpers, which hakmemctl links too; the daemon as a library, which tests link; and its main.
noinst_LTLIBRARIES += hakmemd/libtext.la hakmemd/libdaemon.la

hakmemd_libtext_la_SOURCES = \
	hakmemd/text.c \
	hakmemd/text.h \
	hakmemd/util.h

hakmemd_libdaemon_la_SOURCES = \
	hakmemd/board.c \
	hakmemd/board.h \
	hakmemd/cgroup.c \
	hakmemd/cgroup.h \
	hakmemd/client.c \
	hakmemd/client.h \
	hakmemd/config.c \
	hakmemd/config.h \
	hakmemd/controller.c \
	hakmemd/controller.h \
	hakmemd/ctl.c \
	hakmemd/ctl.h \
	hakmemd/daemon.c \
	hakmemd/daemon.h \
	hakmemd/events.c \
	hakmemd/events.h \
	hakmemd/log.c \
	hakmemd/log.h \
	hakmemd/loop.c \
	hakmemd/loop.h \
	hakmemd/metrics.c \
	hakmemd/metrics.h \
	hakmemd/notify.c \
	hakmemd/notify.h \
	hakmemd/policy.c \
	hakmemd/policy.h \
	hakmemd/policy_client.c \
	hakmemd/policy_level.c \
	hakmemd/policy_parts.h \
	hakmemd/proc.c \
	hakmemd/proc.h \
	hakmemd/record.c \
	hakmemd/record.h \
	hakmemd/psi.c \
	hakmemd/psi.h \
	hakmemd/registry.c \
	hakmemd/registry.h \
	hakmemd/report.c \
	hakmemd/report.h \
	hakmemd/server.c \
	hakmemd/server.h \
	hakmemd/why.c \
	hakmemd/why.h
hakmemd_libdaemon_la_CFLAGS = $(AM_CFLAGS) $(LIBEVENT_CFLAGS) $(LIBSYSTEMD_CFLAGS) $(JANSSON_CFLAGS)
hakmemd_libdaemon_la_LIBADD = hakmemd/libtext.la protocol/libprotocol.la $(LIBEVENT_LIBS) $(LIBSYSTEMD_LIBS) \
	$(JANSSON_LIBS)

sbin_PROGRAMS += hakmemd/hakmemd
hakmemd_hakmemd_SOURCES = hakmemd/main.c
hakmemd_hakmemd_LDADD = hakmemd/libdaemon.la
