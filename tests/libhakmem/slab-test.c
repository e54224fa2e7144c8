/* SPDX-License-Identifier: MIT */
/* Slabs against a model: a byte per block, and recounts of everything the slab keeps a sum of. */
#include "tests/libhakmem/unit.h"

#include "slabs/slab.h"

/* Powers of two, odd sizes, blocks that straddle pages and slices, nine blocks in a slab; the longest rest behind the
 * last block in slabs of one, two, four and eight slices. */
static const unsigned some_classes[] = {0,  1,  2,  5,  22, 63, 64,  71,  79,  84,	85,
					86, 88, 89, 92, 93, 95, 100, 103, 108, 109, 111};

#define N_BLOCKS 6000

struct model {
	struct hk_slabs slabs;
	void *taken[N_BLOCKS]; /* in the program's hands */
	unsigned n;
};

static void model_init(struct model *model, unsigned class_idx)
{
	*model = (struct model){.slabs = {.lock = HK_LOCK_INIT(HK_RANK_CLASS), .class_idx = (uint16_t)class_idx}};
}

static void model_take(struct model *model, unsigned want)
{
	void **out = model->taken + model->n;
	unsigned n;
	hk_lock_take(&model->slabs.lock);
	while ((n = hk_slabs_take(&model->slabs, out, want)) == 0) {
		hk_lock_drop(&model->slabs.lock);
		assert_true(hk_slabs_grow(&model->slabs, model->slabs.class_idx));
		hk_lock_take(&model->slabs.lock);
	}
	hk_lock_drop(&model->slabs.lock);
	assert_true(n <= want);
	unit_reverse(out, n);
	for (unsigned i = 0; i < n; i++) {
		/* a block is handed out once: the mark of its first owner would be seen by the second */
		assert_int_equal(hk_pagemap_kind(out[i]), hk_kind_of_class(model->slabs.class_idx));
		assert_int_not_equal(*(uint64_t *)out[i], 0x7461656e);
		*(uint64_t *)out[i] = 0x7461656e;
		assert_true(i == 0 || out[i] > out[i - 1] || hk_slab_of(out[i]) != hk_slab_of(out[i - 1]));
	}
	model->n += n;
}

/* Give blocks back as the cold magazines do, until one that is none to be given back is all that is left, or the first of
 * what is; returns how many went. */
static unsigned model_try(struct model *model, void **blocks, unsigned n, enum hk_misuse *ret_what)
{
	struct hk_slab *empties = NULL;
	unsigned done = 0, n_prepared = 0, shard = 0;
	*ret_what = HK_MISUSE_NONE;
	while (done < n && *ret_what == HK_MISUSE_NONE) {
		hk_lock_take(&model->slabs.lock);
		done += hk_slabs_give(&model->slabs, blocks + done, n - done, &empties);
		hk_lock_drop(&model->slabs.lock);
		if (done < n)
			*ret_what = hk_slabs_prepare(model->slabs.class_idx, blocks[done], &shard);
		if (done < n && *ret_what == HK_MISUSE_NONE)
			hk_slabs_restore(&model->slabs, blocks[done]);
		assert_int_equal(shard, model->slabs.shard);
		assert_true(n_prepared++ <= n);
	}
	hk_slabs_free_chain(empties);
	return done;
}

static void model_give(struct model *model, void **blocks, unsigned n)
{
	enum hk_misuse what;
	for (unsigned i = 0; i < n; i++)
		*(uint64_t *)blocks[i] = 0;
	assert_int_equal(model_try(model, blocks, n, &what), n);
}

/* Give `n` of the taken blocks back, chosen at random or as neighbours. */
static void model_give_some(struct model *model, unsigned n, uint64_t *seed)
{
	void *blocks[256];
	unsigned at = 0;
	n = HK_MIN(n, model->n);
	for (unsigned i = 0; i < n; i++) {
		if (i == 0 || unit_below(seed, 4) == 0)
			at = unit_below(seed, model->n);
		at %= model->n;
		blocks[i] = model->taken[at];
		model->taken[at] = model->taken[--model->n];
	}
	model_give(model, blocks, n);
}

static int by_address(const void *a, const void *b)
{
	uintptr_t x = (uintptr_t)*(void *const *)a, y = (uintptr_t)*(void *const *)b;
	return x < y ? -1 : x > y;
}

