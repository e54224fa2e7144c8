/* SPDX-License-Identifier: MIT */
/*
 * Large blocks: more than 1 MiB, or aligned to more than a slice, each in whole pages of its own.
 *
 * They come from spans that earlier ones left (span.h), else from a mapping.  A block begins at a multiple of 2 MiB, so
 * that no two share a region of the page map and the kernel may use huge pages where the policy says so.  It grows
 * into the span behind it, else in place or by moving its pages, never by a copy where the kernel can help.
 */
#ifndef HK_POOLS_LARGE_H
#define HK_POOLS_LARGE_H

#include "base/attr.h"

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

#endif
