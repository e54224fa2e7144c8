/* SPDX-License-Identifier: MIT */
/* The table of size classes: see classes.h. */
#include "map/classes.h"

#define RECIPROCAL(bytes) ((uint32_t)(((uint64_t)1 << 32) / (bytes) + ((((uint64_t)1 << 32) % (bytes)) != 0)))
#define BLOCKS(bytes, slices) ((slices) * HK_SLICE_BYTES / (bytes))
#define PER_PAGE(bytes) (HK_PAGE_BYTES / (bytes))
#define K(bytes, slices)                                                                                      \
	{                                                                                                     \
		.block_bytes = (bytes), .reciprocal = RECIPROCAL(bytes),                                       \
		.n_blocks = (uint16_t)BLOCKS(bytes, slices),                                                  \
		.quarter = (uint16_t)(BLOCKS(bytes, slices) / 4),                                             \
		.last_page = (uint16_t)(BLOCKS(bytes, slices) - PER_PAGE(bytes)),                             \
		.near_blocks = (uint8_t)(PER_PAGE(bytes) < 2 ? 1 : HK_MIN(PER_PAGE(bytes) / 2, 64u)),         \
		.n_slices = (slices)                                                                         \
	}
#define K8(first, step, slices)                                                                               \
	K(first, slices), K(first + 1 * step, slices), K(first + 2 * step, slices), K(first + 3 * step, slices),  \
		K(first + 4 * step, slices), K(first + 5 * step, slices), K(first + 6 * step, slices),             \
		K(first + 7 * step, slices)

const struct hk_class_info hk_class_info[HK_CLASSES_ALL] = {
	K8(16, 16, 1),	  K8(144, 16, 1),   K8(272, 16, 1),   K8(400, 16, 1),	   /* 16 .. 512 */
	K8(528, 16, 1),	  K8(656, 16, 1),   K8(784, 16, 1),   K8(912, 16, 1),	   /* 528 .. 1024 */
	K8(1152, 128, 1), K8(2304, 256, 1), K8(4608, 512, 1),			   /* 1152 .. 8192 */
	K8(9216, 1024, 2), K8(18432, 2048, 4), K8(36864, 4096, 8),		   /* 9 KiB .. 64 KiB */
	K(64, 1),	  K(256, 1),	    K(1024, 1),	      K(2048, 1),	   /* the allocator's own */
	K(4096, 1),	  K(8192, 1),	    K(16384, 2),
};

unsigned hk_class_of_aligned(size_t bytes, size_t alignment)
{
	if (bytes > HK_TINY_BYTES || alignment > HK_SLICE_BYTES)
		return HK_CLASSES;
	for (unsigned c = hk_class_of(bytes); c < HK_CLASSES; c++)
		if (hk_class_info[c].block_bytes % alignment == 0)
			return c;
	return HK_CLASSES;
}