/* Give `n` of the taken blocks back that are neighbours, upwards or downwards. */
static void model_give_run(struct model *model, unsigned n, uint64_t *seed)
{
	void *blocks[256];
	n = HK_MIN(n, model->n);
	qsort(model->taken, model->n, sizeof *model->taken, by_address);
	unsigned at = unit_below(seed, model->n - n + 1);
	bool down = unit_below(seed, 2) != 0;
	for (unsigned i = 0; i < n; i++)
		blocks[i] = model->taken[down ? at + n - 1 - i : at + i];
	memmove(model->taken + at, model->taken + at + n, (model->n - at - n) * sizeof *model->taken);
	model->n -= n;
	model_give(model, blocks, n);
}

/* ---- recounts ------------------------------------------------------------------------------------------ */

static bool model_holds(const struct model *model, const char *from, const char *to)
{
	uint32_t block_bytes = hk_class_info[model->slabs.class_idx].block_bytes;
	for (unsigned i = 0; i < model->n; i++)
		if ((char *)model->taken[i] < to && (char *)model->taken[i] + block_bytes > from)
			return true;
	return false;
}

/* The pages of a slab: a hole is a touched page without a block in use that was handed out to its end, or not at all. */
static unsigned check_pages(const struct model *model, const struct hk_slab *slab)
{
	uint32_t block_bytes = hk_class_info[slab->class_idx].block_bytes;
	unsigned holes = 0;
	for (unsigned page = 0; page < slab->n_slices * HK_SLICE_PAGES; page++) {
		const char *from = slab->base + (size_t)page * HK_PAGE_BYTES, *to = from + HK_PAGE_BYTES;
		unsigned i = hk_slab_slice(slab) + page / HK_SLICE_PAGES, bit = page % HK_SLICE_PAGES;
		bool touched = slab->superslab->touched[i] >> bit & 1, hole = slab->superslab->hole[i] >> bit & 1;
		bool used = model_holds(model, from, to);
		uint32_t last = HK_MIN((uint32_t)((page + 1) * HK_PAGE_BYTES - 1) / block_bytes,
				       hk_class_info[slab->class_idx].n_blocks - 1u);
		bool whole = page * HK_PAGE_BYTES / block_bytes <= last && last < slab->top;
		bool beyond = page * HK_PAGE_BYTES / block_bytes >= slab->top && page * HK_PAGE_BYTES / block_bytes <= last;
		assert_true(touched || !used);
		if (hole != (touched && !used && (whole || beyond)))
			fail_msg("class %u page %u: hole %d touched %d used %d", slab->class_idx, page, hole, touched, used);
		holes += hole;
	}
	assert_int_equal(slab->n_holes, holes);
	return holes;
}

/* Is a block of the slab in use, by its bitmap or its list? */
static bool slab_uses(const struct hk_slab *slab, unsigned b)
{
	const uint16_t *list = slab->superslab->sparse + 2 * slab->low_word;
	if (slab->bin != HK_BIN_SPARSE)
		return (slab->bitmap[b / 64] >> b % 64 & 1) == 0;
	for (unsigned i = 0; i < slab->top - hk_slab_n_free(slab); i++)
		if (list[i] == b)
			return true;
	return false;
}

static void check_bin(const struct hk_slab *slab, unsigned available)
{
	const struct hk_class_info *info = &hk_class_info[slab->class_idx];
	if (slab->bin == HK_BIN_SPARSE) {
		assert_int_equal(slab->bitmap_ready, 0);
		return;
	}
	assert_int_equal(slab->bin, available == 0 ? HK_BIN_NONE : HK_MIN((available - 1) / info->quarter, HK_BINS - 1));
	for (unsigned word = 0; hk_slab_n_free(slab) == slab->low_free && word < slab->low_word; word++)
		assert_true(slab->bitmap[word] == 0);
}

