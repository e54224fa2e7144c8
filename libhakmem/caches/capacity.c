/* SPDX-License-Identifier: MIT */
/* How much a thread's magazines may hold: the ladder, misses, the budget, and what leaves when they shrink. */
#include "base/counters.h"
#include "base/point.h"
#include "caches/thread_internal.h"

#include <string.h>

/* What threads' magazines may hold: all together as long as each has its least. */
#define CAPACITY_BUDGET_ALL   (16u << 20)
#define CAPACITY_BUDGET_MOST  (3u << 20)
#define CAPACITY_BUDGET_LEAST (256u << 10)

/*
 * Misses at one capacity before it grows: a thread that does little stays small, and the larger the blocks, the
 * longer.  Classes above CAPACITY_EAGER_BYTES start without a magazine.
 */
#define CAPACITY_MISSES_TO_GROW 3u
#define CAPACITY_EAGER_BYTES    256u

/*
 * With the budget used up, magazines grow at others' cost: so often at most, and so many classes are looked at.  A
 * mixed load asks for that all the time and gains nothing by it, and each time takes a microsecond.
 */
#define CAPACITY_ROOM_NSEC    10000000u
#define CAPACITY_SHRINK_TRIES 32u

/* A magazine is idle once the heap reached so many records since it missed last: few, as each is 2 MiB, but of blocks of 32
 * KiB that is 64. */
#define CAPACITY_USED 3u

/* Slots, of which one is the NULL at the bottom, and bytes of blocks: a magazine holds what both allow, but 2 blocks in
 * any case.  The last step is for the smallest blocks; others do not get there, as they would hold no more. */
const uint16_t hk_hot_ladder[HK_HOT_STEPS] = {0, HK_MAGAZINE_FIRST, 32, 128, 512, 2048, 16384};
const uint32_t hk_hot_ladder_bytes[HK_HOT_STEPS] = {0, 1u << 10, 8u << 10, 64u << 10, 256u << 10, 1u << 20, 256u << 10};

void *hk_hot_no_slots[2];

/* ---- slots --------------------------------------------------------------------------------------------- */

static size_t capacity_slots_bytes(unsigned step)
{
	return hk_hot_ladder[step] * sizeof(void *);
}

static struct hk_set_page *capacity_page(struct hk_set *set)
{
	return (struct hk_set_page *)set; /* every set but hk_set_none begins a page */
}

static bool capacity_slots_inside(const struct hk_set *set, void **slots)
{
	return (uintptr_t)slots - (uintptr_t)set < sizeof(struct hk_set_page);
}

/* The slots of a class's magazine, or NULL where it has none. */
static void **capacity_slots(const struct hk_set *set, unsigned class_idx)
{
	const struct hk_magazine *magazine = &set->magazines[class_idx];
	return magazine->step != 0 ? hk_magazine_oldest(magazine, class_idx) - 1 : NULL;
}

void hk_set_free_slots(struct hk_set *set, unsigned class_idx)
{
	void **slots = capacity_slots(set, class_idx);
	if (slots != NULL && !capacity_slots_inside(set, slots))
		hk_own_free(slots, capacity_slots_bytes(set->magazines[class_idx].step));
}

/* Count a miss; is it time for a larger magazine?  For the last step only misses of which the one before went the other
 * way count: who allocates a lot, then frees a lot, has no use for it. */
static bool capacity_wants_growth(unsigned class_idx, struct hk_magazine *magazine, bool spill)
{
	bool turned = magazine->spilled != spill;
	magazine->spilled = spill;
	magazine->used = CAPACITY_USED;
	if (magazine->step + 2 == HK_HOT_STEPS && !turned)
		return false;
	uint32_t block_bytes = hk_class_info[class_idx].block_bytes;
	unsigned step = magazine->step;
	bool eager = step == 0 && block_bytes <= CAPACITY_EAGER_BYTES;
	if (!eager && ++magazine->misses < CAPACITY_MISSES_TO_GROW + HK_MIN(block_bytes / 32, 48u))
		return false;
	magazine->misses = 0;
	if (step + 1 == HK_HOT_STEPS)
		return false;
	unsigned capacity = hk_hot_capacity(class_idx, step);
	return hk_hot_capacity(class_idx, step + 1) > capacity + capacity / 4;
}

/* Inside the gate: slots at the first capacity from the set itself, or NULL. */
static void **capacity_first_slots(struct hk_set_page *page)
{
	unsigned i = hk_ctz64(page->first_free); /* there is one */
	page->first_free &= page->first_free - 1;
	return page->first[i];
}

/* Inside the gate: move a class's magazine to another step, with slots for it (NULL for step 0), which hold what there
 * is in it.  Returns the old slots unless they stay in the set. */
