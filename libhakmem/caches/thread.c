/* SPDX-License-Identifier: MIT */
/* Thread records, refill and spill, thread exit: see thread.h.  Capacities are in capacity.c, the sweep is in sweep.c. */
#include "caches/thread.h"

#include "base/counters.h"
#include "base/options.h"
#include "base/point.h"
#include "caches/loan.h"
#include "caches/thread_internal.h"
#include "os/mark.h"

#include <pthread.h>
#include <string.h>
#include <time.h>

/* Slow paths of a thread that goes past its magazines: enough to replace what it has in use some times over, and some 10
 * ms at most.  With four busy threads 16.4 % stayed of what a flush could have given back; 9.2 with a quarter of this,
 * 5.6 with it, no less with eight times as many (bench/hakmem-bench --only busy). */
#define THREAD_BYPASS_MOST (1u << 17)

/* And of one that has no magazines yet: those that do little more than start never take a page for them, nor do those
 * that were flushed and wake now and then. */
uint32_t hk_threads_bypass_first = 64;

const struct hk_set hk_set_none = {.by_kind = {[0 ... HK_KINDS - 1] = {.top = hk_hot_no_slots + 1}}};
struct hk_thread hk_thread_new = {.set = (struct hk_set *)&hk_set_none};
struct hk_thread hk_thread_dead = {.set = (struct hk_set *)&hk_set_none};
HK_TLS struct hk_thread *hk_self = &hk_thread_new;

struct hk_thread_list hk_threads = {.lock = HK_LOCK_INIT(HK_RANK_THREADS)};

static pthread_key_t thread_key;
static atomic_bool thread_key_made;

struct hk_lock *hk_threads_lock(void)
{
	return &hk_threads.lock;
}

/* ---- records ------------------------------------------------------------------------------------------- */

static struct hk_thread *thread_record(void)
{
	hk_lock_take(&hk_threads.lock);
	struct hk_thread *thread = hk_threads.free;
	if (thread != NULL) {
		hk_threads.free = thread->free_next;
		thread->in_use = 1;
		hk_count(threads, 1);
	}
	hk_lock_drop(&hk_threads.lock);
	if (thread != NULL || (thread = hk_meta_bump(sizeof *thread)) == NULL)
		return thread;
	atomic_store_explicit(&thread->set, (struct hk_set *)&hk_set_none, memory_order_relaxed);
	hk_lock_take(&hk_threads.lock);
	thread->in_use = 1;
	thread->all_next = atomic_load_explicit(&hk_threads.all, memory_order_relaxed);
	atomic_store_explicit(&hk_threads.all, thread, memory_order_release);
	hk_count(threads, 1);
	hk_lock_drop(&hk_threads.lock);
	return thread;
}

/* How the kernel names this thread, or 0.  libc knows: its name for the thread's clock has the number in it.  A system
 * call here would be the end of a program whose filter knows only calls for memory. */
static uint32_t thread_tid(void)
{
	clockid_t clock;
	return pthread_getcpuclockid(pthread_self(), &clock) == 0 ? ~(uint32_t)(clock >> 3) : 0;
}

/* This thread's record, made on its first slow path; NULL without memory and after its teardown. */
static struct hk_thread *thread_self(void)
{
	struct hk_thread *self = hk_self;
	if (HK_LIKELY(self != &hk_thread_new))
		return self != &hk_thread_dead ? self : NULL;
	if (hk_options.check)
		return NULL;
	if (__atomic_load_n(&hk_stats()->threads, __ATOMIC_RELAXED) != 0)
		hk_mark_make();
	if ((self = thread_record()) == NULL)
		return NULL;
	self->budget_used = 0;
	self->exit_rounds = 0;
	self->bypass_left = hk_threads_bypass_first;
	atomic_store_explicit(&self->tid, thread_tid(), memory_order_relaxed);
	hk_shard_find_cpu();
	hk_self = self;
	if (atomic_load_explicit(&thread_key_made, memory_order_acquire))
		pthread_setspecific(thread_key, self);
	return self;
}

/* The owner's set, installed where a flusher took the old one; NULL without memory. */
static struct hk_set *thread_set(struct hk_thread *self)
{
	struct hk_set *set = atomic_load_explicit(&self->set, memory_order_relaxed);
	if (HK_LIKELY(set != &hk_set_none))
		return set;
	struct hk_set_page *page = hk_own_new(sizeof *page);
	if (page == NULL)
		return NULL;
	page->set = hk_set_none;
	page->first_free = hk_mask32(0, HK_SET_FIRST);
	self->budget_used = 0;
	self->bypass_left = hk_threads_bypass_first; /* should it be taken away */
	/* Only the owner installs, and a flusher only ever takes: while it is none, it stays none. */
	atomic_store_explicit(&self->set, &page->set, memory_order_release);
	return &page->set;
}

