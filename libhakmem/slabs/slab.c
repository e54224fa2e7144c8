/* SPDX-License-Identifier: MIT */
/* Blocks in and out of slabs: see slab.h. */
#include "slabs/slab.h"

#include "base/bits.h"
#include "base/counters.h"
#include "base/point.h"
#include "os/pages.h"

/* A class with this many slabs is growing in earnest: new ones are populated in one go, 64 KiB at a time
 * instead of a fault for each OS page.  Below that a process at rest would show it. */
#define SLAB_POPULATE_FROM 16

/* Classes that ever had a slab; bits are only ever set. */
static _Atomic uint64_t slab_classes[(HK_CLASSES_ALL + 63) / 64];

unsigned hk_slabs_next_class(unsigned class_idx)
{
	for (unsigned word = class_idx / 64; word < HK_COUNT(slab_classes); word++) {
		uint64_t bits = atomic_load_explicit(&slab_classes[word], memory_order_relaxed);
		bits &= word == class_idx / 64 ? ~(uint64_t)0 << class_idx % 64 : ~(uint64_t)0;
		if (bits != 0)
			return word * 64 + hk_ctz64(bits);
	}
	return HK_CLASSES_ALL;
}

static unsigned slab_n_blocks(const struct hk_slab *slab)
{
	return hk_class_info[slab->class_idx].n_blocks;
}

static inline unsigned slab_available(const struct hk_slab *slab)
{
	return slab->n_free + slab_n_blocks(slab) - slab->top;
}

static unsigned slab_bin(const struct hk_slab *slab)
{
	unsigned available = slab_available(slab), quarter = hk_class_info[slab->class_idx].quarter;
	if (available == 0)
		return HK_BIN_NONE;
	return (available > quarter) + (available > 2 * quarter) + (available > 3 * quarter);
}

static void slab_unlist(struct hk_slabs *slabs, struct hk_slab *slab)
{
	if (slab->bin == HK_BIN_NONE)
		return;
	if (slab->prev != NULL)
		slab->prev->next = slab->next;
	else
		slabs->bins[slab->bin] = slab->next;
	if (slab->next != NULL)
		slab->next->prev = slab->prev;
	slab->bin = HK_BIN_NONE;
}

static void slab_list(struct hk_slabs *slabs, struct hk_slab *slab)
{
	unsigned bin = slab_bin(slab), quarter = hk_class_info[slab->class_idx].quarter;
	/* free blocks at which it leaves this bin upwards, less those beyond `top`; and those at which it is empty */
	unsigned limit = bin == HK_BIN_NONE ? 0 : (bin + 1) * quarter, beyond = slab_n_blocks(slab) - slab->top;
	slab->settle_at = HK_MIN(slab->top, limit >= beyond ? limit - beyond + 1 : 0);
	if (bin == slab->bin)
		return;
	slab_unlist(slabs, slab);
	slab->bin = (uint8_t)bin;
	if (bin == HK_BIN_NONE)
		return;
	slab->prev = NULL;
	slab->next = slabs->bins[bin];
	if (slab->next != NULL)
		slab->next->prev = slab;
	slabs->bins[bin] = slab;
}

/* ---- pages: touched and holes -------------------------------------------------------------------------- */

/* Pages first..last of a slab are handed out: touched, and no holes. */
static void slab_pages_taken(struct hk_slab *slab, unsigned first_page, unsigned last_page)
{
	struct hk_superslab *superslab = slab->superslab;
	unsigned slice = hk_slab_slice(slab);
	for (unsigned page = first_page; page <= last_page;) {
		unsigned i = slice + page / HK_SLICE_PAGES, bit = page % HK_SLICE_PAGES;
		unsigned count = HK_MIN(last_page - page + 1, HK_SLICE_PAGES - bit);
		uint16_t mask = (uint16_t)hk_mask32(bit, count);
		superslab->touched[i] |= mask;
		if (HK_UNLIKELY((superslab->hole[i] & mask) != 0)) {
			unsigned closed = hk_popcount64(superslab->hole[i] & mask);
			superslab->hole[i] &= (uint16_t)~mask;
			HK_HINT_SET(slab->n_holes, (uint16_t)(slab->n_holes - closed));
			hk_count_private(hole_pages, -(int64_t)closed);
		}
		page += count;
	}
}

