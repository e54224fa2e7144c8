/* SPDX-License-Identifier: MIT */
/*
 * Every request for memory to the kernel: map, unmap, purge, populate, name.
 *
 * All sizes are in bytes and multiples of the OS page.  Nothing here takes a lock or touches errno; a failed
 * map returns NULL.
 */
#ifndef HK_OS_PAGES_H
#define HK_OS_PAGES_H

#include "base/attr.h"

/* Map zeroed memory at a multiple of `alignment` (a power of two); `name` is for /proc/PID/smaps. */
void *hk_os_map(size_t bytes, size_t alignment, const char *name);

/* Unmap; the pages and the addresses go back.  False where the kernel refuses, and the memory stays mapped. */
bool hk_os_unmap(void *address, size_t bytes);

/* The pages read as zero in every copy of the process.  False where the kernel cannot. */
bool hk_os_wipe_on_fork(void *address, size_t bytes);

/* Give the pages back and keep the addresses; they read as zero again.  False where the kernel refuses
 * (mlocked memory, a filter): nothing went back and nothing is known to be zero. */
bool hk_os_purge(void *address, size_t bytes);

/* The same for some of the pages from `base` on, 16 to a mask, in as few calls as can be.  Bits of pages that did not go
 * back are cleared; returns how many did. */
unsigned hk_os_purge_pages(char *base, uint16_t *masks, unsigned n_masks);

/* Apply the huge-page policy to a mapping; `partly` where only some of it may ever be used: then the automatic
 * policy keeps huge pages away, else it leaves them to the system's setting. */
void hk_os_set_thp(void *address, size_t bytes, bool partly);

/* Make the pages present in one go instead of a fault each; a hint. */
void hk_os_populate(void *address, size_t bytes);

/*
 * Reserve addresses that nothing may touch yet, at a multiple of `alignment`; a target for hk_os_move().  `owner` is
 * any pointer for which no other thread reserves meanwhile: it marks the reservation.
 */
void *hk_os_reserve(size_t bytes, size_t alignment, const void *owner);

/* End a reservation, also one onto which a move failed: the kernel may have removed it by then, and other threads
 * mapped something of theirs there, which stays. */
void hk_os_unreserve(void *target, size_t bytes, const void *owner);

/* Move a mapping onto a reservation of `new_bytes`, without copying.  False on failure: nothing moved. */
bool hk_os_move(void *address, size_t old_bytes, void *target, size_t new_bytes, const char *name);

/* Grow or shrink in place. */
bool hk_os_resize(void *address, size_t old_bytes, size_t new_bytes);

#endif
