# SPDX-License-Identifier: MIT
# Units and drop-in name the installed paths, so make fills them in: configure cannot know $(sbindir) fully.
systemd_generated = \
	systemd/hakmemd.service \
	systemd/preload.conf

systemdsystemunit_DATA = \
	systemd/hakmemd.service \
	systemd/hakmemd.socket \
	systemd/hakmemd-control.socket \
	systemd/hakmemd-metrics.socket

sysusers_DATA = systemd/hakmem.conf

exampledir = $(datadir)/hakmem
example_DATA = systemd/preload.conf

EXTRA_DIST += \
	systemd/hakmemd.service.in \
	systemd/hakmemd.socket \
	systemd/hakmemd-control.socket \
	systemd/hakmemd-metrics.socket \
	systemd/hakmem.conf \
	systemd/preload.conf.in
CLEANFILES += $(systemd_generated)

$(systemd_generated): %: %.in Makefile
	$(AM_V_GEN)$(MKDIR_P) $(@D) && $(SED) -e 's|@sbindir[@]|$(sbindir)|g' -e 's|@bindir[@]|$(bindir)|g' \
		-e 's|@libdir[@]|$(libdir)|g' \
		$(srcdir)/$@.in >$@.tmp && mv $@.tmp $@
