/* SPDX-License-Identifier: MIT */
/* The flush levels and the decay: see flush.h. */
#include "policy/flush.h"

#include "base/counters.h"
#include "base/options.h"
#include "caches/thread.h"
#include "policy/control.h"
#include "pools/mid.h"
#include "pools/span.h"
#include "slabs/superslab.h"

/* After a flush of everything, how long new magazines stay small. */
#define FLUSH_FRUGAL_NSEC (10ull * 1000000000)

/* The decay looks this often within HAKMEM_DECAY_MSEC; each time half of what was unneeded goes. */
#define DECAY_STEPS 4u

/* Where threads were busy meanwhile, what they have in use has moved together, and more can go.  A third time gives a
 * fifth of a percent more. */
#define FLUSH_PASSES_MORE 2u

static struct hk_lock flush_lock = HK_LOCK_INIT(HK_RANK_SWEEP);
/* When the decay is due next; 0 = there was nothing to decay. */
static _Atomic uint64_t decay_next_nsec;

static _Atomic int flush_interrupts;

HK_USUAL void hk_flush_interrupt(bool on)
{
	atomic_fetch_add_explicit(&flush_interrupts, on ? 1 : -1, memory_order_relaxed);
}

HK_USUAL void hk_flush_postfork_child(void)
{
	atomic_store_explicit(&flush_interrupts, 0, memory_order_relaxed);
}

HK_USUAL struct hk_lock *hk_flush_lock(void)
{
	return &flush_lock;
}

struct flush { /* one run */
	size_t target_bytes;
	uint64_t start_nsec, deadline_nsec, first_nsec;
	size_t released;
	bool cut; /* the time was over before the work */
};

/* Note what a step gave back; true while there is reason to go on. */
static bool flush_step(struct flush *flush, size_t bytes)
{
	uint64_t now = hk_clock_nsec();
	if (bytes != 0 && flush->first_nsec == 0)
		flush->first_nsec = now;
	flush->released += bytes;
	flush->cut |= now >= flush->deadline_nsec || atomic_load_explicit(&flush_interrupts, memory_order_relaxed) > 0;
	return flush->released < flush->target_bytes && !flush->cut;
}

static bool flush_cold(struct flush *flush)
{
	for (HK_EACH_SHARD(i)) {
		while (hk_cold_flush_step(i) != 0)
			if (!flush_step(flush, 0))
				return false;
	}
	return true;
}

/* What the shards keep at hand: slots of cold magazines that are empty by now, and one empty slab each. */
static void flush_class_spares(void)
{
	for (HK_EACH_SHARD(i))
		hk_cold_shrink(i);
	for (HK_EACH_SHARD(i))
		hk_slabs_drop_empty(&hk_classes[i].slabs);
}

/* Call `purge` for every SuperSlab, as long as there is reason to go on. */
static bool flush_walk(struct flush *flush, size_t (*purge)(struct hk_superslab *))
{
	bool more = true;
	struct hk_superslab *superslab = NULL;
	while ((superslab = hk_heap_walk(superslab)) != NULL)
		if (more)
			more = flush_step(flush, purge(superslab));
	return more;
}

/* Level 1: everything that lies in whole slices. */
static bool flush_slices(struct flush *flush)
{
	flush_class_spares();
	for (size_t bytes = 0; hk_heap_release_one(0, &bytes); bytes = 0)
		if (!flush_step(flush, bytes))
			return false;
	return flush_walk(flush, hk_heap_purge);
}

static struct hk_slabs *flush_slabs_of(unsigned class_idx, unsigned shard)
{
	bool known = class_idx < HK_CLASSES_ALL && shard < HK_SHARDS;
	return known ? &hk_class_shard(class_idx, shard)->slabs : NULL;
}

size_t hk_flush_holes(struct hk_superslab *superslab)
{
	return hk_slabs_purge_holes(superslab, flush_slabs_of) + hk_mid_purge_tails(superslab);
}

/* Level 2: free pages of slabs and mid runs that are in use. */
static bool flush_holes(struct flush *flush)
{
	return flush_walk(flush, hk_flush_holes);
}

/* And bitmaps of slabs in which little is in use.  Like the records of a SuperSlab that goes, they count as nothing that was
 * released: `releasable` knows of blocks alone. */
static size_t flush_bitmaps_of(struct hk_superslab *superslab)
{
	hk_slabs_purge_bitmaps(superslab, flush_slabs_of);
	return 0;
}

static void flush_levels(struct flush *flush, unsigned level, struct hk_sweep *sweep)
{
	if (!flush_cold(flush))
		return;
	if (level == HAK_LEVEL_COLD && sweep->rest_nsec == 0) {
		flush_step(flush, hk_heap_decay(NULL));
		return;
	}
	/* Whole slices that are free by now go first: it costs nothing and pays for the bitmaps of the rest. */
	if (!flush_slices(flush))
		return;
	hk_threads_bypass(level >= HAK_LEVEL_PAGES);
	hk_threads_sweep(flush->deadline_nsec, sweep);
	if (!flush_slices(flush) || level <= HAK_LEVEL_CACHES)
		return;
	if (!flush_step(flush, hk_span_trim(UINT64_MAX)) || !flush_holes(flush))
		return;
	for (unsigned pass = 0; pass < FLUSH_PASSES_MORE && hk_threads_bypassed(); pass++)
		if (!flush_slices(flush) || !flush_holes(flush))
			return;
	if (!flush_walk(flush, flush_bitmaps_of))
		return;
	if (level == HAK_LEVEL_EVERYTHING)
		hk_threads_set_frugal(hk_clock_nsec() + FLUSH_FRUGAL_NSEC);
}

