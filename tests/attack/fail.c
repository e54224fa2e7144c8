/* SPDX-License-Identifier: MIT */
/*
 * Preloaded into the daemon: one call, at one place, fails once.
 *
 * A place is a function and who called it, five callers up.  The first call at each place adds a line to the file
 * $FAIL_RECORD: function, place, callers.  Where the place is $FAIL_PLACE the call fails with $FAIL_ERRNO, once, and
 * the line "failed" is added.  Addresses are the same in each run where their randomization is off.
 *
 * Every wrapper takes six words and passes them on: on x86-64 and aarch64 that is how all these functions get theirs.
 */
#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define FAIL_CALLERS    5
#define FAIL_PLACES_MAX 4096
#define EXPORTED        __attribute__((visibility("default")))

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *pointer, size_t size);

static uint64_t fail_place;
static int fail_errno, fail_record = -1;
static bool fail_inside; /* the wrappers' own calls pass */
static uint64_t seen[FAIL_PLACES_MAX];
static size_t n_seen;

static void fail_write(const char *line)
{
	(void)!syscall(SYS_write, fail_record, line, strlen(line));
}

static bool fail_first_time(uint64_t place)
{
	for (size_t i = 0; i < n_seen; i++)
		if (seen[i] == place)
			return false;
	if (n_seen < FAIL_PLACES_MAX)
		seen[n_seen++] = place;
	return true;
}

static void fail_note(const char *name, uint64_t place, void *const *callers, int n)
{
	char line[1024];
	int length = snprintf(line, sizeof line, "%s %016lx", name, (unsigned long)place);
	Dl_info info;

	for (int i = 0; i < n && length < 900; i++)
		if (dladdr(callers[i], &info) && info.dli_fname)
			length += snprintf(line + length, sizeof line - (size_t)length, " %.60s+%#lx",
				strrchr(info.dli_fname, '/') ? strrchr(info.dli_fname, '/') + 1 : info.dli_fname,
				(unsigned long)((uintptr_t)callers[i] - (uintptr_t)info.dli_fbase));
	strcpy(line + length, "\n");
	fail_write(line);
}

/* Whether this call is the one to fail. */
static bool fail_now(const char *name)
{
	void *callers[FAIL_CALLERS + 2];
	uint64_t place = UINT64_C(14695981039346656037);
	bool fails = false;
	int n;

	if (fail_inside || fail_record < 0)
		return false;
	fail_inside = true;
	n = backtrace(callers, FAIL_CALLERS + 2);
	for (int i = 2; i < n; i++)
		place = (place ^ (uintptr_t)callers[i]) * UINT64_C(1099511628211);
	for (const char *c = name; *c; c++)
		place = (place ^ (unsigned char)*c) * UINT64_C(1099511628211);
	if (fail_first_time(place)) {
		fail_note(name, place, callers + 2, n - 2);
		fails = place == fail_place;
		if (fails)
			fail_write("failed\n");
	}
	fail_inside = false;
	if (fails)
		errno = fail_errno;
	return fails;
}

static void *fail_real(void **real, const char *name)
{
	bool before = fail_inside;

	if (!*real) {
		fail_inside = true;
		*real = dlsym(RTLD_NEXT, name);
		fail_inside = before;
	}
	return *real;
}

typedef long fail_fn(long, long, long, long, long, long);

/* FAIL(name, what it returns when it fails) */
#define FAIL(name, value)                                                                                     \
	EXPORTED long wrapped_##name(long a, long b, long c, long d, long e, long f) __asm__(#name);             \
	long wrapped_##name(long a, long b, long c, long d, long e, long f)                                      \
	{                                                                                                     \
		static void *real;                                                                            \
		fail_fn *fn;                                                                                  \
		void *found = fail_real(&real, #name);                                                        \
                                                                                                              \
		memcpy(&fn, &found, sizeof fn);                                                               \
		return fail_now(#name) ? (value) : fn(a, b, c, d, e, f);                                      \
	}

FAIL(accept4, -1)
FAIL(access, -1)
FAIL(bind, -1)
FAIL(chmod, -1)
FAIL(epoll_create1, -1)
FAIL(epoll_ctl, -1)
FAIL(epoll_wait, -1)
FAIL(eventfd, -1)
FAIL(fchmod, -1)
FAIL(fcntl, -1)
FAIL(flock, -1)
FAIL(fopen, 0)
FAIL(fstat, -1)
FAIL(fstatfs, -1)
FAIL(ftruncate, -1)
FAIL(getrlimit, -1)
FAIL(getsockopt, -1)
FAIL(listen, -1)
FAIL(memfd_create, -1)
FAIL(mkdir, -1)
FAIL(mmap, -1)
FAIL(open, -1)
FAIL(open_memstream, 0)
FAIL(pipe2, -1)
FAIL(poll, -1)
FAIL(posix_fallocate, fail_errno)
FAIL(pread, -1)
FAIL(__pread_chk, -1)
FAIL(read, -1)
FAIL(recv, -1)
FAIL(recvmsg, -1)
FAIL(rename, -1)
FAIL(send, -1)
FAIL(sendmsg, -1)
FAIL(setsockopt, -1)
FAIL(shutdown, -1)
FAIL(sigaction, -1)
FAIL(socket, -1)
FAIL(socketpair, -1)
FAIL(stat, -1)
FAIL(timerfd_create, -1)
FAIL(timerfd_settime, -1)
FAIL(unlink, -1)
FAIL(write, -1)

EXPORTED void *malloc(size_t size)
{
	return fail_now("malloc") ? NULL : __libc_malloc(size);
}

EXPORTED void *calloc(size_t n, size_t size)
{
	return fail_now("calloc") ? NULL : __libc_calloc(n, size);
}

EXPORTED void *realloc(void *pointer, size_t size)
{
	return fail_now("realloc") ? NULL : __libc_realloc(pointer, size);
}

EXPORTED void *reallocarray(void *pointer, size_t n, size_t size)
{
	return fail_now("reallocarray") ? NULL : __libc_realloc(pointer, n * size); /* the daemon's own do not overflow */
}

__attribute__((constructor)) static void fail_start(void)
{
	const char *record = getenv("FAIL_RECORD"), *place = getenv("FAIL_PLACE"), *error = getenv("FAIL_ERRNO");
	void *warm[2];

	(void)backtrace(warm, 2); /* loads what it needs */
	fail_place = place ? strtoull(place, NULL, 16) : 0;
	fail_errno = error ? atoi(error) : 0;
	unsetenv("LD_PRELOAD");
	if (record)
		fail_record = (int)syscall(SYS_openat, AT_FDCWD, record, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}
