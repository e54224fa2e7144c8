/* SPDX-License-Identifier: MIT */
/* Writing the page map: see pagemap.h. */
#include "map/pagemap.h"

#include "base/counters.h"
#include "os/pages.h"

/* The home window reaches so far above the first memory: the kernel maps downwards, but fills gaps. */
#define PAGEMAP_ABOVE_REGIONS 32u

/* Bytes in front of the kinds: the page that they end on has those of 96 regions, and 127 owners. */
#define PAGEMAP_FRONT_BYTES 3072u
#define PAGEMAP_KINDS_BYTES HK_PAGEMAP_WINDOW_SLICES
#define PAGEMAP_BYTES       (PAGEMAP_FRONT_BYTES + PAGEMAP_KINDS_BYTES + sizeof(struct hk_pagemap_window) + \
			     HK_PAGEMAP_WINDOW_SLICES / HK_SLICES * sizeof(uintptr_t))

static struct hk_pagemap_window pagemap_nothing; /* no slice is less than 0 */
struct hk_pagemap_window *_Atomic hk_pagemap_home = &pagemap_nothing;
struct hk_pagemap_window *_Atomic hk_pagemap_others[HK_PAGEMAP_WINDOWS] HK_PLACE_LAST;

/* Make sure that there is a window at `*place`, where `none` says that there is none yet. */
static bool pagemap_make(struct hk_pagemap_window *_Atomic *place, struct hk_pagemap_window *none, uintptr_t end_slice)
{
	const size_t bytes = hk_round_up(PAGEMAP_BYTES, HK_PAGE_BYTES);
	if (atomic_load_explicit(place, memory_order_acquire) != none)
		return true;
	char *base = hk_os_map(bytes, HK_PAGE_BYTES, "hakmem: page map");
	if (base == NULL)
		return false;
	struct hk_pagemap_window *window = (void *)(base + PAGEMAP_FRONT_BYTES + PAGEMAP_KINDS_BYTES);
	window->end_slice = end_slice;
	if (!atomic_compare_exchange_strong(place, &none, window))
		hk_os_unmap(base, bytes);
	return true;
}

bool hk_pagemap_cover(const void *base, size_t bytes)
{
	uintptr_t slice = hk_pagemap_slice(base), end = hk_pagemap_slice((const char *)base + bytes - 1) + 1;
	if (end > HK_PAGEMAP_WINDOWS * HK_PAGEMAP_WINDOW_SLICES)
		return false;
	uintptr_t home_end = hk_round_up(slice + 1, HK_SLICES) + PAGEMAP_ABOVE_REGIONS * HK_SLICES;
	if (!pagemap_make(&hk_pagemap_home, &pagemap_nothing, home_end))
		return false;
	const struct hk_pagemap_window *home = atomic_load_explicit(&hk_pagemap_home, memory_order_relaxed);
	while (slice < end) {
		uintptr_t index = slice / HK_PAGEMAP_WINDOW_SLICES, next = (index + 1) * HK_PAGEMAP_WINDOW_SLICES;
		if (hk_pagemap_covers(home, slice))
			next = home->end_slice;
		else if (!pagemap_make(&hk_pagemap_others[index], NULL, next))
			return false;
		slice = next;
	}
	return true;
}

uintptr_t hk_pagemap_owner_far(const void *pointer)
{
	return hk_pagemap_owner(pointer);
}

void hk_pagemap_set_owner(const void *base, uintptr_t owner)
{
	uintptr_t slice = hk_pagemap_slice(base);
	atomic_store_explicit(hk_pagemap_owner_at(hk_pagemap_find(slice), slice), owner, memory_order_release);
}

void hk_pagemap_set_kind(const void *base, unsigned n_slices, unsigned kind)
{
	uintptr_t slice = hk_pagemap_slice(base);
	_Atomic uint8_t *kinds = hk_pagemap_kind_at(hk_pagemap_find(slice), slice);
	for (unsigned i = 0; i < n_slices; i++)
		atomic_store_explicit(&kinds[i], (uint8_t)kind, memory_order_release);
}