/* Bitmaps, counts, bins and holes of all slabs of the class; returns its holes. */
static unsigned model_check(const struct model *model)
{
	const struct hk_slabs *slabs = &model->slabs;
	const struct hk_class_info *info = &hk_class_info[slabs->class_idx];
	unsigned n_slabs = 0, taken = 0, holes = 0;
	for (struct hk_superslab *s = hk_heap_walk(NULL); s != NULL; s = hk_heap_walk(s))
		for (unsigned i = 0; i < HK_SLICES; i++) {
			const struct hk_slab *slab = &s->slabs[i];
			if (s->first[i] != i || slab->state != HK_SLAB_LIVE || (s->free_slices >> i & 1) != 0)
				continue;
			unsigned used = 0;
			for (unsigned b = 0; b < slab->top; b++)
				used += slab_uses(slab, b);
			assert_int_equal(hk_slab_n_free(slab), slab->top - used);
			check_bin(slab, info->n_blocks - used);
			holes += check_pages(model, slab);
			taken += used;
			n_slabs++;
		}
	assert_int_equal(slabs->n_slabs, n_slabs);
	assert_int_equal(taken, model->n);
	assert_int_equal(slabs->n_free, (uint64_t)n_slabs * info->n_blocks - taken);
	assert_true(hk_slabs_audit(slabs));
	assert_int_equal(hk_counters_private.hole_pages, holes);
	return holes;
}

static void model_end(struct model *model)
{
	while (model->n != 0) {
		unsigned n = HK_MIN(model->n, 256u);
		model_give(model, model->taken + model->n - n, n);
		model->n -= n;
	}
	assert_true(model->slabs.n_slabs <= 1); /* the one that is kept */
	hk_slabs_drop_empty(&model->slabs);
	assert_int_equal(model->slabs.n_slabs, 0);
	assert_int_equal(model->slabs.n_free, 0);
	assert_int_equal(hk_counters_private.hole_pages, 0);
	unit_trim();
	assert_int_equal(hk_stats()->superslabs, 0);
}

/* ---- tests --------------------------------------------------------------------------------------------- */

static void blocks_come_and_go_as_in_the_model(void **state)
{
	static struct model model;
	(void)state;
	for (unsigned k = 0; k < HK_COUNT(some_classes); k++) {
		uint64_t seed = 100 + k;
		unsigned n_blocks = hk_class_info[some_classes[k]].n_blocks;
		unsigned most = HK_MIN(3 * n_blocks, N_BLOCKS - 256u);
		model_init(&model, some_classes[k]);
		for (unsigned round = 0; round < 150; round++) {
			/* a slow tide, so that slabs fill and empty */
			bool rising = round / 25 % 2 == 0;
			unsigned n = 1 + unit_below(&seed, HK_MIN(most / 8 + 2, 255u));
			if (unit_below(&seed, 4) != 0 ? rising : !rising)
				model_take(&model, HK_MIN(n, most - HK_MIN(most, model.n) + 1));
			else if (unit_below(&seed, 2) != 0)
				model_give_some(&model, n, &seed);
			else
				model_give_run(&model, n, &seed);
			if (round % 6 == 0)
				model_check(&model);
		}
		model_end(&model);
	}
}

/* One block of every class makes a slab; without the block it goes back, whatever the class. */
static void an_empty_slab_goes_back_in_every_class(void **state)
{
	static struct model model;
	(void)state;
	for (unsigned c = 0; c < HK_CLASSES_ALL; c++) {
		model_init(&model, c);
		model_take(&model, 1);
		model_end(&model);
	}
}

static void refills_come_from_the_fullest_slab(void **state)
{
	static struct model model;
	void *first[64];
	(void)state;
	model_init(&model, 63); /* 1024 bytes, 64 blocks */
	while (model.n < 3 * 64)
		model_take(&model, 64);
	assert_int_equal(model.slabs.n_slabs, 3);
	memcpy(first, model.taken, sizeof first);
	model_give(&model, model.taken, 60);      /* almost empty */
	model_give(&model, model.taken + 64, 10); /* almost full */
	model_give(&model, model.taken + 128, 30);
	memmove(model.taken, model.taken + 60, 4 * sizeof *first);
	memmove(model.taken + 4, model.taken + 74, 54 * sizeof *first);
	memmove(model.taken + 58, model.taken + 158, 34 * sizeof *first);
	model.n = 92;
	model_check(&model);
	model_take(&model, 10);
	assert_ptr_equal(hk_slab_of(model.taken[92]), hk_slab_of(model.taken[4]));
	model_take(&model, 30);
	assert_ptr_equal(hk_slab_of(model.taken[102]), hk_slab_of(model.taken[58]));
	assert_ptr_equal(hk_slab_of(model.taken[131]), hk_slab_of(model.taken[58]));
	model_take(&model, 1);
	assert_ptr_equal(hk_slab_of(model.taken[132]), hk_slab_of(first[0]));
	model_check(&model);
	model_end(&model);
}

