/* SPDX-License-Identifier: MIT */
/* Spans of freed large blocks: see span.h. */
#include "pools/span.h"

#include "base/counters.h"
#include "os/pages.h"

#define SPAN_SLOTS     64u
#define SPAN_BYTES_MIN ((size_t)64 << 20) /* kept in any case */

static struct hk_lock span_lock = HK_LOCK_INIT(HK_RANK_LARGE);
static struct hk_span spans[SPAN_SLOTS] HK_PLACE_LAST; /* guarded by span_lock, as are the next two; in no order */
static unsigned n_spans;
static size_t span_touched_bytes;

struct hk_lock *hk_large_lock(void)
{
	return &span_lock;
}

static void span_count(size_t touched_bytes, bool more)
{
	span_touched_bytes += more ? touched_bytes : -touched_bytes;
	hk_count(large_cached_bytes, more ? (int64_t)touched_bytes : -(int64_t)touched_bytes);
}

/* Under the lock: take span `i` out. */
static struct hk_span span_remove(unsigned i)
{
	struct hk_span span = spans[i];
	spans[i] = spans[--n_spans];
	span_count(span.touched_bytes, false);
	return span;
}

static void span_insert(struct hk_span span)
{
	spans[n_spans++] = span;
	span_count(span.touched_bytes, true);
}

/* Under the lock: the first `bytes` of span `i`, and what is left of the last 2 MiB of them; the rest stays. */
static struct hk_span span_carve(unsigned i, size_t bytes)
{
	struct hk_span span = span_remove(i), rest = span;
	size_t whole = hk_round_up(bytes, HK_SUPERSLAB_BYTES);
	if (span.bytes <= whole)
		return span;
	span.bytes = whole;
	span.touched_bytes = HK_MIN(span.touched_bytes, whole);
	rest.base += whole;
	rest.bytes -= whole;
	rest.touched_bytes -= span.touched_bytes;
	span_insert(rest);
	return span;
}

bool hk_span_take(size_t bytes, size_t alignment, struct hk_span *ret_span)
{
	unsigned best = SPAN_SLOTS;
	hk_lock_take(&span_lock);
	for (unsigned i = 0; i < n_spans; i++)
		if (spans[i].bytes >= bytes && ((uintptr_t)spans[i].base & (alignment - 1)) == 0 &&
		    (best == SPAN_SLOTS || spans[i].bytes < spans[best].bytes))
			best = i;
	if (best != SPAN_SLOTS)
		*ret_span = span_carve(best, bytes);
	hk_lock_drop(&span_lock);
	return best != SPAN_SLOTS;
}

bool hk_span_take_fullest(size_t touched_bytes, struct hk_span *ret_span)
{
	unsigned best = SPAN_SLOTS;
	hk_lock_take(&span_lock);
	for (unsigned i = 0; i < n_spans; i++)
		if (spans[i].touched_bytes >= touched_bytes &&
		    (best == SPAN_SLOTS || spans[i].touched_bytes > spans[best].touched_bytes))
			best = i;
	if (best != SPAN_SLOTS)
		*ret_span = span_remove(best);
	hk_lock_drop(&span_lock);
	return best != SPAN_SLOTS;
}

bool hk_span_take_at(const char *base, size_t bytes, struct hk_span *ret_span)
{
	unsigned i = 0;
	hk_lock_take(&span_lock);
	while (i < n_spans && (spans[i].base != base || spans[i].bytes < bytes))
		i++;
	bool found = i < n_spans;
	if (found)
		*ret_span = span_carve(i, bytes);
	hk_lock_drop(&span_lock);
	return found;
}

/* Under no lock; returns the bytes that went. */
static size_t span_unmap(const struct hk_span *span)
{
	/* Too many mappings to split one: the pages go, the addresses are lost. */
	bool gone = hk_os_unmap(span->base, span->bytes) || hk_os_purge(span->base, span->bytes);
	hk_lock_take(&span_lock);
	hk_count(mapped_bytes, -(int64_t)span->bytes);
	hk_lock_drop(&span_lock);
	return gone ? span->touched_bytes : 0;
}

/* Under the lock: index of the span that was freed first; there is one. */
static unsigned span_first_freed(void)
{
	unsigned oldest = 0;
	for (unsigned i = 1; i < n_spans; i++)
		if (spans[i].freed_nsec < spans[oldest].freed_nsec)
			oldest = i;
	return oldest;
}

static size_t span_limit(void)
{
	return HK_MAX(SPAN_BYTES_MIN, __atomic_load_n(&hk_stats()->large_bytes, __ATOMIC_RELAXED));
}

/* Under the lock: a span and its neighbours become one. */
static struct hk_span span_merge(struct hk_span span)
{
	for (unsigned i = 0; i < n_spans;) {
		bool before = spans[i].base + spans[i].bytes == span.base;
		if (!before && span.base + span.bytes != spans[i].base) {
			i++;
			continue;
		}
		struct hk_span other = span_remove(i);
		span.base = before ? other.base : span.base;
		span.bytes += other.bytes;
		span.touched_bytes += other.touched_bytes;
		i = 0;
	}
	return span;
}

void hk_span_put(char *base, size_t bytes, size_t touched_bytes)
{
	struct hk_span span = {base, bytes, touched_bytes, hk_clock_coarse_nsec()}, victim;
	if (touched_bytes > span_limit()) {
		span_unmap(&span);
		return;
	}
	for (bool kept = false, over = true; over;) {
		hk_lock_take(&span_lock);
		if (!kept)
			span = span_merge(span);
		if (!kept && n_spans < SPAN_SLOTS) {
			span_insert(span);
			kept = true;
		}
		over = !kept || span_touched_bytes > span_limit();
		if (over)
			victim = span_remove(span_first_freed());
		hk_lock_drop(&span_lock);
		if (over)
			span_unmap(&victim);
	}
}

uint64_t hk_span_oldest(void)
{
	hk_lock_take(&span_lock);
	uint64_t oldest = n_spans != 0 ? spans[span_first_freed()].freed_nsec : UINT64_MAX;
	hk_lock_drop(&span_lock);
	return oldest;
}

size_t hk_span_trim(uint64_t before_nsec)
{
	size_t bytes = 0;
	for (;;) {
		struct hk_span span;
		hk_lock_take(&span_lock);
		unsigned i = n_spans != 0 ? span_first_freed() : 0;
		bool old = n_spans != 0 && spans[i].freed_nsec <= before_nsec;
		if (old)
			span = span_remove(i);
		hk_lock_drop(&span_lock);
		if (!old)
			return bytes;
		bytes += span_unmap(&span);
	}
}
