/* SPDX-License-Identifier: MIT */
/*
 * From a request to the pool that serves it, and from an address back: all but the fast paths, which are
 * inline in front.h.
 */
#include "front/front.h"

#include "base/counters.h"
#include "base/options.h"
#include "caches/loan.h"
#include "caches/thread.h"
#include "front/check.h"
#include "front/fork.h"
#include "policy/board.h"
#include "policy/control.h"
#include "policy/flush.h"
#include "policy/growth.h"
#include "pools/large.h"
#include "pools/mid.h"

#include <errno.h>
#include <string.h>

/* How often slow paths look at the board: often enough for pressure, which lasts seconds. */
#define FRONT_BOARD_NSEC 10000000u

/* What the board allows, for the caches. */
static void front_read_board(uint64_t now_nsec)
{
	static _Atomic uint64_t next_nsec;
	if (HK_LIKELY(now_nsec < atomic_load_explicit(&next_nsec, memory_order_relaxed)))
		return;
	atomic_store_explicit(&next_nsec, now_nsec + FRONT_BOARD_NSEC, memory_order_relaxed);
	hk_caches_limit(hk_board_thread_budget(now_nsec), hk_board_process_budget(now_nsec));
}

static int64_t front_touched_pages(void)
{
	return atomic_load_explicit(&hk_counters_private.touched_pages, memory_order_relaxed);
}

/* After a slow path, under no lock: is it time to register, or to decay; is memory short? */
static void front_poke(void)
{
	const struct hkp_stats *s = hk_stats();
	int64_t touched = front_touched_pages();
	uint64_t heap_bytes = (uint64_t)HK_MAX(touched, 0) * HK_PAGE_BYTES + HK_HINT(s->large_bytes);
	if (heap_bytes >= hk_options.control_threshold_bytes)
		hk_control_poke();
	if (HK_UNLIKELY(hk_board_present()))
		front_read_board(HK_HINT(s->activity_nsec));
	hk_decay_poke();
}

/* ---- allocation ---------------------------------------------------------------------------------------- */

static HK_COLD void *front_no_memory(void)
{
	errno = ENOMEM;
	return NULL;
}

static void *front_retry(void *(*attempt)(size_t, size_t, bool *), size_t bytes, size_t alignment, bool *ret_zero)
{
	void *block = attempt(bytes, alignment, ret_zero);
	if (HK_UNLIKELY(block == NULL)) {
		/* out of addresses or memory: what the caches hold may be enough */
		hk_flush_run(HAK_LEVEL_PAGES, HAK_TARGET_ALL, UINT64_MAX, NULL);
		block = attempt(bytes, alignment, ret_zero);
	}
	front_poke();
	hk_growth_poke(front_touched_pages());
	return block != NULL ? block : front_no_memory();
}

static void *front_try_class(size_t class_idx, size_t alignment, bool *ret_zero)
{
	(void)alignment;
	(void)ret_zero;
	return hk_thread_take((unsigned)class_idx);
}

static void *front_try_big(size_t bytes, size_t alignment, bool *ret_zero)
{
	if (bytes <= HK_MID_BYTES && alignment <= HK_SLICE_BYTES)
		return hk_mid_new(bytes, ret_zero);
	return hk_large_new(bytes, alignment, ret_zero);
}

/* The magazine of the class, which serves `bytes` at `alignment`, is empty. */
static HK_NOINLINE void *front_refill(unsigned class_idx, size_t bytes, size_t alignment)
{
	hk_fork_notice();
	if (HK_UNLIKELY(hk_options.check))
		return hk_check_new(bytes, alignment, NULL);
	return front_retry(front_try_class, class_idx, 0, NULL);
}

static inline void *front_class(unsigned class_idx, size_t bytes, size_t alignment)
{
	void *block = hk_hot_pop(hk_magazine_offset(hk_kind_of_class(class_idx)));
	return HK_LIKELY(block != NULL) ? block : front_refill(class_idx, bytes, alignment);
}