static void a_double_free_in_a_batch_is_named(void **state)
{
	static const unsigned picks[][4] = {{3, 3, 4, 70}, {3, 4, 3, 70}, {3, 70, 3, 4}, {3, 70, 71, 3}};
	static const unsigned others[][3] = {{3, 4, 70}, {3, 4, 70}, {3, 4, 70}, {3, 70, 71}}; /* the lowest first */
	static struct model model;
	enum hk_misuse what;
	(void)state;
	for (unsigned k = 0; k < HK_COUNT(picks); k++) {
		void *blocks[4], *block;
		model_init(&model, 5); /* 96 bytes */
		model_take(&model, 200);
		for (unsigned i = 0; i < 4; i++)
			blocks[i] = model.taken[picks[k][i]];
		assert_int_equal(model_try(&model, blocks, 4, &what), 3);
		assert_int_equal(what, HK_MISUSE_DOUBLE);
		assert_ptr_equal(blocks[3], model.taken[3]);
		/* the process would end here; what went home goes out again */
		for (unsigned i = 0; i < 3; i++) {
			assert_int_equal(hk_slabs_take(&model.slabs, &block, 1), 1);
			assert_ptr_equal(block, model.taken[others[k][i]]);
		}
		model_end(&model);
	}
}

static void a_pointer_between_blocks_ends_a_run(void **state)
{
	static struct model model;
	enum hk_misuse what;
	(void)state;
	for (unsigned i = 1; i < 96; i++) {
		void *block;
		model_init(&model, 5); /* 96 bytes */
		model_take(&model, 200);
		void *blocks[] = {model.taken[3], model.taken[4], (char *)model.taken[5] + i, model.taken[7]};
		assert_int_equal(model_try(&model, blocks, 4, &what), 3);
		assert_int_equal(what, HK_MISUSE_INTERIOR);
		assert_ptr_equal(blocks[3], (char *)model.taken[5] + i);
		for (unsigned k = 0; k < 3; k++) {
			assert_int_equal(hk_slabs_take(&model.slabs, &block, 1), 1);
			assert_ptr_equal(block, model.taken[k < 2 ? 3 + k : 7]);
		}
		model_end(&model);
	}
}

static void a_block_that_is_free_is_named(void **state)
{
	static struct model model;
	enum hk_misuse what;
	(void)state;
	model_init(&model, 5);
	model_take(&model, 200);
	void *block = model.taken[--model.n], *beyond = (char *)block + 96;
	model_give(&model, &block, 1);
	void *both[] = {block, beyond}; /* freed before; never handed out */
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(model_try(&model, &both[i], 1, &what), 0);
		assert_int_equal(what, HK_MISUSE_DOUBLE);
	}
	model_end(&model);
}

static void a_pointer_between_blocks_is_refused(void **state)
{
	/* 16, 32, 96, 4608 and 5120 bytes; 14 KiB in slabs of two slices */
	static const unsigned classes[] = {0, 1, 5, 80, 81, 93};
	static struct model model;
	enum hk_misuse what;
	(void)state;
	for (unsigned k = 0; k < HK_COUNT(classes); k++) {
		model_init(&model, classes[k]);
		model_take(&model, 3);
		model_give(&model, &model.taken[--model.n], 1); /* from now on the slab takes blocks without more ado */
		const struct hk_class_info *info = &hk_class_info[classes[k]];
		for (unsigned i = 1; i < info->block_bytes; i++) {
			void *inside = (char *)model.taken[1] + i;
			assert_int_equal(model_try(&model, &inside, 1, &what), 0);
			assert_int_equal(what, HK_MISUSE_INTERIOR);
		}
		/* where a block would begin behind the last one, were there room */
		void *behind = hk_slab_of(model.taken[0])->base + (size_t)info->n_blocks * info->block_bytes;
		if (hk_slab_of(behind) == hk_slab_of(model.taken[0])) {
			assert_int_equal(model_try(&model, &behind, 1, &what), 0);
			assert_int_equal(what, HK_MISUSE_INTERIOR);
		}
		model_end(&model);
	}
}

