/* SPDX-License-Identifier: MIT */
/*
 * Cold magazines: per size class a stack of free blocks between the threads' hot magazines and the slabs.
 *
 * Why: a block that goes round between threads, or leaves a hot magazine for a moment, should cost one lock
 * for half a magazine and no bitmap at all.  And any thread can empty it, at any time.
 *
 * The class lock guards the magazine and the slabs of the class together.  Slot arrays are allocated outside
 * of it, from slabs of the allocator's own classes.
 */
#ifndef HK_CACHES_COLD_H
#define HK_CACHES_COLD_H

#include "base/counters.h"
#include "caches/shard.h"
#include "slabs/slab.h"

#define HK_BATCH 512u /* blocks moved under one lock at most */

/* What a class borrowed in its latest span of time: see loan.h.  Hints, guarded by nothing. */
struct hk_loan {
	uint32_t span;
	uint16_t n;     /* requests */
	uint16_t n_new; /* of those, for new memory */
};

/* A size class, or one shard of it.  `slabs.lock` guards all of it.  Spills and refills through the cold magazine touch the
 * first cache line alone, which another processor wrote last. */
struct hk_class {
	void **slots;           /* the cold magazine; NULL while n_slots is 0 */
	uint32_t n_cold;        /* blocks in it */
	uint32_t n_slots;
	uint32_t n_hot;         /* blocks in hot magazines, as their owners last said; of a shard, what was said here */
	uint32_t asked_at;      /* when it was last asked for blocks, in sheds */
	struct hk_slabs slabs;
	struct hk_loan loan;
	uint32_t slabs_said;    /* of a divided class: slabs of this shard as the books know them */
} HK_ALIGNED(64);
_Static_assert(offsetof(struct hk_class, slabs.bins) == 64, "what magazines need is one cache line");

/* All shards by number; only the first ones are in use before their class is divided. */
extern struct hk_class hk_classes[HK_SHARDS_ALL];

static inline struct hk_class *hk_class_shard(unsigned class_idx, unsigned shard)
{
	return &hk_classes[hk_shard_number(class_idx, shard)];
}

/*
 * Take up to `want` (at most HK_BATCH) blocks of a class into `out`, as a magazine holds them: from the cold magazine, else
 * from slabs, else from another shard's, else from a new slab.  Returns how many; 0 only without memory.  All but the last
 * are for the caller's hot magazine: they are added to n_hot, and `hot_delta` with them.
 */
unsigned hk_cold_take(unsigned class_idx, void **out, unsigned want, int hot_delta);

/*
 * Give blocks of one class back, to the cold magazine as far as it has room (never where `direct`), the rest
 * to their slabs; `blocks` is used up.  A block that is none ends the process with a message.  `hot_delta` is added to n_hot.
 */
void hk_cold_give(unsigned class_idx, void **blocks, unsigned count, int hot_delta, bool direct);

/* Divide one of the program's classes into shards, if it is not: what contention for its lock does. */
void hk_cold_divide(unsigned class_idx);

/* Move some blocks from a shard's cold magazine to the slabs, under one lock; returns how many.  Shards go by number here
 * and below. */
unsigned hk_cold_flush_step(unsigned shard);

/* Send home some of what shards keep at hand that nobody asked for blocks since the last call: cold blocks and an empty slab
 * each.  The next call goes on from there. */
void hk_cold_shed(void) HK_COLD;

/* How many blocks the class counts as hot, by what owners said. */
uint32_t hk_cold_n_hot(unsigned class_idx);

/* In a fork child: what the class counts as hot was partly in the hands of threads that are gone. */
void hk_cold_recount_hot(unsigned class_idx, uint32_t n_hot);

/* Publish the class's counters; what happens in its slabs behind the magazines' back is seen only then. */
void hk_cold_refresh(unsigned class_idx);

/* What all cold magazines together may hold from now on; 0 = the default. */
void hk_cold_limit(uint64_t bytes);

/* How many blocks a cold magazine of a class may hold at most. */
unsigned hk_cold_slots_max(unsigned class_idx);

/* Free the slots of a shard's cold magazine where it is empty; it starts small again. */
void hk_cold_shrink(unsigned shard);

/* Write the counters of each class that ever had a slab to its place in the table.  In a shared segment they are kept up
 * to date; before there is one there is no such table.  Under all class locks, or for a hint. */
void hk_cold_publish(struct hkp_stats_class *classes);

/* Memory for the allocator itself, at most 1 MiB, not zeroed; NULL without memory. */
void *hk_own_new(size_t bytes);
void hk_own_free(void *pointer, size_t bytes);

/* End the process over a pointer that was passed to `function`. */
void hk_misuse(const char *function, const void *pointer, enum hk_misuse what) __attribute__((noreturn, cold));

#endif
