# SPDX-License-Identifier: MIT
libhakmem_control_sources = \
	libhakmem/policy/board.c \
	libhakmem/policy/board.h \
	libhakmem/policy/control.c \
	libhakmem/policy/control.h \
	libhakmem/policy/control_loop.c \
	libhakmem/policy/watch.c \
	libhakmem/policy/watch.h