static void **capacity_move_magazine(struct hk_set *set, unsigned class_idx, void **slots, unsigned step)
{
	struct hk_magazine *magazine = &set->magazines[class_idx];
	void **old = capacity_slots(set, class_idx);
	unsigned n = hk_magazine_count(magazine, class_idx), capacity = hk_hot_capacity(class_idx, step);
	HK_ASSERT(n <= capacity);
	if (slots != NULL) {
		slots[0] = NULL;
		if (n != 0)
			memcpy(slots + 1, magazine->top - n, n * sizeof *slots);
		magazine->top = slots + 1 + n;
		magazine->limit = (uint32_t)(uintptr_t)(slots + 1 + capacity);
	} else {
		magazine->top = hk_hot_no_slots + 1;
		magazine->limit = 0;
	}
	magazine->step = (uint8_t)step;
	if (old == NULL || !capacity_slots_inside(set, old))
		return old;
	capacity_page(set)->first_free |= 1u << ((void *(*)[HK_MAGAZINE_FIRST])old - capacity_page(set)->first);
	return NULL;
}

/*
 * Give a class's magazine, which holds no more than the new capacity, the slots for it.  The set may be taken away
 * meanwhile: then nothing happens.
 */
static void capacity_resize(struct hk_thread *self, unsigned class_idx, struct hk_set *set, unsigned step)
{
	void **slots = NULL, **old = NULL;
	unsigned old_step = 0, capacity = hk_hot_capacity(class_idx, step);
	bool ours = hk_gate_enter(self) == set, inside = ours && step == 1 && capacity_page(set)->first_free != 0;
	hk_gate_leave(self);
	if (!inside && step != 0) {
		if ((slots = hk_own_new(capacity_slots_bytes(step))) == NULL)
			return;
		slots[0] = NULL; /* its page fault happens here */
	}
	ours = hk_gate_enter(self) == set;
	if (ours) {
		old_step = set->magazines[class_idx].step;
		self->budget_used += ((uint64_t)capacity - hk_hot_capacity(class_idx, old_step)) *
				     hk_class_info[class_idx].block_bytes;
		if (inside)
			slots = capacity_first_slots(capacity_page(set));
		old = capacity_move_magazine(set, class_idx, slots, step);
	}
	hk_gate_leave(self);
	if (!ours)
		old = slots, old_step = step;
	if (old != NULL)
		hk_own_free(old, capacity_slots_bytes(old_step));
}

/* Take blocks beyond `capacity` out of a magazine; returns how many, at most HK_BATCH. */
static unsigned capacity_pop_beyond(struct hk_thread *self, unsigned class_idx, struct hk_set *set, unsigned capacity,
				    void **out)
{
	unsigned n = 0;
	if (hk_gate_enter(self) == set) {
		struct hk_magazine *magazine = &set->magazines[class_idx];
		unsigned count = hk_magazine_count(magazine, class_idx);
		n = count > capacity ? HK_MIN(count - capacity, HK_BATCH) : 0;
		hk_magazine_pop(magazine, count, n, out);
	}
	hk_gate_leave(self);
	return n;
}

/* Blocks beyond `capacity` leave a class's magazine: they become cold or, `direct`, go home to their slabs. */
static HK_SELDOM void capacity_give_beyond(struct hk_thread *self, unsigned class_idx, struct hk_set *set,
					   unsigned capacity, bool direct)
{
	void *batch[HK_BATCH];
	unsigned n;
	while ((n = capacity_pop_beyond(self, class_idx, set, capacity, batch)) != 0)
		hk_cold_give(class_idx, batch, n, hk_thread_report(self, class_idx), direct);
}

/* Shrink a class's magazine by a step; the blocks for which there is no room any more become cold. */
static void capacity_shrink(struct hk_thread *self, unsigned class_idx, struct hk_set *set, unsigned step)
{
	capacity_give_beyond(self, class_idx, set, hk_hot_capacity(class_idx, step), false);
	capacity_resize(self, class_idx, set, step);
}

/* ---- the budget ---------------------------------------------------------------------------------------- */

/* The step of a class's magazine, or 0 where the set is no longer ours. */
static unsigned capacity_step(struct hk_thread *self, unsigned class_idx, struct hk_set *set)
{
	unsigned step = hk_gate_enter(self) == set ? set->magazines[class_idx].step : 0;
	hk_gate_leave(self);
	return step;
}

/* The same for a class whose magazine may have to give way: 0 also where it missed of late, which is forgotten.  So those in
 * use keep what they have, and where all are, none grows at the cost of another that will grow back. */
static unsigned capacity_idle_step(struct hk_thread *self, unsigned class_idx, struct hk_set *set)
{
	unsigned step = 0;
	if (hk_gate_enter(self) == set) {
		struct hk_magazine *magazine = &set->magazines[class_idx];
		step = magazine->misses == 0 ? magazine->step : 0;
		magazine->misses = 0;
	}
	hk_gate_leave(self);
	return step;
}

static _Atomic uint64_t capacity_limit_bytes; /* by order of the board; 0 = none */

