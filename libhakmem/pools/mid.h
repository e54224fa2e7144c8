/* SPDX-License-Identifier: MIT */
/*
 * Mid blocks: more than 64 KiB, up to 1 MiB, as runs of slices inside SuperSlabs.
 *
 * A run's tail beyond the request's last OS page is never touched, but an earlier occupant may have done so: then it is
 * releasable as page holes are.  Locking: the heap lock, inside.
 */
#ifndef HK_POOLS_MID_H
#define HK_POOLS_MID_H

#include "slabs/superslab.h"

#define HK_MID_BYTES (16u * HK_SLICE_BYTES)

/* A block of HK_TINY_BYTES < bytes <= HK_MID_BYTES at a slice boundary; `*ret_zero` says whether it is known to
 * be all zero.  NULL without memory. */
void *hk_mid_new(size_t bytes, bool *ret_zero);

/* False where `pointer`, whose kind is HK_KIND_MID, is no block's start. */
bool hk_mid_free(void *pointer);

/* Bytes of a block; 0 where `pointer`, whose kind is HK_KIND_MID, is no block's start. */
size_t hk_mid_usable(const void *pointer);

/* Change the size in place, within the range of mid blocks; false where that is not possible, or not while the tail is
 * being purged. */
bool hk_mid_resize(void *pointer, size_t bytes);

/* Under no lock, SuperSlab pinned: purge the tails of its runs.  Returns bytes. */
size_t hk_mid_purge_tails(struct hk_superslab *superslab) HK_COLD;

#endif
