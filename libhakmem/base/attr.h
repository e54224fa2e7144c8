/* SPDX-License-Identifier: MIT */
/* Compiler attributes, assertions, and the sizes that everything else is built on. */
#ifndef HK_BASE_ATTR_H
#define HK_BASE_ATTR_H

#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HK_EXPORT      __attribute__((visibility("default")))
#define HK_COLD        __attribute__((cold, noinline))
#define HK_NOINLINE    __attribute__((noinline))
#define HK_ALWAYS      inline __attribute__((always_inline))
#define HK_ALIGNED(n)  __attribute__((aligned(n)))
#define HK_PRINTF(f, a) __attribute__((format(printf, f, a)))
#define HK_LIKELY(x)   __builtin_expect(!!(x), 1)
#define HK_UNLIKELY(x) __builtin_expect(!!(x), 0)
#define HK_MIN(a, b)   ((a) < (b) ? (a) : (b))
#define HK_MAX(a, b)   ((a) > (b) ? (a) : (b))
#define HK_COUNT(a)    (sizeof(a) / sizeof *(a))

/* The initial-exec model: a TLS variable costs one instruction and never calls malloc on first use. */
#define HK_TLS __thread __attribute__((tls_model("initial-exec")))

/* Built with ThreadSanitizer: gcc says it by a macro, clang by a feature. */
#if defined(__SANITIZE_THREAD__)
#define HK_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define HK_TSAN 1
#endif
#endif

/* A memcpy of few bytes.  The fortified one, which libc's headers make of it where they do not know the length, brings
 * 64 KiB of libc's text into the process that it needs for nothing else. */
static inline void hk_copy(char *to, const char *from, size_t n)
{
	for (size_t i = 0; i < n; i++)
		to[i] = from[i];
}

/* A field that its lock guards, but that others read without it, as a hint: neither side may be torn or repeated.
 * The same moves as without. */
#define HK_HINT(field)            __atomic_load_n(&(field), __ATOMIC_RELAXED)
#define HK_HINT_SET(field, value) __atomic_store_n(&(field), (value), __ATOMIC_RELAXED)

#define HK_CACHE_LINE 64u

/*
 * What the smallest process writes of the library's variables shall be one OS page: each variable has a section, and the
 * linker sorts them by name (local.mk).  First comes whatever is small, then the table of size classes, of which such a
 * process uses the first ones, then large tables that few processes need.
 */
#define HK_PLACE_SECOND __attribute__((section(".bss.zz1")))
#define HK_PLACE_LAST   __attribute__((section(".bss.zz2")))

/*
 * What the smallest process runs of the library's text stands together as well.  layout.ld takes the files that such a
 * process does not enter, and what is HK_COLD, out of it; HK_USUAL is for the functions of these files that it runs all
 * the same, HK_SELDOM for those of other files that no small process runs, but which are to be fast where they run.
 */
#define HK_USUAL  __attribute__((section(".text.usual")))
#define HK_SELDOM __attribute__((noinline, section(".text.unlikely.seldom")))

/* The OS page that the accounting counts in.  A kernel with larger pages refuses the smaller purges, and
 * what madvise refused is never counted as returned. */
#define HK_PAGE_SHIFT 12
#define HK_PAGE_BYTES (1u << HK_PAGE_SHIFT)

#define HK_SLICE_SHIFT     16
#define HK_SLICE_BYTES     (1u << HK_SLICE_SHIFT) /* a slab is a run of these */
#define HK_SLICE_PAGES     (HK_SLICE_BYTES / HK_PAGE_BYTES)
#define HK_SUPERSLAB_SHIFT 21
#define HK_SUPERSLAB_BYTES (1u << HK_SUPERSLAB_SHIFT)
#define HK_SLICES          (HK_SUPERSLAB_BYTES / HK_SLICE_BYTES)

_Static_assert(HK_SLICE_PAGES == 16, "per-slice page masks are 16 bits wide");
_Static_assert(HK_SLICES == 32, "per-SuperSlab slice masks are 32 bits wide");

#ifdef HK_DEBUG
void hk_assert_failed(const char *expression, const char *file, int line) __attribute__((noreturn));
#define HK_ASSERT(x) (HK_LIKELY(x) ? (void)0 : hk_assert_failed(#x, __FILE__, __LINE__))
#else
#define HK_ASSERT(x) ((void)sizeof(x))
#endif

static inline size_t hk_round_up(size_t n, size_t to) /* `to` is a power of two; the caller excludes overflow */
{
	return (n + to - 1) & ~(to - 1);
}

#endif
