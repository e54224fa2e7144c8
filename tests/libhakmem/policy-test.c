/* SPDX-License-Identifier: MIT */
/* Flush levels, decay, the stats segment, the survey, the audit. */
#include "tests/libhakmem/unit.h"

#include <pthread.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/options.h"
#include "caches/thread_internal.h"
#include "front/front.h"
#include "pools/span.h"
#include "slabs/superslab.h"

/* ---- levels --------------------------------------------------------------------------------------------- */

static void level_0_empties_cold_magazines_alone(void **state)
{
	struct hak_report report;
	(void)state;
	unit_fill(64, 20000);
	unit_free_but_every(20000, 2);
	assert_int_not_equal(hk_stats()->cold_bytes, 0);
	assert_int_not_equal(hk_stats()->hot_bytes, 0);
	struct hk_set *set = atomic_load(&hk_self->set);
	uint64_t hot = hk_stats()->hot_bytes;
	unit_flush_level(HAK_LEVEL_COLD, &report);
	assert_int_equal(hk_stats()->cold_bytes, 0);
	assert_int_equal(hk_stats()->hot_bytes, hot);
	assert_ptr_equal(atomic_load(&hk_self->set), set);
	assert_int_equal(report.status, HAK_OK);
	assert_int_equal(report.threads_swept, 0);
	unit_assert_conserved();
	unit_free_rest();
}

static void level_0_says_what_the_reserve_gave(void **state)
{
	struct hak_report report;
	(void)state;
	unit_fill(16384, 1200); /* nine SuperSlabs */
	unit_free_rest();
	unit_flush_level(HAK_LEVEL_COLD, NULL);
	uint64_t before = hk_stats()->superslabs_empty, total = hk_stats()->released_bytes;
	size_t rss = unit_rss();
	assert_true(before >= 4);
	size_t released = unit_flush_level(HAK_LEVEL_COLD, &report);
	assert_true(hk_stats()->superslabs_empty < before);
	size_t fell = rss - unit_rss();
	assert_true(fell >= MIB);
	assert_int_equal(report.released_bytes, released);
	assert_int_equal(hk_stats()->released_bytes - total, released);
	assert_in_range(released, fell - MIB / 4, fell + MIB / 2);
}

static void level_1_sweeps_and_leaves_page_holes(void **state)
{
	struct hak_report report;
	(void)state;
	unit_fill(64, 50000);
	unit_free_but_every(50000, 1000);
	unit_flush_level(HAK_LEVEL_CACHES, &report);
	assert_int_equal(report.status, HAK_OK);
	assert_int_equal(report.threads_swept, 1);
	assert_int_equal(hk_stats()->hot_bytes + hk_stats()->cold_bytes, 0);
	assert_int_equal(hk_stats()->superslabs_empty, 0);
	assert_int_equal(hk_counters_private.free_slice_pages, 0);
	assert_true(hk_counters_private.hole_pages > 500);
	unit_assert_conserved();
	unit_free_rest();
}

static void level_2_returns_page_holes_and_cached_mappings(void **state)
{
	struct hak_report report;
	(void)state;
	unit_fill(64, 50000);
	unit_free_but_every(50000, 1000);
	void *large = hk_malloc(8 * MIB);
	memset(large, 1, 8 * MIB);
	hk_free(large);
	assert_int_equal(hk_stats()->large_cached_bytes, 8 * MIB);
	size_t rss = unit_rss();
	unit_flush_level(HAK_LEVEL_PAGES, &report);
	assert_int_equal(hk_counters_private.hole_pages, 0);
	assert_int_equal(hk_stats()->large_cached_bytes, 0);
	assert_in_range(rss - unit_rss(), report.released_bytes - MIB / 4, report.released_bytes + MIB / 4);
	assert_true(report.released_bytes > 10 * MIB);
	assert_true(report.first_usec != 0 && report.first_usec <= report.usec + 1);
	for (unsigned i = 0; i < 50000; i += 1000)
		assert_int_equal(*(char *)unit_blocks[i], 1);
	unit_assert_conserved();
	unit_free_rest();
}

