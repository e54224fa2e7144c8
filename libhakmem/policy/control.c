/* SPDX-License-Identifier: MIT */
/*
 * The life of the control thread: start, stop, wake, fork.
 *
 * Why a thread at all: only the process itself can give its memory back, and its own threads may be asleep
 * for hours.  Why not a pthread: libc would take a single-threaded program for a multi-threaded one (locked
 * stdio, atomic reference counts), and a main that calls pthread_exit would never end.  So this is a raw
 * clone that libc does not know.  The price: it makes raw system calls only, and it needs a TLS block of its
 * own, because code of this library may read %fs-relative data (the stack protector's guard, initial-exec
 * variables).
 *
 * How it starts: lazily, from a slow path, by the one thread that moves the phase from NONE to STARTING;
 * nobody waits for it.  All signals are blocked around clone, so that the thread begins with all blocked and
 * keeps them so.  A vfork child shares our memory but is another process: it is known by its pid and never
 * starts anything.
 *
 * How it is woken and stopped: tgkill with a signal that is blocked there.  A blocked signal is never
 * discarded and stays pending for that very thread, where a signalfd sees it: no handler, no descriptor in
 * the program's table.
 *
 * How its end is seen: it stores phase NONE, then the kernel clears control_alive, and a little later unlinks
 * it from the thread group.  Only the last makes unshare(CLONE_NEWUSER) work again; tgkill says -ESRCH from
 * then on.
 *
 * Invariants:
 *  - phase RUNNING is stored by the thread, after control_tid was written by the kernel.
 *  - a block (stack and TLS) is used again only after the thread that used it is unlinked.
 *  - whoever sees control_holds > 0 between STARTING and clone steps back; stop raises it before it looks at
 * the phase.  Both sides are sequentially consistent, so that one of them sees the other.
 *
 * Locking: none; fields written outside the constructor are atomic, or belong to the winner of STARTING.
 */
#include "policy/control.h"

#include "base/log.h"
#include "base/options.h"
#include "base/syscall.h"
#include "os/mark.h"
#include "policy/board.h"
#include "policy/flush.h"
#include "policy/stats.h"
#include "policy/watch.h"

#include <errno.h>
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

/* One mapping: guard | stack | TLS below TP | TLS above TP.  Multiples of 64 KiB, the largest OS page. */
#define BLOCK_GUARD     (64u << 10)
#define BLOCK_STACK     (128u << 10)
#define BLOCK_TLS_BELOW (128u << 10)
#define BLOCK_TLS_ABOVE (64u << 10)
#define BLOCK_BYTES     (BLOCK_GUARD + BLOCK_STACK + BLOCK_TLS_BELOW + BLOCK_TLS_ABOVE)
#if defined(__x86_64__)
#define BLOCK_TLS_REACH (64u << 10) /* our mark may lie this far from TP; as much is left for our other TLS */
#else
#define BLOCK_TLS_REACH (32u << 10) /* likewise; TLS lies above TP here */
#endif

#define STOP_WAIT_NSEC    6000000000ull /* longer than the longest flush the loop allows */
#define UNLINK_WAIT_NSEC  200000000ull  /* from control_alive == 0 to unlinked: microseconds, unless traced */
#define STOP_NAP_NSEC     20000
#define SHORT_LIFE_NSEC   10000000000ull
#define RESTART_SHIFT     12u /* the longest pause is 4096 times the shortest */
#define RESTART_SKIPS     16  /* pokes without a look at the clock in such a pause */
#define START_SKIPS_SHIFT 20  /* after failures, at most 2^20 pokes go by before the next attempt */

_Atomic int hk_control_phase = HK_CONTROL_PHASE_IDLE;

static _Atomic int control_pid;   /* whom the phase speaks of; written by the constructor and fork children */
static _Atomic int control_mode;  /* enum hk_control_mode */
static _Atomic int control_tid;   /* written by the kernel in clone; 0 once seen unlinked */
static _Atomic int control_alive; /* 1 from before clone; the kernel clears it and wakes the futex */
static _Atomic int control_holds; /* stops without their resume; > 0 keeps any thread from starting */
static _Atomic bool control_stop_wanted;
static _Atomic bool control_dozing; /* sleeps without a timer; set by the thread, cleared by it or a waker */
static _Atomic unsigned control_skips;       /* pokes to ignore before the next attempt to start */
static _Atomic uint64_t control_start_nsec;  /* no thread starts before */
static _Atomic uint64_t control_spawn_nsec;  /* when the latest one did */
static _Atomic unsigned control_short_lives; /* threads in a row that were stopped soon after they started */
static unsigned control_failures;            /* by the winner of STARTING */
static char *control_block;                  /* likewise; kept for the next thread */

/* Where this module's TLS lies relative to the thread pointer.  Never written. */
static HK_TLS char control_tls_mark;

