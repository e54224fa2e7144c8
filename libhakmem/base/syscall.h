/* SPDX-License-Identifier: MIT */
/*
 * Raw system calls: no libc, no errno, no PLT.
 *
 * Why: the allocator runs before libc is ready, inside functions that must preserve errno, and in a control
 * thread that libc does not know.  Other preloaded libraries interpose mmap and its kin; these are not.
 * Each returns what the kernel returned: a value, or -errno.
 */
#ifndef HK_BASE_SYSCALL_H
#define HK_BASE_SYSCALL_H

#include <sys/syscall.h>

#if defined(__x86_64__)
static inline long hk_sys_call(long nr, long a, long b, long c, long d, long e, long f)
{
	long ret;
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;
	__asm__ volatile("syscall"
			 : "=a"(ret)
			 : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return ret;
}
#elif defined(__aarch64__)
static inline long hk_sys_call(long nr, long a, long b, long c, long d, long e, long f)
{
	register long x8 __asm__("x8") = nr;
	register long x0 __asm__("x0") = a;
	register long x1 __asm__("x1") = b;
	register long x2 __asm__("x2") = c;
	register long x3 __asm__("x3") = d;
	register long x4 __asm__("x4") = e;
	register long x5 __asm__("x5") = f;
	__asm__ volatile("svc 0"
			 : "+r"(x0)
			 : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5)
			 : "memory", "cc");
	return x0;
}
#else
#error "hakmem supports x86-64 and aarch64"
#endif

/*
 * The tests' build of the core has a say at each place (HK_TEST_FAULTS): what hk_fault() makes of the call, if it wants
 * it to fail, comes instead of the call.
 */
#ifdef HK_TEST_FAULTS
#include <stdbool.h>
bool hk_fault(long nr, const char *file, int line, long *ret_result);
#define hk_sys6(nr, a, b, c, d, e, f)                                                                         \
	hk_sys_or_fault((nr), (a), (b), (c), (d), (e), (f), __FILE__, __LINE__)
static inline long hk_sys_or_fault(long nr, long a, long b, long c, long d, long e, long f, const char *file, int line)
{
	long result;
	return hk_fault(nr, file, line, &result) ? result : hk_sys_call(nr, a, b, c, d, e, f);
}
/* For a call that is made by other means. */
#define hk_sys_fails(nr, ret_result) hk_fault((nr), __FILE__, __LINE__, (ret_result))
#else
#define hk_sys6                      hk_sys_call
#define hk_sys_fails(nr, ret_result) ((void)(ret_result), false)
#endif

/* Where this thread's TLS begins: no two threads of a process have the same. */
static inline char *hk_thread_pointer(void)
{
	char *tp;
#if defined(__x86_64__)
	__asm__("mov %%fs:0, %0" : "=r"(tp));
#else
	__asm__("mrs %0, tpidr_el0" : "=r"(tp));
#endif
	return tp;
}

#define hk_sys0(nr)                hk_sys6((nr), 0, 0, 0, 0, 0, 0)
#define hk_sys1(nr, a)             hk_sys6((nr), (long)(a), 0, 0, 0, 0, 0)
#define hk_sys2(nr, a, b)          hk_sys6((nr), (long)(a), (long)(b), 0, 0, 0, 0)
#define hk_sys3(nr, a, b, c)       hk_sys6((nr), (long)(a), (long)(b), (long)(c), 0, 0, 0)
#define hk_sys4(nr, a, b, c, d)    hk_sys6((nr), (long)(a), (long)(b), (long)(c), (long)(d), 0, 0)
#define hk_sys5(nr, a, b, c, d, e) hk_sys6((nr), (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), 0)

#endif
