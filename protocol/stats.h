/* SPDX-License-Identifier: MIT */
/*
 * The stats segment: what one process tells about its heap.
 *
 * Why: the daemon ranks processes by what they could give back, and must learn it without waking them.
 *
 * How: the process makes a memfd, seals it SHRINK|GROW|FUTURE_WRITE|SEAL after mapping it, and passes it once
 * with HELLO.  It writes on its slow paths only; the daemon reads through a mapping.  Fields are aligned 64-bit
 * counters in host byte order (the segment never leaves the machine).  There is no snapshot: a reader assumes
 * no agreement between fields and treats each as a hint from a stranger.
 */
#ifndef HAKMEM_PROTOCOL_STATS_H
#define HAKMEM_PROTOCOL_STATS_H

#include <stddef.h>
#include <stdint.h>

#define HKP_STATS_MAGIC     0x53544154534d4b48ull /* "HKMSTATS" in memory */
#define HKP_STATS_VERSION   1
#define HKP_STATS_BYTES     8192 /* of the whole segment */
#define HKP_STATS_CLASS_MAX 128  /* room for size classes; the segment has more behind it, should they grow */

/* X(name, unit, help): the process-wide counters, in segment order; new ones go to the end. */
#define HKP_STATS_GLOBALS(X)                                                                                  \
	X(activity_nsec, "ns", "CLOCK_MONOTONIC at the latest slow path")                                     \
	X(mapped_bytes, "bytes", "address space held: SuperSlabs, large blocks, metadata")                    \
	X(used_bytes, "bytes", "in blocks that the program holds")                                            \
	X(hot_bytes, "bytes", "free blocks in threads' hot magazines, as of their latest slow path")          \
	X(cold_bytes, "bytes", "free blocks in cold magazines")                                               \
	X(releasable_bytes, "bytes", "what flush level 2 could return now")                                   \
	X(purged_bytes, "bytes", "returned with madvise since the start")                                     \
	X(released_bytes, "bytes", "returned by flushes since the start, unmapped and purged together")       \
	X(flushes, "", "flushes carried out")                                                                 \
	X(flush_usec, "us", "wall time spent in flushes")                                                     \
	X(superslabs, "", "SuperSlabs mapped")                                                                \
	X(superslabs_empty, "", "of those, wholly free and kept in reserve")                                  \
	X(superslabs_phantom, "", "of those, kept alive by magazines alone; as of the latest survey")         \
	X(slabs, "", "slabs in use by size classes")                                                          \
	X(mid_bytes, "bytes", "in mid blocks (slice runs) that the program holds")                            \
	X(large_bytes, "bytes", "in large blocks (own mappings) that the program holds")                      \
	X(large_cached_bytes, "bytes", "in freed large blocks kept for reuse")                                \
	X(metadata_bytes, "bytes", "mapped for the allocator's own bookkeeping")                              \
	X(threads, "", "threads that have magazines")                                                         \
	X(superslabs_made, "", "SuperSlabs mapped since the start")                                           \
	X(superslabs_unmapped, "", "SuperSlabs released since the start")                                     \
	X(lost_bytes, "bytes", "in magazines that a fork caught in mid-transfer")                             \
	X(n_classes, "", "size classes that follow")

/* X(name): per size class, counted in blocks unless the name says otherwise. */
#define HKP_STATS_CLASS(X)                                                                                    \
	X(block_bytes) /* block size; constant */                                                             \
	X(used)        /* held by the program (as of the latest slow path) */                                 \
	X(hot)         /* in hot magazines, as of their owners' latest slow path */                           \
	X(cold)        /* in the cold magazine */                                                             \
	X(free)        /* in slabs' bitmaps or never handed out */                                            \
	X(slabs)       /* slabs of this class */

struct hkp_stats_class {
#define X(name) uint64_t name;
	HKP_STATS_CLASS(X)
#undef X
};

struct hkp_stats {
	uint64_t magic;   /* HKP_STATS_MAGIC */
	uint32_t version; /* HKP_STATS_VERSION */
	uint32_t size;    /* HKP_STATS_BYTES */
#define X(name, unit, help) uint64_t name;
	HKP_STATS_GLOBALS(X)
#undef X
	uint64_t reserved[7]; /* 0; room for counters to come */
	struct hkp_stats_class classes[HKP_STATS_CLASS_MAX];
};

_Static_assert(sizeof(struct hkp_stats_class) == 48, "the class record is part of the format");
_Static_assert(offsetof(struct hkp_stats, classes) == 256, "the head is part of the format");
_Static_assert(sizeof(struct hkp_stats) <= HKP_STATS_BYTES, "the segment has a fixed size");

#endif
