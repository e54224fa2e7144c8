/* SPDX-License-Identifier: MIT */
/* Cold magazines and the ways into and out of them: see cold.h. */
#include "caches/cold.h"

#include "base/counters.h"
#include "base/log.h"
#include "base/point.h"

#include <string.h>

/*
 * What cold magazines may hold, beyond which blocks go to their slabs: of one class, in blocks and in bytes, and
 * together.  16384 slots keep 10,000 blocks of 16 bytes going round away from the bitmaps (9.3 -> 3.6 ns with
 * 2,048); the slots are touched only as far as they are used.
 */
#define COLD_SLOTS_MIN 64u
#define COLD_SLOTS_MAX 16384u
#define COLD_BYTES_MAX (2u << 20)
#define COLD_TOTAL_MAX (16u << 20)

/* Blocks that go home to their slabs under one lock: a few microseconds. */
#define COLD_GIVE 128u

/* And that hk_cold_shed() sends home at most, more or less: some 100 us. */
#define COLD_SHED 16384u

struct hk_class hk_classes[HK_CLASSES_ALL] HK_PLACE_SECOND;
_Static_assert(HK_CLASSES_ALL <= HKP_STATS_CLASS_MAX, "every class, the allocator's own too, has its counters");

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

static unsigned cold_index(const struct hk_class *class)
{
	return (unsigned)(class - hk_classes);
}

static uint64_t cold_taken(const struct hk_class *class)
{
	return (uint64_t)class->slabs.n_slabs * hk_class_info[cold_index(class)].n_blocks -
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
	__builtin_prefetch(&hk_stats()->cold_bytes, 1); /* it comes while the lock does */
	hk_lock_take(&class->slabs.lock);
	return (struct cold_before){class->n_cold, cold_hot(class), cold_taken(class)};
}

static void cold_publish(struct hk_class *class, struct hkp_stats_class *out)
{
	uint64_t taken = cold_taken(class), hot = cold_hot(class);
	out->block_bytes = hk_class_info[cold_index(class)].block_bytes;
	out->cold = class->n_cold;
	out->hot = hot;
	out->used = taken - class->n_cold - hot;
	out->free = class->slabs.n_free + class->slabs.n_claimed;
	out->slabs = class->slabs.n_slabs;
}

static void cold_leave(struct hk_class *class, struct cold_before before)
{
	unsigned c = cold_index(class);
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
	hk_counters_update_releasable();
	if (HK_UNLIKELY(hk_counters_published()))
		cold_publish(class, &hk_stats()->classes[c]);
	hk_lock_drop(&class->slabs.lock);
}

void hk_cold_publish(struct hkp_stats_class *classes)
{
	for (HK_EACH_CLASS(c))
		cold_publish(&hk_classes[c], &classes[c]);
}

/* How often caches were shed; a class notes it when it is asked for blocks. */
static _Atomic uint32_t cold_sheds;

/* ---- taking -------------------------------------------------------------------------------------------- */

static unsigned cold_pop(struct hk_class *class, void **out, unsigned want)
{
	unsigned n = HK_MIN(want, class->n_cold), rest = class->n_cold - n;
	HK_HINT_SET(class->n_cold, rest);
	memcpy(out, class->slots + rest, n * sizeof *out);
	return n;
}

unsigned hk_cold_take(unsigned class_idx, void **out, unsigned want, int hot_delta)
{
	struct hk_class *class = &hk_classes[class_idx];
	for (;;) {
		struct cold_before before = cold_enter(class);
		unsigned n = class->n_cold != 0 ? cold_pop(class, out, want) : hk_slabs_take(&class->slabs, out, want);
		class->n_hot += (uint32_t)hot_delta + (n != 0 ? n - 1 : 0);
		HK_HINT_SET(class->asked_at, atomic_load_explicit(&cold_sheds, memory_order_relaxed));
		hot_delta = 0;
		cold_leave(class, before);
		if (n != 0 || !hk_slabs_grow(&class->slabs, class_idx))
			return n;
	}
}

