/* SPDX-License-Identifier: MIT */
/* Cold magazines and the ways into and out of them: see cold.h. */
#include "caches/cold.h"

#include "base/counters.h"
#include "base/log.h"
#include "base/point.h"

#include <string.h>

/* A cold magazine may keep this much of one class; beyond it blocks go to their slabs. */
#define COLD_BYTES_MAX (512u * 1024)
#define COLD_SLOTS_MIN 64u

#define COLD_CLASS(i)  [i] = {.slabs = {.lock = HK_LOCK_INIT(HK_RANK_CLASS), .class_idx = (i)}}
#define COLD_TEN(i)                                                                                           \
	COLD_CLASS(i), COLD_CLASS(i + 1), COLD_CLASS(i + 2), COLD_CLASS(i + 3), COLD_CLASS(i + 4),             \
		COLD_CLASS(i + 5), COLD_CLASS(i + 6), COLD_CLASS(i + 7), COLD_CLASS(i + 8), COLD_CLASS(i + 9)

/* Initialised by the linker: malloc may be called before any constructor. */
struct hk_class hk_classes[HK_CLASSES_ALL] = {
	COLD_TEN(0),  COLD_TEN(10), COLD_TEN(20), COLD_TEN(30), COLD_TEN(40), COLD_TEN(50),
	COLD_TEN(60), COLD_TEN(70), COLD_TEN(80), COLD_TEN(90),
	COLD_CLASS(100), COLD_CLASS(101), COLD_CLASS(102), COLD_CLASS(103), COLD_CLASS(104),
	COLD_CLASS(105), COLD_CLASS(106),
};
_Static_assert(HK_CLASSES_ALL == 107, "every class has its initialiser");

void hk_misuse(const char *function, const void *pointer, enum hk_misuse what)
{
	if (what == HK_MISUSE_DOUBLE)
		hk_fatal("double free of %lx", (unsigned long)pointer);
	hk_fatal("%s(): invalid pointer %lx: %s", function, (unsigned long)pointer,
		 what == HK_MISUSE_INTERIOR ? "inside a block, not its start" : "not allocated by hakmem");
}

/* ---- counters, under the class lock -------------------------------------------------------------------- */

struct cold_before { /* what the published sums are updated against */
	uint64_t cold, hot, taken;
};

static uint64_t cold_taken(const struct hk_class *class)
{
	return (uint64_t)class->slabs.n_slabs * hk_class_info[class->slabs.class_idx].n_blocks -
	       class->slabs.n_free - class->slabs.n_claimed;
}

/* What owners last said may be old: blocks that they handed out since, and others freed, can be home by now.  So
 * no more is published as hot than is out of the slabs and not cold. */
static uint64_t cold_hot(const struct hk_class *class)
{
	return HK_MIN((uint64_t)class->n_hot, cold_taken(class) - class->n_cold);
}

static struct cold_before cold_enter(struct hk_class *class)
{
	hk_lock_take(&class->slabs.lock);
	return (struct cold_before){class->n_cold, cold_hot(class), cold_taken(class)};
}

static void cold_publish(struct hk_class *class, struct hkp_stats_class *out)
{
	uint64_t taken = cold_taken(class), hot = cold_hot(class);
	out->block_bytes = hk_class_info[class->slabs.class_idx].block_bytes;
	out->cold = class->n_cold;
	out->hot = hot;
	out->used = taken - class->n_cold - hot;
	out->free = class->slabs.n_free + class->slabs.n_claimed;
	out->slabs = class->slabs.n_slabs;
}

static void cold_leave(struct hk_class *class, struct cold_before before)
{
	unsigned c = class->slabs.class_idx;
	int64_t block_bytes = hk_class_info[c].block_bytes;
	int64_t cold = (int64_t)(class->n_cold - before.cold) * block_bytes;
	int64_t hot = (int64_t)(cold_hot(class) - before.hot) * block_bytes;
	int64_t taken = (int64_t)(cold_taken(class) - before.taken) * block_bytes;
	if (c < HK_CLASSES) {
		if (cold != 0)
			hk_count(cold_bytes, cold);
		if (hot != 0)
			hk_count(hot_bytes, hot);
		if (taken - cold - hot != 0)
			hk_count(used_bytes, taken - cold - hot);
	}
	cold_publish(class, &hk_stats()->classes[c]);
	hk_lock_drop(&class->slabs.lock);
}

