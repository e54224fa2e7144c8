/* SPDX-License-Identifier: MIT */
/* Emptying threads' magazines from outside: the flusher's side of the gate in hot.h. */
#include "base/counters.h"
#include "base/options.h"
#include "base/point.h"
#include "base/syscall.h"
#include "caches/thread_internal.h"

#include <linux/membarrier.h>
#include <sys/uio.h>
#include <time.h>

/* How long to sleep between looks at a busy owner: it was preempted between two instructions, so it needs a
 * time slice, not a spin. */
#define SWEEP_NAP_NSEC 50000
#define SWEEP_NAPS_MAX 40u
#define SWEEP_REST_SHARE 100 /* a thread rests while it uses less than one part of its time in so many */

static atomic_bool sweep_has_membarrier;

HK_USUAL void hk_sweep_init(void)
{
	long ret = hk_sys3(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0);
	atomic_store_explicit(&sweep_has_membarrier, ret == 0, memory_order_relaxed);
}

static bool sweep_can(void)
{
	return atomic_load_explicit(&sweep_has_membarrier, memory_order_relaxed) && hk_may_call();
}

static bool sweep_barrier(void)
{
	return hk_sys3(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0) == 0;
}

/* A thread that ends leaves magazines with more blocks to the slabs: from the cold magazine two others would get them
 * mixed, and write to neighbouring lines at once. */
#define SET_COLD_MOST 128u

HK_USUAL void hk_set_empty(struct hk_set *set, bool direct, uint64_t *n_blocks)
{
	for (unsigned c = 0; c < HK_CLASSES; c++) {
		struct hk_magazine *magazine = &set->magazines[c];
		unsigned n = hk_magazine_count(magazine, c);
		if (n != 0 || magazine->reported != 0)
			hk_cold_give(c, magazine->top - n, n, -(int)magazine->reported, direct || n > SET_COLD_MOST);
		if (n_blocks != NULL)
			n_blocks[c] += n;
		hk_set_free_slots(set, c);
	}
	hk_own_free(set, sizeof(struct hk_set_page));
}

void hk_set_forget(const struct hk_set *set)
{
	if (set == &hk_set_none)
		return;
	for (unsigned c = 0; c < HK_CLASSES; c++)
		hk_count(lost_bytes, (uint64_t)hk_magazine_count(&set->magazines[c], c) * hk_class_info[c].block_bytes);
}