static void flush_account(const struct flush *flush, const struct hk_sweep *sweep, struct hak_report *report)
{
	uint64_t now = hk_clock_nsec();
	uint64_t usec = (now - flush->start_nsec) / 1000;
	for (HK_EACH_CLASS(c))
		hk_cold_refresh(c);
	hk_count(flushes, 1);
	hk_count(flush_usec, usec);
	hk_count(released_bytes, flush->released);
	hk_counters_update_releasable();
	if (report == NULL)
		return;
	*report = (struct hak_report){
		.released_bytes = flush->released,
		.usec = usec,
		.first_usec = flush->first_nsec != 0 ? HK_MAX((flush->first_nsec - flush->start_nsec) / 1000, 1u) : 0,
		.threads_swept = sweep->n_swept,
		.threads_pending = sweep->n_pending,
		.status = flush->cut || sweep->n_pending != 0 ? HAK_PARTIAL : HAK_OK,
	};
}

static size_t flush_run(unsigned level, uint64_t rest_nsec, size_t target_bytes, uint64_t budget_usec,
			struct hak_report *report)
{
	struct hk_sweep sweep = {.rest_nsec = rest_nsec};
	struct flush flush = {.target_bytes = target_bytes, .start_nsec = hk_clock_nsec()};
	hk_lock_take(&flush_lock);
	uint64_t now = hk_clock_nsec();
	if (__builtin_mul_overflow(budget_usec, 1000u, &flush.deadline_nsec) ||
	    __builtin_add_overflow(flush.deadline_nsec, now, &flush.deadline_nsec))
		flush.deadline_nsec = UINT64_MAX;
	flush_levels(&flush, level, &sweep);
	hk_threads_bypass(false);
	flush_account(&flush, &sweep, report);
	hk_lock_drop(&flush_lock);
	return flush.released;
}

size_t hk_flush_run(unsigned level, size_t target_bytes, uint64_t budget_usec, struct hak_report *report)
{
	return flush_run(level, 0, target_bytes, budget_usec, report);
}

size_t hk_flush_rested(uint64_t rest_nsec, uint64_t budget_usec, struct hak_report *report)
{
	return flush_run(HAK_LEVEL_COLD, rest_nsec, HAK_TARGET_ALL, budget_usec, report);
}

size_t hk_flush_class(unsigned class_idx)
{
	uint64_t n_blocks[HK_CLASSES] = {0};
	struct hk_sweep sweep = {.n_blocks = n_blocks};
	if (class_idx >= HK_CLASSES)
		return 0;
	hk_lock_take(&flush_lock);
	for (unsigned shard = 0; shard < HK_SHARDS; shard++)
		for (unsigned n; (n = hk_cold_flush_step(hk_shard_number(class_idx, shard))) != 0;)
			n_blocks[class_idx] += n;
	hk_threads_sweep(UINT64_MAX, &sweep);
	hk_lock_drop(&flush_lock);
	return n_blocks[class_idx];
}

HK_USUAL void hk_decay_run(uint64_t now_nsec, uint64_t *ret_next_nsec)
{
	uint64_t decay = hk_options.decay_msec * 1000000, step = HK_MAX(decay / DECAY_STEPS, 1000000u);
	uint64_t due = atomic_load_explicit(&decay_next_nsec, memory_order_relaxed);
	*ret_next_nsec = due != 0 ? due : UINT64_MAX;
	if (due == 0 || now_nsec < due || !atomic_compare_exchange_strong(&decay_next_nsec, &due, now_nsec + step))
		return;
	unsigned reserve;
	hk_heap_decay(&reserve);
	hk_span_trim(now_nsec > decay ? now_nsec - decay : 0);
	bool more = reserve != 0 || hk_span_oldest() != UINT64_MAX;
	*ret_next_nsec = more ? now_nsec + step : UINT64_MAX;
	if (!more)
		atomic_store_explicit(&decay_next_nsec, 0, memory_order_relaxed);
	hk_counters_update_releasable();
}

/* Is there anything that the decay should look at? */
static bool decay_has_work(void)
{
	struct hkp_stats *s = hk_stats();
	return __atomic_load_n(&s->superslabs_empty, __ATOMIC_RELAXED) != 0 ||
	       __atomic_load_n(&s->large_cached_bytes, __ATOMIC_RELAXED) != 0;
}

HK_USUAL void hk_decay_poke(void)
{
	if (!decay_has_work())
		return;
	uint64_t now = hk_clock_coarse_nsec(), next = atomic_load_explicit(&decay_next_nsec, memory_order_relaxed);
	if (next == 0) {
		uint64_t due = now + hk_options.decay_msec * 1000000 / DECAY_STEPS;
		if (atomic_compare_exchange_strong(&decay_next_nsec, &next, due))
			hk_control_wake(); /* a sleeping control thread arms its timer */
	} else if (now >= next) {
		hk_decay_run(now, &next);
	}
}