static void slab_blocks_taken(struct hk_slab *slab, unsigned first, unsigned last)
{
	uint32_t block_bytes = hk_class_info[slab->class_idx].block_bytes;
	slab_pages_taken(slab, first * block_bytes >> HK_PAGE_SHIFT,
			 ((last + 1) * block_bytes - 1) >> HK_PAGE_SHIFT);
}

/* First and last block that lie on a page, in part at least. */
static void slab_page_blocks(const struct hk_slab *slab, unsigned page, unsigned *ret_first, unsigned *ret_last)
{
	const struct hk_class_info *info = &hk_class_info[slab->class_idx];
	*ret_first = page * HK_PAGE_BYTES / info->block_bytes;
	*ret_last = HK_MIN((page * HK_PAGE_BYTES + HK_PAGE_BYTES - 1) / info->block_bytes, info->n_blocks - 1u);
}

static void slab_note_hole(struct hk_slab *slab, unsigned page)
{
	unsigned first, last, i = hk_slab_slice(slab) + page / HK_SLICE_PAGES;
	uint16_t bit = (uint16_t)(1u << page % HK_SLICE_PAGES);
	if ((slab->superslab->touched[i] & bit) == 0 || (slab->superslab->hole[i] & bit) != 0)
		return;
	slab_page_blocks(slab, page, &first, &last);
	if (last >= slab->top || !hk_bitmap_all(slab->bitmap, first, last))
		return;
	slab->superslab->hole[i] |= bit;
	HK_HINT_SET(slab->n_holes, (uint16_t)(slab->n_holes + 1));
	hk_count_private(hole_pages, 1);
}

/* Bits `mask` of a bitmap word were set: which pages are wholly free now? */
static HK_NOINLINE void slab_note_freed(struct hk_slab *slab, unsigned word, uint64_t mask)
{
	uint32_t block_bytes = hk_class_info[slab->class_idx].block_bytes;
	unsigned first = word * 64 + hk_ctz64(mask), last = word * 64 + 63 - hk_clz64(mask);
	unsigned last_page = ((last + 1) * block_bytes - 1) >> HK_PAGE_SHIFT;
	for (unsigned page = first * block_bytes >> HK_PAGE_SHIFT; page <= last_page; page++)
		slab_note_hole(slab, page);
}

/* With 64 blocks of at most 32 bytes (a power of two) a word lies on one page: of class 0 and 1 only a full word
 * (`bits`) can have freed one. */
static inline bool slab_may_free_page(unsigned class_idx, uint64_t bits)
{
	return class_idx > 1 || HK_UNLIKELY(bits == ~(uint64_t)0);
}

/* All blocks are free: its pages stop being holes of a slab. */
static void slab_forget_holes(struct hk_slab *slab)
{
	for (unsigned i = 0; i < slab->n_slices; i++)
		slab->superslab->hole[hk_slab_slice(slab) + i] = 0;
	hk_count_private(hole_pages, -(int64_t)slab->n_holes);
	HK_HINT_SET(slab->n_holes, 0);
}

/* ---- taking -------------------------------------------------------------------------------------------- */

/* Up to `want` lowest set bits of a word. */
static uint64_t slab_lowest(uint64_t bits, unsigned want)
{
	uint64_t rest = bits;
	if (hk_popcount64(bits) <= want)
		return bits;
	for (; want != 0; want--)
		rest &= rest - 1;
	return bits & ~rest;
}

static unsigned slab_take_free(struct hk_slab *slab, void **out, unsigned want)
{
	uint32_t block_bytes = hk_class_info[slab->class_idx].block_bytes;
	unsigned n = 0, word = slab->low_word;
	while (n < want && slab->n_free != 0) {
		uint64_t bits = HK_HINT(slab->bitmap[word]);
		if (bits == 0) {
			word++;
			continue;
		}
		uint64_t taken = slab_lowest(bits, want - n);
		HK_HINT_SET(slab->bitmap[word], bits & ~taken);
		HK_HINT_SET(slab->n_free, slab->n_free - hk_popcount64(taken));
		slab_blocks_taken(slab, word * 64 + hk_ctz64(taken), word * 64 + 63 - hk_clz64(taken));
		for (char *base = slab->base + (size_t)word * 64 * block_bytes; taken != 0; taken &= taken - 1)
			out[n++] = base + (size_t)hk_ctz64(taken) * block_bytes;
	}
	slab->low_word = (uint16_t)word;
	return n;
}

