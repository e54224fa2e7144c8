# SPDX-License-Identifier: MIT
# Allocators side by side.  Built by `make bench` only: no test depends on a figure.
EXTRA_PROGRAMS = bench/hakmem-bench bench/worker
CLEANFILES += $(EXTRA_PROGRAMS)
EXTRA_DIST += bench/README.md

bench_hakmem_bench_SOURCES = \
	bench/bench.h \
	bench/hakmem-bench.c \
	bench/plan.c \
	bench/run.c \
	bench/show.c
bench_hakmem_bench_CPPFLAGS = $(AM_CPPFLAGS) -D_GNU_SOURCE

# No hardening and nothing built in: what is measured is the allocator, as the compiler calls it.
bench_worker_SOURCES = \
	bench/battle.c \
	bench/fixed.c \
	bench/latency.c \
	bench/loads.c \
	bench/micro.c \
	bench/threads.c \
	bench/worker.c \
	bench/worker.h
bench_worker_CPPFLAGS = $(AM_CPPFLAGS) -D_GNU_SOURCE
bench_worker_CFLAGS = -std=gnu11 -O2 $(HK_WARN) -fno-builtin -pthread

.PHONY: bench
bench: all bench/hakmem-bench bench/worker
	@echo "Now run bench/hakmem-bench; bench/hakmem-bench --help says how."
