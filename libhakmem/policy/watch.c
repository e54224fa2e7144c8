/* SPDX-License-Identifier: MIT */
/*
 * $MEMORY_PRESSURE_WATCH and $MEMORY_PRESSURE_WRITE.
 *
 * Why: see watch.h.  The protocol is systemd's (https://systemd.io/MEMORY_PRESSURE/): WATCH is the absolute
 * path of a PSI file, a FIFO or a listening AF_UNIX stream socket, or /dev/null for "do not watch"; WRITE is
 * base64 of what to write there after opening (for a PSI file: the trigger, with its trailing NUL).
 *
 * How: both are copied in the constructor, as the program may change its environment.  A PSI file is polled
 * for POLLPRI and never read; from the others whatever arrives is one event and is discarded.  A file counts
 * as a PSI file only on procfs or cgroup2: anything else would be written to by mistake.
 *
 * Locking: none; written by the constructor, then constant.
 */
#include "policy/watch.h"

#include "base/syscall.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <poll.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/vfs.h>

#define WATCH_PATH_MAX  1024 /* cgroup paths get long */
#define WATCH_WRITE_MAX 128  /* a trigger is some twenty bytes */

static char watch_path[WATCH_PATH_MAX] HK_PLACE_LAST; /* "" = watch nothing */
static unsigned char watch_write[WATCH_WRITE_MAX] HK_PLACE_LAST;
static size_t watch_write_length;
static short watch_events; /* by the control thread in open */

/* ---- the variables ---- */

static int watch_base64_digit(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Decode all of `text` into watch_write.  False if it is not base64 or too long. */
static bool watch_decode(const char *text)
{
	size_t length = strlen(text), n = 0;
	uint32_t bits = 0;
	int n_bits = 0;

	while (length > 0 && text[length - 1] == '=')
		length--;
	for (size_t i = 0; i < length; i++) {
		int digit = watch_base64_digit(text[i]);

		if (digit < 0 || n == sizeof watch_write)
			return false;
		bits = bits << 6 | (uint32_t)digit;
		n_bits += 6;
		if (n_bits >= 8) {
			n_bits -= 8;
			watch_write[n++] = (unsigned char)(bits >> n_bits);
		}
	}
	watch_write_length = n;
	return true;
}

/* Absolute, without "." and ".." parts, short enough.  What it is shows when it is opened. */
static bool watch_path_valid(const char *path)
{
	if (path[0] != '/' || strlen(path) >= sizeof watch_path)
		return false;
	for (const char *p = path; *p; p++)
		if (p[0] == '/' && p[1] == '.' &&
		    (p[2] == '/' || !p[2] || (p[2] == '.' && (p[3] == '/' || !p[3]))))
			return false;
	return true;
}

HK_USUAL void hk_watch_init(char *const envp[])
{
	static const char watch[] = "MEMORY_PRESSURE_WATCH=", written[] = "MEMORY_PRESSURE_WRITE=";
	const char *path = NULL, *text = "";

	for (; envp && *envp; envp++) {
		if (strncmp(*envp, watch, sizeof watch - 1) == 0)
			path = *envp + sizeof watch - 1;
		else if (strncmp(*envp, written, sizeof written - 1) == 0)
			text = *envp + sizeof written - 1;
	}
	if (path && watch_path_valid(path) && watch_decode(text))
		hk_copy(watch_path, path, strlen(path) + 1);
}

/* ---- the source ---- */

static int watch_open_socket(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd;

	if (strlen(watch_path) >= sizeof address.sun_path)
		return -1;
	hk_copy(address.sun_path, watch_path, strlen(watch_path) + 1);
	fd = (int)hk_sys3(SYS_socket, AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd >= 0 && hk_sys3(SYS_connect, fd, &address, sizeof address) != 0) {
		hk_sys1(SYS_close, fd);
		return -1;
	}
	return fd;
}

/* Open a FIFO or PSI file, and only if it still is what `st` says. */
static int watch_open_file(const struct stat *st)
{
	int access = watch_write_length > 0 ? O_RDWR : O_RDONLY;
	int fd =
	        (int)hk_sys4(SYS_openat, AT_FDCWD, watch_path, access | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0);
	struct statfs fs = {0};
	struct stat now = {0};
	bool good;

	if (fd < 0)
		return -1;
	good = hk_sys2(SYS_fstat, fd, &now) == 0 && now.st_dev == st->st_dev && now.st_ino == st->st_ino;
	if (good && S_ISREG(now.st_mode))
		good = hk_sys2(SYS_fstatfs, fd, &fs) == 0 &&
		       (fs.f_type == PROC_SUPER_MAGIC || fs.f_type == CGROUP2_SUPER_MAGIC);
	if (good)
		return fd;
	hk_sys1(SYS_close, fd);
	return -1;
}

static int watch_open_by_type(void)
{
	struct stat st;

	if (!watch_path[0] || hk_sys4(SYS_newfstatat, AT_FDCWD, watch_path, &st, 0) != 0)
		return -1;
	/* Anything else, /dev/null above all, means: do not watch. */
	watch_events = S_ISREG(st.st_mode) ? POLLPRI : POLLIN;
	if (S_ISSOCK(st.st_mode))
		return watch_open_socket();
	return S_ISREG(st.st_mode) || S_ISFIFO(st.st_mode) ? watch_open_file(&st) : -1;
}

int hk_watch_open(void)
{
	int fd = watch_open_by_type();

	/* A trigger in vain (no PSI in this kernel, not allowed) shows here for the first time. */
	if (fd >= 0 && watch_write_length > 0 &&
	    hk_sys3(SYS_write, fd, watch_write, watch_write_length) != (long)watch_write_length) {
		hk_sys1(SYS_close, fd);
		return -1;
	}
	return fd;
}

short hk_watch_events(void)
{
	return watch_events;
}

int hk_watch_take(int fd, short revents)
{
	char discarded[256];
	long n;

	if (watch_events == POLLPRI) {
		if (revents & (POLLERR | POLLNVAL)) /* the cgroup is gone */
			return -1;
		return !!(revents & POLLPRI);
	}
	if (!revents)
		return 0;
	n = hk_sys3(SYS_read, fd, discarded, sizeof discarded);
	if (n == -EAGAIN || n == -EINTR)
		return 0;
	return n > 0 ? 1 : -1;
}
