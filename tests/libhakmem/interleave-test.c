/* SPDX-License-Identifier: MIT */
/*
 * Interleavings with fixed seeds, for the three rules that no amount of luck should have to show:
 * the gate (a flusher empties magazines whose owner is at work), a purge is a claim, and fork.
 *
 * Workers allocate and free; every block carries its owner's pattern, and a table knows what is live, so a
 * block that is handed out twice, or destroyed while in use, is seen at once.  Each test fails when its rule
 * is taken out: tests/libhakmem/mutants does that.
 *
 * Each seed is a process of its own, which ends at the first violation; INTERLEAVE_SEED=N runs one alone.
 */
#include "tests/libhakmem/unit.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/options.h"
#include "base/point.h"
#include "caches/thread_internal.h"
#include "front/front.h"
#include "policy/control.h"
#include "pools/mid.h"
#include "tests/libhakmem/schedule.h"

#define N_LIVE 4096 /* slots of the table; a power of two */
#define N_OWN  48   /* blocks that a worker holds at most */

static uint64_t seed_now;
static const char *where_now;

static void violated(const char *what, const void *block)
{
	printf("# %s: seed %lu, step %lu: %s (%p)\n", where_now, seed_now, schedule_steps(), what, block);
	fflush(NULL);
	_exit(1);
}

/* ---- what is live: touched only by the thread that has its turn ------------------------------------------ */

static void *live[N_LIVE];

static unsigned live_slot(const void *block)
{
	return (unsigned)(((uintptr_t)block >> 4) * 0x9e3779b97f4a7c15ull >> 52);
}

static bool live_has(const void *block)
{
	for (unsigned i = live_slot(block); live[i] != NULL; i = (i + 1) % N_LIVE)
		if (live[i] == block)
			return true;
	return false;
}

static void live_add(void *block)
{
	unsigned i = live_slot(block);
	if (live_has(block))
		violated("handed out twice", block);
	while (live[i] != NULL && live[i] != (void *)1)
		i = (i + 1) % N_LIVE;
	live[i] = block;
}

static void live_remove(void *block)
{
	unsigned i = live_slot(block);
	while (live[i] != block)
		i = (i + 1) % N_LIVE;
	live[i] = (void *)1; /* the chain goes on */
}

/* ---- blocks with patterns ------------------------------------------------------------------------------- */

struct own {
	void *block;
	size_t bytes;
	uint64_t key;
};

static struct own own_new(size_t bytes, uint64_t key)
{
	struct own own = {hk_malloc(bytes), bytes, key};
	if (own.block == NULL)
		violated("no memory", NULL);
	live_add(own.block);
	for (size_t i = 0; i < bytes / 8; i++)
		((uint64_t *)own.block)[i] = key + i;
	return own;
}

static void own_end(struct own *own)
{
	for (size_t i = 0; i < own->bytes / 8; i++)
		if (((uint64_t *)own->block)[i] != own->key + i)
			violated("destroyed while in use", own->block);
	live_remove(own->block);
	hk_free(own->block);
	own->block = NULL;
}

static const size_t *sizes_now; /* four of them */
static unsigned rounds_now;
static bool divided_now; /* their classes are divided, and each thread has a processor of its own */

static void enter_processor(unsigned index)
{
	static const uint32_t processors[] = {0, 1, 2, 3};
	if (!divided_now)
		return;
	hk_free(hk_malloc(sizes_now[0])); /* the thread has its record from then on */
	hk_shard_set_cpu(&processors[index]);
}

static void work_rounds(unsigned index, uint64_t *seed, unsigned rounds)
{
	struct own own[N_OWN] = {0};
	enter_processor(index);
	/* small magazines spill all the time, large ones hold more */
	hk_threads_set_frugal(seed_now % 2 == 0 ? 0 : UINT64_MAX);
	for (unsigned round = 0; round < rounds; round++) {
		/* in waves, so that magazines run full and empty */
		struct own *mine = &own[unit_below(seed, round / 40 % 2 == 0 ? N_OWN : N_OWN / 4)];
		if (mine->block == NULL)
			*mine = own_new(sizes_now[unit_below(seed, 4)], unit_random(seed) ^ index);
		else
			own_end(mine);
	}
	for (unsigned i = 0; i < N_OWN; i++)
		if (own[i].block != NULL)
			own_end(&own[i]);
}