/* The clock of another thread's CPU time: as the kernel names it, which libc's pthread_getcpuclockid() relies on too. */
static bool sweep_cpu_nsec(uint32_t tid, uint64_t *ret_nsec)
{
	struct timespec ts;
	if (tid == 0 || hk_sys2(SYS_clock_gettime, (int)(~tid << 3 | 6 /* of a thread, by its run time */), &ts) != 0)
		return false;
	*ret_nsec = (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
	return true;
}

static bool sweep_rested(struct hk_thread *thread, uint64_t rest_nsec)
{
	uint32_t tid = atomic_load_explicit(&thread->tid, memory_order_relaxed);
	uint64_t now = hk_clock_nsec(), cpu;
	if (!sweep_cpu_nsec(tid, &cpu))
		return false;
	if (thread->rest_tid != tid || cpu < thread->rest_cpu_nsec ||
	    cpu - thread->rest_cpu_nsec > (now - thread->rest_nsec) / SWEEP_REST_SHARE) {
		thread->rest_tid = tid;
		thread->rest_nsec = now;
		thread->rest_cpu_nsec = cpu;
		return false;
	}
	return now - thread->rest_nsec >= rest_nsec;
}

/* Take the sets of the threads meant out of their owners' sight. */
static unsigned sweep_detach(uint64_t rest_nsec)
{
	unsigned n = 0;
	struct hk_thread *thread = atomic_load_explicit(&hk_threads.all, memory_order_acquire);
	for (; thread != NULL; thread = thread->all_next) {
		if (thread->detached == NULL &&
		    atomic_load_explicit(&thread->set, memory_order_relaxed) != &hk_set_none &&
		    (rest_nsec == 0 || sweep_rested(thread, rest_nsec))) {
			struct hk_set *set = atomic_exchange_explicit(&thread->set, (struct hk_set *)&hk_set_none,
								      memory_order_acq_rel);
			thread->detached = set != &hk_set_none ? set : NULL;
		}
		n += thread->detached != NULL;
		HK_POINT(sweep_detached);
	}
	return n;
}

/* Empty the detached sets of owners that are outside; how many remain. */
static unsigned sweep_collect(struct hk_sweep *sweep)
{
	unsigned pending = 0;
	struct hk_thread *thread = atomic_load_explicit(&hk_threads.all, memory_order_acquire);
	for (; thread != NULL; thread = thread->all_next) {
		if (thread->detached == NULL)
			continue;
		if (atomic_load_explicit(&thread->busy, memory_order_acquire) != 0) {
			pending++;
			continue;
		}
		HK_POINT(sweep_owned);
		struct hk_set *set = thread->detached;
		thread->detached = NULL;
		hk_set_empty(set, true, sweep->n_blocks);
		sweep->n_swept++;
	}
	return pending;
}

static void sweep_nap(void)
{
	struct timespec nap = {0, SWEEP_NAP_NSEC};
	HK_POINT(sweep_nap);
	hk_sys4(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, &nap, NULL);
}

void hk_threads_sweep(uint64_t deadline_nsec, struct hk_sweep *sweep)
{
	sweep->n_swept = sweep->n_pending = 0;
	if (!sweep_can()) {
		/* Without the barrier nobody else's magazines can be touched: say so. */
		sweep->n_pending = (uint32_t)__atomic_load_n(&hk_stats()->threads, __ATOMIC_RELAXED);
		return;
	}
	sweep->n_pending = sweep_detach(sweep->rest_nsec);
	if (sweep->n_pending == 0 || !sweep_barrier())
		return;
	for (unsigned naps = 0; (sweep->n_pending = sweep_collect(sweep)) != 0; naps++) {
		if (naps == SWEEP_NAPS_MAX || hk_clock_nsec() >= deadline_nsec)
			return;
		sweep_nap();
	}
}

/* Copy memory that its owner may free and unmap at any moment: the kernel says so instead of faulting. */
static bool sweep_peek(void *out, const void *from, size_t bytes)
{
	struct iovec local = {out, bytes}, remote = {(void *)(uintptr_t)from, bytes};
	return hk_sys6(SYS_process_vm_readv, hk_sys0(SYS_getpid), (long)&local, 1, (long)&remote, 1, 0) == (long)bytes;
}

static void sweep_peek_set(const struct hk_set *set, void (*look)(void *, unsigned, void *), void *arg)
{
	struct hk_magazine magazines[HK_CLASSES];
	void *blocks[HK_BATCH];
	if (!sweep_peek(magazines, set->magazines, sizeof magazines))
		return;
	for (unsigned c = 0; c < HK_CLASSES; c++) {
		unsigned count = hk_magazine_count(&magazines[c], c);
		void **oldest = magazines[c].top - count;
		for (unsigned done = 0; done < count;) {
			unsigned n = HK_MIN(count - done, HK_BATCH);
			if (!sweep_peek(blocks, oldest + done, n * sizeof *blocks))
				break;
			for (unsigned i = 0; i < n; i++)
				look(blocks[i], c, arg);
			done += n;
		}
	}
}

void hk_threads_each_hot(void (*look)(void *block, unsigned class_idx, void *arg), void *arg)
{
	struct hk_thread *thread = atomic_load_explicit(&hk_threads.all, memory_order_acquire);
	for (; thread != NULL; thread = thread->all_next) {
		struct hk_set *set = atomic_load_explicit(&thread->set, memory_order_acquire);
		if (set != &hk_set_none)
			sweep_peek_set(set, look, arg);
	}
}
