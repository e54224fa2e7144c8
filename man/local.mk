# SPDX-License-Identifier: MIT
dist_man_MANS += \
	man/hakmem.7 \
	man/hakmemctl.1 \
	man/hakmemd.8