static void level_1_returns_the_caches_own_memory(void **state)
{
	(void)state;
	unit_fill(64, 50000);
	unit_free_rest();
	unit_flush_level(HAK_LEVEL_COLD, NULL);
	assert_int_not_equal(hk_classes[3].n_slots, 0);
	unit_flush_level(HAK_LEVEL_CACHES, NULL);
	assert_int_equal(hk_classes[3].n_slots, 0);
	assert_int_equal(hk_stats()->superslabs, 0);
	assert_int_equal(hk_stats()->used_bytes, 0);
}

/* Of every class, of mid and of large: nothing allocated, so nothing is left. */
static void after_a_flush_nothing_remains(void **state)
{
	(void)state;
	unit_flush_level(HAK_LEVEL_EVERYTHING, NULL);
	size_t rss = unit_rss();
	uint64_t mapped = hk_stats()->mapped_bytes - hk_stats()->metadata_bytes;
	for (unsigned round = 0; round < 3; round++) {
		unsigned n = 0;
		for (unsigned c = 0; c < HK_CLASSES; c++)
			for (unsigned i = 0; i < 1 + 40000 / hk_class_info[c].block_bytes; i++)
				memset(unit_blocks[n++] = hk_malloc(hk_class_info[c].block_bytes), 1, 1);
		for (size_t bytes = 65 * KIB; bytes < 40 * MIB; bytes += bytes / 3)
			memset(unit_blocks[n++] = hk_malloc(bytes), 1, bytes);
		unit_free_rest();
		unit_flush_level(HAK_LEVEL_EVERYTHING, NULL);
		assert_int_equal(hk_stats()->superslabs, 0);
		assert_int_equal(hk_stats()->slabs, 0);
		assert_int_equal(hk_stats()->mapped_bytes - hk_stats()->metadata_bytes, mapped);
		assert_int_equal(hk_counters_releasable(), 0);
		hk_stats_survey();
		assert_int_equal(hk_stats()->superslabs_phantom, 0);
		assert_true(unit_rss() < rss + UNIT_RSS_SLACK);
		unit_assert_conserved();
	}
}

static void a_target_ends_a_flush(void **state)
{
	struct hak_report report;
	(void)state;
	unit_fill(1024, 100000);
	unit_free_but_every(100000, 1000);
	size_t whole = hk_counters_releasable();
	hk_flush_run(HAK_LEVEL_PAGES, 0, UINT64_MAX, &report);
	assert_int_equal(report.released_bytes, 0);
	hk_flush_run(HAK_LEVEL_PAGES, MIB, UINT64_MAX, &report);
	assert_true(report.released_bytes >= MIB && report.released_bytes < whole);
	assert_int_equal(report.status, HAK_OK);
	unit_free_rest();
}

static void a_budget_ends_a_flush_and_says_so(void **state)
{
	struct hak_report report;
	(void)state;
	unit_fill(64, 150000);
	unit_free_but_every(150000, 200);
	hk_flush_run(HAK_LEVEL_EVERYTHING, HAK_TARGET_ALL, 0, &report);
	assert_int_equal(report.status, HAK_PARTIAL);
	unit_flush_level(HAK_LEVEL_PAGES, &report);
	assert_int_equal(report.status, HAK_OK);
	assert_int_equal(hk_counters_private.hole_pages, 0);
	unit_free_rest();
}

/* ---- threads that rest ------------------------------------------------------------------------------------- */

struct pair_thread {
	bool works;
	struct hk_thread *_Atomic self; /* once it has magazines */
	_Atomic bool end;
};

static void *pair_main(void *arg)
{
	struct pair_thread *pair = arg;
	struct timespec nap = {0, 50000000};
	void *kept[32];
	for (unsigned i = 0; i < 32; i++)
		kept[i] = hk_malloc(64);
	for (unsigned i = 0; i < 32; i++)
		hk_free(kept[i]);
	atomic_store(&pair->self, hk_self);
	while (!atomic_load(&pair->end))
		if (pair->works)
			hk_free(hk_malloc(64));
		else
			nanosleep(&nap, NULL);
	return NULL;
}