/* ---- slow paths ---------------------------------------------------------------------------------------- */

static _Atomic uint32_t thread_bypass; /* odd while it is on */
static atomic_bool thread_bypass_used;

void hk_threads_bypass(bool on)
{
	if (on)
		atomic_store_explicit(&thread_bypass_used, false, memory_order_relaxed);
	uint32_t now = atomic_load_explicit(&thread_bypass, memory_order_relaxed);
	atomic_store_explicit(&thread_bypass, (now | 1) + !on, memory_order_relaxed);
}

bool hk_threads_bypassed(void)
{
	return atomic_load_explicit(&thread_bypass_used, memory_order_relaxed);
}

static HK_NOINLINE bool thread_bypasses_none(struct hk_thread *self)
{
	uint32_t now = atomic_load_explicit(&thread_bypass, memory_order_relaxed);
	if ((now & 1) == 0) {
		self->bypass_left = HK_MIN(self->bypass_left, hk_threads_bypass_first);
	} else if (self->bypass != now) {
		self->bypass = now;
		self->bypass_left = THREAD_BYPASS_MOST;
		atomic_store_explicit(&thread_bypass_used, true, memory_order_relaxed);
	}
	if (self->bypass_left == 0)
		return false;
	self->bypass_left--;
	return true;
}

static bool thread_has_set(const struct hk_thread *self)
{
	return atomic_load_explicit(&self->set, memory_order_relaxed) != &hk_set_none;
}

/* On a slow path: is this one to go past the magazines? */
static bool thread_bypasses(struct hk_thread *self)
{
	return HK_UNLIKELY(!thread_has_set(self)) && thread_bypasses_none(self);
}

/* A slow path begins: the capacity of the class's magazine, and 0 where this one goes past the magazines (`*ret_direct`)
 * or the thread has none. */
static HK_ALWAYS unsigned thread_enter(struct hk_thread *self, unsigned class_idx, bool spill, bool *ret_direct)
{
	*ret_direct = self != NULL && thread_bypasses(self);
	struct hk_set *set = self != NULL && !*ret_direct ? thread_set(self) : NULL;
	return set != NULL ? hk_thread_capacity(self, set, class_idx, spill) : 0;
}

/* A slow path ends.  One that went past the magazines is no activity: a thread that woke for a moment, or one whose
 * magazines a flush took.  All threads write to one place, so each does once in a tick of the clock; those
 * without a record (HAKMEM_CHECK, ended threads) do each time. */
static void thread_leave(struct hk_thread *self, bool direct)
{
	if (direct)
		return;
	uint64_t now_nsec = hk_clock_coarse_nsec();
	if (self != NULL) {
		if (self->active_nsec == now_nsec)
			return;
		self->active_nsec = now_nsec;
	}
	__atomic_store_n(&hk_stats()->activity_nsec, now_nsec, __ATOMIC_RELAXED);
}

/* ---- refill and spill ---------------------------------------------------------------------------------- */

/* Push blocks that the class has counted as hot already, the last ones if there is no room for all; returns how many. */
static unsigned thread_refill(struct hk_thread *self, unsigned class_idx, void *const *blocks, unsigned count)
{
	struct hk_set *set = hk_gate_enter(self);
	struct hk_magazine *magazine = &set->magazines[class_idx];
	unsigned room = hk_hot_capacity(class_idx, magazine->step) - hk_magazine_count(magazine, class_idx);
	unsigned n = HK_MIN(count, room);
	if (n != 0) {
		memcpy(magazine->top, blocks + count - n, n * sizeof *blocks);
		magazine->top += n;
		magazine->reported = (uint16_t)(magazine->reported + n);
	}
	hk_gate_leave(self);
	return n;
}

/* The stack that a slow path uses is memory that an idle thread keeps: small magazines use little of it. */
#define THREAD_BATCH_SMALL 20u

static HK_ALWAYS void *thread_take(struct hk_thread *self, unsigned class_idx, void **batch, unsigned want)
{
	int hot_delta = want > 1 ? hk_thread_report(self, class_idx) : 0;
	unsigned n = hk_cold_take(class_idx, batch, want, hot_delta);
	HK_POINT(refill_in_transit);
	if (n > 1) {
		unsigned left = n - 1 - thread_refill(self, class_idx, batch, n - 1);
		if (HK_UNLIKELY(left != 0)) /* a flusher took the set meanwhile */
			hk_cold_give(class_idx, batch, left, -(int)left, false);
	}
	return n != 0 ? batch[n - 1] : NULL;
}

