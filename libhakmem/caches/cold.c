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

struct hk_class hk_classes[HK_SHARDS_ALL] HK_PLACE_SECOND;
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
	return hk_shard_class((unsigned)(class - hk_classes));
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

/* How often a class's lock is waited for before the class is divided. */
#define COLD_WAITS 64u

/* Under the lock of an undivided class: it has other shards from now on.  They learn whose they are, and the books begin
 * with what there is. */
static HK_SELDOM void cold_divide(struct hk_class *class)
{
	unsigned class_idx = cold_index(class);
	hk_books_open(class_idx, &(struct hk_books){.cold = class->n_cold,
						    .taken = (int64_t)cold_taken(class),
						    .slabs = class->slabs.n_slabs,
						    .hot = class->n_hot,
						    .hot_said = (int64_t)cold_hot(class)});
	class->slabs_said = class->slabs.n_slabs;
	for (unsigned shard = HK_SHARDS; shard-- != 0;) {
		struct hk_slabs *slabs = &hk_class_shard(class_idx, shard)->slabs;
		slabs->class_idx = (uint16_t)class_idx;
		slabs->shard = (uint16_t)shard;
		__atomic_store_n(&slabs->divided, 1, __ATOMIC_RELEASE); /* pairs with hk_divided() */
	}
	hk_slabs_note(&class->slabs);
}

HK_SELDOM void hk_cold_divide(unsigned class_idx)
{
	struct hk_class *class = &hk_classes[class_idx];
	hk_lock_take(&class->slabs.lock);
	if (!class->slabs.divided)
		cold_divide(class);
	hk_lock_drop(&class->slabs.lock);
}

/* Somebody has the lock of the class.  The allocator's own are asked for too seldom to be divided. */
static HK_SELDOM void cold_wait(struct hk_class *class)
{
	hk_lock_take(&class->slabs.lock);
	if (!class->slabs.divided && cold_index(class) < HK_CLASSES && ++class->slabs.n_waits >= COLD_WAITS)
		cold_divide(class);
}

static struct cold_before cold_enter(struct hk_class *class)
{
	__builtin_prefetch(&hk_stats()->cold_bytes, 1); /* it comes while the lock does */
	if (HK_UNLIKELY(!hk_lock_try(&class->slabs.lock)))
		cold_wait(class);
	uint64_t hot = class->slabs.divided ? class->n_hot : cold_hot(class);
	return (struct cold_before){class->n_cold, hot, cold_taken(class)};
}

static void cold_publish(const struct hk_class *class, struct hkp_stats_class *out)
{
	uint64_t taken = cold_taken(class), hot = cold_hot(class);
	out->block_bytes = hk_class_info[cold_index(class)].block_bytes;
	out->cold = class->n_cold;
	out->hot = hot;
	out->used = taken - class->n_cold - hot;
	out->free = class->slabs.n_free + class->slabs.n_claimed;
	out->slabs = class->slabs.n_slabs;
}

/* What changed since `before` goes into the table of classes, if there is one.  Returns how many more blocks are hot. */
static int64_t cold_account(struct hk_class *class, struct cold_before before, struct hkp_stats_class *out)
{
	if (out != NULL)
		cold_publish(class, out);
	return (int64_t)(cold_hot(class) - before.hot);
}

/* The same of a divided class, by way of its books. */
static HK_SELDOM int64_t cold_account_books(struct hk_class *class, struct cold_before before, int64_t cold,
					    int64_t taken, struct hkp_stats_class *out)
{
	struct hk_books more = {
		.cold = cold,
		.taken = taken,
		.slabs = (int64_t)class->slabs.n_slabs - class->slabs_said,
		.hot = (int32_t)(class->n_hot - (uint32_t)before.hot),
	};
	class->slabs_said = class->slabs.n_slabs;
	return hk_books_change(cold_index(class), &more, out);
}

static void cold_leave(struct hk_class *class, struct cold_before before)
{
	unsigned c = cold_index(class);
	struct hkp_stats_class *out = HK_UNLIKELY(hk_counters_published()) ? &hk_stats()->classes[c] : NULL;
	int64_t block_bytes = hk_class_info[c].block_bytes;
	int64_t cold = (int64_t)(class->n_cold - before.cold);
	int64_t taken = (int64_t)(cold_taken(class) - before.taken);
	int64_t hot = HK_UNLIKELY(class->slabs.divided) ? cold_account_books(class, before, cold, taken, out)
						       : cold_account(class, before, out);
	if (c < HK_CLASSES) {
		if (cold != 0)
			hk_count(cold_bytes, cold * block_bytes);
		if (hot != 0)
			hk_count(hot_bytes, hot * block_bytes);
		if (taken - cold - hot != 0)
			hk_count(used_bytes, (taken - cold - hot) * block_bytes);
	}
	hk_counters_update_releasable();
	hk_lock_drop(&class->slabs.lock);
}

