/* SPDX-License-Identifier: MIT */
/*
 * Spans: address ranges that freed large blocks leave behind, kept for a while with the pages in them.
 *
 * Why: pages that the kernel has to give anew and clear cost a program that replaces large buffers most of its time.
 * A request takes the front of the tightest span; what remains stays a span, so that the block can grow into it later,
 * and neighbours become one again when they are freed.
 *
 * What is kept is bounded: as much as the program holds in large blocks, and 64 MiB in any case; the oldest goes
 * first.  Decay and flushes unmap the rest (hk_span_trim).  A span begins at a multiple of 2 MiB.
 */
#ifndef HK_POOLS_SPAN_H
#define HK_POOLS_SPAN_H

#include "base/attr.h"
#include "base/lock.h"

struct hk_span {
	char *base;
	size_t bytes;
	size_t touched_bytes; /* of those, how many have pages, as far as is known: at its beginning */
	uint64_t freed_nsec;  /* CLOCK_MONOTONIC */
};

/* Take a span of at least `bytes` at a multiple of `alignment` (both of whole pages); false where there is none. */
bool hk_span_take(size_t bytes, size_t alignment, struct hk_span *ret_span);

/* Take the span with the most pages, at least `touched_bytes` of them, to be made larger; false where there is none. */
bool hk_span_take_fullest(size_t touched_bytes, struct hk_span *ret_span);

/* Take a span of at least `bytes` that begins at `base`; false where there is none. */
bool hk_span_take_at(const char *base, size_t bytes, struct hk_span *ret_span);

/* Keep a span; what is too much then is unmapped. */
void hk_span_put(char *base, size_t bytes, size_t touched_bytes);

/* Unmap spans that were freed before `before_nsec`; returns the bytes that they had touched. */
size_t hk_span_trim(uint64_t before_nsec);

/* Time at which the oldest span was freed; UINT64_MAX where there is none. */
uint64_t hk_span_oldest(void);

struct hk_lock *hk_large_lock(void); /* guards spans and the records of large blocks; for fork */

#endif
