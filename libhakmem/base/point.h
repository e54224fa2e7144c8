/* SPDX-License-Identifier: MIT */
/*
 * Schedule points: where the order of two threads' steps matters.
 *
 * Nothing in the library.  The tests' build of the core (HK_TEST_POINTS) calls hk_point() there, and a seeded
 * scheduler decides which of the test's threads goes on.
 */
#ifndef HK_BASE_POINT_H
#define HK_BASE_POINT_H

#ifdef HK_TEST_POINTS
void hk_point(const char *name);
#define HK_POINT(name) hk_point(#name)
#else
#define HK_POINT(name) ((void)0)
#endif

#endif