/* The books learn of slabs only when their shard changes otherwise. */
static HK_SELDOM void cold_publish_divided(unsigned class_idx, struct hkp_stats_class *out)
{
	uint64_t slabs = 0;
	hk_books_publish(class_idx, out);
	for (unsigned shard = 0; shard < HK_SHARDS; shard++)
		slabs += HK_HINT(hk_class_shard(class_idx, shard)->slabs.n_slabs);
	out->slabs = slabs;
	out->free = slabs * hk_class_info[class_idx].n_blocks - out->used - out->hot - out->cold;
}

void hk_cold_publish(struct hkp_stats_class *classes)
{
	for (HK_EACH_CLASS(c)) {
		if (hk_divided(&hk_classes[c].slabs))
			cold_publish_divided(c, &classes[c]);
		else
			cold_publish(&hk_classes[c], &classes[c]);
	}
}

/* How often caches were shed; a class notes it when it is asked for blocks. */
static _Atomic uint32_t cold_sheds;

/* ---- taking -------------------------------------------------------------------------------------------- */

/* The shard of a class that this thread is to use. */
static struct hk_class *cold_here(unsigned class_idx)
{
	struct hk_class *class = &hk_classes[class_idx];
	return hk_divided(&class->slabs) ? hk_class_shard(class_idx, hk_shard_here()) : class;
}

static unsigned cold_pop(struct hk_class *class, void **out, unsigned want)
{
	unsigned n = HK_MIN(want, class->n_cold), rest = class->n_cold - n;
	HK_HINT_SET(class->n_cold, rest);
	memcpy(out, class->slots + rest, n * sizeof *out);
	return n;
}

/* Out of one shard, which may have nothing; `*hot_delta` is told to it and 0 from then on. */
static HK_NOINLINE unsigned cold_take(struct hk_class *class, void **out, unsigned want, bool slabs, int *hot_delta)
{
	struct cold_before before = cold_enter(class);
	unsigned n = class->n_cold != 0 ? cold_pop(class, out, want) : slabs ? hk_slabs_take(&class->slabs, out, want) : 0;
	class->n_hot += (uint32_t)*hot_delta + (n != 0 ? n - 1 : 0);
	*hot_delta = 0;
	HK_HINT_SET(class->asked_at, atomic_load_explicit(&cold_sheds, memory_order_relaxed));
	cold_leave(class, before);
	return n;
}

/* One of the slabs of a divided class changes from another shard to this one.  The locks are taken as fork does, by number. */
static bool cold_adopt(struct hk_class *here, struct hk_class *other)
{
	struct hk_slabs *first = &HK_MIN(here, other)->slabs, *second = &HK_MAX(here, other)->slabs;
	hk_lock_take(&first->lock);
	hk_lock_take(&second->lock);
	bool ok = hk_slabs_adopt(&here->slabs, &other->slabs);
	hk_lock_drop(&second->lock);
	hk_lock_drop(&first->lock);
	return ok;
}

/* Before a divided class grows: out of another shard's cold magazine, or of a slab that was another's, where one has as many
 * blocks as are wanted.  Fewer are not worth that two shards pass them to and fro. */
static HK_SELDOM unsigned cold_take_elsewhere(unsigned class_idx, struct hk_class *here, void **out, unsigned want,
					      int *hot_delta)
{
	unsigned n = 0;
	for (unsigned shard = 0; n == 0 && shard < HK_SHARDS; shard++) {
		struct hk_class *other = hk_class_shard(class_idx, shard);
		if (other != here && HK_HINT(other->n_cold) >= want)
			n = cold_take(other, out, want, false, hot_delta);
	}
	for (unsigned shard = 0; n == 0 && shard < HK_SHARDS; shard++) {
		struct hk_class *other = hk_class_shard(class_idx, shard);
		if (other != here && HK_HINT(other->slabs.n_free) >= want && cold_adopt(here, other))
			n = cold_take(here, out, want, true, hot_delta);
	}
	return n;
}

