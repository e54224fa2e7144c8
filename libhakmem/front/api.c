/* SPDX-License-Identifier: MIT */
/* The hak_* functions: see hakmem.h. */
#include "hakmem.h"

#include "front/fork.h"
#include "map/classes.h"
#include "policy/flush.h"

#define API_STRING(x)  #x
#define API_VERSION(a, b, c) API_STRING(a) "." API_STRING(b) "." API_STRING(c)

HK_EXPORT size_t hak_flush(int level, size_t target_bytes, struct hak_report *report)
{
	hk_fork_notice();
	unsigned depth = level < HAK_LEVEL_COLD ? HAK_LEVEL_COLD : HK_MIN((unsigned)level, HAK_LEVEL_EVERYTHING);
	return hk_flush_run(depth, target_bytes, UINT64_MAX, report);
}

HK_EXPORT size_t hak_tiny_magazine_flush(int class_idx)
{
	hk_fork_notice();
	return class_idx >= 0 ? hk_flush_class((unsigned)class_idx) : 0;
}

HK_EXPORT size_t hak_tiny_magazine_flush_all(void)
{
	hk_fork_notice();
	return hk_flush_run(HAK_LEVEL_CACHES, HAK_TARGET_ALL, UINT64_MAX, NULL);
}

HK_EXPORT const char *hak_version(void)
{
	return API_VERSION(HAKMEM_VERSION_MAJOR, HAKMEM_VERSION_MINOR, HAKMEM_VERSION_PATCH);
}
