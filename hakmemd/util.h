/* SPDX-License-Identifier: MIT */
/*
 * Small helpers that every module of the daemon uses.
 */
#ifndef HAKMEMD_UTIL_H
#define HAKMEMD_UTIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define ARRAY_SIZE(array) (sizeof(array) / sizeof *(array))
#define NSEC_PER_SEC      UINT64_C(1000000000)
#define NSEC_PER_MSEC     UINT64_C(1000000)
#define NSEC_PER_USEC     UINT64_C(1000)

#define CLEANUP_FD   __attribute__((cleanup(util_cleanup_fd)))
#define CLEANUP_FREE __attribute__((cleanup(util_cleanup_free)))
#define CLEANUP_FILE __attribute__((cleanup(util_cleanup_file)))
#define PRINTF(format_at, first_at) __attribute__((format(printf, format_at, first_at)))

static inline void util_close(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static inline void util_cleanup_fd(int *fd)
{
	util_close(fd);
}

static inline void util_cleanup_free(void *pointer)
{
	free(*(void **)pointer);
}

static inline void util_cleanup_file(FILE **file)
{
	if (*file)
		fclose(*file);
}

static inline uint64_t util_min(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static inline uint64_t util_max(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* CLOCK_MONOTONIC: the clock of every time stamp in the daemon, the stats segment and the board. */
static inline uint64_t util_now_nsec(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * NSEC_PER_SEC + (uint64_t)now.tv_nsec;
}

#endif
