/* SPDX-License-Identifier: MIT */
/*
 * Giving memory back: the flush levels and the decay.
 *
 * One sweep at a time (the sweep lock): a flush that is asked for while another runs waits and makes its own
 * pass, so nothing that was freed before the call is missed.  Every step is bounded, holds one lock at a time
 * and none across a system call.  Nothing here touches errno or thread-local storage: the control thread,
 * unknown to libc, runs it too.
 */
#ifndef HK_POLICY_FLUSH_H
#define HK_POLICY_FLUSH_H

#include "base/attr.h"
#include "base/lock.h"
#include "hakmem.h"

struct hk_superslab;

/* Flush at `level` until `target_bytes` came back or `budget_usec` are over; fills *report (may be NULL) and
 * returns the bytes given back. */
size_t hk_flush_run(unsigned level, size_t target_bytes, uint64_t budget_usec, struct hak_report *report);

/* Level cold, and the magazines of threads that have rested so long.  Cheap for the threads that work. */
size_t hk_flush_rested(uint64_t rest_nsec, uint64_t budget_usec, struct hak_report *report);

/* Return all blocks of one class that magazines hold; returns how many the cold one and the sweep gave. */
size_t hk_flush_class(unsigned class_idx);

/* Age the reserve and the large cache.  `*ret_next_nsec` is when to come again (CLOCK_MONOTONIC); UINT64_MAX
 * where nothing is left to decay. */
void hk_decay_run(uint64_t now_nsec, uint64_t *ret_next_nsec);

/* On slow paths of the heap, under no lock: decay when it is time.  Cheap otherwise. */
void hk_decay_poke(void);

/* Under the sweep lock, SuperSlab pinned: purge the page holes of its slabs, and the tails of its mid runs.  Returns bytes. */
size_t hk_flush_holes(struct hk_superslab *superslab);

/* Around what must not wait for one (fork, the end of the control thread): a running flush stops at its next step
 * and says PARTIAL.  Nests. */
void hk_flush_interrupt(bool on);

/* In a fork child: whoever interrupted, in threads that are gone, will not take it back. */
void hk_flush_postfork_child(void);

struct hk_lock *hk_flush_lock(void); /* for fork and for the survey */

#endif
