/* SPDX-License-Identifier: MIT */
/*
 * Size classes: which block size serves a request, and how a slab of that class is cut.
 *
 * Exact 16-byte steps to 1 KiB (64 classes), eight steps per doubling to 64 KiB (48).
 * A class above 8 KiB gets slabs of two, four or eight slices, which fill a SuperSlab without a rest, so that a
 * slab holds at least eight blocks; the rest at a slab's end, at most an eleventh, is never touched and costs
 * addresses, not memory.
 * Behind the program's classes stand those of the allocator itself, for magazine slots: their own slabs, so
 * that no overflow of a program's block runs into them.
 */
#ifndef HK_MAP_CLASSES_H
#define HK_MAP_CLASSES_H

#include "base/attr.h"
#include "base/bits.h"

#define HK_TINY_EXACT_BYTES 1024u /* to here the class is (bytes - 1) / 16 */
#define HK_TINY_BYTES       65536u /* to here a request is served from a class */
#define HK_CLASSES          112u   /* the program's */
#define HK_CLASSES_OWN      7u     /* the allocator's: 64 bytes to 16 KiB */
#define HK_OWN_BYTES        16384u /* the largest of them */
#define HK_CLASSES_ALL      (HK_CLASSES + HK_CLASSES_OWN)
#define HK_SHARDS           16u /* parts of a class that processors contend for: see caches/shard.h */
#define HK_SHARDS_ALL       (HK_SHARDS * HK_CLASSES_ALL)
#define HK_SLAB_BLOCKS_MAX  (HK_SLICE_BYTES / 16) /* blocks in the fullest slab */

struct hk_class_info {
	uint32_t block_bytes;
	uint32_t reciprocal; /* (offset * reciprocal) >> 32 is offset / block_bytes for every multiple; within one slice
			      * the lower half is less than reciprocal for multiples and for nothing else */
	uint16_t n_blocks;   /* in one slab */
	uint16_t quarter;    /* of n_blocks, rounded down, so that a free slab is in the last bin: a bin's width */
	uint16_t last_page;  /* from this block on the OS page may hold fewer blocks than elsewhere */
	uint8_t near_blocks; /* of a free OS page so many lie in a row on one side of each block on it, itself included */
	uint8_t n_slices;    /* of one slab */
};

extern const struct hk_class_info hk_class_info[HK_CLASSES_ALL];

/* Class of a request above HK_TINY_EXACT_BYTES, up to HK_TINY_BYTES. */
static inline unsigned hk_class_of_big(size_t bytes)
{
	unsigned msb = 63 - hk_clz64(bytes - 1); /* 10 for 1025..2048, ..., 15 for 32769..65536 */
	return 64 + (msb - 10) * 8 + (unsigned)((bytes - 1) >> (msb - 3)) - 8;
}

/* Class of a request of 0 to HK_TINY_BYTES bytes. */
static inline unsigned hk_class_of(size_t bytes)
{
	if (bytes <= HK_TINY_EXACT_BYTES)
		return bytes == 0 ? 0 : (unsigned)((bytes - 1) >> 4);
	return hk_class_of_big(bytes);
}

/* The smallest class that holds `bytes` with every block at a multiple of `alignment` (a power of two), or
 * HK_CLASSES where none does. */
unsigned hk_class_of_aligned(size_t bytes, size_t alignment);

/* Shards by number: the first ones of all classes, then the others class by class, so that to divide one costs a page. */
static inline unsigned hk_shard_number(unsigned class_idx, unsigned shard)
{
	return shard == 0 ? class_idx : HK_CLASSES_ALL + class_idx * (HK_SHARDS - 1) + shard - 1;
}

static inline unsigned hk_shard_class(unsigned number)
{
	return number < HK_CLASSES_ALL ? number : (number - HK_CLASSES_ALL) / (HK_SHARDS - 1);
}

/* The allocator's own class for `bytes`, at most HK_OWN_BYTES. */
static inline unsigned hk_class_own(size_t bytes)
{
	static const uint16_t limits[HK_CLASSES_OWN] = {64, 256, 1024, 2048, 4096, 8192, HK_OWN_BYTES};
	unsigned i = 0;
	while (limits[i] < bytes)
		i++;
	return HK_CLASSES + i;
}

#endif
