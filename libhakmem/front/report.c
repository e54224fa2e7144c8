/* SPDX-License-Identifier: MIT */
/* The malloc family's reports by their libc names. */
#include "base/counters.h"
#include "base/log.h"
#include "caches/cold.h"

#include <errno.h>
#include <malloc.h>
#include <stdio.h>

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