/* ---- holes --------------------------------------------------------------------------------------------- */

static struct model *purged_model;
static unsigned purged_taken; /* blocks that somebody takes while pages are claimed */

static struct hk_slabs *purged_slabs(unsigned class_idx, unsigned shard)
{
	if (purged_taken != 0 && purged_model->slabs.n_claimed != 0)
		model_take(purged_model, purged_taken), purged_taken = 0;
	return class_idx == purged_model->slabs.class_idx && shard == purged_model->slabs.shard ? &purged_model->slabs : NULL;
}

static size_t purge_all(struct model *model)
{
	size_t bytes = 0;
	purged_model = model;
	for (struct hk_superslab *s = hk_heap_walk(NULL); s != NULL; s = hk_heap_walk(s))
		bytes += hk_slabs_purge_holes(s, purged_slabs);
	return bytes;
}

static size_t resident_of_all(void)
{
	size_t pages = 0;
	for (struct hk_superslab *s = hk_heap_walk(NULL); s != NULL; s = hk_heap_walk(s))
		pages += unit_resident_pages(s->base, HK_SUPERSLAB_BYTES);
	return pages;
}

static void fill_blocks(struct model *model)
{
	for (unsigned i = 0; i < model->n; i++)
		memset(model->taken[i], (int)(i % 250 + 1), hk_class_info[model->slabs.class_idx].block_bytes);
}

static void check_blocks(struct model *model)
{
	uint32_t bytes = hk_class_info[model->slabs.class_idx].block_bytes;
	for (unsigned i = 0; i < model->n; i++) {
		const unsigned char *block = model->taken[i];
		for (uint32_t b = 0; b < bytes; b++)
			assert_int_equal(block[b], i % 250 + 1);
		memset(model->taken[i], 0, 8); /* model_take() looks for marks */
	}
}

static void model_give_from(struct model *model, unsigned from, unsigned n)
{
	model_give(model, model->taken + from, n);
	memmove(model->taken + from, model->taken + from + n, (model->n - from - n) * sizeof *model->taken);
	model->n -= n;
}

/* A claim makes the free blocks as many as they were when a search had ended, but others. */
static void a_search_finds_what_came_back_from_a_purge(void **state)
{
	static struct model model;
	(void)state;
	model_init(&model, 0); /* 16 bytes, 256 on a page */
	model_take(&model, 1024);
	void *first = model.taken[0];
	model_give_from(&model, 768, 133);
	model_give_from(&model, 512, 133);
	model_give_from(&model, 0, 256);
	purged_taken = 10;
	assert_int_equal(purge_all(&model), HK_PAGE_BYTES); /* meanwhile the search ends with 256 blocks free, on pages 2 and 3 */
	model_give_from(&model, 256, 256);
	assert_int_equal(model_check(&model), 2);
	purged_taken = 1;
	assert_int_equal(purge_all(&model), 2 * HK_PAGE_BYTES); /* now those of page 0 are */
	assert_ptr_equal(model.taken[model.n - 1], first);
	model_check(&model);
	model_end(&model);
}

static void holes_go_back_and_nothing_else(void **state)
{
	static struct model model;
	(void)state;
	for (unsigned k = 0; k < HK_COUNT(some_classes); k++) {
		uint64_t seed = 200 + k;
		unsigned n_blocks = hk_class_info[some_classes[k]].n_blocks;
		model_init(&model, some_classes[k]);
		while (model.n < HK_MIN(3 * n_blocks, N_BLOCKS - 256u))
			model_take(&model, 200);
		fill_blocks(&model);
		while (model.n > n_blocks / 2)
			model_give_some(&model, 1 + unit_below(&seed, 100), &seed);
		fill_blocks(&model);
		hk_slabs_drop_empty(&model.slabs); /* goes back as a whole, not hole by hole */
		unsigned holes = model_check(&model);
		size_t before = resident_of_all();
		assert_int_equal(purge_all(&model), (size_t)holes * HK_PAGE_BYTES);
		assert_int_equal(before - resident_of_all(), holes);
		assert_int_equal(model_check(&model), 0);
		assert_int_equal(purge_all(&model), 0);
		check_blocks(&model);
		model_take(&model, 100); /* purged blocks are handed out again, zero */
		model_check(&model);
		model_end(&model);
	}
}