static uint64_t control_now(void)
{
	struct timespec ts = {0};

	hk_sys2(SYS_clock_gettime, CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static bool control_is_own_process(void)
{
	return hk_sys0(SYS_getpid) == atomic_load_explicit(&control_pid, memory_order_relaxed);
}

bool hk_control_stop_wanted(void)
{
	return atomic_load(&control_stop_wanted);
}

void hk_control_doze(bool dozing)
{
	atomic_store(&control_dozing, dozing); /* before the thread looks at what hk_control_wake announces */
}

static void control_signal(int tid)
{
	hk_sys3(SYS_tgkill, atomic_load(&control_pid), tid, HK_CONTROL_SIGNAL);
}

void hk_control_wake(void)
{
	/* What the caller did must be visible before we look whether the thread has already looked. */
	atomic_thread_fence(memory_order_seq_cst);
	if (atomic_load_explicit(&control_dozing, memory_order_relaxed) &&
	    atomic_exchange(&control_dozing, false))
		control_signal(atomic_load(&control_tid));
}

/* ---- the thread's memory ---- */

static bool control_tls_fits(void)
{
	uintptr_t tp = (uintptr_t)hk_thread_pointer();
	uintptr_t mark = (uintptr_t)&control_tls_mark;

	return (mark > tp ? mark - tp : tp - mark) <= BLOCK_TLS_REACH;
}

/* A block that reads as zero, with the guard in place.  NULL where there is no memory. */
static char *control_block_get(void)
{
	long flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK;
	long place;

	if (control_block) { /* used before: what is left of it must not meet the next thread */
		char *stack = control_block + BLOCK_GUARD;

		/* Refused where the program locks its memory (mlockall). */
		if (hk_sys3(SYS_madvise, stack, BLOCK_BYTES - BLOCK_GUARD, MADV_DONTNEED) != 0)
			memset(stack + BLOCK_STACK, 0, BLOCK_TLS_BELOW + BLOCK_TLS_ABOVE);
		return control_block;
	}
	place = hk_sys6(SYS_mmap, 0, BLOCK_BYTES, PROT_READ | PROT_WRITE, flags, -1, 0);
	if (place < 0 && place > -4096)
		return NULL;
	hk_sys3(SYS_mprotect, place, BLOCK_GUARD, PROT_NONE);
	control_block = (char *)place;
	return control_block;
}

/* The least that code compiled for a libc thread expects at its thread pointer. */
static char *control_tls_make(char *block)
{
	char *tp = block + BLOCK_GUARD + BLOCK_STACK + BLOCK_TLS_BELOW;
#if defined(__x86_64__)
	uintptr_t *words = (uintptr_t *)(void *)tp;

	words[0] = (uintptr_t)tp;                      /* %fs:0, the thread pointer itself */
	words[2] = (uintptr_t)tp;                      /* %fs:0x10, libc's "self" */
	__asm__("mov %%fs:0x28, %0" : "=r"(words[5])); /* the stack protector's value */
#endif
	return tp;
}

/* ---- the thread ---- */

/* The first and the last of the thread.  Ends with a bare exit: exit_group is the program's business. */
static void control_entry(void)
{
	hk_log_set_foreign(atomic_load(&control_tid));
	hk_is_control = true;
	atomic_store(&hk_control_phase, HK_CONTROL_PHASE_RUNNING);
	if (!hk_control_loop())
		atomic_store(&control_mode, HK_CONTROL_INLINE);
	hk_log_set_foreign(0);
	hk_control_doze(false);
	atomic_store(&hk_control_phase, HK_CONTROL_PHASE_NONE);
	for (;;)
		hk_sys1(SYS_exit, 0);
}

/*
 * clone; the child calls `entry` on the new stack and does not come back.  No libc wrapper: it would store a
 * thread id and an error number in places that are not this thread's.
 */
static long control_clone(unsigned long flags, char *stack_top, char *tp, void (*entry)(void))
{
	long fault = 0;

	if (hk_sys_fails(SYS_clone, &fault))
		return fault;
#if defined(__x86_64__)
	long ret;
	register void *r10 __asm__("r10") = &control_alive;
	register void *r8 __asm__("r8") = tp;
	register void (*r9)(void) __asm__("r9") = entry;

	__asm__ volatile("syscall\n\t"
	                 "test %%rax, %%rax\n\t"
	                 "jnz 1f\n\t"
	                 "xor %%ebp, %%ebp\n\t" /* the outermost frame */
	                 "call *%%r9\n\t"
	                 "ud2\n"
	                 "1:"
	                 : "=a"(ret)
	                 : "0"((long)SYS_clone), "D"(flags), "S"(stack_top), "d"(&control_tid), "r"(r10),
	                   "r"(r8), "r"(r9)
	                 : "rcx", "r11", "memory", "cc");
	return ret;
#else
	register long x8 __asm__("x8") = SYS_clone;
	register long x0 __asm__("x0") = (long)flags;
	register void *x1 __asm__("x1") = stack_top;
	register void *x2 __asm__("x2") = &control_tid;
	register void *x3 __asm__("x3") = tp;
	register void *x4 __asm__("x4") = &control_alive;
	register void (*x5)(void) __asm__("x5") = entry;

	__asm__ volatile("svc #0\n\t"
	                 "cbnz x0, 1f\n\t"
	                 "mov x29, xzr\n\t"
	                 "mov x30, xzr\n\t"
	                 "blr x5\n\t"
	                 "brk #1\n"
	                 "1:"
	                 : "+r"(x0)
	                 : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5)
	                 : "memory", "cc");
	return x0;
#endif
}

/* ---- starting ---- */

static bool control_unlinked(int tid)
{
	return tid == 0 || hk_sys3(SYS_tgkill, atomic_load(&control_pid), tid, 0) == -ESRCH;
}

static bool control_seccomp_filtered(void)
{
	return atomic_load(&hk_filtered) || hk_sys5(SYS_prctl, PR_GET_SECCOMP, 0, 0, 0, 0) > 0;
}

static bool control_spawn(void)
{
	const unsigned long flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD |
	                            CLONE_SYSVSEM | CLONE_SETTLS | CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID;
	char *block = control_block_get();

	if (!block)
		return false;
	atomic_store(&control_stop_wanted, false);
	atomic_store(&control_spawn_nsec, control_now());
	atomic_store(&control_alive, 1);
	if (control_clone(flags, block + BLOCK_GUARD + BLOCK_STACK, control_tls_make(block), control_entry) >
	    0)
		return true;
	atomic_store(&control_alive, 0);
	return false;
}

/* By the winner, in phase STARTING.  Returns the phase to go to; RUNNING: the thread stores it itself. */
static int control_start_won(void)
{
	int mode = atomic_load(&control_mode);
	int tid = atomic_load(&control_tid);

	/* A filter may have come since the constructor; one that kills for the question is known if prctl() brought it. */
	if (mode == HK_CONTROL_AUTO && control_seccomp_filtered())
		return HK_CONTROL_PHASE_IDLE;
	if (mode == HK_CONTROL_INLINE || !control_tls_fits()) {
		hk_board_open(hk_options.runtime_dir);
		return HK_CONTROL_PHASE_IDLE;
	}
	if (atomic_load(&control_holds) > 0 || !control_unlinked(tid))
		return HK_CONTROL_PHASE_NONE;
	atomic_compare_exchange_strong(&control_tid, &tid, 0);
	if (control_now() < atomic_load(&control_start_nsec)) {
		atomic_store(&control_skips, RESTART_SKIPS);
		return HK_CONTROL_PHASE_NONE;
	}
	if (control_spawn()) {
		control_failures = 0;
		return HK_CONTROL_PHASE_RUNNING;
	}
	/* No room for a thread (RLIMIT_NPROC, pids.max, memory): leave the next slow paths alone. */
	if (control_failures < START_SKIPS_SHIFT)
		control_failures++;
	atomic_store(&control_skips, 1u << control_failures);
	return HK_CONTROL_PHASE_NONE;
}

HK_COLD void hk_control_start(void)
{
	const uint64_t all = UINT64_MAX;
	uint64_t saved = 0;
	unsigned skips = atomic_load_explicit(&control_skips, memory_order_relaxed);
	int none = HK_CONTROL_PHASE_NONE;
	int next;

	if (skips > 0) { /* a lost update only makes the pause a little longer */
		atomic_store_explicit(&control_skips, skips - 1, memory_order_relaxed);
		return;
	}
	if (!control_is_own_process()) {
		/* on its parent's memory, or a copy from before there was a mark to tell it */
		if (!hk_mark_is_copy())
			return;
		hk_control_postfork_child();
	}
	hk_mark_make();
	/* Blocked before the phase moves: a handler must neither run in the thread nor fork in between. */
	if (hk_sys4(SYS_rt_sigprocmask, SIG_SETMASK, &all, &saved, sizeof saved) != 0)
		return;
	if (atomic_compare_exchange_strong(&hk_control_phase, &none, HK_CONTROL_PHASE_STARTING)) {
		next = control_start_won();
		if (next != HK_CONTROL_PHASE_RUNNING)
			atomic_store(&hk_control_phase, next);
	}
	hk_sys4(SYS_rt_sigprocmask, SIG_SETMASK, &saved, NULL, sizeof saved);
}

/* ---- stopping ---- */

/* Sleep until the thread has let go of its memory, or a moment: never long, as its unlinking wakes nobody. */
static void control_nap(void)
{
	const struct timespec nap = {.tv_nsec = STOP_NAP_NSEC};
	const struct timespec most = {.tv_nsec = 1000000};

	if (atomic_load(&control_alive) == 1)
		hk_sys4(SYS_futex, &control_alive, FUTEX_WAIT, 1, &most);
	else
		hk_sys2(SYS_nanosleep, &nap, NULL);
}

/* Wait until no thread is there, telling a running one to stop.  The caller holds control_holds up. */
static bool control_wait_gone(void)
{
	uint64_t now = control_now();
	uint64_t deadline = now + STOP_WAIT_NSEC;
	int told = 0;

	for (; now < deadline; now = control_now()) {
		int phase = atomic_load(&hk_control_phase);
		int tid = atomic_load(&control_tid);

		if (phase == HK_CONTROL_PHASE_RUNNING && tid != told) {
			atomic_store(&control_stop_wanted, true);
			control_signal(tid);
			told = tid;
		} else if (phase != HK_CONTROL_PHASE_STARTING && phase != HK_CONTROL_PHASE_RUNNING) {
			if (control_unlinked(tid)) {
				atomic_compare_exchange_strong(&control_tid, &tid, 0);
				return true;
			}
			/* It has ended.  If its number is somebody else's by now, this would wait for a
			 * stranger. */
			if (deadline > now + UNLINK_WAIT_NSEC)
				deadline = now + UNLINK_WAIT_NSEC;
		}
		control_nap();
	}
	return false;
}

/*
 * A server that changes its uid for every request must not make and end a thread each time: the sooner a
 * thread was stopped after its start, and the oftener in a row, the longer until the next.
 */
static void control_pause_restart(void)
{
	uint64_t now = control_now();
	uint64_t pause = (uint64_t)hk_control_timing.restart_msec * 1000000u;
	unsigned lives = 0;

	if (now - atomic_load(&control_spawn_nsec) < SHORT_LIFE_NSEC)
		lives = HK_MIN(atomic_load(&control_short_lives) + 1, RESTART_SHIFT);
	atomic_store(&control_short_lives, lives);
	atomic_store(&control_start_nsec, now + (lives > 0 ? pause << lives : 0));
}

bool hk_control_stop(void)
{
	bool ran, gone;

	if (atomic_load(&hk_control_phase) == HK_CONTROL_PHASE_IDLE && atomic_load(&control_tid) == 0)
		return true;
	if (!control_is_own_process())
		return true;
	atomic_fetch_add(&control_holds, 1);
	ran = atomic_load(&hk_control_phase) != HK_CONTROL_PHASE_NONE;
	hk_flush_interrupt(true); /* what it may be flushing ends at its next step */
	gone = control_wait_gone();
	hk_flush_interrupt(false);
	if (ran)
		control_pause_restart();
	return gone;
}

void hk_control_resume(void)
{
	int holds = atomic_load(&control_holds);

	if (holds == 0 || !control_is_own_process())
		return;
	/* Never below zero: a fork child that comes from between stop and resume begins with none. */
	while (holds > 0 && !atomic_compare_exchange_weak(&control_holds, &holds, holds - 1))
		continue;
}

/* ---- process ---- */

HK_USUAL void hk_control_init(char *const envp[])
{
	int mode = hk_options.control;

	atomic_store(&control_pid, (int)hk_sys0(SYS_getpid));
	if (mode == HK_CONTROL_AUTO && control_seccomp_filtered())
		mode = HK_CONTROL_OFF;
	atomic_store(&control_mode, mode);
	if (mode == HK_CONTROL_OFF)
		return;
	if (!getauxval(AT_SECURE))
		hk_watch_init(envp);
	atomic_store(&hk_control_phase, HK_CONTROL_PHASE_NONE);
}

/* Nothing of the thread's has to stand still for a fork: the locks it may hold are the flush's own affair. */
HK_USUAL void hk_control_prefork(void)
{
}

HK_USUAL void hk_control_postfork_parent(void)
{
}

/*
 * The thread stayed behind, with its descriptors; so did whoever was in STARTING or between stop and resume.
 * The block is a private copy that nobody runs on, and can be used again.
 */
HK_USUAL void hk_control_postfork_child(void)
{
	atomic_store(&control_pid, (int)hk_sys0(SYS_getpid));
	atomic_store(&control_tid, 0);
	atomic_store(&control_alive, 0);
	atomic_store(&control_holds, 0);
	atomic_store(&control_dozing, false);
	atomic_store(&control_start_nsec, 0);
	hk_log_set_foreign(0);
	hk_stats_unpublish();
	if (atomic_load(&hk_control_phase) != HK_CONTROL_PHASE_IDLE)
		atomic_store(&hk_control_phase, HK_CONTROL_PHASE_NONE);
}
