# SPDX-License-Identifier: MIT
EXTRA_DIST += \
	debian/changelog \
	debian/control \
	debian/copyright \
	debian/hakmemctl.install \
	debian/hakmemctl.manpages \
	debian/hakmemd.conf \
	debian/hakmemd.install \
	debian/hakmemd.manpages \
	debian/hakmemd.postrm \
	debian/libhakmem-dev.install \
	debian/libhakmem-dev.manpages \
	debian/libhakmem0.install \
	debian/libhakmem0.manpages \
	debian/libhakmem0.prerm \
	debian/rules \
	debian/source/format
