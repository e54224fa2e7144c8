/* SPDX-License-Identifier: MIT */
/*
 * Hot magazines: a thread's own stacks of free blocks, and the gate through which others may empty them.
 *
 * Fast path: a TLS load, busy = 1, the thread's set of magazines through one pointer, move a block pointer,
 * busy = 0.  No lock, no atomic read-modify-write, no system call.
 *
 * The gate.  A flusher swaps the set pointer to `hk_set_none`, a read-only set that is empty and full at once,
 * so that every push and pop on it takes the slow path; then one membarrier(PRIVATE_EXPEDITED) for all threads;
 * then it reads busy.
 *   x86-64: the owner's store to busy may still sit in its store buffer when it loads the set.  The membarrier
 *   drains that buffer: if the owner loaded the old set before the swap, busy = 1 is visible after the barrier;
 *   if it loads later, it sees `hk_set_none`.  busy = 0 is a store after the block moves, in program order.
 *   aarch64: the same argument, with the membarrier as the full barrier on the owner's side between the store
 *   of busy and the load of the set; busy = 0 is a store-release, paired with the flusher's load-acquire.
 * So a flusher that reads 0 owns the old set.  One that reads 1 waits a while or leaves the set for a later
 * sweep; it never gives a set back.  The owner finds `hk_set_none` on its slow path and installs a fresh set.
 *
 * busy covers pointer moves only: no lock, no system call, no avoidable fault.
 */
#ifndef HK_CACHES_HOT_H
#define HK_CACHES_HOT_H

#include "base/point.h"
#include "map/pagemap.h"

#include <stdatomic.h>

#define HK_HOT_SLOTS_MAX 1024u /* the top of the ladder in thread.c */

/* One class's stack: n blocks in slots[0..n), room for `capacity`. */
struct hk_magazine {
	void **slots;
	uint32_t n;
	uint32_t capacity;
};

struct hk_magazine_info { /* what only slow paths need */
	uint16_t reported;    /* n as last told to the class */
	uint8_t misses;       /* slow paths since the capacity last changed */
	uint8_t step;         /* index of the capacity in the ladder */
};

#define HK_MAGAZINE_FIRST 8u  /* blocks that a magazine holds at first */
#define HK_SET_FIRST      28u /* such magazines for which the set itself has the slots */

/* By kind, the magazines need no check of what kind of block is freed: all but the classes' are for ever empty
 * and full at once. */
struct hk_set {
	union {
		struct hk_magazine by_kind[HK_KINDS];
		struct {
			struct hk_magazine none; /* HK_KIND_NONE */
			struct hk_magazine magazines[HK_CLASSES];
		};
	};
	struct hk_magazine_info info[HK_CLASSES];
	uint32_t first_free;                          /* mask of what is free below */
	void *first[HK_SET_FIRST][HK_MAGAZINE_FIRST]; /* slots of magazines at their first capacity, on this same page */
};
_Static_assert(sizeof(struct hk_set) <= HK_PAGE_BYTES, "a thread that does little has one page of magazines");
_Static_assert(offsetof(struct hk_set, magazines) == HK_KIND_SLAB * sizeof(struct hk_magazine), "kind is class + 1");

/*
 * A thread as the flusher sees it.  Records are type-stable: never unmapped, reused by later threads.
 *
 * `set` stands at 0 and `busy` at 12 modulo 16, where no magazine keeps its n: processors match loads with
 * earlier stores by the low 12 bits of the address, and a match that is none costs a nanosecond.
 */
struct hk_thread {
	struct hk_set *_Atomic set;       /* the owner's; &hk_set_none when detached or not there yet */
	uint32_t exit_rounds;             /* how often the thread-exit hook asked to come later; owner only */
	_Atomic uint32_t busy;            /* written by the owner alone: the partner of `set` */
	struct hk_set *detached;          /* taken by a flusher that found the owner busy; guard: sweep lock */
	struct hk_thread *all_next;       /* all records; grows only */
	struct hk_thread *free_next;      /* records without a thread; guard: threads lock */
	uint64_t budget_used;             /* bytes that the capacities allow; owner only */
	uint32_t hand;                    /* class whose magazine shrinks next when the budget is used up; owner only */
	uint8_t in_use;                   /* a thread has it; guard: threads lock */
} HK_ALIGNED(64);

extern const struct hk_set hk_set_none; /* all zero: empty and full at once */

/* Records of threads that have none: before the first slow path, and after the thread's teardown. */
extern struct hk_thread hk_thread_new, hk_thread_dead;

extern HK_TLS struct hk_thread *hk_self;

static HK_ALWAYS struct hk_set *hk_gate_enter(struct hk_thread *self)
{
	HK_POINT(gate_outside);
	atomic_store_explicit(&self->busy, 1, memory_order_relaxed);
	atomic_signal_fence(memory_order_seq_cst);
	HK_POINT(gate_busy);
	return atomic_load_explicit(&self->set, memory_order_relaxed);
}

static HK_ALWAYS void hk_gate_leave(struct hk_thread *self)
{
	atomic_store_explicit(&self->busy, 0, memory_order_release);
}

/* A block of the class whose slabs are of this kind, or NULL where the magazine is empty. */
static HK_ALWAYS void *hk_hot_pop(unsigned kind)
{
	struct hk_thread *self = hk_self;
	struct hk_magazine *magazine = &hk_gate_enter(self)->by_kind[kind];
	uint32_t n = magazine->n;
	if (HK_UNLIKELY(n == 0)) {
		hk_gate_leave(self);
		return NULL;
	}
	void *block = magazine->slots[n - 1];
	HK_POINT(hot_pop);
	magazine->n = n - 1;
	hk_gate_leave(self);
	if (block == NULL)
		__builtin_unreachable(); /* so that the caller's check for NULL is the one above */
	return block;
}

/* Keep a freed block of this kind; false where the magazine is full, or there is none for the kind. */
static HK_ALWAYS bool hk_hot_push(unsigned kind, void *block)
{
	struct hk_thread *self = hk_self;
	struct hk_magazine *magazine = &hk_gate_enter(self)->by_kind[kind];
	uint32_t n = magazine->n;
	bool room = HK_LIKELY(n < magazine->capacity);
	if (room) {
		magazine->slots[n] = block;
		HK_POINT(hot_push);
		magazine->n = n + 1;
	}
	hk_gate_leave(self);
	return room;
}

#endif
