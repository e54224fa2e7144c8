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

/*
 * One class's stack of blocks.  Its array of slots begins with a NULL, so that popping needs no count: what is read
 * is the block, or says that there is none.  Where `top` reaches `limit` the magazine is full; of addresses in
 * one slab the lower half is enough to compare.  A magazine without slots has its top behind some other NULL, and
 * limit 0: empty and full at once.
 */
struct hk_magazine {
	void **top;        /* behind the newest block */
	uint32_t limit;    /* lower half of the address behind the last slot */
	uint16_t reported; /* blocks as last told to the class; this and what follows is for slow paths */
	uint8_t misses;    /* slow paths since the capacity last changed */
	uint8_t step : 4;    /* index of the capacity in the ladder */
	uint8_t used : 3;    /* set by each miss, and one less at each of the heap's records: 0 = idle */
	uint8_t spilled : 1; /* the last slow path was a spill */
};
_Static_assert(sizeof(struct hk_magazine) == 8 * HK_KIND_STEP, "a kind is an index in units that addressing modes have");

/* By kind, the magazines need no check of what kind of block is freed: all but the classes' are for ever empty
 * and full at once. */
#define HK_KINDS (HK_KIND_END / HK_KIND_STEP)
struct hk_set {
	union {
		struct hk_magazine by_kind[HK_KINDS];
		struct {
			struct hk_magazine none; /* HK_KIND_NONE */
			struct hk_magazine magazines[HK_CLASSES];
		};
	};
};
_Static_assert(offsetof(struct hk_set, magazines) == 8 * HK_KIND_SLAB, "the classes' magazines stand by their kind");

/*
 * A thread as the flusher sees it.  Records are type-stable: never unmapped, reused by later threads.
 *
 * `set` stands at 8 and `busy` at 12 modulo 16, where no magazine has its top or limit: processors match loads with
 * earlier stores by the low 12 bits of the address, and a match that is none costs a nanosecond.
 */
struct hk_thread {
	struct hk_set *detached;          /* taken by a flusher that found the owner busy; guard: sweep lock */
	struct hk_set *_Atomic set;       /* the owner's; &hk_set_none when detached or not there yet */
	uint64_t budget_used;             /* bytes that the capacities allow; owner only */
	uint32_t exit_rounds;             /* how often the thread-exit hook asked to come later; owner only */
	_Atomic uint32_t busy;            /* written by the owner alone: the partner of `set` */
	struct hk_thread *all_next;       /* all records; grows only */
	struct hk_thread *free_next;      /* records without a thread; guard: threads lock */
	uint32_t hand;                    /* class whose magazine shrinks next when the budget is used up; owner only */
	uint8_t in_use;                   /* a thread has it; guard: threads lock */
	_Atomic uint32_t tid;             /* the owner's, as its clock is named by; 0 = none yet */
	uint32_t rest_tid;                /* of whom the two below are; guard: sweep lock */
	uint64_t rest_nsec;               /* since when it rests, */
	uint64_t rest_cpu_nsec;           /* and its CPU time then */
	uint64_t room_nsec;               /* when a magazine last grew at others' cost; owner only */
	uint32_t bypass;                  /* number of the latest time that magazines were to be bypassed; owner only */
	uint32_t bypass_left;             /* slow paths for which it still does; owner only */
	uint64_t active_nsec;             /* what it last wrote to activity_nsec; owner only */
} HK_ALIGNED(64);

extern const struct hk_set hk_set_none; /* every magazine is empty and full at once */

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

/* The magazine of a kind stands so many bytes into the set. */
static HK_ALWAYS size_t hk_magazine_offset(unsigned kind)
{
	return (size_t)kind * 8;
}

static HK_ALWAYS struct hk_magazine *hk_magazine_at(struct hk_set *set, size_t offset)
{
	return (void *)((char *)set + offset); /* offsets are multiples of its size */
}

/* A block out of the magazine at this offset, or NULL where it is empty. */
static HK_ALWAYS void *hk_hot_pop(size_t offset)
{
	struct hk_thread *self = hk_self;
	struct hk_magazine *magazine = hk_magazine_at(hk_gate_enter(self), offset);
	void **top = magazine->top;
	void *block = top[-1];
	HK_POINT(hot_pop);
	if (HK_LIKELY(block != NULL))
		magazine->top = top - 1;
	hk_gate_leave(self);
	return block;
}

/* Keep a freed block of this kind; false where the magazine is full, or there is none for the kind. */
static HK_ALWAYS bool hk_hot_push(unsigned kind, void *block)
{
	struct hk_thread *self = hk_self;
	struct hk_magazine *magazine = hk_magazine_at(hk_gate_enter(self), hk_magazine_offset(kind));
	void **top = magazine->top;
	bool room = HK_LIKELY((uint32_t)(uintptr_t)top < magazine->limit);
	if (room) {
		*top = block;
		HK_POINT(hot_push);
		magazine->top = top + 1;
	}
	hk_gate_leave(self);
	return room;
}

#endif