/* Another class's slab left its pages; of the next one there the first three have blocks, the third only for a while. */
static void pages_that_were_not_reached_go_back_too(void **state)
{
	static struct model model;
	(void)state;
	model_init(&model, 63);
	while (model.n < 64)
		model_take(&model, 64);
	fill_blocks(&model);
	check_blocks(&model);
	char *base = hk_slab_of(model.taken[0])->base;
	while (model.n != 0)
		model_give_from(&model, 0, 1);
	hk_slabs_drop_empty(&model.slabs);
	model_init(&model, 0); /* 16 bytes, 256 on a page */
	model_take(&model, 600);
	assert_ptr_equal(hk_slab_of(model.taken[0])->base, base);
	model_give_from(&model, 512, 88);
	assert_int_equal(model_check(&model), 13);
	assert_int_equal(purge_all(&model), 13 * HK_PAGE_BYTES);
	assert_int_equal(unit_resident_pages(base, HK_SLICE_BYTES), 3);
	assert_int_equal(model_check(&model), 1); /* blocks behind those on it have bits now */
	assert_int_equal(purge_all(&model), HK_PAGE_BYTES);
	model_take(&model, 3000);
	model_check(&model);
	assert_int_equal(model.slabs.n_slabs, 1);
	model_end(&model);
}

/* The last page of some slabs lies behind their last block. */
static void pages_behind_the_last_block_stay_away(void **state)
{
	static struct model model;
	(void)state;
	for (unsigned c = 0; c < HK_CLASSES_ALL; c++) {
		const struct hk_class_info *info = &hk_class_info[c];
		unsigned wanted = (info->n_blocks * info->block_bytes + HK_PAGE_BYTES - 1) / HK_PAGE_BYTES;
		unsigned n_slabs = HK_MIN(20u, N_BLOCKS / info->n_blocks);
		if (info->n_slices != 1 || n_slabs < 20)
			continue;
		model_init(&model, c);
		while (model.n + 256 < N_BLOCKS && model.n < n_slabs * info->n_blocks)
			model_take(&model, HK_MIN(256u, n_slabs * info->n_blocks - model.n));
		fill_blocks(&model);
		for (unsigned i = 0; i < model.n; i += 8)
			assert_true(unit_resident_pages(hk_slab_of(model.taken[i])->base, HK_SLICE_BYTES) <= wanted);
		check_blocks(&model);
		model_end(&model);
	}
}

/* ---- bitmaps ------------------------------------------------------------------------------------------- */

#define LISTED_MAX 16 /* blocks in use of a sparse slab at most */

/* Slices whose bitmaps lie on the page of the records, taken, so that the next slab's lies elsewhere. */
static struct hk_slab *first_slices(void)
{
	struct hk_slab *run = hk_heap_take(HK_BITMAPS_WITH_RECORDS);
	assert_int_equal(hk_slab_slice(run), 0);
	return run;
}

/* Purge holes and bitmaps, as a flush does; returns the pages of bitmaps that went. */
static size_t purge_bitmaps(struct model *model)
{
	size_t bytes = 0;
	purge_all(model);
	for (struct hk_superslab *s = hk_heap_walk(NULL); s != NULL; s = hk_heap_walk(s))
		bytes += hk_slabs_purge_bitmaps(s, purged_slabs);
	return bytes / HK_PAGE_BYTES;
}

static size_t resident_bitmaps(const struct hk_superslab *superslab)
{
	return unit_resident_pages(superslab->bitmaps[HK_BITMAPS_WITH_RECORDS], 4 * HK_PAGE_BYTES);
}

/* A slab with so many blocks in use, each `step`th, whose holes are gone. */
static struct hk_slab *slab_with(struct model *model, unsigned class_idx, unsigned n_used, unsigned step)
{
	unsigned n_blocks = hk_class_info[class_idx].n_blocks, n = 0;
	void *blocks[HK_SLAB_BLOCKS_MAX];
	model_init(model, class_idx);
	while (model->n < n_blocks)
		model_take(model, HK_MIN(200u, n_blocks - model->n));
	for (unsigned i = 0; i < n_blocks; i++)
		if (i % step == 0 && i / step < n_used)
			model->taken[i / step] = model->taken[i];
		else
			blocks[n++] = model->taken[i];
	model->n = n_used;
	model_give(model, blocks, n);
	return hk_slab_of(model->taken[0]);
}

