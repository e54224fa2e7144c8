/* SPDX-License-Identifier: MIT */
/*
 * The page map: what does an address belong to?
 *
 * Two levels over the addresses that a program can have.  A leaf covers 64 GiB: one byte per 64 KiB slice says what
 * begins or lies there (the fast path of free reads no more than that), one pointer per 2 MiB says whose it is.
 * Leaves are mapped on first use, never freed, and touched only where the heap is.  Flat, the same map would need
 * a reservation that RLIMIT_AS and strict overcommit forbid.
 *
 * Readers take no lock: an entry of a live block cannot change under its owner.  Writers own the slices they
 * write about.  Entries are cleared before the memory is unmapped.
 */
#ifndef HK_MAP_PAGEMAP_H
#define HK_MAP_PAGEMAP_H

#include "map/classes.h"

#include <stdatomic.h>

#ifdef __x86_64__
#define HK_PAGEMAP_ADDRESS_BITS 47
#else
#define HK_PAGEMAP_ADDRESS_BITS 48
#endif
#define HK_PAGEMAP_LEAF_SHIFT   36
#define HK_PAGEMAP_LEAVES       (1u << (HK_PAGEMAP_ADDRESS_BITS - HK_PAGEMAP_LEAF_SHIFT))
#define HK_PAGEMAP_LEAF_SLICES  (1u << (HK_PAGEMAP_LEAF_SHIFT - HK_SLICE_SHIFT))
#define HK_PAGEMAP_LEAF_REGIONS (1u << (HK_PAGEMAP_LEAF_SHIFT - HK_SUPERSLAB_SHIFT))

/*
 * What a slice is: a byte, and even, so that on the way of free it is the scaled index of a thread's magazine.
 * The magazines of classes stand in their order, so that malloc needs no table to find one either.
 */
#define HK_KIND_STEP 2u
enum hk_kind {
	HK_KIND_NONE = 0,           /* not ours, or nothing is allocated there */
	HK_KIND_SLAB = HK_KIND_STEP, /* a slab of class 0; up to HK_CLASSES_ALL of them */
	HK_KIND_MID = HK_KIND_SLAB + HK_KIND_STEP * HK_CLASSES_ALL, /* the first slice of a mid block */
	HK_KIND_LARGE = HK_KIND_MID + HK_KIND_STEP,                 /* the first slice of a large block */
	HK_KIND_END = HK_KIND_LARGE + HK_KIND_STEP,
};
_Static_assert(HK_KIND_END <= UINT8_MAX, "a kind is a byte");

static HK_ALWAYS unsigned hk_kind_of_class(unsigned class_idx)
{
	return HK_KIND_SLAB + HK_KIND_STEP * class_idx;
}

/* The class whose slabs are of this kind; HK_CLASSES_ALL or more where it is another kind. */
static HK_ALWAYS unsigned hk_kind_class(unsigned kind)
{
	return (kind - HK_KIND_SLAB) / HK_KIND_STEP;
}

/* A region's owner is the address of its record, with the sign bit for a large block's: one comparison tells a
 * SuperSlab's from that and from nobody's. */
#define HK_OWNER_LARGE ((uintptr_t)1 << 63)

struct hk_superslab;
struct hk_large;

struct hk_pagemap_leaf {
	_Atomic uint8_t kind[HK_PAGEMAP_LEAF_SLICES];
	_Atomic uintptr_t owner[HK_PAGEMAP_LEAF_REGIONS];
};

/* The kernel maps from the top down, beginning somewhere in the uppermost TiB (28 random bits in a page's number): the
 * root's last entries stand apart, where they take no page of their own. */
#define HK_PAGEMAP_TOP 16u
extern struct hk_pagemap_leaf *_Atomic hk_pagemap_top[HK_PAGEMAP_TOP];
extern struct hk_pagemap_leaf *_Atomic hk_pagemap_root[HK_PAGEMAP_LEAVES - HK_PAGEMAP_TOP];

static HK_ALWAYS struct hk_pagemap_leaf *hk_pagemap_leaf(uintptr_t address)
{
	uintptr_t index = address >> HK_PAGEMAP_LEAF_SHIFT, top = index - (HK_PAGEMAP_LEAVES - HK_PAGEMAP_TOP);
	/* consume order: the leaf was zeroed and complete before it was published */
	if (HK_LIKELY(top < HK_PAGEMAP_TOP))
		return atomic_load_explicit(&hk_pagemap_top[top], memory_order_relaxed);
	if (HK_UNLIKELY(index >= HK_PAGEMAP_LEAVES))
		return NULL;
	return atomic_load_explicit(&hk_pagemap_root[index], memory_order_relaxed);
}

static HK_ALWAYS unsigned hk_pagemap_leaf_kind(const struct hk_pagemap_leaf *leaf, uintptr_t address)
{
	return atomic_load_explicit(&leaf->kind[(address >> HK_SLICE_SHIFT) % HK_PAGEMAP_LEAF_SLICES],
				    memory_order_relaxed);
}

/* enum hk_kind of any address at all. */
static HK_ALWAYS unsigned hk_pagemap_kind(const void *pointer)
{
	const struct hk_pagemap_leaf *leaf = hk_pagemap_leaf((uintptr_t)pointer);
	return HK_LIKELY(leaf != NULL) ? hk_pagemap_leaf_kind(leaf, (uintptr_t)pointer) : HK_KIND_NONE;
}

/* Whose 2 MiB region this is: the record of a SuperSlab, or of a large block that begins there, or NULL.  Only for
 * an address whose leaf there is, as for anything that was ever ours. */
static HK_ALWAYS uintptr_t hk_pagemap_owner(const void *pointer)
{
	uintptr_t address = (uintptr_t)pointer;
	struct hk_pagemap_leaf *leaf = hk_pagemap_leaf(address);
	return atomic_load_explicit(&leaf->owner[(address >> HK_SUPERSLAB_SHIFT) % HK_PAGEMAP_LEAF_REGIONS],
				    memory_order_acquire);
}

static HK_ALWAYS struct hk_superslab *hk_pagemap_superslab(const void *pointer)
{
	uintptr_t owner = hk_pagemap_owner(pointer);
	return HK_LIKELY((intptr_t)owner > 0) ? (struct hk_superslab *)owner : NULL;
}

static inline struct hk_large *hk_pagemap_large(const void *pointer)
{
	uintptr_t owner = hk_pagemap_owner(pointer);
	return (owner & HK_OWNER_LARGE) != 0 ? (struct hk_large *)(owner & ~HK_OWNER_LARGE) : NULL;
}

/* Make sure that the map covers [base, base + bytes); false without memory or beyond 48 bits. */
bool hk_pagemap_cover(const void *base, size_t bytes);

/* Set the owner of the region that begins at `base`; covered before.  0 = nobody. */
void hk_pagemap_set_owner(const void *base, uintptr_t owner);

/* Set the kind of `n_slices` slices from `base` on; they lie in one SuperSlab or are one slice. */
void hk_pagemap_set_kind(const void *base, unsigned n_slices, unsigned kind);

#endif