static unsigned slab_take_new(struct hk_slab *slab, void **out, unsigned want)
{
	uint32_t block_bytes = hk_class_info[slab->class_idx].block_bytes;
	unsigned n = HK_MIN(want, slab_n_blocks(slab) - slab->top);
	if (n == 0)
		return 0;
	char *block = slab->base + (size_t)slab->top * block_bytes;
	for (unsigned i = 0; i < n; i++, block += block_bytes)
		out[i] = block;
	slab_blocks_taken(slab, slab->top, slab->top + n - 1);
	HK_HINT_SET(slab->top, slab->top + n);
	return n;
}

unsigned hk_slabs_take(struct hk_slabs *slabs, void **out, unsigned want)
{
	unsigned n = 0, bin = 0;
	while (n < want) {
		while (bin < HK_BINS && slabs->bins[bin] == NULL)
			bin++;
		if (bin == HK_BINS)
			break;
		struct hk_slab *slab = slabs->bins[bin];
		HK_HINT_SET(slabs->n_empty, slabs->n_empty - (slab->n_free == slab->top));
		n += slab_take_free(slab, out + n, want - n);
		n += slab_take_new(slab, out + n, want - n);
		slab_list(slabs, slab);
	}
	HK_POINT(slabs_half_taken);
	slabs->n_free -= n;
	return n;
}

/* ---- giving -------------------------------------------------------------------------------------------- */

void hk_slabs_settle(struct hk_slabs *slabs, struct hk_slab *slab, struct hk_slab **ret_empty)
{
	if (HK_LIKELY(slab->n_free != slab->top)) {
		slab_list(slabs, slab);
		return;
	}
	slab_unlist(slabs, slab);
	if (slabs->n_empty == 0) {
		HK_HINT_SET(slabs->n_empty, 1);
		slab_list(slabs, slab); /* to the front, where hk_slabs_drop_empty() looks first */
		return;
	}
	slab_forget_holes(slab);
	HK_HINT_SET(slabs->n_slabs, slabs->n_slabs - 1);
	hk_count(slabs, -1);
	slabs->n_free -= slab_n_blocks(slab);
	slab->next = *ret_empty;
	*ret_empty = slab;
}

/* The first block freed into a slab touches its bitmap; let that page fault happen here, under no lock.  The word may
 * change under the lock meanwhile: this atomic OR of nothing loses no such change. */
static HK_COLD void slab_prepare_bitmap(struct hk_superslab *superslab, unsigned slice, unsigned word)
{
	__atomic_fetch_or(&superslab->bitmaps[slice][word], 0, __ATOMIC_RELAXED);
	atomic_fetch_or_explicit(&superslab->bitmap_used, 1u << slice, memory_order_relaxed);
}

/*
 * The loop of hk_slabs_locate().  For slabs of one slice, nearly all of them (`single`), slab and offset follow from
 * the address, so that no slab record is read here, only prefetched.
 */
static HK_ALWAYS unsigned slab_locate(const struct hk_class_info *info, bool single, void *const *blocks,
				      unsigned count, struct hk_place *places, unsigned *ret_bad,
				      enum hk_misuse *ret_what)
{
	const uint32_t block_bytes = info->block_bytes, reciprocal = info->reciprocal, n_blocks = info->n_blocks;
	struct hk_place *place = places - 1;
	uint64_t *bits = NULL; /* the word at hand */
	unsigned i;
	for (i = 0; i < count; i++) {
		uintptr_t address = (uintptr_t)blocks[i];
		struct hk_superslab *superslab = hk_pagemap_superslab(blocks[i]);
		if (HK_UNLIKELY(superslab == NULL))
			break;
		unsigned slice = (unsigned)(address >> HK_SLICE_SHIFT) % HK_SLICES;
		uint64_t offset = address % HK_SLICE_BYTES;
		if (!single) {
			offset += (uint64_t)(slice - superslab->first[slice]) * HK_SLICE_BYTES;
			slice = superslab->first[slice];
		}
		uint32_t index = (uint32_t)((offset * reciprocal) >> 32);
		if (HK_UNLIKELY((uint64_t)index * block_bytes != offset || index >= n_blocks)) {
			*ret_what = HK_MISUSE_INTERIOR;
			break;
		}
		uint64_t bit = (uint64_t)1 << index % 64, *found = &superslab->bitmaps[slice][index / 64];
		if (found == bits) {
			if (HK_UNLIKELY((place->mask & bit) != 0))
				break;
			place->mask |= bit;
			continue;
		}
		bits = found;
		__builtin_prefetch(bits, 1);
		__builtin_prefetch(&superslab->slabs[slice], 1);
		if (HK_UNLIKELY((atomic_load_explicit(&superslab->bitmap_used, memory_order_relaxed) >> slice & 1) == 0))
			slab_prepare_bitmap(superslab, slice, index / 64);
		place++;
		place->slab = &superslab->slabs[slice];
		place->bits = bits;
		place->mask = bit;
	}
	*ret_bad = i;
	return (unsigned)(place + 1 - places);
}