void *hk_malloc_empty(size_t bytes)
{
	if (HK_UNLIKELY(bytes == 0)) /* the fast path looked into no magazine */
		return front_class(hk_class_of(0), 0, 1);
	return front_refill(hk_class_of(bytes), bytes, 1);
}

static HK_NOINLINE void *front_big(size_t bytes, size_t alignment, bool *ret_zero)
{
	if (HK_UNLIKELY(bytes > PTRDIFF_MAX - HK_SUPERSLAB_BYTES))
		return front_no_memory();
	hk_fork_notice();
	if (HK_UNLIKELY(hk_options.check))
		return hk_check_new(bytes, alignment, ret_zero);
	return front_retry(front_try_big, HK_MAX(bytes, HK_TINY_BYTES + 1), alignment, ret_zero);
}

void *hk_malloc_rest(size_t bytes)
{
	bool zero;
	return bytes <= HK_TINY_BYTES ? front_class(hk_class_of(bytes), bytes, 1) : front_big(bytes, 1, &zero);
}

void *hk_calloc(size_t count, size_t bytes)
{
	size_t total;
	bool zero = false;
	if (HK_UNLIKELY(__builtin_mul_overflow(count, bytes, &total)))
		return front_no_memory();
	void *block = total <= HK_TINY_BYTES ? front_class(hk_class_of(total), total, 1) : front_big(total, 1, &zero);
	return block == NULL || zero ? block : memset(block, 0, total);
}

void *hk_memalign(size_t alignment, size_t bytes)
{
	bool zero;
	unsigned c = hk_class_of_aligned(bytes, alignment);
	if (c < HK_CLASSES)
		return front_class(c, bytes, alignment);
	if (alignment > PTRDIFF_MAX / 2)
		return front_no_memory();
	return front_big(bytes, alignment, &zero);
}

void *hk_front_new(size_t bytes, size_t alignment, bool *ret_zero)
{
	unsigned c = hk_class_of_aligned(bytes, alignment);
	if (c < HK_CLASSES)
		return front_retry(front_try_class, c, 0, ret_zero);
	return front_retry(front_try_big, HK_MAX(bytes, HK_TINY_BYTES + 1), alignment, ret_zero);
}

/* ---- free ---------------------------------------------------------------------------------------------- */

/* A pointer that is no live block: what was it? */
static HK_COLD enum hk_misuse front_diagnose(const void *pointer)
{
	unsigned kind = hk_pagemap_kind(pointer);
	if (kind != HK_KIND_NONE || hk_large_contains(pointer))
		return HK_MISUSE_INTERIOR;
	if (hk_pagemap_superslab(pointer) == NULL)
		return HK_MISUSE_FOREIGN;
	/* in a SuperSlab, in a slice without a slab: inside a mid block, or freed before */
	const struct hk_slab *run = hk_slab_of(pointer);
	return run->state == HK_SLAB_MID ? HK_MISUSE_INTERIOR : HK_MISUSE_DOUBLE;
}

void hk_front_free(const char *function, void *pointer)
{
	unsigned kind = hk_pagemap_kind(pointer);
	if (HK_LIKELY(hk_kind_class(kind) < HK_CLASSES))
		hk_thread_give(hk_kind_class(kind), pointer);
	else if (kind == HK_KIND_MID ? !hk_mid_free(pointer) : kind == HK_KIND_LARGE ? !hk_large_free(pointer) : true)
		hk_misuse(function, pointer, front_diagnose(pointer));
	front_poke();
}

void hk_free_rest(void *pointer)
{
	if (pointer == NULL)
		return;
	hk_fork_notice();
	if (HK_UNLIKELY(hk_options.check))
		hk_check_free("free", pointer);
	else
		hk_front_free("free", pointer);
}

/* NULL is most of what comes here. */
void hk_free_far(void *pointer)
{
	if (pointer != NULL && !hk_hot_push(hk_pagemap_kind(pointer), pointer))
		hk_free_rest(pointer);
}

/* ---- the rest ------------------------------------------------------------------------------------------ */