static uint64_t cpu_of(pthread_t thread)
{
	struct timespec ts;
	clockid_t clock;
	assert_int_equal(pthread_getcpuclockid(thread, &clock), 0);
	assert_int_equal(clock_gettime(clock, &ts), 0);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

/* Until the working thread has surely worked, on however busy a machine. */
static void let_it_work(pthread_t worker)
{
	struct timespec nap = {0, 20000000};
	uint64_t start = hk_clock_nsec(), cpu = cpu_of(worker);
	do
		nanosleep(&nap, NULL);
	while (hk_clock_nsec() - start < 100000000 || cpu_of(worker) - cpu < (hk_clock_nsec() - start) / 50);
}

static void only_threads_that_rest_are_emptied(void **state)
{
	struct pair_thread pair[2] = {{.works = false}, {.works = true}};
	pthread_t threads[2];
	struct hk_set *worked_with, *none = (struct hk_set *)(uintptr_t)&hk_set_none;
	struct hak_report report;
	(void)state;
	for (int i = 0; i < 2; i++) {
		assert_int_equal(pthread_create(&threads[i], NULL, pair_main, &pair[i]), 0);
		while (atomic_load(&pair[i].self) == NULL)
			sched_yield();
	}
	worked_with = atomic_load(&pair[1].self->set);
	hk_flush_rested(50000000, UINT64_MAX, &report); /* the first look is where rest begins */
	assert_int_equal(report.threads_swept, 0);
	let_it_work(threads[1]);
	hk_flush_rested(10000000000, UINT64_MAX, &report); /* not for so long */
	assert_int_equal(report.threads_swept, 0);
	let_it_work(threads[1]);
	hk_flush_rested(50000000, UINT64_MAX, &report);
	assert_true(report.threads_swept >= 1);
	assert_ptr_equal(atomic_load(&pair[0].self->set), none);
	assert_ptr_equal(atomic_load(&pair[1].self->set), worked_with);
	for (int i = 0; i < 2; i++) {
		atomic_store(&pair[i].end, true);
		pthread_join(threads[i], NULL);
	}
}

/* ---- a thread that stays inside ---------------------------------------------------------------------------- */

static _Atomic int stuck_stage;
static struct hk_thread *_Atomic stuck_thread;

/* Caches some blocks, then stands still until told to go on. */
static void *stand_still(void *arg)
{
	void *some[100];
	(void)arg;
	for (unsigned i = 0; i < 100; i++)
		some[i] = hk_malloc(16);
	for (unsigned i = 0; i < 100; i++)
		hk_free(some[i]);
	atomic_store(&stuck_thread, hk_self);
	atomic_store(&stuck_stage, 1);
	while (atomic_load(&stuck_stage) != 2)
		usleep(100);
	return NULL;
}

static void a_busy_owner_stays_pending(void **state)
{
	struct hak_report report;
	pthread_t thread;
	(void)state;
	atomic_store(&stuck_stage, 0);
	assert_int_equal(pthread_create(&thread, NULL, stand_still, NULL), 0);
	while (atomic_load(&stuck_stage) == 0)
		usleep(100);
	struct hk_thread *record = atomic_load(&stuck_thread);
	struct hk_set *set = atomic_load(&record->set);
	assert_ptr_not_equal(set, &hk_set_none);
	atomic_store(&record->busy, 1); /* as if preempted between two instructions */
	uint64_t begin = hk_clock_nsec();
	unit_flush_level(HAK_LEVEL_CACHES, &report);
	assert_true(hk_clock_nsec() - begin < 1000000000u);
	assert_int_equal(report.status, HAK_PARTIAL);
	assert_int_equal(report.threads_pending, 1);
	assert_ptr_equal(record->detached, set);
	assert_ptr_equal(atomic_load(&record->set), &hk_set_none); /* never given back */
	assert_true(hk_stats()->hot_bytes != 0);
	unit_flush_level(HAK_LEVEL_CACHES, &report);
	assert_int_equal(report.threads_pending, 1);
	atomic_store(&record->busy, 0);
	unit_flush_level(HAK_LEVEL_CACHES, &report);
	assert_int_equal(report.status, HAK_OK);
	assert_int_equal(report.threads_swept, 1);
	assert_null(record->detached);
	assert_int_equal(hk_stats()->hot_bytes, 0);
	atomic_store(&stuck_stage, 2);
	pthread_join(thread, NULL);
	unit_assert_conserved();
}

static void a_class_is_flushed_by_number(void **state)
{
	(void)state;
	unit_fill(64, 3000);
	unit_free_but_every(3000, 3);
	uint64_t cached = hk_classes[3].n_cold + hk_magazine_count(&atomic_load(&hk_self->set)->magazines[3], 3);
	assert_int_equal(hk_flush_class(3), cached);
	assert_int_equal(hk_flush_class(3), 0);
	assert_int_equal(hk_flush_class(HK_CLASSES), 0);
	unit_free_rest();
}

/* ---- decay ---------------------------------------------------------------------------------------------- */

static void decay_ends_with_nothing_left(void **state)
{
	uint64_t next = 0, now = hk_clock_nsec(), begin = now;
	(void)state;
	unit_fill(16384, 1200);
	unit_free_rest();
	unit_flush_level(HAK_LEVEL_COLD, NULL);
	hk_free(hk_malloc(4 * MIB));
	assert_int_not_equal(hk_stats()->superslabs_empty, 0);
	hk_decay_poke();
	for (unsigned n = 0; next != UINT64_MAX; n++) {
		hk_decay_run(now, &next);
		assert_true(n < 20);
		assert_true(next == UINT64_MAX || next > now); /* never a busy loop */
		if (next != UINT64_MAX)
			now = next;
	}
	assert_int_equal(hk_stats()->superslabs_empty, 0);
	assert_int_equal(hk_stats()->large_cached_bytes, 0);
	assert_true(now - begin <= 2 * hk_options.decay_msec * 1000000);
	hk_decay_run(now, &next);
	assert_true(next == UINT64_MAX);
}

/* ---- the segment ------------------------------------------------------------------------------------------ */

static const struct hkp_stats *publish(void)
{
	int fd = memfd_create("stats", 0);
	assert_int_equal(ftruncate(fd, HKP_STATS_BYTES), 0);
	assert_int_equal(hk_stats_publish(fd), 0);
	void *seen = mmap(NULL, HKP_STATS_BYTES, PROT_READ, MAP_SHARED, fd, 0);
	assert_ptr_not_equal(seen, MAP_FAILED);
	close(fd);
	return seen;
}

static int child_code;

static void check_in_child(void *arg)
{
	const struct hkp_stats *parents = arg;
	uint64_t used = hk_stats()->used_bytes;
	void *block = hk_malloc(2 * MIB);
	hk_stats_prefork();
	hk_stats_unpublish();
	child_code = 0;
	child_code |= hk_stats() == parents ? 1 : 0;
	child_code |= hk_stats()->used_bytes != used + 2 * MIB ? 2 : 0;
	uint64_t before = parents->used_bytes;
	hk_free(block);
	hk_free(hk_malloc(3 * MIB));
	child_code |= parents->used_bytes != before ? 4 : 0;
	child_code |= hk_stats()->used_bytes != used ? 8 : 0;
	_exit(child_code);
}

static void counters_move_into_the_segment_and_out_again(void **state)
{
	(void)state;
	unit_fill(64, 1000);
	uint64_t used = hk_stats()->used_bytes, made = hk_stats()->superslabs_made;
	const struct hkp_stats *first = publish();
	assert_true(first->magic == HKP_STATS_MAGIC && first->size == HKP_STATS_BYTES);
	assert_int_equal(first->n_classes, HK_CLASSES);
	assert_int_equal(first->used_bytes, used);
	const struct hkp_stats *address = hk_stats();
	void *large = hk_malloc(5 * MIB);
	assert_int_equal(first->used_bytes, used + 5 * MIB);
	/* a later segment takes the place of the first, address and all; the first is left as it was */
	const struct hkp_stats *second = publish();
	assert_ptr_equal(hk_stats(), address);
	hk_free(large);
	assert_int_equal(first->used_bytes, used + 5 * MIB);
	assert_int_equal(second->used_bytes, used);
	assert_int_equal(second->superslabs_made, made);
	hk_span_trim(UINT64_MAX); /* the child allocates before its counters are its own: not out of what these count */
	assert_int_equal(WEXITSTATUS(unit_in_child(check_in_child, (void *)(uintptr_t)second)), 0);
	unit_assert_conserved();
	unit_free_rest();
}

static atomic_bool stop;

static void *hammer(void *arg)
{
	size_t bytes = *(size_t *)arg;
	while (!atomic_load(&stop))
		hk_free(hk_malloc(bytes));
	return NULL;
}

static void hammer_start(pthread_t *threads, size_t *sizes, unsigned n)
{
	atomic_store(&stop, false);
	for (unsigned i = 0; i < n; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, hammer, &sizes[i]), 0);
}

