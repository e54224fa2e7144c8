/* SPDX-License-Identifier: MIT */
/*
 * A second preloaded library that takes mmap and its kin for itself and refuses everything, allocates in its constructor and
 * its fork handlers, and overwrites the environment: others do each of it.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <unistd.h>

#define TAKEN __attribute__((visibility("default")))

TAKEN void *mmap(void *address, size_t length, int protection, int flags, int fd, off_t offset);
TAKEN int munmap(void *address, size_t length);
TAKEN int madvise(void *address, size_t length, int advice);

TAKEN void *mmap(void *address, size_t length, int protection, int flags, int fd, off_t offset)
{
	(void)address, (void)length, (void)protection, (void)flags, (void)fd, (void)offset;
	errno = ENOMEM;
	return MAP_FAILED;
}

TAKEN int munmap(void *address, size_t length)
{
	(void)address, (void)length;
	abort();
}

TAKEN int madvise(void *address, size_t length, int advice)
{
	(void)address, (void)length, (void)advice;
	abort();
}

static void allocate(void)
{
	char *text = strdup("in a constructor or a fork handler");

	free(realloc(text, 100000));
}

__attribute__((constructor)) static void meddle(void)
{
	FILE *file = fopen("/proc/self/cmdline", "r");

	allocate();
	pthread_atfork(allocate, allocate, allocate);
	setenv("HAKMEM_RUNTIME_DIR_OF_OLD", "gone", 1);
	putenv(strdup("MEDDLED=1"));
	if (file)
		fclose(file);
}