size_t hk_front_usable(const char *function, const void *pointer)
{
	unsigned kind = hk_pagemap_kind(pointer);
	if (HK_LIKELY(hk_kind_class(kind) < HK_CLASSES))
		return hk_class_info[hk_kind_class(kind)].block_bytes;
	size_t bytes = kind == HK_KIND_MID ? hk_mid_usable(pointer) : kind == HK_KIND_LARGE ? hk_large_usable(pointer) : 0;
	if (HK_UNLIKELY(bytes == 0))
		hk_misuse(function, pointer, front_diagnose(pointer));
	return bytes;
}

size_t hk_usable(const char *function, const void *pointer)
{
	return HK_UNLIKELY(hk_options.check) ? hk_check_usable(function, pointer) : hk_front_usable(function, pointer);
}

/* A block of `old_bytes` serves fewer in place, unless it would waste more than an eighth: then it moves, as redis,
 * say, trims each value that way. */
static bool front_keeps(size_t old_bytes, size_t bytes)
{
	return bytes <= old_bytes && bytes >= old_bytes - old_bytes / 8;
}

/* Can a request of one class have got a block of another: its own, or one that was lent? */
static bool front_may_serve(unsigned class_idx, unsigned wanted)
{
	return class_idx == wanted || (wanted < HK_CLASSES && class_idx == hk_loan_lender(wanted));
}

bool hk_fits(const char *function, const void *pointer, size_t alignment, size_t bytes)
{
	unsigned kind = hk_pagemap_kind(pointer);
	size_t usable = hk_usable(function, pointer);
	if (hk_options.check && usable != hk_front_usable(function, pointer)) /* else it is older than the option */
		return bytes == usable;
	if (kind == HK_KIND_MID)
		return bytes <= HK_MID_BYTES && hk_round_up(HK_MAX(bytes, HK_TINY_BYTES + 1), HK_PAGE_BYTES) == usable;
	if (hk_kind_class(kind) < HK_CLASSES)
		return front_keeps(usable, bytes) ||
		       front_may_serve(hk_kind_class(kind), hk_class_of_aligned(bytes, alignment));
	return bytes <= usable;
}

/* Would a request for `bytes` get a block of this size as well, on loan? */
static bool front_borrowed(size_t block_bytes, size_t bytes)
{
	return bytes <= block_bytes && hk_loan_lender(hk_class_of(bytes)) == hk_class_of(block_bytes) &&
	       hk_loan_open(hk_class_of(bytes));
}

/* Resize without a copy where the pool can; NULL where the caller must copy. */
static void *front_resize(void *pointer, size_t old_bytes, size_t bytes)
{
	switch (hk_pagemap_kind(pointer)) {
	case HK_KIND_MID:
		hk_fork_notice();
		return hk_mid_resize(pointer, bytes) ? pointer : NULL;
	case HK_KIND_LARGE:
		hk_fork_notice();
		return bytes > HK_MID_BYTES ? hk_large_resize(pointer, bytes) : NULL;
	default:
		return front_keeps(old_bytes, bytes) || front_borrowed(old_bytes, bytes) ? pointer : NULL;
	}
}

void *hk_realloc(void *pointer, size_t bytes)
{
	if (pointer == NULL)
		return hk_malloc(bytes);
	if (HK_UNLIKELY(hk_options.check))
		return hk_check_realloc(pointer, bytes);
	size_t old_bytes = hk_front_usable("realloc", pointer);
	if (bytes == 0) {
		hk_free(pointer);
		return NULL;
	}
	if (HK_UNLIKELY(bytes > PTRDIFF_MAX - HK_SUPERSLAB_BYTES))
		return front_no_memory();
	void *block = front_resize(pointer, old_bytes, bytes);
	if (block != NULL)
		return block;
	block = hk_malloc(bytes);
	if (block == NULL)
		return NULL;
	memcpy(block, pointer, HK_MIN(old_bytes, bytes));
	hk_free(pointer);
	return block;
}