static void hammer_stop(pthread_t *threads, unsigned n)
{
	atomic_store(&stop, true);
	for (unsigned i = 0; i < n; i++)
		pthread_join(threads[i], NULL);
}

/* Counters move while threads count: none may write to the old place. */
static void no_count_is_lost_in_the_move(void **state)
{
	static size_t sizes[] = {100000, 3000000};
	pthread_t threads[2];
	(void)state;
	uint64_t mid = hk_stats()->mid_bytes, large = hk_stats()->large_bytes;
	hammer_start(threads, sizes, 2);
	for (unsigned i = 0; i < 1500; i++) {
		int fd = memfd_create("stats", 0);
		assert_int_equal(ftruncate(fd, HKP_STATS_BYTES), 0);
		assert_int_equal(hk_stats_publish(fd), 0);
		close(fd);
	}
	hammer_stop(threads, 2);
	assert_int_equal(hk_stats()->mid_bytes, mid);
	assert_int_equal(hk_stats()->large_bytes, large);
	unit_flush_level(HAK_LEVEL_EVERYTHING, NULL);
	hk_threads_set_frugal(0);
	assert_int_equal(hk_stats()->large_cached_bytes, 0);
	unit_assert_conserved();
}

/* The parent's threads go on counting in the segment after the fork; the child's counters are those of it. */
static void a_childs_counters_are_those_of_the_fork(void **state)
{
	static size_t sizes[] = {3000000, 1500000};
	pthread_t threads[2];
	int status, wrong = 0;
	(void)state;
	munmap((void *)(uintptr_t)publish(), HKP_STATS_BYTES);
	for (unsigned round = 0; round < 30; round++) {
		hammer_start(threads, sizes, 2);
		usleep(200);
		hk_locks_take_all();
		hk_stats_prefork();
		uint64_t used = hk_stats()->used_bytes, large = hk_stats()->large_bytes;
		pid_t pid = fork();
		if (pid == 0) {
			usleep(3000);
			hk_locks_reset_all();
			hk_stats_unpublish();
			_exit(hk_stats()->used_bytes != used || hk_stats()->large_bytes != large);
		}
		hk_locks_drop_all();
		assert_int_equal(waitpid(pid, &status, 0), pid);
		wrong += status != 0;
		hammer_stop(threads, 2);
	}
	assert_int_equal(wrong, 0);
}

