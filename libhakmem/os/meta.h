/* SPDX-License-Identifier: MIT */
/*
 * Memory for the allocator's own records, away from the program's blocks.
 *
 * Two kinds.  Units of one fixed size, one per SuperSlab, come from chunks that mark free units in a bitmap;
 * a freed unit's pages go back to the kernel at once, its addresses stay.  Everything else that lives as long
 * as the process (thread records, chunks, large-block records) is bumped and never freed.
 * Addresses stay mapped for ever, so that a stale pointer reads a dead record, never a fault.
 * Locking: HK_RANK_META inside; no system call is made under it.
 */
#ifndef HK_OS_META_H
#define HK_OS_META_H

#include "base/attr.h"
#include "base/lock.h"

#define HK_META_UNIT_BYTES (5u * HK_PAGE_BYTES)

/* A zeroed unit, page aligned, or NULL. */
void *hk_meta_unit_new(void);
void hk_meta_unit_free(void *unit);

/* Zeroed memory for ever, aligned to a cache line, or NULL. */
void *hk_meta_bump(size_t bytes);

struct hk_lock *hk_meta_lock(void); /* for fork */

#endif
