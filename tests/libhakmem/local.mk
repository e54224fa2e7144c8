# SPDX-License-Identifier: MIT
# Unit tests of the allocator, on its core without libc's names.
if HAVE_CMOCKA
core_unit_tests = \
	tests/libhakmem/base-test \
	tests/libhakmem/caches-test \
	tests/libhakmem/check-test \
	tests/libhakmem/far-test \
	tests/libhakmem/fork-test \
	tests/libhakmem/growth-test \
	tests/libhakmem/heap-test \
	tests/libhakmem/interleave-test \
	tests/libhakmem/map-test \
	tests/libhakmem/policy-test \
	tests/libhakmem/pools-test \
	tests/libhakmem/shard-test \
	tests/libhakmem/slab-test \
	tests/libhakmem/stress-test
check_PROGRAMS += $(core_unit_tests)
TESTS += $(core_unit_tests)
core_unit_sources = tests/libhakmem/unit.c tests/libhakmem/unit.h
core_unit_cflags = $(libhakmem_cflags) $(CMOCKA_CFLAGS) -pthread
core_unit_ldadd = libhakmem/libhakmem-core.la $(CMOCKA_LIBS)
tests_libhakmem_base_test_SOURCES = tests/libhakmem/base-test.c $(core_unit_sources)
tests_libhakmem_base_test_CFLAGS = $(core_unit_cflags)
tests_libhakmem_base_test_LDADD = $(core_unit_ldadd)
tests_libhakmem_caches_test_SOURCES = tests/libhakmem/caches-test.c $(core_unit_sources)
tests_libhakmem_caches_test_CFLAGS = $(core_unit_cflags)
tests_libhakmem_caches_test_LDADD = $(core_unit_ldadd)
tests_libhakmem_check_test_SOURCES = tests/libhakmem/check-test.c $(core_unit_sources)
tests_libhakmem_check_test_CFLAGS = $(core_unit_cflags)
tests_libhakmem_check_test_LDADD = $(core_unit_ldadd)
tests_libhakmem_far_test_SOURCES = tests/libhakmem/far-test.c $(core_unit_sources)
tests_libhakmem_far_test_CFLAGS = $(core_unit_cflags)
tests_libhakmem_far_test_LDADD = $(core_unit_ldadd)
tests_libhakmem_fork_test_SOURCES = tests/libhakmem/fork-test.c libhakmem/front/bootstrap.c $(core_unit_sources)
tests_libhakmem_fork_test_CFLAGS = $(core_unit_cflags)
tests_libhakmem_fork_test_LDADD = $(core_unit_ldadd)
tests_libhakmem_growth_test_SOURCES = tests/libhakmem/growth-test.c $(core_unit_sources)
tests_libhakmem_growth_test_CFLAGS = $(core_unit_cflags)
tests_libhakmem_growth_test_LDADD = $(core_unit_ldadd)
tests_libhakmem_heap_test_SOURCES = tests/libhakmem/heap-test.c $(core_unit_sources)
tests_libhakmem_heap_test_CFLAGS = $(core_unit_cflags)
tests_libhakmem_heap_test_LDADD = $(core_unit_ldadd)
tests_libhakmem_map_test_SOURCES = tests/libhakmem/map-test.c $(core_unit_sources)
tests_libhakmem_map_test_CFLAGS = $(core_unit_cflags)
tests_libhakmem_map_test_LDADD = $(core_unit_ldadd)
tests_libhakmem_policy_test_SOURCES = tests/libhakmem/policy-test.c $(core_unit_sources)
tests_libhakmem_policy_test_CFLAGS = $(core_unit_cflags)
tests_libhakmem_policy_test_LDADD = $(core_unit_ldadd)
tests_libhakmem_pools_test_SOURCES = tests/libhakmem/pools-test.c $(core_unit_sources)
tests_libhakmem_pools_test_CFLAGS = $(core_unit_cflags)
tests_libhakmem_pools_test_LDADD = $(core_unit_ldadd)
tests_libhakmem_shard_test_SOURCES = tests/libhakmem/shard-test.c $(core_unit_sources)
tests_libhakmem_shard_test_CFLAGS = $(core_unit_cflags)
tests_libhakmem_shard_test_LDADD = $(core_unit_ldadd)
tests_libhakmem_slab_test_SOURCES = tests/libhakmem/slab-test.c $(core_unit_sources)
tests_libhakmem_slab_test_CFLAGS = $(core_unit_cflags)
tests_libhakmem_slab_test_LDADD = $(core_unit_ldadd)
tests_libhakmem_stress_test_SOURCES = tests/libhakmem/stress-test.c $(core_unit_sources)
tests_libhakmem_stress_test_CFLAGS = $(core_unit_cflags)
tests_libhakmem_stress_test_LDADD = $(core_unit_ldadd)

# Each system call of the library fails once at each place; with hakmemd's stand-in of the control thread's tests.
if !SANITIZERS
check_PROGRAMS += tests/libhakmem/faults
TESTS += tests/libhakmem/faults
endif
tests_libhakmem_faults_SOURCES = tests/libhakmem/faults.c libhakmem/front/bootstrap.c libhakmem/front/identity.c \
	tests/control/harness.c tests/control/harness.h tests/api/tap.h
tests_libhakmem_faults_CPPFLAGS = $(AM_CPPFLAGS) -DHK_TEST_FAULTS
tests_libhakmem_faults_CFLAGS = $(libhakmem_cflags) -pthread
tests_libhakmem_faults_LDADD = libhakmem/libhakmem-faults.la

# Nothing refers to the library's constructor, so no archive brings it: it is named where fork is tested.
tests_libhakmem_interleave_test_SOURCES = tests/libhakmem/interleave-test.c libhakmem/front/bootstrap.c \
	tests/libhakmem/schedule.c tests/libhakmem/schedule.h $(core_unit_sources)
tests_libhakmem_interleave_test_CPPFLAGS = $(AM_CPPFLAGS) -DHK_TEST_POINTS
tests_libhakmem_interleave_test_CFLAGS = $(core_unit_cflags)
tests_libhakmem_interleave_test_LDADD = libhakmem/libhakmem-points.la $(CMOCKA_LIBS)

# Each rule taken out once, and the test that guards it seen to fail: some minutes, so no part of check.
check-mutants: config.h
	top_builddir='$(abs_top_builddir)' CC='$(CC)' $(top_srcdir)/tests/libhakmem/mutants
endif
EXTRA_DIST += tests/libhakmem/mutants