static void publishing_says_why_it_failed(void **state)
{
	(void)state;
	const struct hkp_stats *before = hk_stats();
	assert_true(hk_stats_publish(-1) < 0);
	assert_ptr_equal(hk_stats(), before);
	unit_fill(64, 100);
	unit_free_rest();
}

/* ---- survey --------------------------------------------------------------------------------------------- */

/* By hand: SuperSlabs of which every block that is out lies in a magazine. */
static void phantoms_are_those_that_magazines_keep(void **state)
{
	(void)state;
	unit_fill(4096, 600); /* two SuperSlabs and a bit: 496 blocks a SuperSlab, slab by slab */
	hk_stats_survey();
	assert_int_equal(hk_stats()->superslabs_phantom, 0);
	struct hk_superslab *last = hk_pagemap_superslab(unit_blocks[599]);
	assert_ptr_not_equal(last, hk_pagemap_superslab(unit_blocks[0]));
	/* all blocks of the last SuperSlab are freed: they fit into the magazines */
	for (unsigned i = 0; i < 600; i++)
		if (hk_pagemap_superslab(unit_blocks[i]) == last) {
			hk_free(unit_blocks[i]);
			unit_blocks[i] = NULL;
		}
	hk_stats_survey();
	unsigned phantom = last->free_slices != UINT32_MAX;
	assert_int_equal(hk_stats()->superslabs_phantom, phantom);
	assert_int_equal(phantom, 1);
	unit_flush_level(HAK_LEVEL_CACHES, NULL);
	hk_stats_survey();
	assert_int_equal(hk_stats()->superslabs_phantom, 0);
	unit_free_rest();
}

