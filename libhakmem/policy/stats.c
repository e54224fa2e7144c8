/* SPDX-License-Identifier: MIT */
/* The stats segment's life, the survey and the audit: see stats.h. */
#include "policy/stats.h"

#include "base/counters.h"
#include "base/syscall.h"
#include "caches/thread.h"
#include "os/meta.h"
#include "policy/flush.h"
#include "pools/span.h"
#include "slabs/superslab.h"

#include <string.h>
#include <sys/mman.h>

/* ---- all locks ----------------------------------------------------------------------------------------- */

static void locks_take(struct hk_lock *lock)
{
	hk_lock_take(lock);
}

/* The first shard's lock is what a class is divided under: as long as it is held, the others are in use or they are not. */
static HK_ALWAYS void locks_of_class(unsigned class_idx, void (*act)(struct hk_lock *))
{
	const struct hk_slabs *first = &hk_classes[class_idx].slabs;
	bool divided = hk_divided(first);
	act(&hk_classes[class_idx].slabs.lock);
	if (act == locks_take)
		divided = hk_divided(first);
	for (unsigned shard = 1; divided && shard < HK_SHARDS; shard++)
		act(&hk_class_shard(class_idx, shard)->slabs.lock);
}

static HK_ALWAYS void locks_each(void (*act)(struct hk_lock *))
{
	act(hk_flush_lock());
	act(hk_threads_lock());
	for (unsigned c = 0; c < HK_CLASSES_ALL; c++)
		locks_of_class(c, act);
	act(hk_heap_lock());
	act(hk_large_lock());
	act(hk_meta_lock());
}

static void locks_drop(struct hk_lock *lock)
{
	hk_lock_drop(lock);
}

static void locks_reset(struct hk_lock *lock)
{
	hk_lock_reset(lock);
}

static bool locks_held; /* in a copy of the process that one thread puts in order */

static void locks_look(struct hk_lock *lock)
{
	locks_held |= hk_lock_is_held(lock);
}

bool hk_locks_any_held(void)
{
	locks_held = false;
	locks_each(locks_look);
	return locks_held;
}

HK_USUAL void hk_locks_take_all(void)
{
	locks_each(locks_take);
}

HK_USUAL void hk_locks_drop_all(void)
{
	locks_each(locks_drop);
}

HK_USUAL void hk_locks_reset_all(void)
{
	locks_each(locks_reset);
}

/* ---- publishing ---------------------------------------------------------------------------------------- */

static void stats_move(struct hkp_stats *to, const struct hkp_stats *from)
{
	memcpy(to, from, offsetof(struct hkp_stats, classes));
	to->magic = HKP_STATS_MAGIC;
	to->version = HKP_STATS_VERSION;
	to->size = HKP_STATS_BYTES;
	to->n_classes = HK_CLASSES;
	atomic_store_explicit(&hk_counters, to, memory_order_release);
	hk_cold_publish(to->classes);
}

/* A later segment (after the control thread was stopped, say) takes the place of the one before, address and
 * all: a thread may be about to write there. */
int hk_stats_publish(int memfd)
{
	struct hk_counters_home now;
	hk_locks_take_all();
	struct hkp_stats *before = hk_stats();
	bool again = hk_counters_published();
	memcpy(&now, before, sizeof now);
	long address = hk_sys6(SYS_mmap, again ? (long)before : 0, HKP_STATS_BYTES, PROT_READ | PROT_WRITE,
			       MAP_SHARED | (again ? MAP_FIXED : 0), memfd, 0);
	bool ok = address >= 0 || address <= -4096;
	if (ok)
		stats_move((struct hkp_stats *)address, (struct hkp_stats *)&now);
	hk_locks_drop_all();
	return ok ? 0 : (int)address;
}

HK_USUAL void hk_stats_prefork(void)
{
	struct hkp_stats *shared = hk_stats();
	if (hk_counters_published())
		memcpy(&hk_counters_home, shared, sizeof hk_counters_home);
}

HK_USUAL void hk_stats_unpublish(void)
{
	struct hkp_stats *shared = hk_stats();
	if (!hk_counters_published())
		return;
	atomic_store_explicit(&hk_counters, HK_COUNTERS_HOME, memory_order_release);
	hk_sys2(SYS_munmap, shared, HKP_STATS_BYTES);
}

uint64_t hk_stats_releasable(void)
{
	return hk_counters_releasable();
}

/* ---- survey -------------------------------------------------------------------------------------------- */

/* Blocks of a SuperSlab that are out of their slabs, in the program's hands or in magazines.  Racy: a hint. */
static unsigned stats_taken(const struct hk_superslab *superslab)
{
	unsigned taken = 0;
	for (unsigned i = 0; i < HK_SLICES; i++) {
		const struct hk_slab *slab = &superslab->slabs[i];
		unsigned state = HK_HINT(slab->state);
		if (state == HK_SLAB_MID)
			return UINT32_MAX;
		if (state == HK_SLAB_LIVE && HK_HINT(slab->class_idx) < HK_CLASSES)
			taken += HK_HINT(slab->top) - hk_slab_n_free(slab);
	}
	return taken;
}

static void stats_count_cached(void *block, unsigned class_idx, void *arg)
{
	(void)arg;
	struct hk_superslab *superslab = NULL;
	if (hk_pagemap_kind(block) == hk_kind_of_class(class_idx))
		superslab = hk_pagemap_superslab(block);
	if (superslab != NULL)
		superslab->n_cached++;
}

static void stats_count_cold(void)
{
	for (HK_EACH_SHARD(number)) {
		struct hk_class *class = &hk_classes[number];
		hk_lock_take(&class->slabs.lock);
		for (unsigned i = 0; i < class->n_cold; i++)
			stats_count_cached(class->slots[i], hk_shard_class(number), NULL);
		hk_lock_drop(&class->slabs.lock);
	}
}

void hk_stats_survey(void)
{
	struct hk_superslab *superslab = NULL;
	unsigned n_phantom = 0;
	hk_lock_take(hk_flush_lock());
	hk_heap_hold(true);
	while ((superslab = hk_heap_walk(superslab)) != NULL)
		superslab->n_cached = 0;
	stats_count_cold();
	hk_threads_each_hot(stats_count_cached, NULL);
	while ((superslab = hk_heap_walk(superslab)) != NULL) {
		unsigned taken = stats_taken(superslab);
		n_phantom += taken != 0 && superslab->n_cached >= taken;
	}
	hk_heap_hold(false);
	__atomic_store_n(&hk_stats()->superslabs_phantom, n_phantom, __ATOMIC_RELAXED);
	hk_counters_update_releasable();
	hk_lock_drop(hk_flush_lock());
}

bool hk_stats_audit(void)
{
	bool ok = true;
	for (HK_EACH_SHARD(i)) {
		struct hk_class *class = &hk_classes[i];
		hk_lock_take(&class->slabs.lock);
		uint64_t capacity = (uint64_t)class->slabs.n_slabs * hk_class_info[hk_shard_class(i)].n_blocks;
		uint64_t taken = capacity - class->slabs.n_free - class->slabs.n_claimed;
		ok &= hk_slabs_audit(&class->slabs) && taken <= capacity && class->n_cold <= class->n_slots &&
		      (class->n_cold <= taken || class->slabs.divided);
		hk_lock_drop(&class->slabs.lock);
	}
	return ok;
}
