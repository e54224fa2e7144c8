/* SPDX-License-Identifier: MIT */
/*
 * The allocator as functions, before malloc.c gives it libc's names; unit tests call it by these.
 *
 * They follow the C standard and preserve errno on success; on failure they set it as the standard says.
 * The fast paths of malloc and free are inline and complete here: a class by arithmetic or by one byte of the
 * page map, and a move in the hot magazine.
 */
#ifndef HK_FRONT_FRONT_H
#define HK_FRONT_FRONT_H

#include "caches/hot.h"
#include "map/pagemap.h"

/* The rest of malloc: the magazine of the class is empty; or the request is more than 1 KiB. */
void *hk_malloc_empty(size_t bytes) HK_NOINLINE;
void *hk_malloc_rest(size_t bytes) HK_NOINLINE;

/* The rest of free: a full magazine, a mid or large block, NULL, or none of ours. */
void hk_free_rest(void *pointer) HK_NOINLINE;

/* All of free for an address outside of the page map's home window. */
void hk_free_far(void *pointer) HK_NOINLINE;

static HK_ALWAYS void *hk_malloc(size_t bytes)
{
	if (HK_UNLIKELY(bytes > HK_TINY_EXACT_BYTES))
		return hk_malloc_rest(bytes);
	/* hk_magazine_offset() of the class without the detour; of 0 bytes it is the magazine that has nothing */
	void *block = hk_hot_pop((bytes + 15) & ~(size_t)15);
	return HK_LIKELY(block != NULL) ? block : hk_malloc_empty(bytes);
}

static HK_ALWAYS void hk_free(void *pointer)
{
	uintptr_t slice = hk_pagemap_slice(pointer);
	struct hk_pagemap_window *home = atomic_load_explicit(&hk_pagemap_home, memory_order_relaxed);
	if (HK_UNLIKELY(!hk_pagemap_covers(home, slice)))
		hk_free_far(pointer);
	else if (HK_UNLIKELY(!hk_hot_push(hk_pagemap_kind_in(home, slice), pointer)))
		hk_free_rest(pointer);
}

void *hk_calloc(size_t count, size_t bytes);
void *hk_realloc(void *pointer, size_t bytes);

/* `alignment` is a power of two; NULL and ENOMEM without memory. */
void *hk_memalign(size_t alignment, size_t bytes);

/* Bytes of a live block that the program may use: constant while it lives.  `function` is for the message
 * where the pointer is none of ours. */
size_t hk_usable(const char *function, const void *pointer);

/* May a live block have been asked for with these?  HAKMEM_CHECK=1 knows; else a size wrong by more than an eighth
 * is found, up to 1 MiB, unless it is of a class that the block's lends to, and above that one larger than the block. */
bool hk_fits(const char *function, const void *pointer, size_t alignment, size_t bytes);

/* Below HAKMEM_CHECK=1: a block past the magazines, `*ret_zero` where it reads as zero; its free; its room. */
void *hk_front_new(size_t bytes, size_t alignment, bool *ret_zero);
void hk_front_free(const char *function, void *pointer);
size_t hk_front_usable(const char *function, const void *pointer);

#endif