/* ---- releasable ------------------------------------------------------------------------------------------- */

static struct pattern {
	size_t bytes;
	unsigned n, keep;
} patterns[] = {
	{16, 200000, 0}, {16, 200000, 1000}, {64, 150000, 100}, {208, 60000, 50}, {1024, 30000, 30},
	{3584, 8000, 10}, {6656, 5000, 100}, {20480, 1000, 7}, {57344, 300, 5}, {100000, 200, 3}, {2 << 20, 12, 4},
};

static size_t bitmaps_resident(void)
{
	size_t pages = 0;
	for (struct hk_superslab *s = hk_heap_walk(NULL); s != NULL; s = hk_heap_walk(s))
		pages += unit_resident_pages(s->bitmaps[HK_BITMAPS_WITH_RECORDS], 4 * HK_PAGE_BYTES);
	return pages * HK_PAGE_BYTES;
}

/* Blocks in magazines whose pages stay are counted as releasable and cannot go; they are few. */
static void releasable_is_what_level_2_returns(void **state)
{
	(void)state;
	for (unsigned i = 0; i < HK_COUNT(patterns); i++) {
		const struct pattern *p = &patterns[i];
		struct hak_report report;
		unit_fill(p->bytes, p->n);
		unit_free_but_every(p->n, p->keep);
		unit_flush_level(HAK_LEVEL_CACHES, NULL);
		unit_fill(p->bytes, 0);
		size_t said = hk_counters_releasable(), rss = unit_rss() - bitmaps_resident();
		unit_flush_level(HAK_LEVEL_PAGES, &report);
		assert_int_equal(report.released_bytes, said); /* with empty magazines: to the page */
		assert_in_range(rss - (unit_rss() - bitmaps_resident()) + MIB / 4, said, said + MIB / 2);
		unit_free_rest();
		unit_flush_level(HAK_LEVEL_EVERYTHING, NULL);
		hk_threads_set_frugal(0);
		/* and with whatever the magazines hold */
		unit_fill(p->bytes, p->n);
		unit_free_but_every(p->n, p->keep);
		uint64_t cached = hk_stats()->hot_bytes + hk_stats()->cold_bytes;
		said = hk_counters_releasable();
		unit_flush_level(HAK_LEVEL_PAGES, &report);
		if (report.released_bytes + cached + MIB / 8 < said || report.released_bytes > said + MIB / 2)
			fail_msg("%zu bytes: said %zu, of it cached %lu, released %lu", p->bytes, said, cached,
				 report.released_bytes);
		unit_free_rest();
	}
}

#define N_SPARSE 5760 /* 90 slabs in three SuperSlabs */

