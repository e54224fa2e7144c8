/* SPDX-License-Identifier: MIT */
/*
 * HAKMEM_CHECK=1: what a program does wrong with its blocks is found at once, or soon, and said in one line.
 *
 * Why a layer of its own: threads get no magazines in this mode (caches/thread.c), so every request misses its
 * fast path and comes here; the default mode pays nothing for it.
 *
 * What it adds, and what it costs: see check.c.
 */
#ifndef HK_FRONT_CHECK_H
#define HK_FRONT_CHECK_H

#include "base/lock.h"

/* A block of exactly `bytes`, NULL and ENOMEM without memory.  `*ret_zero` (unless NULL): it reads as zero. */
void *hk_check_new(size_t bytes, size_t alignment, bool *ret_zero);

/* `function` is what the program called, for the message; the pointer is not NULL. */
void hk_check_free(const char *function, void *pointer);

/* Bytes as asked for: neither more nor less may be used. */
size_t hk_check_usable(const char *function, const void *pointer);

/* The block always moves, so that pointers kept to the old one are found out. */
void *hk_check_realloc(void *pointer, size_t bytes);

struct hk_lock *hk_check_lock(void); /* for fork */

#endif
