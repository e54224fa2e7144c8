/* SPDX-License-Identifier: MIT */
/* Bit arithmetic on the masks and bitmaps of the slabs.  Arguments that must not be 0 say so. */
#ifndef HK_BASE_BITS_H
#define HK_BASE_BITS_H

#include "base/attr.h"

static inline unsigned hk_ctz64(uint64_t x) /* x != 0 */
{
	return (unsigned)__builtin_ctzll(x);
}

static inline unsigned hk_clz64(uint64_t x) /* x != 0 */
{
	return (unsigned)__builtin_clzll(x);
}

static inline unsigned hk_popcount64(uint64_t x)
{
	return (unsigned)__builtin_popcountll(x);
}

static inline uint64_t hk_mask64(unsigned first, unsigned last) /* bits first..last, both within 0..63 */
{
	return (~(uint64_t)0 >> (63 - (last - first))) << first;
}

static inline uint32_t hk_mask32(unsigned first, unsigned count) /* count bits from first; 1 <= count <= 32 */
{
	return (~(uint32_t)0 >> (32 - count)) << first;
}

/* Set a bit of a word; was it set before?  One instruction, where the compiler makes a copy and a comparison of it. */
static inline bool hk_test_and_set64(uint64_t *word, unsigned bit)
{
	bool was;
#ifdef __x86_64__
	__asm__("bts %q2, %0" : "+r"(*word), "=@ccc"(was) : "r"(bit)); /* it looks at six bits of it */
#else
	was = (*word >> bit % 64 & 1) != 0;
	*word |= (uint64_t)1 << bit % 64;
#endif
	return was;
}

/* Add to a field that others may read meanwhile; is the sum 0 or more?  One instruction, in memory. */
static inline bool hk_add_to_zero(int32_t *field, int32_t n)
{
#ifdef __x86_64__
	bool reached;
	__asm__("addl %2, %0" : "+m"(*field), "=@ccns"(reached) : "ri"(n));
	return reached;
#else
	HK_HINT_SET(*field, *field + n);
	return *field >= 0;
#endif
}

/* Position of the lowest run of `count` set bits in `mask`, or 32 where there is none. */
static inline unsigned hk_find_run32(uint32_t mask, unsigned count)
{
	for (unsigned done = 1; done < count && mask != 0;) {
		unsigned step = HK_MIN(done, count - done);
		mask &= mask >> step;
		done += step;
	}
	return mask != 0 ? (unsigned)__builtin_ctz(mask) : 32;
}

/* Length of the longest run of set bits. */
static inline unsigned hk_longest_run32(uint32_t mask)
{
	unsigned length = 0;
	while (mask != 0) {
		mask &= mask >> 1;
		length++;
	}
	return length;
}

/* The bits of a word that are among first..last, of which some are. */
static inline uint64_t hk_bitmap_mask(unsigned word, unsigned first, unsigned last)
{
	return hk_mask64(word == first / 64 ? first % 64 : 0, word == last / 64 ? last % 64 : 63);
}

/* Are the bits first..last of the bitmap all set? */
static inline bool hk_bitmap_all(const uint64_t *bitmap, unsigned first, unsigned last)
{
	for (unsigned word = first / 64; word <= last / 64; word++) {
		uint64_t mask = hk_bitmap_mask(word, first, last);
		if ((__atomic_load_n(&bitmap[word], __ATOMIC_RELAXED) & mask) != mask)
			return false;
	}
	return true;
}

/* Set the bits first..last, or clear them; others may read the words meanwhile.  How many changed. */
static inline unsigned hk_bitmap_set(uint64_t *bitmap, unsigned first, unsigned last)
{
	unsigned n = 0;
	for (unsigned word = first / 64; word <= last / 64; word++) {
		uint64_t bits = HK_HINT(bitmap[word]), fresh = hk_bitmap_mask(word, first, last) & ~bits;
		HK_HINT_SET(bitmap[word], bits | fresh);
		n += hk_popcount64(fresh);
	}
	return n;
}

static inline unsigned hk_bitmap_clear(uint64_t *bitmap, unsigned first, unsigned last)
{
	unsigned n = 0;
	for (unsigned word = first / 64; word <= last / 64; word++) {
		uint64_t bits = HK_HINT(bitmap[word]), gone = hk_bitmap_mask(word, first, last) & bits;
		HK_HINT_SET(bitmap[word], bits & ~gone);
		n += hk_popcount64(gone);
	}
	return n;
}

#endif