/* ---- giving -------------------------------------------------------------------------------------------- */

static void cold_give_slabs(struct hk_class *class, void *const *blocks, unsigned count, int hot_delta)
{
	for (unsigned done = 0; done < count || hot_delta != 0; hot_delta = 0) {
		struct hk_slab *empties = NULL;
		unsigned wanted = HK_MIN(count - done, COLD_GIVE);
		struct cold_before before = cold_enter(class);
		class->n_hot += (uint32_t)hot_delta;
		unsigned n = hk_slabs_give(&class->slabs, blocks + done, wanted, &empties);
		cold_leave(class, before);
		HK_POINT(cold_given);
		if (empties != NULL) {
			hk_slabs_free_chain(empties);
			hk_counters_update_releasable();
		}
		done += n;
		if (HK_LIKELY(n == wanted))
			continue;
		enum hk_misuse what = hk_slabs_prepare(&class->slabs, blocks[done]);
		if (HK_UNLIKELY(what != HK_MISUSE_NONE))
			hk_misuse("free", blocks[done], what);
	}
}

unsigned hk_cold_slots_max(unsigned class_idx)
{
	return HK_MIN(COLD_BYTES_MAX / hk_class_info[class_idx].block_bytes, COLD_SLOTS_MAX);
}

/* Under no lock: more room in the cold magazine, in steps of four times. */
static void cold_grow(struct hk_class *class)
{
	unsigned maximum = hk_cold_slots_max(cold_index(class));
	unsigned old_slots = HK_HINT(class->n_slots);
	unsigned n_slots = HK_MIN(HK_MAX(old_slots * 4, COLD_SLOTS_MIN), maximum);
	if (old_slots >= maximum)
		return;
	void **slots = hk_own_new(n_slots * sizeof *slots), **unused = slots;
	if (slots == NULL)
		return;
	/* What will be copied faults here, not under the lock; the rest does as it is used. */
	memset(slots, 0, old_slots * sizeof *slots);
	hk_lock_take(&class->slabs.lock);
	if (class->n_slots == old_slots) {
		if (class->n_cold != 0)
			memcpy(slots, class->slots, class->n_cold * sizeof *slots);
		unused = class->slots;
		class->slots = slots;
		HK_HINT_SET(class->n_slots, n_slots);
		n_slots = old_slots;
	}
	hk_lock_drop(&class->slabs.lock);
	if (unused != NULL)
		hk_own_free(unused, n_slots * sizeof *slots);
}

static _Atomic uint64_t cold_total_max = COLD_TOTAL_MAX;

void hk_cold_limit(uint64_t bytes)
{
	uint64_t most = bytes != 0 ? HK_MIN(bytes, COLD_TOTAL_MAX) : COLD_TOTAL_MAX;
	if (HK_UNLIKELY(atomic_load_explicit(&cold_total_max, memory_order_relaxed) != most))
		atomic_store_explicit(&cold_total_max, most, memory_order_relaxed);
}

/* Is all the room of the cold magazines used, or this one's? */
static bool cold_full(const struct hk_class *class)
{
	return HK_HINT(class->n_cold) >= hk_cold_slots_max(cold_index(class)) ||
	       __atomic_load_n(&hk_stats()->cold_bytes, __ATOMIC_RELAXED) >=
		       atomic_load_explicit(&cold_total_max, memory_order_relaxed);
}

/* Push what there is room for; returns how many. */
static unsigned cold_push(struct hk_class *class, void *const *blocks, unsigned count, int hot_delta)
{
	struct cold_before before = cold_enter(class);
	unsigned n = cold_full(class) ? 0 : HK_MIN(class->n_slots - class->n_cold, count);
	if (n != 0)
		memcpy(class->slots + class->n_cold, blocks, n * sizeof *blocks);
	HK_HINT_SET(class->n_cold, class->n_cold + n);
	class->n_hot += (uint32_t)hot_delta;
	cold_leave(class, before);
	return n;
}