static HK_NOINLINE void *thread_take_small(struct hk_thread *self, unsigned class_idx, unsigned want)
{
	void *batch[THREAD_BATCH_SMALL];
	return thread_take(self, class_idx, batch, want);
}

static HK_NOINLINE void *thread_take_large(struct hk_thread *self, unsigned class_idx, unsigned want)
{
	void *batch[HK_BATCH];
	return thread_take(self, class_idx, batch, want);
}

static void *thread_take_own(unsigned class_idx)
{
	struct hk_thread *self = thread_self();
	bool direct;
	unsigned capacity = thread_enter(self, class_idx, false, &direct);
	unsigned want = HK_MIN(capacity / 2, HK_BATCH - 1) + 1;
	void *block = want <= THREAD_BATCH_SMALL ? thread_take_small(self, class_idx, want)
						 : thread_take_large(self, class_idx, want);
	thread_leave(self, direct);
	return block;
}

/* A block out of the lender's magazine, or NULL where that is empty. */
static HK_NOINLINE void *thread_borrow(unsigned class_idx, unsigned lender)
{
	void *block = hk_hot_pop(hk_magazine_offset(hk_kind_of_class(lender)));
	/* one that goes past the magazines gets no more than it asked for */
	if (block == NULL && thread_has_set(hk_self) && HK_HINT(hk_classes[lender].n_cold) == 0)
		hk_loan_was_new(class_idx);
	return block;
}

void *hk_thread_take(unsigned class_idx)
{
	unsigned from = hk_loan_from(class_idx);
	void *block = HK_LIKELY(from == class_idx) ? NULL : thread_borrow(class_idx, from);
	/* Out of a magazine it is no activity: a program whose timer asks for a block now and then is idle. */
	return block != NULL ? block : thread_take_own(from);
}

/* Half of a magazine that is full, at most `most`, out of it: the older half, as the newer blocks are warm, unless
 * the magazine is so large that none are.  They leave the magazine before they get anywhere else: a fork in between
 * must not see a block twice. */
static unsigned thread_pop_half(struct hk_thread *self, unsigned class_idx, void **out, unsigned most,
				int *ret_hot_delta)
{
	struct hk_set *set = hk_gate_enter(self);
	struct hk_magazine *magazine = &set->magazines[class_idx];
	unsigned n = 0;
	*ret_hot_delta = 0;
	if (magazine->step != 0) {
		unsigned count = hk_magazine_count(magazine, class_idx);
		n = count == hk_hot_capacity(class_idx, magazine->step) ? HK_MIN((count + 1) / 2, most) : 0;
		hk_magazine_pop(magazine, count, n, out);
		*ret_hot_delta = hk_set_report(set, class_idx);
	}
	HK_POINT(spill_popped);
	hk_gate_leave(self);
	return n;
}

static HK_ALWAYS void thread_give(struct hk_thread *self, unsigned class_idx, void *block, void **batch, unsigned most)
{
	int hot_delta;
	unsigned n = thread_pop_half(self, class_idx, batch, most - 1, &hot_delta);
	if (!hk_hot_push(hk_kind_of_class(class_idx), block))
		batch[n++] = block;
	HK_POINT(spill_in_transit);
	if (n != 0 || hot_delta != 0)
		hk_cold_give(class_idx, batch, n, hot_delta, false);
}

static HK_NOINLINE void thread_give_small(struct hk_thread *self, unsigned class_idx, void *block)
{
	void *batch[THREAD_BATCH_SMALL];
	thread_give(self, class_idx, block, batch, THREAD_BATCH_SMALL);
}

static HK_NOINLINE void thread_give_large(struct hk_thread *self, unsigned class_idx, void *block)
{
	void *batch[HK_BATCH];
	thread_give(self, class_idx, block, batch, HK_BATCH);
}

void hk_thread_give(unsigned class_idx, void *block)
{
	struct hk_thread *self = thread_self();
	bool direct;
	unsigned capacity = thread_enter(self, class_idx, true, &direct);
	if (capacity == 0)
		hk_cold_give(class_idx, &block, 1, 0, direct || self == NULL);
	else if (capacity / 2 < THREAD_BATCH_SMALL)
		thread_give_small(self, class_idx, block);
	else
		thread_give_large(self, class_idx, block);
	thread_leave(self, direct);
}