unsigned hk_slabs_locate(unsigned class_idx, void *const *blocks, unsigned count, struct hk_place *places,
			 unsigned *ret_bad, enum hk_misuse *ret_what)
{
	const struct hk_class_info *info = &hk_class_info[class_idx];
	/* It was ours when it was freed; if it is not now, its first copy went home before.  (That the slab is still
	 * of this class is checked where it is read anyway, under the lock.) */
	*ret_what = HK_MISUSE_DOUBLE;
	return info->n_slices == 1 ? slab_locate(info, true, blocks, count, places, ret_bad, ret_what)
				   : slab_locate(info, false, blocks, count, places, ret_bad, ret_what);
}

static inline unsigned slab_word(const struct hk_place *place)
{
	return (unsigned)(place->bits - place->slab->bitmap);
}

/* Is a place no more what it was when its blocks were freed?  The slab is another class's, a block is free already,
 * or was never handed out (only the word that `top` lies in, or one behind it, can tell).  Else the word is in
 * `*ret_bits`. */
static inline bool slab_refuses(const struct hk_slab *slab, unsigned class_idx, const struct hk_place *place,
				uint64_t *ret_bits)
{
	if (HK_UNLIKELY(slab->class_idx != class_idx || slab->state != HK_SLAB_LIVE ||
			((*ret_bits = HK_HINT(*place->bits)) & place->mask) != 0))
		return true;
	unsigned word = slab_word(place);
	return HK_UNLIKELY(word >= slab->top / 64) && word * 64 + 63 - hk_clz64(place->mask) >= slab->top;
}

/* The block of a place that is free already. */
static HK_COLD void *slab_find_free(const struct hk_slabs *slabs, const struct hk_place *place)
{
	const struct hk_slab *slab = place->slab;
	uint64_t bad = *place->bits & place->mask;
	unsigned index = slab_word(place) * 64 + (bad != 0 ? hk_ctz64(bad) : 63 - hk_clz64(place->mask));
	return slab->base + (size_t)index * hk_class_info[slabs->class_idx].block_bytes;
}

void *hk_slabs_give(struct hk_slabs *slabs, const struct hk_place *places, unsigned count,
		    struct hk_slab **ret_empty)
{
	const unsigned class_idx = slabs->class_idx;
	uint64_t n_given = 0;
	void *twice = NULL;
	for (const struct hk_place *place = places, *end = places + count; place != end; place++) {
		struct hk_slab *slab = place->slab;
		uint64_t mask = place->mask, bits;
		if (HK_UNLIKELY(slab_refuses(slab, class_idx, place, &bits))) {
			twice = slab_find_free(slabs, place);
			break;
		}
		unsigned word = slab_word(place), n = 1;
		bits |= mask;
		HK_HINT_SET(*place->bits, bits);
		if ((mask & (mask - 1)) != 0)
			n = hk_popcount64(mask);
		if (word < slab->low_word)
			slab->low_word = (uint16_t)word;
		unsigned n_free = slab->n_free + n;
		HK_HINT_SET(slab->n_free, n_free);
		n_given += n;
		if (slab_may_free_page(class_idx, bits))
			slab_note_freed(slab, word, mask);
		if (HK_UNLIKELY(n_free >= slab->settle_at))
			hk_slabs_settle(slabs, slab, ret_empty);
	}
	slabs->n_free += n_given;
	return twice;
}

/* ---- slabs in and out ---------------------------------------------------------------------------------- */

/* Only as far as blocks reach: in some classes the last page lies behind the last block. */
static void slab_populate(struct hk_slab *slab, const struct hk_class_info *info)
{
	unsigned n_pages = (info->n_blocks * info->block_bytes + HK_PAGE_BYTES - 1) >> HK_PAGE_SHIFT;
	for (unsigned i = 0; i < slab->n_slices; i++)
		if (slab->superslab->touched[hk_slab_slice(slab) + i] != 0)
			return;
	hk_os_populate(slab->base, (size_t)n_pages * HK_PAGE_BYTES);
	hk_run_touch(slab, n_pages);
}

