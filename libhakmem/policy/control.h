/* SPDX-License-Identifier: MIT */
/*
 * The control thread: how hakmemd reaches a process whose own threads are busy or asleep.
 *
 * Why, and what kind of thread it is: see control.c.  What it does all day: see control_loop.c.
 *
 * All functions preserve errno.  None may be called with an allocator lock held.
 */
#ifndef HK_POLICY_CONTROL_H
#define HK_POLICY_CONTROL_H

#include "base/attr.h"

#include <stdatomic.h>

/* NONE -> STARTING (one winner) -> RUNNING (stored by the thread itself) -> NONE (likewise, as it ends). */
enum hk_control_phase {
	HK_CONTROL_PHASE_IDLE, /* nothing for poke to do: before init, off, or inline and past its look at the board */
	HK_CONTROL_PHASE_NONE, /* no thread; the next poke starts one */
	HK_CONTROL_PHASE_STARTING,
	HK_CONTROL_PHASE_RUNNING,
};

extern _Atomic int hk_control_phase __attribute__((visibility("hidden"))); /* read without a GOT load */

/* How long the thread waits; constant outside tests. */
struct hk_control_timing {
	uint32_t backoff_min_msec; /* from the first to the second attempt to connect; doubles from there */
	uint32_t backoff_max_msec;
	uint32_t restart_msec;     /* from a stop to the next start; doubles while threads are stopped soon */
	uint32_t watch_pause_msec; /* between two flushes that $MEMORY_PRESSURE_WATCH asked for */
};
extern struct hk_control_timing hk_control_timing;

/* From the constructor, after the options were read; `envp` may name a pressure file. */
void hk_control_init(char *const envp[]);

/* Where a slow path finds that the heap has passed the threshold.  Starts the thread unless there is one. */
void hk_control_start(void);
static inline void hk_control_poke(void)
{
	if (HK_UNLIKELY(atomic_load_explicit(&hk_control_phase, memory_order_relaxed) ==
	                HK_CONTROL_PHASE_NONE))
		hk_control_start();
}

/* After something began to age: a thread that sleeps without a timer looks at hk_decay_run() again. */
void hk_control_wake(void);

/*
 * Before a call that must find no second thread, or none with the credentials of before: end the thread and
 * wait until the kernel has unlinked it.  None starts again before the matching resume; the two nest.
 * Returns false if it did not end within some seconds (a flush can last that long); it then ends later.
 */
bool hk_control_stop(void);
void hk_control_resume(void);

/* Around fork.  The child has no thread and may start its own; it keeps the board. */
void hk_control_prefork(void);
void hk_control_postfork_parent(void);
void hk_control_postfork_child(void);

/* ---- between control.c and control_loop.c ---- */

/* The thread's whole life.  False if it cannot work in this process (no descriptor table of its own). */
bool hk_control_loop(void);

/* Read by the thread after each wake-up. */
bool hk_control_stop_wanted(void);

/* The thread says that it will sleep without a timer (wake then signals it), or that it will not. */
void hk_control_doze(bool dozing);

/* The signal that wakes it: always blocked there, so that it stays pending until a signalfd reads it. */
#define HK_CONTROL_SIGNAL 33

#endif
