/* SPDX-License-Identifier: MIT */
/* Which shard, and the books of divided classes: see shard.h. */
#include "caches/shard.h"

#include "base/syscall.h"

/* glibc 2.35 and later; others have none of them. */
extern const ptrdiff_t __rseq_offset __attribute__((weak));
extern const unsigned int __rseq_size __attribute__((weak));

struct hk_books hk_books[HK_CLASSES] HK_PLACE_LAST;

static HK_TLS const volatile uint32_t *shard_cpu;

unsigned hk_shard_here(void)
{
	return shard_cpu != NULL ? *shard_cpu % HK_SHARDS : 0;
}

void hk_shard_set_cpu(const volatile uint32_t *cpu)
{
	shard_cpu = cpu;
}

/* The kernel keeps the processor's number up to date in the area that libc registered for restartable sequences: the first
 * word is always a valid number, the second one says whether the area is in use.  Else threads take turns. */
HK_USUAL void hk_shard_find_cpu(void)
{
	static _Atomic uint32_t n_threads;
	static HK_TLS uint32_t turn;
	if (&__rseq_size != NULL && __rseq_size != 0) {
		const volatile uint32_t *area = (void *)(hk_thread_pointer() + __rseq_offset);
		if ((int32_t)area[1] >= 0) {
			shard_cpu = area;
			return;
		}
	}
	turn = atomic_fetch_add_explicit(&n_threads, 1, memory_order_relaxed);
	shard_cpu = &turn;
}

void hk_books_open(unsigned class_idx, const struct hk_books *sums)
{
	hk_books[class_idx] = *sums;
	hk_books[class_idx].lock = (struct hk_lock)HK_LOCK_INIT(HK_RANK_BOOKS);
}

void hk_books_publish(unsigned class_idx, struct hkp_stats_class *out)
{
	const struct hk_books *books = &hk_books[class_idx];
	const struct hk_class_info *info = &hk_class_info[class_idx];
	int64_t cold = HK_HINT(books->cold), hot = HK_HINT(books->hot_said), slabs = HK_HINT(books->slabs);
	int64_t taken = HK_MAX(HK_HINT(books->taken), cold + hot), all = HK_MAX(slabs * info->n_blocks, taken);
	out->block_bytes = info->block_bytes;
	out->cold = (uint64_t)cold;
	out->hot = (uint64_t)hot;
	out->used = (uint64_t)(taken - cold - hot);
	out->free = (uint64_t)(all - taken);
	out->slabs = (uint64_t)slabs;
}

int64_t hk_books_change(unsigned class_idx, const struct hk_books *more, struct hkp_stats_class *out)
{
	struct hk_books *books = &hk_books[class_idx];
	hk_lock_take(&books->lock);
	HK_HINT_SET(books->cold, books->cold + more->cold);
	HK_HINT_SET(books->taken, books->taken + more->taken);
	HK_HINT_SET(books->slabs, books->slabs + more->slabs);
	HK_HINT_SET(books->hot, books->hot + more->hot);
	int64_t hot = HK_MAX(HK_MIN(books->hot, books->taken - books->cold), 0), change = hot - books->hot_said;
	HK_HINT_SET(books->hot_said, hot);
	if (out != NULL)
		hk_books_publish(class_idx, out);
	hk_lock_drop(&books->lock);
	return change;
}
