# SPDX-License-Identifier: MIT
# libhakmem-core: everything but the libc names, so that tests can link it beside the C library's malloc.
# Sources stand in the order of the layers; a file includes only from its own folder or an earlier one.
include libhakmem/policy/control.mk

libhakmem_cflags = $(AM_CFLAGS) -fno-builtin-malloc -fno-builtin-calloc -fno-builtin-realloc -fno-builtin-free \
	-ftls-model=initial-exec -fvisibility=hidden -fdata-sections

noinst_LTLIBRARIES += libhakmem/libhakmem-core.la
libhakmem_libhakmem_core_la_CFLAGS = $(libhakmem_cflags)
libhakmem_libhakmem_core_la_LIBADD = protocol/libprotocol.la
libhakmem_libhakmem_core_la_SOURCES = \
	libhakmem/base/attr.h \
	libhakmem/base/point.h \
	libhakmem/base/bits.h \
	libhakmem/base/syscall.h \
	libhakmem/base/lock.c libhakmem/base/lock.h \
	libhakmem/base/log.c libhakmem/base/log.h \
	libhakmem/base/options.c libhakmem/base/options.h \
	libhakmem/base/counters.c libhakmem/base/counters.h \
	libhakmem/os/pages.c libhakmem/os/pages.h \
	libhakmem/os/meta.c libhakmem/os/meta.h \
	libhakmem/os/mark.c libhakmem/os/mark.h \
	libhakmem/map/classes.c libhakmem/map/classes.h \
	libhakmem/map/pagemap.c libhakmem/map/pagemap.h \
	libhakmem/slabs/superslab.c libhakmem/slabs/superslab.h \
	libhakmem/slabs/slab.c libhakmem/slabs/slab.h \
	libhakmem/slabs/holes.c libhakmem/slabs/sparse.c \
	libhakmem/caches/shard.c libhakmem/caches/shard.h \
	libhakmem/caches/cold.c libhakmem/caches/cold.h \
	libhakmem/caches/hot.h \
	libhakmem/caches/loan.c libhakmem/caches/loan.h \
	libhakmem/caches/thread.c libhakmem/caches/thread.h libhakmem/caches/thread_internal.h \
	libhakmem/caches/capacity.c libhakmem/caches/sweep.c \
	libhakmem/pools/mid.c libhakmem/pools/mid.h \
	libhakmem/pools/span.c libhakmem/pools/span.h \
	libhakmem/pools/large.c libhakmem/pools/large.h \
	libhakmem/policy/flush.c libhakmem/policy/flush.h \
	libhakmem/policy/growth.c libhakmem/policy/growth.h \
	libhakmem/policy/stats.c libhakmem/policy/stats.h \
	$(libhakmem_control_sources) \
	libhakmem/front/front.c libhakmem/front/front.h \
	libhakmem/front/check.c libhakmem/front/check.h \
	libhakmem/front/fork.c libhakmem/front/fork.h \
	libhakmem/front/bootstrap.c \
	libhakmem/front/api.c

# The same with schedule points (base/point.h), for the interleaving tests alone.
check_LTLIBRARIES += libhakmem/libhakmem-points.la
libhakmem_libhakmem_points_la_CPPFLAGS = $(AM_CPPFLAGS) -DHK_TEST_POINTS
libhakmem_libhakmem_points_la_CFLAGS = $(libhakmem_cflags)
libhakmem_libhakmem_points_la_LIBADD = protocol/libprotocol.la
libhakmem_libhakmem_points_la_SOURCES = $(libhakmem_libhakmem_core_la_SOURCES)

# The same with a say for the tests at each system call (base/syscall.h), for the fault injection alone.
check_LTLIBRARIES += libhakmem/libhakmem-faults.la
libhakmem_libhakmem_faults_la_CPPFLAGS = $(AM_CPPFLAGS) -DHK_TEST_FAULTS
libhakmem_libhakmem_faults_la_CFLAGS = $(libhakmem_cflags)
libhakmem_libhakmem_faults_la_LIBADD = protocol/libprotocol.la
libhakmem_libhakmem_faults_la_SOURCES = $(libhakmem_libhakmem_core_la_SOURCES)

# Version rules of libtool (-version-info CURRENT:REVISION:AGE): code changed, REVISION + 1; an interface was
# added, CURRENT + 1, AGE + 1, REVISION 0; one was removed or changed, CURRENT + 1, AGE 0, REVISION 0.
lib_LTLIBRARIES += libhakmem/libhakmem.la
libhakmem_libhakmem_la_CFLAGS = $(libhakmem_cflags)
libhakmem_libhakmem_la_SOURCES = libhakmem/front/malloc.c libhakmem/front/report.c \
	libhakmem/front/identity.c
libhakmem_libhakmem_la_LIBADD = libhakmem/libhakmem-core.la
libhakmem_libhakmem_la_LDFLAGS = $(AM_LDFLAGS) -version-info 0:0:0 -Wl,-z,nodelete -Wl,-z,initfirst \
	-Wl,--sort-section=name $(HK_LAYOUT) \
	-Wl,--version-script=$(srcdir)/libhakmem/hakmem.map
libhakmem_libhakmem_la_DEPENDENCIES = libhakmem/libhakmem-core.la libhakmem/hakmem.map \
	$(srcdir)/libhakmem/layout.ld

include_HEADERS = libhakmem/hakmem.h
pkgconfigdir = $(libdir)/pkgconfig
pkgconfig_DATA = libhakmem/hakmem.pc
EXTRA_DIST += libhakmem/hakmem.map libhakmem/layout.ld libhakmem/README.md
