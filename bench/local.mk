# SPDX-License-Identifier: MIT
# Allocators side by side.  Built by `make bench` only: no test depends on a figure.
EXTRA_PROGRAMS = bench/hakmem-bench bench/worker bench/swarm bench/freed
CLEANFILES += $(EXTRA_PROGRAMS)
EXTRA_DIST += bench/README.md bench/control bench/two-services bench/parade bench/redis.py

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
	bench/busy.c \
	bench/fixed.c \
	bench/histogram.h \
	bench/latency.c \
	bench/loads.c \
	bench/micro.c \
	bench/threads.c \
	bench/worker.c \
	bench/worker.h
bench_worker_CPPFLAGS = $(AM_CPPFLAGS) -D_GNU_SOURCE
bench_worker_CFLAGS = -std=gnu11 -O2 $(HK_WARN) -fno-builtin -pthread

bench_swarm_SOURCES = bench/swarm.c
bench_swarm_LDADD = protocol/libprotocol.la
bench_freed_SOURCES = bench/freed.c

.PHONY: bench
bench: all $(EXTRA_PROGRAMS)
	@echo "Now run bench/hakmem-bench; bench/hakmem-bench --help says how."
