/* SPDX-License-Identifier: MIT */
/*
 * libhakmem: the functions beyond the C library's.
 *
 * malloc, free and their family keep their libc names and need no header but <stdlib.h>.  What stands here
 * lets a program say itself when to give memory back; none of it is needed when hakmemd runs.
 * All functions are thread safe, may be called at any time outside a signal handler, and preserve errno.
 */
#ifndef HAKMEM_H
#define HAKMEM_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define HAKMEM_VERSION_MAJOR 0
#define HAKMEM_VERSION_MINOR 1
#define HAKMEM_VERSION_PATCH 0

/* How deep a flush goes; each level does what the ones before it do, and more. */
enum hak_level {
	HAK_LEVEL_COLD = 0,       /* cold magazines back to slabs; empty SuperSlabs beyond the reserve released */
	HAK_LEVEL_CACHES = 1,     /* + every thread's hot magazines; free slabs purged; the reserve released */
	HAK_LEVEL_PAGES = 2,      /* + free pages of live slabs purged; cached large blocks unmapped */
	HAK_LEVEL_EVERYTHING = 3, /* + the allocator's own metadata; caches stay small until the pressure ends */
};

enum hak_status {
	HAK_OK = 0,
	HAK_PARTIAL = 1, /* a thread stayed inside the allocator, or the time was over first: ask again */
};

struct hak_report {
	uint64_t released_bytes;   /* returned to the kernel by this call */
	uint64_t usec;             /* wall time */
	uint64_t first_usec;       /* wall time until the first bytes went back; 0 = none did */
	uint32_t threads_swept;    /* threads whose magazines were emptied */
	uint32_t threads_pending;  /* threads that could not be: ask again */
	uint32_t status;           /* enum hak_status */
	uint32_t reserved;
};

#define HAK_TARGET_ALL SIZE_MAX

/*
 * Flush at `level` (an enum hak_level; larger values mean HAK_LEVEL_EVERYTHING) until `target_bytes` came
 * back or nothing is left; HAK_TARGET_ALL sets no target.  Fills `*report` unless it is NULL.
 * Returns the bytes given back.
 */
size_t hak_flush(int level, size_t target_bytes, struct hak_report *report);

/*
 * Return every block that magazines hold for size class `class_idx` (0 is 16 bytes), all threads' hot and the
 * cold one, to its slab.  Returns the number of blocks that went back, or 0 for an unknown class.
 */
size_t hak_tiny_magazine_flush(int class_idx);

/* The same for all classes, with free slabs and SuperSlabs given back: hak_flush(HAK_LEVEL_CACHES). */
size_t hak_tiny_magazine_flush_all(void);

/* The library's version, "0.1.0". */
const char *hak_version(void);

#ifdef __cplusplus
}
#endif
#endif