void hk_cold_give(unsigned class_idx, void *const *blocks, unsigned count, int hot_delta, bool direct)
{
	struct hk_class *class = &hk_classes[class_idx];
	unsigned done = 0;
	if (!direct && !cold_full(class)) {
		done = cold_push(class, blocks, count, hot_delta);
		hot_delta = 0;
		if (done != count)
			cold_grow(class);
	}
	cold_give_slabs(class, blocks + done, count - done, hot_delta);
}

unsigned hk_cold_flush_step(unsigned class_idx)
{
	struct hk_class *class = &hk_classes[class_idx];
	void *batch[COLD_GIVE];
	HK_ASSERT(class_idx < HK_CLASSES_ALL);
	if (HK_HINT(class->n_cold) == 0)
		return 0;
	struct cold_before before = cold_enter(class);
	unsigned n = class->n_cold != 0 ? cold_pop(class, batch, COLD_GIVE) : 0;
	cold_leave(class, before);
	if (n != 0)
		hk_cold_give(class_idx, batch, n, 0, true);
	return n;
}

/* Shed the classes from `class_idx` to before `end`; returns the one to go on with. */
static unsigned cold_shed_range(unsigned class_idx, unsigned end, uint32_t now, unsigned *n_blocks)
{
	unsigned c = hk_slabs_next_class(class_idx);
	for (; c < end && *n_blocks < COLD_SHED; c = hk_slabs_next_class(c + 1)) {
		if (HK_HINT(hk_classes[c].asked_at) == now)
			continue;
		for (unsigned n = 1; n != 0 && *n_blocks < COLD_SHED; *n_blocks += n)
			n = hk_cold_flush_step(c);
		hk_slabs_drop_empty(&hk_classes[c].slabs);
	}
	return c;
}

void hk_cold_shed(void)
{
	static _Atomic uint32_t hand; /* the class to begin with: each has its turn */
	uint32_t now = atomic_fetch_add_explicit(&cold_sheds, 1, memory_order_relaxed);
	unsigned first = atomic_load_explicit(&hand, memory_order_relaxed), n_blocks = 0;
	unsigned next = cold_shed_range(first, HK_CLASSES_ALL, now, &n_blocks);
	if (n_blocks < COLD_SHED)
		next = cold_shed_range(0, first, now, &n_blocks);
	atomic_store_explicit(&hand, next, memory_order_relaxed);
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
	if (HK_HINT(class->n_slots) == 0)
		return;
	hk_lock_take(&class->slabs.lock);
	if (class->n_cold == 0) {
		slots = class->slots;
		n_slots = class->n_slots;
		class->slots = NULL;
		HK_HINT_SET(class->n_slots, 0);
	}
	hk_lock_drop(&class->slabs.lock);
	if (slots != NULL)
		hk_own_free(slots, n_slots * sizeof *slots);
}

/* ---- the allocator's own memory ------------------------------------------------------------------------ */

static void *own_run_new(size_t bytes)
{
	struct hk_slab *run = hk_heap_take((unsigned)((bytes + HK_SLICE_BYTES - 1) / HK_SLICE_BYTES));
	if (run == NULL)
		return NULL;
	HK_HINT_SET(run->state, HK_SLAB_OWN);
	hk_run_touch(run, (unsigned)((bytes + HK_PAGE_BYTES - 1) / HK_PAGE_BYTES));
	return run->base;
}

void *hk_own_new(size_t bytes)
{
	void *block = NULL;
	if (bytes > HK_OWN_BYTES)
		return own_run_new(bytes);
	return hk_cold_take(hk_class_own(bytes), &block, 1, 0) == 1 ? block : NULL;
}

void hk_own_free(void *pointer, size_t bytes)
{
	if (bytes > HK_OWN_BYTES)
		hk_heap_give(hk_slab_of(pointer));
	else
		hk_cold_give(hk_class_own(bytes), &pointer, 1, 0, true);
}
