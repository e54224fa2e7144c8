/* SPDX-License-Identifier: MIT */
/*
 * What the heap looks at before it grows, and how much it may keep.
 *
 * Records: where SuperSlabs' touched pages reach one, what classes keep that nobody asked for blocks since the last goes
 * home, as do this thread's idle magazines; and where a sixth of the touched pages are holes, some are purged.  What it
 * costs a program in all is bounded by its peak.
 *
 * The share: of the touched pages those that hold nothing (holes, tails of mid runs, free slices) are a quarter at most, or
 * 64 MiB.  What is beyond that is purged as the program allocates, so that one whose live heap shrank does not stay at its
 * peak though it never calls for anything, and nobody asks it.  A program that swings fast pays for no more than twice
 * its heap in HAKMEM_DECAY_MSEC.
 */
#ifndef HK_POLICY_GROWTH_H
#define HK_POLICY_GROWTH_H

#include <stdatomic.h>
#include <stdint.h>

/* On slow paths of allocation, under no lock.  Cheap where there is nothing to do; else some 100 us for each SuperSlab. */
void hk_growth_poke(int64_t touched_pages);

extern _Atomic int64_t hk_growth_record; /* touched pages; for tests */

#endif
