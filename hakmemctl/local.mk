# SPDX-License-Identifier: MIT
bin_PROGRAMS += hakmemctl/hakmemctl
hakmemctl_hakmemctl_SOURCES = \
	hakmemctl/call.c \
	hakmemctl/check.c \
	hakmemctl/ctl.h \
	hakmemctl/disable.c \
	hakmemctl/enable.c \
	hakmemctl/examine.c \
	hakmemctl/flush.c \
	hakmemctl/list.c \
	hakmemctl/main.c \
	hakmemctl/pause.c \
	hakmemctl/print.c \
	hakmemctl/reload.c \
	hakmemctl/resume.c \
	hakmemctl/run.c \
	hakmemctl/stats.c \
	hakmemctl/status.c \
	hakmemctl/unit.c \
	hakmemctl/unit.h
hakmemctl_hakmemctl_CPPFLAGS = $(AM_CPPFLAGS) -DCTL_LIBRARY='"$(libdir)/libhakmem.so.0"'
hakmemctl_hakmemctl_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS)
hakmemctl_hakmemctl_LDADD = hakmemd/libtext.la protocol/libprotocol.la $(JANSSON_LIBS)
