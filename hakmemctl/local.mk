# SPDX-License-Identifier: MIT
bin_PROGRAMS += hakmemctl/hakmemctl
hakmemctl_hakmemctl_SOURCES = \
	hakmemctl/call.c \
	hakmemctl/ctl.h \
	hakmemctl/flush.c \
	hakmemctl/list.c \
	hakmemctl/main.c \
	hakmemctl/pause.c \
	hakmemctl/print.c \
	hakmemctl/reload.c \
	hakmemctl/resume.c \
	hakmemctl/stats.c \
	hakmemctl/status.c
hakmemctl_hakmemctl_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS)
hakmemctl_hakmemctl_LDADD = hakmemd/libtext.la protocol/libprotocol.la $(JANSSON_LIBS)
