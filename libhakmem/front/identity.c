/* SPDX-License-Identifier: MIT */
/*
 * Calls that change who or where the process is, with the control thread out of the way.
 *
 * Why: libc changes the credentials of the threads it knows, and the control thread is not among them: it
 * would keep the old ones, in memory that the process with the new ones shares.  unshare and setns refuse to
 * work, for some namespaces, while there is a second thread, and in any case it would stay behind in the old
 * ones.
 *
 * How: these definitions are found before libc's.  Each ends the thread, calls the next definition (libc's,
 * or that of another preloaded library), and lets the thread start again when a slow path next asks for it;
 * it then begins with the credentials and namespaces of whoever asks.  The next definition is looked up on
 * first use, never on a malloc path: dlsym may allocate.  Where there is none, the bare system call does.
 *
 * prctl is here for one of its options: see there.
 *
 * A program that makes these system calls itself is not seen; the thread then keeps what it had, without
 * capabilities.
 *
 * errno is what the next definition left; stopping and resuming do not touch it.
 */
#include "base/attr.h"
#include "base/options.h"
#include "base/syscall.h"
#include "policy/control.h"

#include <dlfcn.h>
#include <errno.h>
#include <grp.h>
#include <sched.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <sys/prctl.h>
#include <unistd.h>

/* The next definition of `name` after this library's, or NULL; kept in `*cache`.  A race is harmless. */
static void *identity_next(_Atomic(void *) *cache, const char *name)
{
	void *next = atomic_load_explicit(cache, memory_order_relaxed);
	int saved_errno = errno;

	if (!next) {
		next = dlsym(RTLD_NEXT, name);
		atomic_store_explicit(cache, next, memory_order_relaxed);
	}
	errno = saved_errno;
	return next;
}

static int identity_raw(long result)
{
	if (result >= 0)
		return (int)result;
	errno = (int)-result;
	return -1;
}

/*
 * IDENTITY(name, parameters, arguments, what to return where no next definition exists).  If the thread is
 * still there after seconds, the call is better made than not.
 */
#define IDENTITY(name, parameters, arguments, fallback)                                                      \
	HK_EXPORT int name parameters                                                                        \
	{                                                                                                    \
		static _Atomic(void *) cache;                                                                \
		int(*next) parameters = (int(*) parameters)identity_next(&cache, #name);                     \
		int result;                                                                                  \
                                                                                                             \
		hk_control_stop();                                                                           \
		result = next ? next arguments : identity_raw(fallback);                                     \
		hk_control_resume();                                                                         \
		return result;                                                                               \
	}

/*
 * A filter that the program gives itself may kill for a call of ours, so it is known before it is there.  The control
 * thread, if there is one, stays: the filter is its maker's alone.  Made here and not by the next definition, because
 * programs call it between fork and exec, where dlsym may not.
 */
HK_EXPORT int prctl(int option, ...)
{
	unsigned long words[4];
	va_list arguments;

	va_start(arguments, option);
	for (int i = 0; i < 4; i++)
		words[i] = va_arg(arguments, unsigned long);
	va_end(arguments);
	if (option == PR_SET_SECCOMP && hk_options.control != HK_CONTROL_THREAD)
		atomic_store(&hk_filtered, true);
	return identity_raw(hk_sys5(SYS_prctl, option, words[0], words[1], words[2], words[3]));
}

IDENTITY(setuid, (uid_t uid), (uid), hk_sys1(SYS_setuid, uid))
IDENTITY(setgid, (gid_t gid), (gid), hk_sys1(SYS_setgid, gid))
IDENTITY(seteuid, (uid_t euid), (euid), hk_sys3(SYS_setresuid, -1, euid, -1))
IDENTITY(setegid, (gid_t egid), (egid), hk_sys3(SYS_setresgid, -1, egid, -1))
IDENTITY(setreuid, (uid_t ruid, uid_t euid), (ruid, euid), hk_sys2(SYS_setreuid, ruid, euid))
IDENTITY(setregid, (gid_t rgid, gid_t egid), (rgid, egid), hk_sys2(SYS_setregid, rgid, egid))
IDENTITY(setresuid, (uid_t ruid, uid_t euid, uid_t suid), (ruid, euid, suid),
         hk_sys3(SYS_setresuid, ruid, euid, suid))
IDENTITY(setresgid, (gid_t rgid, gid_t egid, gid_t sgid), (rgid, egid, sgid),
         hk_sys3(SYS_setresgid, rgid, egid, sgid))
IDENTITY(setgroups, (size_t n, const gid_t *groups), (n, groups), hk_sys2(SYS_setgroups, n, groups))
IDENTITY(initgroups, (const char *user, gid_t group), (user, group), -ENOSYS) /* reads the group database */
IDENTITY(unshare, (int flags), (flags), hk_sys1(SYS_unshare, flags))
IDENTITY(setns, (int fd, int type), (fd, type), hk_sys2(SYS_setns, fd, type))