static void few_blocks_in_use_are_listed(void **state)
{
	/* 16 bytes to 14 KiB: from 4096 blocks in a slab to nine in one of two slices */
	static const unsigned classes[] = {0, 1, 5, 22, 63, 80, 93};
	static struct model model;
	(void)state;
	for (unsigned k = 0; k < HK_COUNT(classes); k++) {
		struct hk_slab *run = first_slices();
		unsigned n_blocks = hk_class_info[classes[k]].n_blocks, n_used = HK_MIN(LISTED_MAX, n_blocks / 2);
		struct hk_slab *slab = slab_with(&model, classes[k], n_used, n_blocks / n_used);
		assert_int_equal(resident_bitmaps(slab->superslab), 1);
		assert_int_equal(purge_bitmaps(&model), 1);
		assert_int_equal(resident_bitmaps(slab->superslab), 0);
		assert_int_equal(slab->bin, HK_BIN_SPARSE);
		model_check(&model);
		assert_int_equal(purge_bitmaps(&model), 0);
		/* a block goes home: the bitmap is as it was, and can go again */
		model_give_from(&model, n_used / 2, 1);
		assert_int_not_equal(slab->bin, HK_BIN_SPARSE);
		assert_int_equal(slab->superslab->sparse_taken, 0);
		model_check(&model);
		assert_int_equal(purge_bitmaps(&model), 1);
		/* blocks are wanted: all that are free are found before there is a second slab */
		while (model.n < n_blocks)
			model_take(&model, HK_MIN(200u, n_blocks - model.n));
		assert_int_equal(model.slabs.n_slabs, 1);
		model_check(&model);
		hk_heap_give(run);
		model_end(&model);
	}
}

static void a_block_of_a_sparse_slab_is_freed_once(void **state)
{
	static struct model model;
	enum hk_misuse what;
	(void)state;
	struct hk_slab *run = first_slices();
	struct hk_slab *slab = slab_with(&model, 5, 4, 100);
	void *was_free = slab->base + 96, *inside = slab->base + 1;
	assert_int_equal(purge_bitmaps(&model), 1);
	assert_int_equal(model_try(&model, &inside, 1, &what), 0);
	assert_int_equal(what, HK_MISUSE_INTERIOR);
	assert_int_equal(slab->bin, HK_BIN_SPARSE);
	assert_int_equal(model_try(&model, &was_free, 1, &what), 0);
	assert_int_equal(what, HK_MISUSE_DOUBLE);
	model_check(&model);
	hk_heap_give(run);
	model_end(&model);
}

/* More blocks in use than a list has, a hole that is still there, a neighbour that needs the page: the page stays. */
static void bitmaps_that_are_needed_stay(void **state)
{
	static struct model model, other;
	(void)state;
	struct hk_slab *run = first_slices();
	struct hk_slab *slab = slab_with(&model, 5, LISTED_MAX + 1, 30);
	assert_int_equal(purge_bitmaps(&model), 0);
	model_give_from(&model, 0, 2); /* nothing else is on that page */
	for (struct hk_superslab *s = hk_heap_walk(NULL); s != NULL; s = hk_heap_walk(s))
		assert_int_equal(hk_slabs_purge_bitmaps(s, purged_slabs), 0);
	assert_int_not_equal(slab->n_holes, 0);
	purge_all(&model);
	struct hk_slab *beside = slab_with(&other, 63, LISTED_MAX + 1, 3);
	purge_all(&other);
	assert_ptr_equal(beside->superslab, slab->superslab);
	assert_int_equal(purge_bitmaps(&model), 0);
	assert_int_equal(slab->bitmap_ready, 1); /* nor is it listed for nothing */
	/* without the neighbour, whose bits are left where its slab was */
	while (other.n != 0)
		model_give_from(&other, 0, 1);
	hk_slabs_drop_empty(&other.slabs);
	assert_int_equal(purge_bitmaps(&model), 1);
	model_check(&model);
	/* and of the neighbour's next slab no block is free that it did not give */
	model_take(&other, 3);
	assert_ptr_equal(hk_slab_of(other.taken[0]), beside);
	model_give_from(&other, 1, 1);
	assert_int_equal(hk_slab_n_free(beside), 1);
	assert_int_equal(other.slabs.bins[beside->bin]->bitmap[0], 2);
	while (other.n != 0)
		model_give_from(&other, 0, 1);
	hk_slabs_drop_empty(&other.slabs);
	hk_heap_give(run);
	model_end(&model);
}