void hk_caches_limit(uint64_t thread_bytes, uint64_t cold_bytes)
{
	/* read first: the line is shared by all slow paths and changes hardly ever */
	if (HK_UNLIKELY(atomic_load_explicit(&capacity_limit_bytes, memory_order_relaxed) != thread_bytes))
		atomic_store_explicit(&capacity_limit_bytes, thread_bytes, memory_order_relaxed);
	hk_cold_limit(cold_bytes);
}

static uint64_t capacity_budget(void)
{
	uint64_t limit = atomic_load_explicit(&capacity_limit_bytes, memory_order_relaxed);
	uint64_t n_threads = __atomic_load_n(&hk_stats()->threads, __ATOMIC_RELAXED);
	uint64_t share = CAPACITY_BUDGET_ALL / HK_MAX(n_threads, 1u);
	share = HK_MAX(HK_MIN(share, CAPACITY_BUDGET_MOST), CAPACITY_BUDGET_LEAST);
	return limit != 0 ? HK_MIN(limit, share) : share;
}

/* Make room in the budget: other classes' magazines, as far as they are idle, shrink in turn. */
static HK_SELDOM bool capacity_make_room(struct hk_thread *self, unsigned class_idx, struct hk_set *set, uint64_t bytes)
{
	unsigned tries = CAPACITY_SHRINK_TRIES;
	for (uint64_t budget = capacity_budget(); self->budget_used + bytes > budget; tries--) {
		unsigned victim = self->hand++ % HK_CLASSES;
		if (tries == 0)
			return false;
		unsigned step = victim != class_idx ? capacity_idle_step(self, victim, set) : 0;
		if (step != 0)
			capacity_shrink(self, victim, set, step - 1);
	}
	return true;
}

/* Is there room in the budget, or can it be made now? */
static bool capacity_has_room(struct hk_thread *self, unsigned class_idx, struct hk_set *set, uint64_t bytes,
			      uint64_t now_nsec)
{
	if (self->budget_used + bytes <= capacity_budget())
		return true;
	if (now_nsec - self->room_nsec < CAPACITY_ROOM_NSEC)
		return false;
	self->room_nsec = now_nsec;
	return capacity_make_room(self, class_idx, set, bytes);
}

/* At a record: is a class's magazine, where it has one, idle?  Its misses do not tell: they begin anew as it grows, and do not
 * count where it may not grow. */
static bool capacity_rests(struct hk_thread *self, unsigned class_idx, struct hk_set *set)
{
	bool rests = false;
	if (hk_gate_enter(self) == set) {
		struct hk_magazine *magazine = &set->magazines[class_idx];
		rests = magazine->used == 0 && magazine->step != 0;
		magazine->used -= magazine->used != 0;
	}
	hk_gate_leave(self);
	return rests;
}

HK_SELDOM void hk_thread_shed(void)
{
	struct hk_thread *self = hk_self;
	struct hk_set *set = atomic_load_explicit(&self->set, memory_order_relaxed);
	for (unsigned c = 0; set != &hk_set_none && c < HK_CLASSES; c++)
		if (capacity_rests(self, c, set))
			capacity_give_beyond(self, c, set, 0, true);
}

static _Atomic uint64_t capacity_frugal_until;

void hk_threads_set_frugal(uint64_t until_nsec)
{
	atomic_store_explicit(&capacity_frugal_until, until_nsec, memory_order_relaxed);
}

/* A class missed often enough: the next capacity, as far as the budget goes. */
static void capacity_grow(struct hk_thread *self, unsigned class_idx, struct hk_set *set)
{
	unsigned step = capacity_step(self, class_idx, set);
	uint64_t more = hk_hot_capacity(class_idx, step + 1) - hk_hot_capacity(class_idx, step);
	uint64_t now_nsec = hk_clock_coarse_nsec();
	bool frugal = now_nsec < atomic_load_explicit(&capacity_frugal_until, memory_order_relaxed);
	if ((!frugal || step == 0) &&
	    capacity_has_room(self, class_idx, set, more * hk_class_info[class_idx].block_bytes, now_nsec))
		capacity_resize(self, class_idx, set, step + 1);
}

unsigned hk_thread_capacity(struct hk_thread *self, struct hk_set *set, unsigned class_idx, bool spill)
{
	bool grow = false;
	/* the set is ours to read only inside the gate */
	if (hk_gate_enter(self) == set)
		grow = capacity_wants_growth(class_idx, &set->magazines[class_idx], spill);
	hk_gate_leave(self);
	HK_POINT(thread_prepared);
	if (grow)
		capacity_grow(self, class_idx, set);
	else if (HK_UNLIKELY(self->budget_used > capacity_budget())) /* the budget fell: a few at a time */
		capacity_make_room(self, HK_CLASSES, set, 0);
	unsigned step = hk_gate_enter(self)->magazines[class_idx].step;
	hk_gate_leave(self);
	return hk_hot_capacity(class_idx, step);
}
