/* SPDX-License-Identifier: MIT */
/* The malloc family by its libc names: what LD_PRELOAD interposes. */
#include "base/log.h"
#include "front/fork.h"
#include "front/front.h"
#include "policy/flush.h"

#include <errno.h>
#include <malloc.h>
#include <stdlib.h>

/* C23; glibc 2.36 does not declare them. */
void free_sized(void *pointer, size_t bytes);
void free_aligned_sized(void *pointer, size_t alignment, size_t bytes);

HK_EXPORT void *malloc(size_t bytes)
{
	return hk_malloc(bytes);
}

HK_EXPORT void free(void *pointer)
{
	hk_free(pointer);
}

HK_EXPORT void *calloc(size_t count, size_t bytes)
{
	return hk_calloc(count, bytes);
}

HK_EXPORT void *realloc(void *pointer, size_t bytes)
{
	return hk_realloc(pointer, bytes);
}

HK_EXPORT void *reallocarray(void *pointer, size_t count, size_t bytes)
{
	size_t total;
	if (__builtin_mul_overflow(count, bytes, &total)) {
		errno = ENOMEM;
		return NULL;
	}
	return hk_realloc(pointer, total);
}

static bool malloc_is_power_of_two(size_t n)
{
	return n != 0 && (n & (n - 1)) == 0;
}

static void *malloc_aligned(size_t alignment, size_t bytes)
{
	if (!malloc_is_power_of_two(alignment)) {
		errno = EINVAL;
		return NULL;
	}
	return hk_memalign(alignment, bytes);
}

/* glibc's memalign rounds an alignment that is no power of two up to the next one. */
HK_EXPORT void *memalign(size_t alignment, size_t bytes)
{
	if (alignment > SIZE_MAX / 2 + 1) {
		errno = EINVAL;
		return NULL;
	}
	while (!malloc_is_power_of_two(alignment))
		alignment = alignment == 0 ? 1 : (alignment | (alignment - 1)) + 1;
	return hk_memalign(alignment, bytes);
}

HK_EXPORT void *aligned_alloc(size_t alignment, size_t bytes)
{
	return malloc_aligned(alignment, bytes);
}

HK_EXPORT int posix_memalign(void **ret_pointer, size_t alignment, size_t bytes)
{
	int saved = errno; /* the result says it; errno stays as it was */
	if (!malloc_is_power_of_two(alignment) || alignment % sizeof(void *) != 0)
		return EINVAL;
	void *block = hk_memalign(alignment, bytes);
	errno = saved;
	if (block == NULL)
		return ENOMEM;
	*ret_pointer = block;
	return 0;
}

HK_EXPORT void *valloc(size_t bytes)
{
	return hk_memalign(HK_PAGE_BYTES, bytes);
}

HK_EXPORT void *pvalloc(size_t bytes)
{
	if (bytes > PTRDIFF_MAX - HK_PAGE_BYTES) {
		errno = ENOMEM;
		return NULL;
	}
	return hk_memalign(HK_PAGE_BYTES, hk_round_up(HK_MAX(bytes, 1u), HK_PAGE_BYTES));
}

HK_EXPORT size_t malloc_usable_size(void *pointer)
{
	return pointer != NULL ? hk_usable("malloc_usable_size", pointer) : 0;
}

static void malloc_check_size(const char *function, void *pointer, size_t alignment, size_t bytes)
{
	if (pointer != NULL && !hk_fits(function, pointer, alignment, bytes))
		hk_fatal("%s(): %lu bytes is not the size of the block at %lx", function, (unsigned long)bytes,
			 (unsigned long)pointer);
}

HK_EXPORT void free_sized(void *pointer, size_t bytes)
{
	malloc_check_size("free_sized", pointer, 1, bytes);
	hk_free(pointer);
}

HK_EXPORT void free_aligned_sized(void *pointer, size_t alignment, size_t bytes)
{
	if (pointer != NULL && (!malloc_is_power_of_two(alignment) || ((uintptr_t)pointer & (alignment - 1)) != 0))
		hk_fatal("free_aligned_sized(): the block at %lx is not aligned to %lu bytes", (unsigned long)pointer,
			 (unsigned long)alignment);
	malloc_check_size("free_aligned_sized", pointer, alignment, bytes);
	hk_free(pointer);
}

/* Whatever is free goes back, of all threads; `pad` is glibc's and means nothing here.  1 = memory went back. */
HK_EXPORT int malloc_trim(size_t pad)
{
	(void)pad;
	hk_fork_notice();
	return hk_flush_run(HAK_LEVEL_PAGES, HAK_TARGET_ALL, UINT64_MAX, NULL) != 0;
}
