/* SPDX-License-Identifier: MIT */
/* Writing the page map: see pagemap.h. */
#include "map/pagemap.h"

#include "base/counters.h"
#include "os/pages.h"

struct hk_pagemap_leaf *_Atomic hk_pagemap_top[HK_PAGEMAP_TOP];
struct hk_pagemap_leaf *_Atomic hk_pagemap_root[HK_PAGEMAP_LEAVES - HK_PAGEMAP_TOP] HK_PLACE_LAST;

static bool pagemap_cover_leaf(struct hk_pagemap_leaf *_Atomic *entry)
{
	struct hk_pagemap_leaf *expected = NULL;
	if (atomic_load_explicit(entry, memory_order_acquire) != NULL)
		return true;
	struct hk_pagemap_leaf *leaf = hk_os_map(hk_round_up(sizeof *leaf, HK_PAGE_BYTES), HK_PAGE_BYTES, "hakmem: page map");
	if (leaf == NULL)
		return false;
	if (!atomic_compare_exchange_strong(entry, &expected, leaf))
		hk_os_unmap(leaf, hk_round_up(sizeof *leaf, HK_PAGE_BYTES));
	return true;
}

bool hk_pagemap_cover(const void *base, size_t bytes)
{
	uintptr_t first = (uintptr_t)base >> HK_PAGEMAP_LEAF_SHIFT;
	uintptr_t last = ((uintptr_t)base + bytes - 1) >> HK_PAGEMAP_LEAF_SHIFT;
	if (last >= HK_PAGEMAP_LEAVES)
		return false;
	for (uintptr_t i = first; i <= last; i++) {
		bool below = i < HK_COUNT(hk_pagemap_root);
		if (!pagemap_cover_leaf(below ? &hk_pagemap_root[i] : &hk_pagemap_top[i - HK_COUNT(hk_pagemap_root)]))
			return false;
	}
	return true;
}

void hk_pagemap_set_owner(const void *base, uintptr_t owner)
{
	struct hk_pagemap_leaf *leaf = hk_pagemap_leaf((uintptr_t)base);
	uintptr_t index = ((uintptr_t)base >> HK_SUPERSLAB_SHIFT) % HK_PAGEMAP_LEAF_REGIONS;
	atomic_store_explicit(&leaf->owner[index], owner, memory_order_release);
}

void hk_pagemap_set_kind(const void *base, unsigned n_slices, unsigned kind)
{
	struct hk_pagemap_leaf *leaf = hk_pagemap_leaf((uintptr_t)base);
	uintptr_t index = ((uintptr_t)base >> HK_SLICE_SHIFT) % HK_PAGEMAP_LEAF_SLICES;
	for (unsigned i = 0; i < n_slices; i++)
		atomic_store_explicit(&leaf->kind[index + i], (uint8_t)kind, memory_order_release);
}
