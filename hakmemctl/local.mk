# SPDX-License-Identifier: MIT
bin_PROGRAMS += hakmemctl/hakmemctl
hakmemctl_hakmemctl_SOURCES = \
	hakmemctl/call.c \
	hakmemctl/check.c \
	hakmemctl/completions.c \
	hakmemctl/ctl.h \
	hakmemctl/disable.c \
	hakmemctl/enable.c \
	hakmemctl/examine.c \
	hakmemctl/explain.c \
	hakmemctl/flush.c \
	hakmemctl/list.c \
	hakmemctl/main.c \
	hakmemctl/maps.c \
	hakmemctl/metrics.c \
	hakmemctl/pause.c \
	hakmemctl/pressure.c \
	hakmemctl/print.c \
	hakmemctl/reload.c \
	hakmemctl/resume.c \
	hakmemctl/run.c \
	hakmemctl/stats.c \
	hakmemctl/status.c \
	hakmemctl/top.c \
	hakmemctl/unit.c \
	hakmemctl/unit.h \
	hakmemctl/verbs.c \
	hakmemctl/verbs.h \
	hakmemctl/watch.c
hakmemctl_hakmemctl_CPPFLAGS = $(AM_CPPFLAGS) -DCTL_LIBRARY='"$(libdir)/libhakmem.so.0"'
hakmemctl_hakmemctl_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS)
hakmemctl_hakmemctl_LDADD = hakmemd/libtext.la protocol/libprotocol.la $(JANSSON_LIBS)

# Completions come from the verb table.
completions_generated = completions/hakmemctl completions/_hakmemctl
bashcompletiondir = $(datadir)/bash-completion/completions
bashcompletion_DATA = completions/hakmemctl
zshcompletiondir = $(datadir)/zsh/site-functions
zshcompletion_DATA = completions/_hakmemctl
CLEANFILES += $(completions_generated)

completions/hakmemctl: hakmemctl/hakmemctl
	$(AM_V_GEN)$(MKDIR_P) $(@D) && hakmemctl/hakmemctl completions bash >$@.tmp && mv $@.tmp $@
completions/_hakmemctl: hakmemctl/hakmemctl
	$(AM_V_GEN)$(MKDIR_P) $(@D) && hakmemctl/hakmemctl completions zsh >$@.tmp && mv $@.tmp $@
