/* SPDX-License-Identifier: MIT */
/* Allocation-free messages: see log.h. */
#include "base/log.h"

#include "base/syscall.h"

#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>

#define LOG_LINE_MAX 256

/* The control thread, whose descriptor 2 is not the program's; 0 = there is none. */
static _Atomic int log_foreign_tid;

HK_USUAL void hk_log_set_foreign(int tid)
{
	atomic_store_explicit(&log_foreign_tid, tid, memory_order_relaxed);
}

static bool log_is_foreign(void)
{
	int tid = atomic_load_explicit(&log_foreign_tid, memory_order_relaxed);
	return tid != 0 && hk_sys0(SYS_gettid) == tid;
}

static size_t log_number(char *out, unsigned long value, unsigned base)
{
	char digits[24];
	size_t n = 0;
	do
		digits[n++] = "0123456789abcdef"[value % base];
	while ((value /= base) != 0);
	for (size_t i = 0; i < n; i++)
		out[i] = digits[n - 1 - i];
	return n;
}

size_t hk_log_format(char *buffer, size_t size, const char *format, va_list ap)
{
	size_t n = 0;
	char piece[32];
	for (; *format != '\0' && n + 1 < size; format++) {
		const char *text = piece;
		size_t length = 1;
		piece[0] = *format;
		if (*format == '%') {
			bool is_long = *++format == 'l';
			format += is_long;
			if (*format == 's') {
				text = va_arg(ap, const char *);
				for (length = 0; text[length] != '\0';)
					length++;
			} else if (*format == 'c') {
				piece[0] = (char)va_arg(ap, int);
			} else if (*format == 'u') {
				length = log_number(piece, is_long ? va_arg(ap, unsigned long) : va_arg(ap, unsigned), 10);
			} else if (*format == 'x') {
				piece[0] = '0';
				piece[1] = 'x';
				length = 2 + log_number(piece + 2, is_long ? va_arg(ap, unsigned long) : va_arg(ap, unsigned), 16);
			} else {
				piece[0] = *format;
			}
		}
		for (size_t i = 0; i < length && n + 1 < size; i++)
			buffer[n++] = text[i];
	}
	buffer[n] = '\0';
	return n;
}

/* The program's standard error: our own descriptor 2, or fetched from the process by the control thread. */
static int log_stderr(void)
{
	if (!log_is_foreign())
		return 2;
	long pid = hk_sys0(SYS_getpid);
	long pidfd = hk_sys2(SYS_pidfd_open, pid, 0);
	if (pidfd < 0)
		return -1;
	long fd = hk_sys3(SYS_pidfd_getfd, pidfd, 2, 0);
	hk_sys1(SYS_close, pidfd);
	return (int)fd;
}

static void log_write(const char *format, va_list ap)
{
	static const char prefix[] = "hakmem: ";
	char line[LOG_LINE_MAX];
	size_t n = sizeof prefix - 1;
	__builtin_memcpy(line, prefix, n);
	n += hk_log_format(line + n, sizeof line - n - 1, format, ap);
	line[n++] = '\n';
	int fd = log_stderr();
	if (fd >= 0)
		hk_sys3(SYS_write, fd, line, n);
	if (fd > 2)
		hk_sys1(SYS_close, fd);
}

void hk_log(const char *format, ...)
{
	va_list ap;
	va_start(ap, format);
	log_write(format, ap);
	va_end(ap);
}

void hk_fatal(const char *format, ...)
{
	va_list ap;
	va_start(ap, format);
	log_write(format, ap);
	va_end(ap);
	if (!log_is_foreign())
		abort();
	/* abort() needs a thread that libc knows: signal the process, then end it whatever its handler did. */
	hk_sys2(SYS_kill, hk_sys0(SYS_getpid), SIGABRT);
	for (;;)
		hk_sys1(SYS_exit_group, 128 + SIGABRT);
}

#ifdef HK_DEBUG
void hk_assert_failed(const char *expression, const char *file, int line)
{
	hk_fatal("%s:%u: assertion failed: %s", file, (unsigned)line, expression);
}
#endif