static void work(unsigned index, uint64_t *seed)
{
	work_rounds(index, seed, rounds_now);
}

/* Magazines run full and empty all the time: many blocks on their way. */
static void work_waves(unsigned index, uint64_t *seed)
{
	struct own own[N_OWN];
	enter_processor(index);
	hk_threads_set_frugal(seed_now % 2 == 0 ? 0 : UINT64_MAX);
	for (unsigned wave = 0; wave < rounds_now / 20; wave++) {
		size_t bytes = sizes_now[unit_below(seed, 4)];
		for (unsigned i = 0; i < N_OWN; i++)
			own[i] = own_new(bytes, unit_random(seed) ^ index);
		for (unsigned i = 0; i < N_OWN; i++)
			own_end(&own[i]);
	}
}

/* A flush passes few points: with rests in between, flushes spread over all of the workers' time, not its start. */
static void flush_and_rest(unsigned level, uint64_t *seed)
{
	for (unsigned n = 10 + unit_below(seed, 10); n != 0; n--) {
		unit_flush_level(level, NULL);
		for (unsigned rest = unit_below(seed, 120); rest != 0; rest--)
			HK_POINT(rest);
	}
}

static void flush_caches(unsigned index, uint64_t *seed)
{
	(void)index;
	flush_and_rest(HAK_LEVEL_CACHES, seed);
}

static void flush_pages(unsigned index, uint64_t *seed)
{
	(void)index;
	flush_and_rest(HAK_LEVEL_PAGES, seed);
}

/* After each seed everything is at rest: nothing lost, nothing counted wrongly. */
static void check_at_rest(void)
{
	struct hak_report report;
	if (!hk_stats_audit())
		violated("audit", NULL);
	unit_flush_level(HAK_LEVEL_EVERYTHING, &report);
	hk_threads_set_frugal(0);
	if (report.status != HAK_OK)
		violated("a flush at rest is partial", NULL);
	if (!hk_stats_audit())
		violated("audit after the flush", NULL);
	const struct hkp_stats *s = hk_stats();
	if (s->used_bytes != 0 || s->hot_bytes != 0 || s->cold_bytes != 0)
		violated("bytes that nobody has", NULL);
	if (hk_counters_private.hole_pages != 0 || hk_counters_private.free_slice_pages != 0)
		violated("pages of no slab", NULL);
	if (s->superslabs != 0)
		violated("a SuperSlab for nothing", NULL);
}

static void run_seed(schedule_body *const *bodies, unsigned n)
{
	signal(SIGABRT, SIG_DFL); /* cmocka has handlers that would go on with the next test */
	signal(SIGSEGV, SIG_DFL);
	alarm(20);
	schedule_run(seed_now, bodies, n);
	check_at_rest();
}