/* ---- taking -------------------------------------------------------------------------------------------- */

static unsigned cold_pop(struct hk_class *class, void **out, unsigned want)
{
	unsigned n = HK_MIN(want, class->n_cold);
	class->n_cold -= n;
	memcpy(out, class->slots + class->n_cold, n * sizeof *out);
	return n;
}

unsigned hk_cold_take(unsigned class_idx, void **out, unsigned want, int hot_delta)
{
	struct hk_class *class = &hk_classes[class_idx];
	for (;;) {
		struct cold_before before = cold_enter(class);
		unsigned n = class->n_cold != 0 ? cold_pop(class, out, want) : hk_slabs_take(&class->slabs, out, want);
		class->n_hot += (uint32_t)hot_delta + (n != 0 ? n - 1 : 0);
		hot_delta = 0;
		cold_leave(class, before);
		if (n != 0 || !hk_slabs_grow(&class->slabs))
			return n;
	}
}

/* ---- giving -------------------------------------------------------------------------------------------- */

/* Find the slabs of a batch before the lock is taken: the cache misses happen here, and the bitmaps' first
 * page faults too. */
static void cold_locate(unsigned class_idx, void *const *blocks, unsigned count, struct hk_place *places)
{
	const struct hk_class_info *info = &hk_class_info[class_idx];
	for (unsigned i = 0; i < count; i++) {
		/* It was of this class when it was freed; if it is not now, its first copy went home before. */
		enum hk_misuse what = HK_MISUSE_DOUBLE;
		if (HK_LIKELY(hk_pagemap_kind(blocks[i]) == HK_KIND_SLAB + class_idx))
			what = hk_slab_locate(blocks[i], info, &places[i]);
		if (HK_UNLIKELY(what != HK_MISUSE_NONE))
			hk_misuse("free", blocks[i], what);
		struct hk_slab *slab = places[i].slab;
		__builtin_prefetch(&slab->bitmap[places[i].index / 64], 1);
		_Atomic uint32_t *used = &slab->superslab->bitmap_used;
		uint32_t bit = 1u << hk_slab_slice(slab);
		if (HK_UNLIKELY((atomic_load_explicit(used, memory_order_relaxed) & bit) == 0)) {
			__atomic_fetch_or(&slab->bitmap[places[i].index / 64], 0, __ATOMIC_RELAXED);
			atomic_fetch_or_explicit(used, bit, memory_order_relaxed);
		}
	}
}

static void cold_give_slabs(struct hk_class *class, void *const *blocks, unsigned count)
{
	struct hk_place places[HK_BATCH];
	struct hk_slab *empties = NULL;
	cold_locate(class->slabs.class_idx, blocks, count, places);
	HK_POINT(cold_located);
	struct cold_before before = cold_enter(class);
	unsigned done = hk_slabs_give(&class->slabs, places, count, &empties);
	cold_leave(class, before);
	if (HK_UNLIKELY(done != count))
		hk_misuse("free", blocks[done], HK_MISUSE_DOUBLE);
	hk_slabs_free_chain(empties);
}

static unsigned cold_slots_max(unsigned class_idx)
{
	return HK_MIN(COLD_BYTES_MAX / hk_class_info[class_idx].block_bytes, HK_COLD_SLOTS_MAX);
}