/* ---- thread exit --------------------------------------------------------------------------------------- */

/* Other keys' destructors may still free; so come back in each round but the last.  In that one ThreadSanitizer has
 * forgotten the thread already, and what it instruments crashes. */
#ifdef HK_TSAN
#define THREAD_EXIT_ROUNDS 2u
#else
#define THREAD_EXIT_ROUNDS 3u
#endif

static void thread_drop_set(struct hk_thread *self)
{
	struct hk_set *set = atomic_exchange_explicit(&self->set, (struct hk_set *)&hk_set_none, memory_order_acq_rel);
	if (set != &hk_set_none)
		hk_set_empty(set, false, NULL);
}

static void thread_exit(void *arg)
{
	struct hk_thread *self = arg;
	if (self->exit_rounds++ < THREAD_EXIT_ROUNDS) {
		pthread_setspecific(thread_key, self);
		return;
	}
	hk_self = &hk_thread_dead;
	thread_drop_set(self);
	hk_lock_take(&hk_threads.lock);
	self->in_use = 0;
	self->free_next = hk_threads.free;
	hk_threads.free = self;
	hk_count(threads, -1);
	hk_lock_drop(&hk_threads.lock);
	hk_counters_touch();
}

void hk_threads_init(void)
{
	hk_sweep_init();
	if (hk_options.check) {
		thread_drop_set(hk_self); /* magazines from before the options were read */
		hk_self = &hk_thread_new;
		return;
	}
	if (pthread_key_create(&thread_key, thread_exit) != 0)
		return; /* threads keep their records: the sweep still reaches them */
	atomic_store_explicit(&thread_key_made, true, memory_order_release);
	if (hk_self != &hk_thread_new && hk_self != &hk_thread_dead)
		pthread_setspecific(thread_key, hk_self);
}

/* In a fork child: a thread that is not there any more. */
static void thread_orphan(struct hk_thread *thread)
{
	if (atomic_load_explicit(&thread->busy, memory_order_relaxed) != 0) {
		/* caught while moving pointers: nobody can say which; its blocks are lost */
		hk_set_forget(atomic_load_explicit(&thread->set, memory_order_relaxed));
		hk_set_forget(thread->detached != NULL ? thread->detached : &hk_set_none);
		thread->detached = NULL;
		atomic_store_explicit(&thread->set, (struct hk_set *)&hk_set_none, memory_order_relaxed);
		atomic_store_explicit(&thread->busy, 0, memory_order_relaxed);
	}
	/* A set that stood still stays in its record, for the next sweep or the record's next owner:
	 * emptying it now would copy pages of a child that only wants a snapshot. */
	thread->in_use = 0;
	thread->free_next = hk_threads.free;
	hk_threads.free = thread;
	hk_count(threads, -1);
}

static void thread_add_reported(const struct hk_thread *thread, uint32_t *counts)
{
	const struct hk_set *set = atomic_load_explicit(&thread->set, memory_order_relaxed);
	const struct hk_set *detached = thread->detached != NULL ? thread->detached : &hk_set_none;
	for (unsigned c = 0; c < HK_CLASSES; c++)
		counts[c] += (uint32_t)set->magazines[c].reported + detached->magazines[c].reported;
}

void hk_threads_postfork_child(void)
{
	/* What magazines hold by what their owners said, with and without those that are lost.  Blocks that
	 * were on an orphan's way between magazine and depot are counted as hot, and are in none. */
	uint32_t all[HK_CLASSES] = {0}, left[HK_CLASSES] = {0};
	struct hk_thread *thread = atomic_load_explicit(&hk_threads.all, memory_order_relaxed);
	if (hk_self != &hk_thread_new && hk_self != &hk_thread_dead)
		atomic_store_explicit(&hk_self->tid, thread_tid(), memory_order_relaxed);
	for (; thread != NULL; thread = thread->all_next) {
		thread_add_reported(thread, all);
		if (thread != hk_self && thread->in_use)
			thread_orphan(thread);
		thread_add_reported(thread, left);
	}
	for (unsigned c = 0; c < HK_CLASSES; c++) {
		uint32_t n_hot = hk_cold_n_hot(c);
		if (n_hot > all[c])
			hk_count(lost_bytes, (uint64_t)(n_hot - all[c]) * hk_class_info[c].block_bytes);
		if (n_hot != left[c])
			hk_cold_recount_hot(c, left[c]);
	}
}