/* A SuperSlab of slabs with eight blocks in use each: there is room for half of their lists. */
static void lists_share_the_room_that_there_is(void **state)
{
	static struct model model;
	unsigned n_sparse = 0;
	(void)state;
	model_init(&model, 63);
	while (model.n < HK_SLICES * 64)
		model_take(&model, 64);
	for (unsigned i = HK_SLICES * 64; i-- != 0;)
		if (i % 8 != 0)
			model_give_from(&model, i, 1);
	struct hk_superslab *superslab = hk_slab_of(model.taken[0])->superslab;
	assert_int_equal(resident_bitmaps(superslab), 4);
	assert_int_equal(purge_bitmaps(&model), 2);
	assert_int_equal(resident_bitmaps(superslab), 2);
	assert_int_equal(superslab->sparse_taken, UINT64_MAX);
	for (unsigned i = 0; i < HK_SLICES; i++)
		n_sparse += superslab->slabs[i].bin == HK_BIN_SPARSE;
	assert_int_equal(n_sparse, 16);
	model_check(&model);
	model_end(&model);
	assert_int_equal(model.slabs.n_slabs, 0);
}

/* At low tide slabs are sparse. */
static void sparse_slabs_come_and_go_as_in_the_model(void **state)
{
	static struct model model;
	(void)state;
	for (unsigned k = 0; k < HK_COUNT(some_classes); k++) {
		uint64_t seed = 300 + k;
		unsigned n_blocks = hk_class_info[some_classes[k]].n_blocks, n_gone = 0;
		struct hk_slab *run = first_slices();
		model_init(&model, some_classes[k]);
		for (unsigned round = 0; round < 60; round++) {
			while (model.n < HK_MIN(2 * n_blocks, 1000u))
				model_take(&model, 1 + unit_below(&seed, 200));
			for (unsigned low = 1 + unit_below(&seed, 30); model.n > low;)
				model_give_some(&model, HK_MIN(200u, model.n - low), &seed);
			n_gone += purge_bitmaps(&model);
			model_check(&model);
			for (unsigned n = unit_below(&seed, 10); n != 0 && model.n != 0; n--)
				model_give_some(&model, 1, &seed);
			model_check(&model);
		}
		if (n_blocks > 2 * LISTED_MAX)
			assert_true(n_gone > 10);
		hk_heap_give(run);
		model_end(&model);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(blocks_come_and_go_as_in_the_model),
		cmocka_unit_test(an_empty_slab_goes_back_in_every_class),
		cmocka_unit_test(refills_come_from_the_fullest_slab),
		cmocka_unit_test(a_double_free_in_a_batch_is_named),
		cmocka_unit_test(a_pointer_between_blocks_ends_a_run),
		cmocka_unit_test(a_block_that_is_free_is_named),
		cmocka_unit_test(a_pointer_between_blocks_is_refused),
		cmocka_unit_test(a_search_finds_what_came_back_from_a_purge),
		cmocka_unit_test(holes_go_back_and_nothing_else),
		cmocka_unit_test(pages_that_were_not_reached_go_back_too),
		cmocka_unit_test(pages_behind_the_last_block_stay_away),
		cmocka_unit_test(few_blocks_in_use_are_listed),
		cmocka_unit_test(a_block_of_a_sparse_slab_is_freed_once),
		cmocka_unit_test(bitmaps_that_are_needed_stay),
		cmocka_unit_test(lists_share_the_room_that_there_is),
		cmocka_unit_test(sparse_slabs_come_and_go_as_in_the_model),
	};
	return cmocka_run_group_tests_name("slab", tests, NULL, NULL);
}