/* Under no lock: more room in the cold magazine, in steps of four times. */
static void cold_grow(struct hk_class *class)
{
	unsigned maximum = cold_slots_max(class->slabs.class_idx);
	unsigned old_slots = __atomic_load_n(&class->n_slots, __ATOMIC_RELAXED);
	unsigned n_slots = HK_MIN(HK_MAX(old_slots * 4, COLD_SLOTS_MIN), maximum);
	if (old_slots >= maximum)
		return;
	void **slots = hk_own_new(n_slots * sizeof *slots), **unused = slots;
	if (slots == NULL)
		return;
	memset(slots, 0, n_slots * sizeof *slots); /* its page faults happen here, not under the lock */
	hk_lock_take(&class->slabs.lock);
	if (class->n_slots == old_slots) {
		if (class->n_cold != 0)
			memcpy(slots, class->slots, class->n_cold * sizeof *slots);
		unused = class->slots;
		class->slots = slots;
		class->n_slots = n_slots;
		n_slots = old_slots;
	}
	hk_lock_drop(&class->slabs.lock);
	if (unused != NULL)
		hk_own_free(unused, n_slots * sizeof *slots);
}

/* Push what there is room for; returns how many. */
static unsigned cold_push(struct hk_class *class, void *const *blocks, unsigned count, int hot_delta)
{
	struct cold_before before = cold_enter(class);
	unsigned n = HK_MIN(class->n_slots - class->n_cold, count);
	if (n != 0)
		memcpy(class->slots + class->n_cold, blocks, n * sizeof *blocks);
	class->n_cold += n;
	class->n_hot += (uint32_t)hot_delta;
	cold_leave(class, before);
	return n;
}

void hk_cold_give(unsigned class_idx, void *const *blocks, unsigned count, int hot_delta, bool direct)
{
	struct hk_class *class = &hk_classes[class_idx];
	unsigned done = 0;
	if (!direct) {
		done = cold_push(class, blocks, count, hot_delta);
		if (done != count)
			cold_grow(class);
	} else if (hot_delta != 0) {
		struct cold_before before = cold_enter(class);
		class->n_hot += (uint32_t)hot_delta;
		cold_leave(class, before);
	}
	while (done < count) {
		unsigned n = HK_MIN(count - done, HK_BATCH);
		cold_give_slabs(class, blocks + done, n);
		done += n;
	}
}

unsigned hk_cold_flush_step(unsigned class_idx)
{
	struct hk_class *class = &hk_classes[class_idx];
	void *batch[HK_BATCH];
	if (__atomic_load_n(&class->n_cold, __ATOMIC_RELAXED) == 0)
		return 0;
	struct cold_before before = cold_enter(class);
	unsigned n = class->n_cold != 0 ? cold_pop(class, batch, HK_BATCH) : 0;
	cold_leave(class, before);
	if (n != 0)
		cold_give_slabs(class, batch, n);
	return n;
}

void hk_cold_recount_hot(unsigned class_idx, uint32_t n_hot)
{
	struct hk_class *class = &hk_classes[class_idx];
	struct cold_before before = cold_enter(class);
	class->n_hot = n_hot;
	cold_leave(class, before);
}

void hk_cold_refresh(unsigned class_idx)
{
	struct hk_class *class = &hk_classes[class_idx];
	cold_leave(class, cold_enter(class));
}

void hk_cold_shrink(unsigned class_idx)
{
	struct hk_class *class = &hk_classes[class_idx];
	void **slots = NULL;
	unsigned n_slots = 0;
	hk_lock_take(&class->slabs.lock);
	if (class->n_cold == 0) {
		slots = class->slots;
		n_slots = class->n_slots;
		class->slots = NULL;
		class->n_slots = 0;
	}
	hk_lock_drop(&class->slabs.lock);
	if (slots != NULL)
		hk_own_free(slots, n_slots * sizeof *slots);
}

/* ---- the allocator's own memory ------------------------------------------------------------------------ */

void *hk_own_new(size_t bytes)
{
	void *block = NULL;
	unsigned c = hk_class_own(bytes);
	return hk_cold_take(c, &block, 1, 0) == 1 ? block : NULL;
}

void hk_own_free(void *pointer, size_t bytes)
{
	hk_cold_give(hk_class_own(bytes), &pointer, 1, 0, true);
}
