/* SPDX-License-Identifier: MIT */
/*
 * family.h: the functions that this libc may lack, and hakmem's own, looked up at run time.
 *
 * Why: the same program runs on glibc's malloc, on a peer and on libhakmem, so none of these may be linked.
 */
#ifndef TESTS_API_FAMILY_H
#define TESTS_API_FAMILY_H

#include <dlfcn.h>
#include <stddef.h>

struct family {
	void (*free_sized)(void *p, size_t size);
	void (*free_aligned_sized)(void *p, size_t alignment, size_t size);
	size_t (*hak_flush)(int level, size_t target, void *report);
	size_t (*hak_tiny_magazine_flush)(int class_idx);
	size_t (*hak_tiny_magazine_flush_all)(void);
};

/* A function pointer out of dlsym's data pointer, the way POSIX wants it done. */
#define FAMILY_FIND(member, name) (*(void **)&(member) = dlsym(RTLD_DEFAULT, name))

static inline void family_find(struct family *family)
{
	FAMILY_FIND(family->free_sized, "free_sized");
	FAMILY_FIND(family->free_aligned_sized, "free_aligned_sized");
	FAMILY_FIND(family->hak_flush, "hak_flush");
	FAMILY_FIND(family->hak_tiny_magazine_flush, "hak_tiny_magazine_flush");
	FAMILY_FIND(family->hak_tiny_magazine_flush_all, "hak_tiny_magazine_flush_all");
}

#endif
