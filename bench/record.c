// SPDX-License-Identifier: MIT
/*
 * record: notes what a program allocates, for bench/classes.
 *
 *     HAKMEM_RECORD=/tmp/trace LD_PRELOAD=".../bench/.libs/record.so libc.so.6" PROGRAM     writes
 * /tmp/trace.PID
 *
 * The program runs on libc's malloc, which is preloaded too so that no other library's malloc_usable_size()
 * answers. Words (record.h) go into a sparse shared mapping, by one atomic addition each, so that a thread
 * needs no lock and a process that is killed leaves all but its true length; a word 0 is the end.
 */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bench/record.h"

#define MAX_WORDS ((size_t)1 << 28)
#define EXPORT    __attribute__((visibility("default")))

/* libc's own names for its malloc. */
void *__libc_malloc(size_t size);
void __libc_free(void *p);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t size);
void *__libc_memalign(size_t alignment, size_t size);

static uint64_t *_Atomic words; /* NULL: nothing is recorded */
static atomic_size_t n_words;
static int record_fd = -1;

static void begin(void)
{
	const char *name = getenv("HAKMEM_RECORD");
	char path[4096];
	void *p;

	if (!name)
		return;
	snprintf(path, sizeof(path), "%s.%d", name, (int)getpid());
	record_fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (record_fd < 0 || ftruncate(record_fd, MAX_WORDS * sizeof(uint64_t)) < 0)
		return;
	p = mmap(NULL, MAX_WORDS * sizeof(uint64_t), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE,
	         record_fd, 0);
	atomic_store(&n_words, 0);
	if (p != MAP_FAILED)
		atomic_store(&words, p);
}

/* A forked child has a record of its own; its parent's blocks are unknown there. */
static void begin_in_child(void)
{
	uint64_t *old = atomic_exchange(&words, NULL);

	if (old)
		munmap(old, MAX_WORDS * sizeof(uint64_t));
	close(record_fd);
	begin();
}

__attribute__((constructor)) static void begin_in_program(void)
{
	pthread_atfork(NULL, NULL, begin_in_child);
	begin();
}

__attribute__((destructor)) static void end(void)
{
	size_t n = atomic_load(&n_words);

	n = n < MAX_WORDS ? n : MAX_WORDS;
	if (atomic_exchange(&words, NULL) && ftruncate(record_fd, (off_t)(n * sizeof(uint64_t))) < 0)
		perror("record");
}

static void note(const void *p, uint64_t size)
{
	uint64_t *to = atomic_load_explicit(&words, memory_order_relaxed);
	size_t i;

	if (!to || !p)
		return;
	i = atomic_fetch_add_explicit(&n_words, 1, memory_order_relaxed);
	if (i < MAX_WORDS)
		to[i] = record_word(p, size);
}

static void *came(void *p, size_t size)
{
	note(p, size ? size : 1);
	return p;
}

EXPORT void *malloc(size_t size)
{
	return came(__libc_malloc(size), size);
}

EXPORT void free(void *p)
{
	note(p, 0); /* before another thread can be given the same address */
	__libc_free(p);
}

EXPORT void *calloc(size_t n, size_t size)
{
	return came(__libc_calloc(n, size), n * size);
}

EXPORT void *realloc(void *p, size_t size)
{
	void *moved;

	note(p, 0);
	moved = __libc_realloc(p, size);
	return p && size == 0 ? moved : came(moved, size);
}

EXPORT void *memalign(size_t alignment, size_t size)
{
	return came(__libc_memalign(alignment, size), size);
}

EXPORT void *aligned_alloc(size_t alignment, size_t size)
{
	return memalign(alignment, size);
}

EXPORT int posix_memalign(void **ret, size_t alignment, size_t size)
{
	void *p = memalign(alignment, size);

	if (!p)
		return ENOMEM;
	*ret = p;
	return 0;
}
