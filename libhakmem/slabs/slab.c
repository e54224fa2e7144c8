/* SPDX-License-Identifier: MIT */
/* Blocks in and out of slabs: see slab.h. */
#include "slabs/slab.h"

#include "base/bits.h"
#include "base/counters.h"
#include "os/pages.h"

/* A class with this many slabs is growing in earnest: new ones are populated in one go, 64 KiB at a time
 * instead of a fault for each OS page.  Below that a process at rest would show it. */
#define SLAB_POPULATE_FROM 16

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

static inline void slab_list(struct hk_slabs *slabs, struct hk_slab *slab)
{
	unsigned bin = slab_bin(slab);
	if (HK_LIKELY(bin == slab->bin))
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
			slab->n_holes = (uint16_t)(slab->n_holes - closed);
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
	slab->n_holes++;
	hk_count_private(hole_pages, 1);
}

/* Bits `mask` of a bitmap word were set: which pages are wholly free now? */
static void slab_note_freed(struct hk_slab *slab, unsigned word, uint64_t mask)
{
	uint32_t block_bytes = hk_class_info[slab->class_idx].block_bytes;
	/* With 64 blocks of at most 32 bytes (a power of two) the word lies on one page. */
	if (block_bytes <= 32 && slab->bitmap[word] != ~(uint64_t)0)
		return;
	unsigned first = word * 64 + hk_ctz64(mask), last = word * 64 + 63 - hk_clz64(mask);
	unsigned last_page = ((last + 1) * block_bytes - 1) >> HK_PAGE_SHIFT;
	for (unsigned page = first * block_bytes >> HK_PAGE_SHIFT; page <= last_page; page++)
		slab_note_hole(slab, page);
}

/* All blocks are free: its pages stop being holes of a slab. */
static void slab_forget_holes(struct hk_slab *slab)
{
	for (unsigned i = 0; i < slab->n_slices; i++)
		slab->superslab->hole[hk_slab_slice(slab) + i] = 0;
	hk_count_private(hole_pages, -(int64_t)slab->n_holes);
	slab->n_holes = 0;
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
		uint64_t bits = slab->bitmap[word];
		if (bits == 0) {
			word++;
			continue;
		}
		uint64_t taken = slab_lowest(bits, want - n);
		slab->bitmap[word] = bits & ~taken;
		slab->n_free -= hk_popcount64(taken);
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
	slab->top += n;
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
		slabs->n_empty -= slab->n_free == slab->top;
		n += slab_take_free(slab, out + n, want - n);
		n += slab_take_new(slab, out + n, want - n);
		slab_list(slabs, slab);
	}
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
		slabs->n_empty = 1;
		slab_list(slabs, slab); /* to the front, where hk_slabs_drop_empty() looks first */
		return;
	}
	slab_forget_holes(slab);
	slabs->n_slabs--;
	hk_count(slabs, -1);
	slabs->n_free -= slab_n_blocks(slab);
	slab->next = *ret_empty;
	*ret_empty = slab;
}

/* Set the gathered bits of one word; false where one of them was set already or never handed out. */
static bool slab_commit(struct hk_slab *slab, unsigned word, uint64_t mask, unsigned n_bits)
{
	if (HK_UNLIKELY((slab->bitmap[word] & mask) != 0 || word * 64 + 63 - hk_clz64(mask) >= slab->top))
		return false;
	slab->bitmap[word] |= mask;
	slab->n_free += n_bits;
	if (word < slab->low_word)
		slab->low_word = (uint16_t)word;
	slab_note_freed(slab, word, mask);
	return true;
}

/* Of the places from `i` on, the first whose block is free already: there is one. */
static HK_COLD unsigned slab_find_free(const struct hk_slab *slab, const struct hk_place *places, unsigned i)
{
	while (places[i].index < slab->top && (slab->bitmap[places[i].index / 64] >> places[i].index % 64 & 1) == 0)
		i++;
	return i;
}

unsigned hk_slabs_give(struct hk_slabs *slabs, const struct hk_place *places, unsigned count,
		       struct hk_slab **ret_empty)
{
	unsigned i = 0;
	while (i < count) {
		struct hk_slab *slab = places[i].slab;
		unsigned before = slab->n_free;
		bool ok = true;
		while (ok && i < count && places[i].slab == slab) {
			unsigned word = places[i].index / 64, from = i;
			uint64_t mask = 0;
			/* neighbours gather in a register before the word is written */
			do {
				uint64_t bit = (uint64_t)1 << places[i].index % 64;
				if (HK_UNLIKELY((mask & bit) != 0))
					return i;
				mask |= bit;
				i++;
			} while (i < count && places[i].slab == slab && places[i].index / 64 == word);
			ok = slab_commit(slab, word, mask, i - from);
			if (!ok)
				i = slab_find_free(slab, places, from);
		}
		slabs->n_free += slab->n_free - before;
		hk_slabs_settle(slabs, slab, ret_empty);
		if (!ok)
			return i;
	}
	return count;
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
	slab->top = slab->n_free = 0;
	slab->n_holes = slab->low_word = 0;
	slab->class_idx = (uint8_t)slabs->class_idx;
	slab->bin = HK_BIN_NONE;
	/* racy read of a counter: a hint */
	if (__atomic_load_n(&slabs->n_slabs, __ATOMIC_RELAXED) >= SLAB_POPULATE_FROM && info->n_slices == 1)
		slab_populate(slab, info);
	hk_pagemap_set_kind(slab->base, slab->n_slices, HK_KIND_SLAB + slabs->class_idx);
	hk_lock_take(&slabs->lock);
	slab->state = HK_SLAB_LIVE;
	slabs->n_slabs++;
	hk_count(slabs, 1);
	slabs->n_empty++;
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
			slabs->n_slabs--;
			hk_count(slabs, -1);
			slabs->n_empty--;
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
				bits += hk_popcount64(slab->bitmap[word]);
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