bool hk_slabs_grow(struct hk_slabs *slabs)
{
	const struct hk_class_info *info = &hk_class_info[slabs->class_idx];
	struct hk_slab *slab = hk_heap_take(info->n_slices);
	if (slab == NULL)
		return false;
	slab->next = slab->prev = NULL;
	slab->low_word = 0;
	HK_HINT_SET(slab->top, 0);
	HK_HINT_SET(slab->n_free, 0);
	HK_HINT_SET(slab->n_holes, 0);
	HK_HINT_SET(slab->class_idx, (uint8_t)slabs->class_idx);
	slab->bin = HK_BIN_NONE;
	if (HK_HINT(slabs->n_slabs) >= SLAB_POPULATE_FROM && info->n_slices == 1)
		slab_populate(slab, info);
	hk_pagemap_set_kind(slab->base, slab->n_slices, hk_kind_of_class(slabs->class_idx));
	atomic_fetch_or_explicit(&slab_classes[slabs->class_idx / 64], (uint64_t)1 << slabs->class_idx % 64,
				 memory_order_relaxed);
	hk_lock_take(&slabs->lock);
	HK_HINT_SET(slab->state, HK_SLAB_LIVE);
	HK_HINT_SET(slabs->n_slabs, slabs->n_slabs + 1);
	hk_count(slabs, 1);
	HK_HINT_SET(slabs->n_empty, slabs->n_empty + 1);
	slabs->n_free += info->n_blocks;
	slab_list(slabs, slab);
	hk_lock_drop(&slabs->lock);
	return true;
}

void hk_slabs_free_chain(struct hk_slab *chain)
{
	while (chain != NULL) {
		struct hk_slab *next = chain->next;
		hk_heap_give(chain);
		chain = next;
	}
}

unsigned hk_slabs_drop_empty(struct hk_slabs *slabs)
{
	struct hk_slab *chain = NULL;
	unsigned dropped = 0;
	if (HK_HINT(slabs->n_empty) == 0)
		return 0;
	hk_lock_take(&slabs->lock);
	/* an empty slab is wholly free, so it is in the last bin */
	struct hk_slab *slab = slabs->bins[HK_BINS - 1];
	while (slab != NULL && slabs->n_empty != 0) {
		struct hk_slab *next = slab->next;
		if (slab->n_free == slab->top) {
			slab_unlist(slabs, slab);
			slab_forget_holes(slab);
			slab->next = chain;
			chain = slab;
			HK_HINT_SET(slabs->n_slabs, slabs->n_slabs - 1);
			hk_count(slabs, -1);
			HK_HINT_SET(slabs->n_empty, slabs->n_empty - 1);
			slabs->n_free -= slab_n_blocks(slab);
			dropped++;
		}
		slab = next;
	}
	hk_lock_drop(&slabs->lock);
	hk_slabs_free_chain(chain);
	return dropped;
}

bool hk_slabs_audit(const struct hk_slabs *slabs)
{
	uint64_t n_free = 0;
	unsigned n_empty = 0;
	for (unsigned bin = 0; bin < HK_BINS; bin++) {
		for (const struct hk_slab *slab = slabs->bins[bin]; slab != NULL; slab = slab->next) {
			unsigned bits = 0, holes = 0;
			for (unsigned word = 0; word < HK_BITMAP_WORDS; word++)
				bits += hk_popcount64(HK_HINT(slab->bitmap[word]));
			for (unsigned i = 0; i < slab->n_slices; i++)
				holes += hk_popcount64(slab->superslab->hole[hk_slab_slice(slab) + i]);
			if (bits != slab->n_free || holes != slab->n_holes || slab->bin != bin ||
			    slab_bin(slab) != bin || slab->top > slab_n_blocks(slab) ||
			    slab->class_idx != slabs->class_idx || slab->state != HK_SLAB_LIVE)
				return false;
			n_free += slab_available(slab);
			n_empty += slab->n_free == slab->top;
		}
	}
	return n_free == slabs->n_free && n_empty == slabs->n_empty &&
	       slabs->n_free <= (uint64_t)slabs->n_slabs * hk_class_info[slabs->class_idx].n_blocks;
}
