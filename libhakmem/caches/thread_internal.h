/* SPDX-License-Identifier: MIT */
/* What thread.c, capacity.c and sweep.c share; nobody else includes it. */
#ifndef HK_CACHES_THREAD_INTERNAL_H
#define HK_CACHES_THREAD_INTERNAL_H

#include "caches/thread.h"

#include <string.h>

/* What is allocated for a set: slots of magazines at their first capacity lie on the same page. */
#define HK_MAGAZINE_FIRST 8u  /* slots of a magazine at first */
#define HK_SET_FIRST      32u /* such magazines for which the set has the slots */
struct hk_set_page {
	struct hk_set set;
	uint32_t first_free; /* mask of what is free below */
	void *first[HK_SET_FIRST][HK_MAGAZINE_FIRST];
};
_Static_assert(sizeof(struct hk_set_page) <= HK_PAGE_BYTES, "a thread that does little has one page of magazines");

#define HK_HOT_STEPS 7u

extern uint32_t hk_threads_bypass_first; /* slow paths of a thread before it has magazines; constant outside tests */

/* The ladder that capacities climb: slots and bytes. */
extern const uint16_t hk_hot_ladder[HK_HOT_STEPS];
extern const uint32_t hk_hot_ladder_bytes[HK_HOT_STEPS];

extern void *hk_hot_no_slots[2]; /* a NULL, and nothing behind it: what a magazine without slots has */

/* How many blocks a class's magazine holds at this step of the ladder. */
static inline unsigned hk_hot_capacity(unsigned class_idx, unsigned step)
{
	uint32_t block_bytes = hk_class_info[class_idx].block_bytes;
	return step != 0 ? HK_MIN(hk_hot_ladder[step] - 1u, HK_MAX(hk_hot_ladder_bytes[step] / block_bytes, 2u * step)) : 0;
}

/* Blocks in a magazine.  Of a set that may be somebody else's memory by now, any number that a magazine can hold. */
static inline unsigned hk_magazine_count(const struct hk_magazine *magazine, unsigned class_idx)
{
	if (magazine->step == 0 || magazine->step >= HK_HOT_STEPS)
		return 0;
	unsigned capacity = hk_hot_capacity(class_idx, magazine->step);
	unsigned room = (magazine->limit - (uint32_t)(uintptr_t)magazine->top) / sizeof(void *);
	return room <= capacity ? capacity - room : 0;
}

/* Its oldest block; the NULL that begins the slots is before that. */
static inline void **hk_magazine_oldest(const struct hk_magazine *magazine, unsigned class_idx)
{
	return magazine->top - hk_magazine_count(magazine, class_idx);
}

/* So many blocks move down at most where older ones leave a magazine; else newer ones leave it. */
#define HK_MAGAZINE_MOVE_MOST 512u

/* Inside the gate: `n` of the `count` blocks out of a magazine, the oldest unless too many would have to move. */
static inline void hk_magazine_pop(struct hk_magazine *magazine, unsigned count, unsigned n, void **out)
{
	bool newest = count - n > HK_MAGAZINE_MOVE_MOST;
	void **from = magazine->top - (newest ? n : count);
	memcpy(out, from, n * sizeof *out);
	if (!newest)
		memmove(from, from + n, (count - n) * sizeof *from);
	magazine->top -= n;
}

/* Inside the gate: how far the class's count of hot blocks is off for this magazine; it is told at once. */
static inline int hk_set_report(struct hk_set *set, unsigned class_idx)
{
	struct hk_magazine *magazine = &set->magazines[class_idx];
	unsigned now = hk_magazine_count(magazine, class_idx);
	int delta = (int)now - magazine->reported;
	magazine->reported = (uint16_t)now;
	return delta;
}

static inline int hk_thread_report(struct hk_thread *self, unsigned class_idx)
{
	struct hk_set *set = hk_gate_enter(self);
	int delta = set != &hk_set_none ? hk_set_report(set, class_idx) : 0;
	hk_gate_leave(self);
	return delta;
}

struct hk_thread_list {
	struct hk_lock lock;
	struct hk_thread *_Atomic all; /* grows only, so it is walked without the lock */
	struct hk_thread *free;
};

extern struct hk_thread_list hk_threads;

/* On a slow path of the set's owner: count a miss of the class, which may make its magazine larger, at others' cost where
 * the budget is used up.  Returns the capacity; 0 = no magazine, or no set any more. */
unsigned hk_thread_capacity(struct hk_thread *self, struct hk_set *set, unsigned class_idx, bool spill);

/* Free the slots of a class's magazine, unless they lie in the set itself. */
void hk_set_free_slots(struct hk_set *set, unsigned class_idx);

/* Return all blocks of a set that no owner can reach any more, to the slabs (`direct`: past the cold
 * magazines), then its memory.  Under no lock but the sweep lock.  Adds the blocks of each class to
 * `n_blocks[class]` unless that is NULL. */
void hk_set_empty(struct hk_set *set, bool direct, uint64_t *n_blocks);

/* Count the blocks of a set as lost. */
void hk_set_forget(const struct hk_set *set);

/* Register for membarrier: while the process has one thread this costs microseconds, later milliseconds. */
void hk_sweep_init(void);

#endif
