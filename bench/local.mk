# SPDX-License-Identifier: MIT
# Allocators side by side.  Built by `make bench` only: no test depends on a figure.
EXTRA_PROGRAMS = bench/hakmem-bench bench/worker bench/swarm bench/freed bench/classes
EXTRA_LTLIBRARIES = bench/record.la
CLEANFILES += $(EXTRA_PROGRAMS) $(EXTRA_LTLIBRARIES)
EXTRA_DIST += bench/README.md bench/control bench/two-services bench/parade bench/redis.py

bench_hakmem_bench_SOURCES = \
	bench/bench.h \
	bench/daemon.c \
	bench/goals.c \
	bench/hakmem-bench.c \
	bench/plan.c \
	bench/run.c \
	bench/show.c
bench_hakmem_bench_CPPFLAGS = $(AM_CPPFLAGS) -D_GNU_SOURCE

# No hardening and nothing built in: what is measured is the allocator, as the compiler calls it.
bench_worker_SOURCES = \
	bench/attached.c \
	bench/battle.c \
	bench/busy.c \
	bench/fixed.c \
	bench/histogram.h \
	bench/latency.c \
	bench/loads.c \
	bench/micro.c \
	bench/service.c \
	bench/steady.c \
	bench/threads.c \
	bench/waves.c \
	bench/worker.c \
	bench/worker.h
bench_worker_CPPFLAGS = $(AM_CPPFLAGS) -D_GNU_SOURCE
bench_worker_CFLAGS = -std=gnu11 -O2 $(HK_WARN) -fno-builtin -pthread

bench_swarm_SOURCES = bench/swarm.c
bench_swarm_LDADD = protocol/libprotocol.la
bench_freed_SOURCES = bench/freed.c

bench_classes_SOURCES = bench/classes.c bench/record.h
bench_classes_CPPFLAGS = $(AM_CPPFLAGS) -D_GNU_SOURCE -I$(top_srcdir)/libhakmem
bench_classes_LDADD = libhakmem/libhakmem-core.la
bench_record_la_SOURCES = bench/record.c bench/record.h
bench_record_la_CPPFLAGS = $(AM_CPPFLAGS) -D_GNU_SOURCE
bench_record_la_CFLAGS = $(AM_CFLAGS) -fno-builtin
bench_record_la_LDFLAGS = -module -shared -avoid-version -rpath $(libdir)

.PHONY: bench
bench: all $(EXTRA_PROGRAMS) $(EXTRA_LTLIBRARIES)
	@echo "Now run bench/hakmem-bench; bench/hakmem-bench --help says how."
