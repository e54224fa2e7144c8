# SPDX-License-Identifier: MIT
dist_man_MANS += \
	man/hakmem.3 \
	man/hakmem.7 \
	man/hakmem-protocol.7 \
	man/hakmemctl.1 \
	man/hakmemd.8 \
	man/hakmemd.conf.5
