/* SPDX-License-Identifier: MIT */
/*
 * Large blocks: more than 1 MiB, or aligned to more than a slice, each its own mapping.
 *
 * Freed ones wait a while in a small cache for a request of about the same size; decay and flushes unmap
 * them.  A block begins at a multiple of 2 MiB, so that no two share a region of the page map and the kernel
 * may use huge pages where the policy says so.
 */
#ifndef HK_POOLS_LARGE_H
#define HK_POOLS_LARGE_H

#include "base/attr.h"
#include "base/lock.h"

/* A block at a multiple of `alignment` (a power of two); `*ret_zero`: known to be zero.  NULL without memory. */
void *hk_large_new(size_t bytes, size_t alignment, bool *ret_zero);

/* False where `pointer`, whose kind is HK_KIND_LARGE, is no block's start. */
bool hk_large_free(void *pointer);

/* Does `pointer`, whose kind may be anything, lie inside a large block?  For messages: it may take long. */
bool hk_large_contains(const void *pointer);

/* Bytes of a block; 0 where `pointer`, whose kind is HK_KIND_LARGE, is no block's start. */
size_t hk_large_usable(const void *pointer);

/* Grow or shrink, moving pages instead of copying where it must.  The new address, or NULL: nothing changed. */
void *hk_large_resize(void *pointer, size_t bytes);

/* Unmap cached blocks that were freed before `before_nsec`; returns the bytes. */
size_t hk_large_trim(uint64_t before_nsec);

/* CLOCK_MONOTONIC time at which the oldest cached block was freed; UINT64_MAX where there is none. */
uint64_t hk_large_oldest(void);

struct hk_lock *hk_large_lock(void); /* for fork */

#endif