/* Of 64 blocks in a slab two stay, or three; what was freed is used again before there is a new slab. */
static void level_2_lets_bitmaps_of_sparse_slabs_go(void **state)
{
	(void)state;
	unit_fill(1024, N_SPARSE);
	uint64_t slabs = hk_stats()->slabs;
	unit_free_but_every(N_SPARSE, 30);
	unit_flush_level(HAK_LEVEL_CACHES, NULL);
	assert_in_range(bitmaps_resident(), 8 * HK_PAGE_BYTES, 16 * HK_PAGE_BYTES);
	unit_flush_level(HAK_LEVEL_PAGES, NULL);
	assert_int_equal(bitmaps_resident(), 0);
	assert_true(hk_stats_audit());
	unit_assert_conserved();
	for (unsigned i = 0; i < N_SPARSE; i++)
		if (unit_blocks[i] == NULL)
			assert_non_null(unit_blocks[i] = hk_malloc(1024));
	assert_in_range(hk_stats()->slabs, slabs - 2, slabs + 2);
	unit_free_rest();
}

static void counters_follow_a_flush(void **state)
{
	(void)state;
	for (unsigned round = 0; round < 4; round++)
		for (unsigned level = 0; level <= 3; level++) {
			unit_fill(48 + 200 * level, 3000);
			unit_free_but_every(3000, round * 5);
			unit_assert_conserved();
			unit_flush_level(level, NULL);
			unit_assert_conserved();
			unit_free_rest();
			unit_assert_conserved();
		}
}

/* ---- audit --------------------------------------------------------------------------------------------- */

static void the_audit_sees_a_wrong_bit(void **state)
{
	(void)state;
	unit_fill(64, 100);
	unit_free_but_every(100, 2);
	unit_flush_level(HAK_LEVEL_CACHES, NULL);
	assert_true(hk_stats_audit());
	struct hk_slab *slab = hk_slab_of(unit_blocks[0]);
	slab->bitmap[0] ^= 1;
	assert_false(hk_stats_audit());
	slab->bitmap[0] ^= 1;
	hk_classes[3].slabs.n_free++;
	assert_false(hk_stats_audit());
	hk_classes[3].slabs.n_free--;
	hk_classes[3].slabs.n_empty++;
	assert_false(hk_stats_audit());
	hk_classes[3].slabs.n_empty--;
	slab->n_holes++;
	assert_false(hk_stats_audit());
	slab->n_holes--;
	assert_true(hk_stats_audit());
	unit_free_rest();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(level_0_empties_cold_magazines_alone, unit_flush),
		cmocka_unit_test_setup(level_0_says_what_the_reserve_gave, unit_flush),
		cmocka_unit_test_setup(level_1_sweeps_and_leaves_page_holes, unit_flush),
		cmocka_unit_test_setup(level_2_returns_page_holes_and_cached_mappings, unit_flush),
		cmocka_unit_test_setup(level_1_returns_the_caches_own_memory, unit_flush),
		cmocka_unit_test_setup(after_a_flush_nothing_remains, unit_flush),
		cmocka_unit_test_setup(a_target_ends_a_flush, unit_flush),
		cmocka_unit_test_setup(a_budget_ends_a_flush_and_says_so, unit_flush),
		cmocka_unit_test_setup(only_threads_that_rest_are_emptied, unit_flush),
		cmocka_unit_test_setup(a_busy_owner_stays_pending, unit_flush),
		cmocka_unit_test_setup(a_class_is_flushed_by_number, unit_flush),
		cmocka_unit_test_setup(decay_ends_with_nothing_left, unit_flush),
		cmocka_unit_test_setup(counters_move_into_the_segment_and_out_again, unit_flush),
		cmocka_unit_test_setup(publishing_says_why_it_failed, unit_flush),
		cmocka_unit_test_setup(no_count_is_lost_in_the_move, unit_flush),
		cmocka_unit_test_setup(a_childs_counters_are_those_of_the_fork, unit_flush),
		cmocka_unit_test_setup(phantoms_are_those_that_magazines_keep, unit_flush),
		cmocka_unit_test_setup(releasable_is_what_level_2_returns, unit_flush),
		cmocka_unit_test_setup(level_2_lets_bitmaps_of_sparse_slabs_go, unit_flush),
		cmocka_unit_test_setup(counters_follow_a_flush, unit_flush),
		cmocka_unit_test_setup(the_audit_sees_a_wrong_bit, unit_flush),
	};
	return cmocka_run_group_tests_name("policy", tests, unit_setup, NULL);
}
