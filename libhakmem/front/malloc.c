/* SPDX-License-Identifier: MIT */
/* The malloc family by its libc names: what LD_PRELOAD interposes. */
#include "base/counters.h"
#include "base/log.h"
#include "caches/cold.h"
#include "front/fork.h"
#include "front/front.h"
#include "policy/flush.h"

#include <errno.h>
#include <malloc.h>
#include <stdio.h>
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

HK_EXPORT struct mallinfo2 mallinfo2(void)
{
	const struct hkp_stats *s = hk_stats();
	struct mallinfo2 info = {0};
	info.arena = s->superslabs * HK_SUPERSLAB_BYTES;
	info.ordblks = s->superslabs;
	info.hblks = s->large_bytes != 0;
	info.hblkhd = s->large_bytes;
	info.uordblks = s->used_bytes;
	info.fordblks = s->mapped_bytes > s->used_bytes ? s->mapped_bytes - s->used_bytes : 0;
	info.keepcost = hk_counters_releasable();
	return info;
}

static int malloc_clip(size_t n) /* struct mallinfo of old holds ints */
{
	return n > INT32_MAX ? INT32_MAX : (int)n;
}

HK_EXPORT struct mallinfo mallinfo(void)
{
	struct mallinfo2 wide = mallinfo2();
	struct mallinfo info = {0};
	info.arena = malloc_clip(wide.arena);
	info.ordblks = malloc_clip(wide.ordblks);
	info.hblks = malloc_clip(wide.hblks);
	info.hblkhd = malloc_clip(wide.hblkhd);
	info.uordblks = malloc_clip(wide.uordblks);
	info.fordblks = malloc_clip(wide.fordblks);
	info.keepcost = malloc_clip(wide.keepcost);
	return info;
}

HK_EXPORT void malloc_stats(void)
{
	const struct hkp_stats *s = hk_stats();
#define X(name, unit, help) hk_log("%s %lu%s%s", #name, (unsigned long)s->name, *(unit) ? " " : "", unit);
	HKP_STATS_GLOBALS(X)
#undef X
}

/* The root element has a version of its own, so that nobody takes this for glibc's layout. */
HK_EXPORT int malloc_info(int options, FILE *stream)
{
	struct hkp_stats_class classes[HK_CLASSES_ALL] = {{0}};
	const struct hkp_stats *s = hk_stats();
	if (options != 0) {
		errno = EINVAL;
		return -1;
	}
	hk_cold_publish(classes);
	fprintf(stream, "<malloc version=\"hakmem-1\">\n");
#define X(name, unit, help) fprintf(stream, "<" #name ">%lu</" #name ">\n", (unsigned long)s->name);
	HKP_STATS_GLOBALS(X)
#undef X
	for (unsigned c = 0; c < HK_CLASSES; c++)
		if (classes[c].slabs != 0)
			fprintf(stream, "<class size=\"%u\" used=\"%lu\" hot=\"%lu\" cold=\"%lu\" free=\"%lu\" slabs=\"%lu\"/>\n",
				hk_class_info[c].block_bytes, (unsigned long)classes[c].used,
				(unsigned long)classes[c].hot, (unsigned long)classes[c].cold,
				(unsigned long)classes[c].free, (unsigned long)classes[c].slabs);
	fprintf(stream, "</malloc>\n");
	return 0;
}
