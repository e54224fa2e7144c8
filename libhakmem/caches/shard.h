/* SPDX-License-Identifier: MIT */
/*
 * Shards: a size class that processors contend for is divided into parts, each with a lock, slabs and a cold magazine of
 * its own; a thread uses that of the processor it runs on.
 *
 * Why: one lock for a class is enough for most programs, and what is free of it is of use to every thread.  Where many
 * refill and spill the same class at once they wait for one another; and blocks that go from one processor to
 * the next take their cache lines along, and leave their neighbours in the same line behind.  jemalloc shards its
 * bins by thread for the same reason; processors are fewer than threads.
 *
 * How: each class begins as its first shard.  Once its lock was waited for so many times it is divided, for good.  A slab
 * belongs to one shard; a freed block may be cold in any, and goes home to its slab's.  A shard that has nothing left asks
 * the others before it makes a slab: one that has many cold blocks gives some, else one that has free blocks in its slabs
 * gives a slab, so that what two processors use drifts apart.
 *
 * Books: what is published of a class says how many blocks are hot, and no more than are out of its slabs and not
 * cold.  No single shard knows that, so a divided class keeps its sums aside.
 */
#ifndef HK_CACHES_SHARD_H
#define HK_CACHES_SHARD_H

#include "protocol/stats.h"
#include "slabs/slab.h"

/* What a divided class has in all its shards, in blocks.  Processors add to it under the locks of different shards, so it
 * has one of its own; whoever takes it holds a shard's, as fork takes no more than those. */
struct hk_books {
	struct hk_lock lock;
	int64_t cold, taken, slabs;
	int64_t hot;      /* as owners last said */
	int64_t hot_said; /* of those, as published */
} HK_ALIGNED(64);

extern struct hk_books hk_books[HK_CLASSES];

static inline bool hk_divided(const struct hk_slabs *slabs)
{
	return HK_UNLIKELY(__atomic_load_n(&slabs->divided, __ATOMIC_ACQUIRE) != 0);
}

/* The shard that this thread is to use of a divided class. */
unsigned hk_shard_here(void);

/* From now on `*cpu` is the number of the processor on which this thread runs; NULL: it uses first shards. */
void hk_shard_set_cpu(const volatile uint32_t *cpu);

/* Find out where the kernel writes that number.  For threads that libc knows; without a system call. */
void hk_shard_find_cpu(void);

/* Begin a class's books with these sums. */
void hk_books_open(unsigned class_idx, const struct hk_books *sums);

/* Under a shard's lock: add to the books, and write the class's counters to `out` unless it is NULL.  Returns by how much the
 * number of blocks that are published as hot changes. */
int64_t hk_books_change(unsigned class_idx, const struct hk_books *more, struct hkp_stats_class *out);

/* Write the class's counters to `out`: under the locks of all shards, or a hint. */
void hk_books_publish(unsigned class_idx, struct hkp_stats_class *out);

#endif