/* Each seed in a process of its own: no seed depends on what those before it left behind. */
static void interleave(const char *where, const size_t *sizes, unsigned rounds, unsigned n_seeds,
		       schedule_body *const *bodies, unsigned n)
{
	const char *only = getenv("INTERLEAVE_SEED");
	int status = 0;
	where_now = where;
	sizes_now = sizes;
	rounds_now = rounds;
	for (seed_now = 1; status == 0 && seed_now <= n_seeds; seed_now++) {
		seed_now = only != NULL ? strtoul(only, NULL, 10) : seed_now;
		fflush(NULL);
		pid_t pid = fork();
		if (pid == 0) {
			/* threads that have magazines at once, and at times some that first go without */
			hk_threads_bypass_first = seed_now % 4 == 0 ? 3 : 0;
			for (unsigned i = 0; divided_now && i < 4; i++)
				hk_cold_divide(hk_class_of(sizes[i]));
			run_seed(bodies, n);
			_exit(0);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		if (status != 0)
			fail_msg("%s: seed %lu ended with status %#x", where, seed_now, (unsigned)status);
		if (only != NULL)
			return;
	}
}

static void interleave_divided(const char *where, const size_t *sizes, unsigned rounds, unsigned n_seeds,
			       schedule_body *const *bodies, unsigned n)
{
	divided_now = true;
	interleave(where, sizes, rounds, n_seeds, bodies, n);
	divided_now = false;
}

/* ---- tests ---------------------------------------------------------------------------------------------- */

static void say_hash(void *arg)
{
	static const size_t sizes[] = {64, 64, 128, 512}; /* of classes that never borrow: that is a matter of time */
	schedule_body *const bodies[] = {work, work, flush_caches};
	where_now = "repeat";
	sizes_now = sizes;
	rounds_now = 100;
	seed_now = *(uint64_t *)arg;
	run_seed(bodies, 3);
	dprintf(2, "%lx after %s", schedule_hash(), schedule_steps() > 200 ? "enough steps" : "too few");
}

static void one_seed_is_one_interleaving(void **state)
{
	uint64_t seed = 7, other = 8;
	char said[64];
	(void)state;
	assert_int_equal(unit_in_child(say_hash, &seed), 0);
	assert_non_null(strstr(unit_said, "enough steps"));
	snprintf(said, sizeof said, "%.63s", unit_said);
	assert_int_equal(unit_in_child(say_hash, &seed), 0);
	assert_string_equal(unit_said, said);
	assert_int_equal(unit_in_child(say_hash, &other), 0);
	assert_string_not_equal(unit_said, said);
}

static void the_gate_keeps_every_block_in_one_place(void **state)
{
	static const size_t sizes[] = {16, 16, 48, 512};
	schedule_body *const bodies[] = {work, work, flush_caches};
	(void)state;
	interleave("gate", sizes, 400, 150, bodies, 3);
}

static void two_flushers_and_an_owner(void **state)
{
	static const size_t sizes[] = {16, 16, 16, 16};
	schedule_body *const bodies[] = {work, flush_caches, flush_pages};
	(void)state;
	interleave("two flushers", sizes, 300, 60, bodies, 3);
}

static void a_purge_is_a_claim(void **state)
{
	static const size_t sizes[] = {208, 256, 640, 3072};
	schedule_body *const bodies[] = {work, work, flush_pages};
	(void)state;
	interleave("purge", sizes, 300, 150, bodies, 3);
}

/* One slab of which some blocks are free, so that there is one hole, under a purge and a refill. */
static struct hk_slabs around;
static void *around_blocks[16];
static uint64_t *around_taken;

static void around_begin(size_t bytes, const unsigned *freed, unsigned n_freed)
{
	void *blocks[HK_COUNT(around_blocks)];
	struct hk_slab *empties = NULL;
	unsigned shard;
	around = (struct hk_slabs){.lock = HK_LOCK_INIT(HK_RANK_CLASS)};
	hk_slabs_grow(&around, hk_class_of(bytes));
	hk_slabs_take(&around, around_blocks, HK_COUNT(around_blocks));
	unit_reverse(around_blocks, HK_COUNT(around_blocks));
	for (unsigned i = 0; i < n_freed; i++)
		blocks[i] = around_blocks[freed[i]];
	hk_slabs_prepare(around.class_idx, blocks[0], &shard);
	hk_slabs_restore(&around, blocks[0]);
	hk_slabs_give(&around, blocks, n_freed, &empties);
	if (hk_counters_private.hole_pages != 1)
		violated("there is one hole", NULL);
}

/* The process forgets the slab; its SuperSlab goes. */
static void around_end(void)
{
	if (!hk_slabs_audit(&around) || hk_counters_private.hole_pages < 0)
		violated("holes are counted wrongly", NULL);
	hk_counters_private.hole_pages = 0;
	hk_slab_of(around_blocks[0])->state = HK_SLAB_FREE;
	hk_heap_give(hk_slab_of(around_blocks[0]));
	hk_count(slabs, -1);
	unit_trim();
}

static struct hk_slabs *around_slabs(unsigned class_idx, unsigned shard)
{
	return class_idx == around.class_idx && shard == around.shard ? &around : NULL;
}

static void around_purge(unsigned index, uint64_t *seed)
{
	struct hk_slab *slab = hk_slab_of(around_blocks[1]);
	(void)index;
	(void)seed;
	hk_slabs_purge_holes(slab->superslab, around_slabs);
}

static void around_take(unsigned index, uint64_t *seed)
{
	void *out[2];
	(void)index;
	(void)seed;
	hk_lock_take(&around.lock);
	if (hk_slabs_take(&around, out, 2) != 2)
		violated("two blocks are free", NULL);
	hk_lock_drop(&around.lock);
	unit_reverse(out, 2);
	around_taken = out[0];
	for (unsigned i = 0; i < hk_class_info[around.class_idx].block_bytes / 8; i++)
		around_taken[i] = i + 1;
}

static void around_each_seed(const char *where, size_t bytes, const unsigned *freed, unsigned n_freed)
{
	schedule_body *const bodies[] = {around_purge, around_take};
	where_now = where;
	for (seed_now = 1; seed_now <= 40; seed_now++) {
		around_begin(bytes, freed, n_freed);
		schedule_run(seed_now, bodies, 2);
		for (unsigned i = 0; i < hk_class_info[around.class_idx].block_bytes / 8; i++)
			if (around_taken[i] != i + 1)
				violated("destroyed while in use", around_taken);
		around_end();
	}
}

/* 1 KiB blocks: page 1 is a hole, pages 0 and 2 have one free block each.  A refill that skips over claimed blocks
 * must leave their page's marks alone. */
static void a_refill_around_a_claim(void **state)
{
	static const unsigned freed[] = {0, 4, 5, 6, 7, 8};
	(void)state;
	around_each_seed("around", 1024, freed, HK_COUNT(freed));
}

/* 3 KiB blocks: blocks 1 and 2 lie on page 1, the hole, and on pages beside it that are in use.  Neither may be
 * handed out while the page goes. */
static void a_claim_covers_blocks_astride(void **state)
{
	static const unsigned freed[] = {1, 2};
	(void)state;
	around_each_seed("astride", 3072, freed, HK_COUNT(freed));
}

/* ---- sparse slabs ------------------------------------------------------------------------------------------ */

#define LISTED_BYTES 1024
#define LISTED_OWN   6 /* of each of two workers: few enough for any slab to be sparse */

static struct hk_slabs listed;
static unsigned listed_n_purged; /* pages of bitmaps */

static struct hk_slabs *listed_slabs(unsigned class_idx, unsigned shard)
{
	return class_idx == listed.class_idx && shard == listed.shard ? &listed : NULL;
}

static void *listed_take(void)
{
	void *block = NULL;
	while (block == NULL) {
		hk_lock_take(&listed.lock);
		unsigned n = hk_slabs_take(&listed, &block, 1);
		hk_lock_drop(&listed.lock);
		if (n == 0 && !hk_slabs_grow(&listed, hk_class_of(LISTED_BYTES)))
			violated("no memory", NULL);
	}
	live_add(block);
	memset(block, 0x5a, LISTED_BYTES);
	return block;
}

static void listed_give(void *block)
{
	struct hk_slab *empties = NULL;
	unsigned n = 0, shard;
	for (unsigned i = 0; i < LISTED_BYTES; i++)
		if (((unsigned char *)block)[i] != 0x5a)
			violated("destroyed while in use", block);
	live_remove(block);
	while (n == 0) {
		hk_lock_take(&listed.lock);
		n = hk_slabs_give(&listed, &block, 1, &empties);
		hk_lock_drop(&listed.lock);
		if (n == 0 && hk_slabs_prepare(listed.class_idx, block, &shard) != HK_MISUSE_NONE)
			violated("free before it was freed", block);
		if (n == 0)
			hk_slabs_restore(&listed, block);
	}
	hk_slabs_free_chain(empties);
}

static void listed_work(unsigned index, uint64_t *seed)
{
	void *own[LISTED_OWN] = {NULL};
	(void)index;
	for (unsigned round = 0; round < 60; round++) {
		void **mine = &own[unit_below(seed, LISTED_OWN)];
		HK_POINT(rest);
		if (*mine != NULL)
			listed_give(*mine);
		*mine = *mine == NULL ? listed_take() : NULL;
	}
	for (unsigned i = 0; i < LISTED_OWN; i++)
		if (own[i] != NULL)
			listed_give(own[i]);
}

static void listed_purge(unsigned index, uint64_t *seed)
{
	(void)index;
	for (unsigned n = 0; n < 20; n++) {
		for (struct hk_superslab *s = hk_heap_walk(NULL); s != NULL; s = hk_heap_walk(s)) {
			hk_slabs_purge_holes(s, listed_slabs);
			listed_n_purged += hk_slabs_purge_bitmaps(s, listed_slabs) != 0;
		}
		for (unsigned rest = unit_below(seed, 20); rest != 0; rest--)
			HK_POINT(rest);
	}
}

/* Two workers take and give while bitmaps go and come back: no bit is lost, none is made up. */
static void bitmaps_go_and_come_back(void **state)
{
	schedule_body *const bodies[] = {listed_work, listed_work, listed_purge};
	(void)state;
	where_now = "bitmaps";
	listed_n_purged = 0;
	for (seed_now = 1; seed_now <= 80; seed_now++) {
		struct hk_slab *run = hk_heap_take(HK_BITMAPS_WITH_RECORDS); /* no slab's bitmap lies on the records' page */
		listed = (struct hk_slabs){.lock = HK_LOCK_INIT(HK_RANK_CLASS)};
		schedule_run(seed_now, bodies, 3);
		if (!hk_slabs_audit(&listed))
			violated("audit", NULL);
		hk_slabs_drop_empty(&listed);
		if (listed.n_slabs != 0 || listed.n_free != 0 || hk_counters_private.hole_pages != 0)
			violated("a slab for nothing", NULL);
		hk_heap_give(run);
		unit_trim();
		if (hk_stats()->superslabs != 0)
			violated("a SuperSlab for nothing", NULL);
	}
	assert_true(listed_n_purged > 200);
}

/* ---- the tail of a mid block ------------------------------------------------------------------------------ */

#define TAIL_BYTES (8 * HK_SLICE_BYTES)
#define TAIL_PAGES 15 /* behind the block in its last slice */

static struct hk_superslab *tail_superslab;
static char *tail_block, *tail_written;
static bool tail_resized;
static unsigned tail_n_refused;

/* A block whose tail an earlier one touched, in the only SuperSlab. */
static void tail_begin(void)
{
	bool zero;
	char *before = hk_mid_new(TAIL_BYTES, &zero);
	memset(before, 1, TAIL_BYTES);
	hk_mid_free(before);
	tail_block = hk_mid_new(TAIL_BYTES - TAIL_PAGES * HK_PAGE_BYTES, &zero);
	tail_superslab = hk_slab_of(tail_block)->superslab;
	if (tail_block != before || hk_counters_private.tail_pages != TAIL_PAGES)
		violated("the block has a tail", tail_block);
}

static void tail_purge(unsigned index, uint64_t *seed)
{
	(void)index;
	(void)seed;
	hk_mid_purge_tails(tail_superslab);
}

/* Whoever has the tail's pages writes to them; they lie at the same place however that came. */
static void tail_use(unsigned index, uint64_t *seed)
{
	bool zero, ok = true;
	(void)index;
	(void)seed;
	HK_POINT(tail_use);
	if (tail_resized) {
		ok = hk_mid_resize(tail_block, TAIL_BYTES);
		tail_n_refused += !ok;
	} else {
		hk_mid_free(tail_block);
		tail_block = hk_mid_new(TAIL_BYTES, &zero);
	}
	tail_written = ok ? tail_block + TAIL_BYTES - TAIL_PAGES * HK_PAGE_BYTES : NULL;
	for (unsigned i = 0; ok && i < TAIL_PAGES; i++)
		tail_written[i * HK_PAGE_BYTES] = (char)(i + 1);
}

static void tail_end(void)
{
	for (unsigned i = 0; tail_written != NULL && i < TAIL_PAGES; i++)
		if (tail_written[i * HK_PAGE_BYTES] != (char)(i + 1))
			violated("destroyed while in use", tail_written);
	hk_mid_free(tail_block);
	unit_trim();
	if (hk_counters_private.tail_pages != 0 || hk_counters_private.free_slice_pages != 0 ||
	    hk_counters_private.touched_pages != 0 || hk_stats()->mid_bytes != 0 || hk_stats()->superslabs != 0)
		violated("tails are counted wrongly", NULL);
}

static void a_tail_is_purged_or_used(void **state)
{
	schedule_body *const bodies[] = {tail_purge, tail_use};
	(void)state;
	where_now = "tail";
	unit_trim();
	for (seed_now = 1; seed_now <= 80; seed_now++) {
		tail_resized = seed_now % 2 == 0;
		tail_begin();
		schedule_run(seed_now, bodies, 2);
		tail_end();
	}
	if (tail_n_refused == 0 || tail_n_refused == 40)
		violated("a purge is in the way, or not", NULL);
}

/* ---- shards: the same rules, where the parts of a class have locks of their own --------------------------- */

static void shards_keep_every_block_in_one_place(void **state)
{
	static const size_t sizes[] = {16, 16, 48, 512};
	schedule_body *const bodies[] = {work, work_waves, flush_caches};
	(void)state;
	interleave_divided("shards", sizes, 400, 100, bodies, 3);
}

static void a_purge_claims_from_any_shard(void **state)
{
	static const size_t sizes[] = {208, 256, 640, 3072};
	schedule_body *const bodies[] = {work, work, flush_pages};
	(void)state;
	interleave_divided("purge of shards", sizes, 300, 60, bodies, 3);
}

/* ---- fork ----------------------------------------------------------------------------------------------- */

/* The child: nothing that was live is handed out, nothing comes home twice, no lock is held. */
static void fork_child_takes(void)
{
	for (unsigned i = 0; i < 4; i++)
		for (unsigned n = 0; n < 200; n++) {
			void *block = hk_malloc(sizes_now[i]);
			live_add(block);
			if (n % 3 != 0)
				continue;
			live_remove(block);
			hk_free(block);
		}
}

static void fork_child(void)
{
	struct hak_report report;
	schedule_off();
	signal(SIGABRT, SIG_DFL);
	alarm(10);
	where_now = "fork child";
	/* a block that is in two places is handed out from one of them, and once more when the other came home */
	if (seed_now / 2 % 2 == 0)
		fork_child_takes();
	unit_flush_level(HAK_LEVEL_PAGES, &report);
	fork_child_takes();
	unit_flush_level(HAK_LEVEL_PAGES, &report);
	if (report.status != HAK_OK)
		violated("a flush in the child is partial", NULL);
	if (!hk_stats_audit())
		violated("audit in the child", NULL);
	if (hk_stats()->hot_bytes != 0 || hk_stats()->cold_bytes != 0)
		violated("cached bytes after a flush in the child", NULL);
	_exit(0);
}

static void forks(unsigned index, uint64_t *seed)
{
	for (unsigned n = 0; n < 4; n++) {
		int status = 0;
		work_rounds(index, seed, 40);
		pid_t pid = fork();
		if (pid == 0)
			fork_child();
		if (waitpid(pid, &status, 0) != pid || status != 0)
			violated(WIFSIGNALED(status) ? "the child was killed" : "the child failed", NULL);
	}
}

static void fork_finds_every_block_once(void **state)
{
	static const size_t sizes[] = {16, 16, 48, 512};
	schedule_body *const bodies[] = {work_waves, work_waves, forks};
	(void)state;
	interleave("fork", sizes, 400, 60, bodies, 3);
}

static void fork_finds_every_shard_whole(void **state)
{
	static const size_t sizes[] = {16, 16, 48, 512};
	schedule_body *const bodies[] = {work_waves, work_waves, forks};
	(void)state;
	interleave_divided("fork with shards", sizes, 400, 60, bodies, 3);
}

static void fork_while_flushing(void **state)
{
	static const size_t sizes[] = {16, 16, 1024, 4096};
	schedule_body *const bodies[] = {work, flush_pages, forks};
	(void)state;
	interleave("fork and flush", sizes, 400, 40, bodies, 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_seed_is_one_interleaving),
		cmocka_unit_test(the_gate_keeps_every_block_in_one_place),
		cmocka_unit_test(two_flushers_and_an_owner),
		cmocka_unit_test(a_purge_is_a_claim),
		cmocka_unit_test(a_refill_around_a_claim),
		cmocka_unit_test(a_claim_covers_blocks_astride),
		cmocka_unit_test(bitmaps_go_and_come_back),
		cmocka_unit_test(a_tail_is_purged_or_used),
		cmocka_unit_test(shards_keep_every_block_in_one_place),
		cmocka_unit_test(a_purge_claims_from_any_shard),
		cmocka_unit_test(fork_finds_every_block_once),
		cmocka_unit_test(fork_finds_every_shard_whole),
		cmocka_unit_test(fork_while_flushing),
	};
	atomic_store(&hk_control_phase, HK_CONTROL_PHASE_IDLE); /* no control thread */
	hk_options.decay_msec = 86400000; /* nothing that depends on the time */
	return cmocka_run_group_tests_name("interleave", tests, NULL, NULL);
}
