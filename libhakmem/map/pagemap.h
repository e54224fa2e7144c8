/* SPDX-License-Identifier: MIT */
/*
 * The page map: what does an address belong to?
 *
 * A window covers 64 GiB: one byte per 64 KiB slice says what begins or lies there (the fast path of free reads no more
 * than that), one pointer per 2 MiB says whose it is.  The first window, `home`, is laid around the first memory that
 * the heap maps, and hardly any process has another: whether an address is in it is a comparison, and the byte's place
 * needs no table.  Other windows begin at multiples of 64 GiB and are found in a table.  Windows are mapped on first
 * use, never freed, and touched only where the heap is.  Flat, the same map would need a reservation that RLIMIT_AS and
 * strict overcommit forbid.
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
#define HK_PAGEMAP_WINDOW_SHIFT  36
#define HK_PAGEMAP_WINDOWS       (1u << (HK_PAGEMAP_ADDRESS_BITS - HK_PAGEMAP_WINDOW_SHIFT))
#define HK_PAGEMAP_WINDOW_SLICES ((uintptr_t)1 << (HK_PAGEMAP_WINDOW_SHIFT - HK_SLICE_SHIFT))

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

/* The kinds of a window's slices lie in front of it, in their order: behind the uppermost is `end_slice`, then its
 * region's owner.  The heap grows downwards from there, so what a small process has of both is on one OS page. */
struct hk_pagemap_window {
	uintptr_t end_slice;       /* number of the slice behind the last one, which ends a region; that of address 0 is 0 */
	_Atomic uintptr_t owner[]; /* of its 2 MiB regions, the uppermost first */
};

extern struct hk_pagemap_window *_Atomic hk_pagemap_home; /* one that covers nothing, until there is a heap */
extern struct hk_pagemap_window *_Atomic hk_pagemap_others[HK_PAGEMAP_WINDOWS];

static HK_ALWAYS uintptr_t hk_pagemap_slice(const void *pointer)
{
	return (uintptr_t)pointer >> HK_SLICE_SHIFT;
}

static HK_ALWAYS bool hk_pagemap_covers(const struct hk_pagemap_window *window, uintptr_t slice)
{
	return slice - window->end_slice >= -HK_PAGEMAP_WINDOW_SLICES;
}

/* The window that covers a slice, or NULL where nothing near it was ever ours. */
static HK_ALWAYS struct hk_pagemap_window *hk_pagemap_find(uintptr_t slice)
{
	/* consume order: a window was complete before it was published */
	struct hk_pagemap_window *home = atomic_load_explicit(&hk_pagemap_home, memory_order_relaxed);
	if (HK_LIKELY(hk_pagemap_covers(home, slice)))
		return home;
	uintptr_t index = slice / HK_PAGEMAP_WINDOW_SLICES;
	if (HK_UNLIKELY(index >= HK_PAGEMAP_WINDOWS))
		return NULL;
	return atomic_load_explicit(&hk_pagemap_others[index], memory_order_relaxed);
}

static HK_ALWAYS _Atomic uint8_t *hk_pagemap_kind_at(struct hk_pagemap_window *window, uintptr_t slice)
{
	return (_Atomic uint8_t *)window + (intptr_t)(slice - window->end_slice);
}

static HK_ALWAYS _Atomic uintptr_t *hk_pagemap_owner_at(struct hk_pagemap_window *window, uintptr_t slice)
{
	return &window->owner[(window->end_slice - 1 - slice) / HK_SLICES];
}

static HK_ALWAYS unsigned hk_pagemap_kind_in(struct hk_pagemap_window *window, uintptr_t slice)
{
	return atomic_load_explicit(hk_pagemap_kind_at(window, slice), memory_order_relaxed);
}

/* enum hk_kind of any address at all. */
static HK_ALWAYS unsigned hk_pagemap_kind(const void *pointer)
{
	uintptr_t slice = hk_pagemap_slice(pointer);
	struct hk_pagemap_window *window = hk_pagemap_find(slice);
	return HK_LIKELY(window != NULL) ? hk_pagemap_kind_in(window, slice) : HK_KIND_NONE;
}

/* Whose 2 MiB region this is: the record of a SuperSlab, or of a large block that begins there; 0 = nobody's. */
static HK_ALWAYS uintptr_t hk_pagemap_owner(const void *pointer)
{
	uintptr_t slice = hk_pagemap_slice(pointer);
	struct hk_pagemap_window *window = hk_pagemap_find(slice);
	if (HK_UNLIKELY(window == NULL))
		return 0;
	return atomic_load_explicit(hk_pagemap_owner_at(window, slice), memory_order_acquire);
}

/* The SuperSlab that an owner is, or NULL. */
static HK_ALWAYS struct hk_superslab *hk_pagemap_as_superslab(uintptr_t owner)
{
	return HK_LIKELY((intptr_t)owner > 0) ? (struct hk_superslab *)owner : NULL;
}

static HK_ALWAYS struct hk_superslab *hk_pagemap_superslab(const void *pointer)
{
	return hk_pagemap_as_superslab(hk_pagemap_owner(pointer));
}

/* The home window's owners, for loops that look up many and are to keep this in registers. */
struct hk_pagemap_view {
	_Atomic uintptr_t *owner;
	uintptr_t last_region;
};

static HK_ALWAYS struct hk_pagemap_view hk_pagemap_view_home(void)
{
	struct hk_pagemap_window *home = atomic_load_explicit(&hk_pagemap_home, memory_order_relaxed);
	return (struct hk_pagemap_view){home->owner, home->end_slice / HK_SLICES - 1};
}

/* hk_pagemap_owner(), out of line. */
uintptr_t hk_pagemap_owner_far(const void *pointer) HK_NOINLINE;

static HK_ALWAYS uintptr_t hk_pagemap_view_owner(const struct hk_pagemap_view *view, const void *pointer)
{
	uintptr_t back = view->last_region - ((uintptr_t)pointer >> HK_SUPERSLAB_SHIFT);
	if (HK_UNLIKELY(back >= HK_PAGEMAP_WINDOW_SLICES / HK_SLICES))
		return hk_pagemap_owner_far(pointer);
	return atomic_load_explicit(&view->owner[back], memory_order_acquire);
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