unsigned hk_cold_take(unsigned class_idx, void **out, unsigned want, int hot_delta)
{
	for (;;) {
		struct hk_class *class = cold_here(class_idx);
		unsigned n = cold_take(class, out, want, true, &hot_delta);
		if (n == 0 && hk_divided(&class->slabs))
			n = cold_take_elsewhere(class_idx, class, out, want, &hot_delta);
		if (n != 0 || !hk_slabs_grow(&class->slabs, class_idx))
			return n;
	}
}

/* ---- giving -------------------------------------------------------------------------------------------- */

static void cold_give_slabs(struct hk_class *class, void **blocks, unsigned count, int hot_delta)
{
	unsigned class_idx = cold_index(class), shard;
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
		enum hk_misuse what = hk_slabs_prepare(class_idx, blocks[done], &shard);
		if (HK_UNLIKELY(what != HK_MISUSE_NONE))
			hk_misuse("free", blocks[done], what);
		class = hk_class_shard(class_idx, shard);
		hk_slabs_restore(&class->slabs, blocks[done]);
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
		hk_slabs_note(&class->slabs);
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
static unsigned cold_push(struct hk_class *class, void **blocks, unsigned count, int hot_delta)
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

void hk_cold_give(unsigned class_idx, void **blocks, unsigned count, int hot_delta, bool direct)
{
	struct hk_class *class = cold_here(class_idx);
	unsigned done = 0;
	if (!direct && !cold_full(class)) {
		done = cold_push(class, blocks, count, hot_delta);
		hot_delta = 0;
		if (done != count)
			cold_grow(class);
	}
	cold_give_slabs(class, blocks + done, count - done, hot_delta);
}

unsigned hk_cold_flush_step(unsigned shard)
{
	struct hk_class *class = &hk_classes[shard];
	void *batch[COLD_GIVE];
	HK_ASSERT(shard < HK_SHARDS_ALL);
	if (HK_HINT(class->n_cold) == 0)
		return 0;
	struct cold_before before = cold_enter(class);
	unsigned n = class->n_cold != 0 ? cold_pop(class, batch, COLD_GIVE) : 0;
	cold_leave(class, before);
	cold_give_slabs(class, batch, n, 0);
	return n;
}

/* Shed the shards from `first` to before `end`; returns the one to go on with. */
static unsigned cold_shed_range(unsigned first, unsigned end, uint32_t now, unsigned *n_blocks)
{
	unsigned i = hk_slabs_next(first);
	for (; i < end && *n_blocks < COLD_SHED; i = hk_slabs_next(i + 1)) {
		if (HK_HINT(hk_classes[i].asked_at) == now)
			continue;
		for (unsigned n = 1; n != 0 && *n_blocks < COLD_SHED; *n_blocks += n)
			n = hk_cold_flush_step(i);
		hk_slabs_drop_empty(&hk_classes[i].slabs);
	}
	return i;
}

void hk_cold_shed(void)
{
	static _Atomic uint32_t hand; /* the shard to begin with: each has its turn */
	uint32_t now = atomic_fetch_add_explicit(&cold_sheds, 1, memory_order_relaxed);
	unsigned first = atomic_load_explicit(&hand, memory_order_relaxed), n_blocks = 0;
	unsigned next = cold_shed_range(first, HK_SHARDS_ALL, now, &n_blocks);
	if (n_blocks < COLD_SHED)
		next = cold_shed_range(0, first, now, &n_blocks);
	atomic_store_explicit(&hand, next, memory_order_relaxed);
}

uint32_t hk_cold_n_hot(unsigned class_idx)
{
	const struct hk_class *class = &hk_classes[class_idx];
	return hk_divided(&class->slabs) ? (uint32_t)HK_HINT(hk_books[class_idx].hot) : class->n_hot;
}

void hk_cold_recount_hot(unsigned class_idx, uint32_t n_hot)
{
	struct hk_class *class = &hk_classes[class_idx];
	struct cold_before before = cold_enter(class);
	class->n_hot += n_hot - hk_cold_n_hot(class_idx);
	cold_leave(class, before);
}

HK_SELDOM void hk_cold_refresh(unsigned class_idx)
{
	struct hk_class *class = &hk_classes[class_idx];
	cold_leave(class, cold_enter(class));
	for (unsigned shard = 1; hk_divided(&class->slabs) && shard < HK_SHARDS; shard++) {
		struct hk_class *other = hk_class_shard(class_idx, shard);
		cold_leave(other, cold_enter(other));
	}
}

HK_SELDOM void hk_cold_shrink(unsigned shard)
{
	struct hk_class *class = &hk_classes[shard];
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
