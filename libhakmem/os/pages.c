/* SPDX-License-Identifier: MIT */
/* Mappings, through raw system calls: see pages.h. */
#include "os/pages.h"

#include "base/bits.h"
#include "base/options.h"
#include "base/syscall.h"

#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/uio.h>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* Linux 5.14 */
#endif
#define PAGES_PIDFD_SELF           (-10001) /* PIDFD_SELF_THREAD_GROUP of newer headers */
#define PAGES_PR_SET_VMA           0x53564d41
#define PAGES_PR_SET_VMA_ANON_NAME 0

/* Where the next aligned mapping would fit below the latest one: usually spares the trimming. */
static _Atomic uintptr_t pages_hint;

/* Kernel refuses MADV_POPULATE_WRITE: do not ask again. */
static atomic_bool pages_no_populate;

/* Nor process_madvise() with advice of this kind, on itself (before Linux 6.15). */
static atomic_bool pages_no_vector;

static bool pages_failed(long ret)
{
	return (unsigned long)ret > -4096ul;
}

static long pages_mmap(uintptr_t hint, size_t bytes, int protection, int flags)
{
	return hk_sys6(SYS_mmap, (long)hint, (long)bytes, protection, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);
}

/* A mapping with room to spare, trimmed to the aligned part. */
static long pages_map_trimmed(size_t bytes, size_t alignment, int protection)
{
	size_t padded;
	if (__builtin_add_overflow(bytes, alignment - HK_PAGE_BYTES, &padded))
		return -1;
	long ret = pages_mmap(0, padded, protection, 0);
	if (pages_failed(ret))
		return ret;
	uintptr_t start = hk_round_up((uintptr_t)ret, alignment);
	size_t front = start - (uintptr_t)ret, back = padded - front - bytes;
	if (front != 0)
		hk_sys2(SYS_munmap, ret, front);
	if (back != 0)
		hk_sys2(SYS_munmap, start + bytes, back);
	return (long)start;
}

static long pages_map_aligned(size_t bytes, size_t alignment, int protection)
{
	if (alignment <= HK_PAGE_BYTES)
		return pages_mmap(0, bytes, protection, 0);
	uintptr_t hint = atomic_load_explicit(&pages_hint, memory_order_relaxed);
	hint = hint > bytes ? (hint - bytes) & ~(alignment - 1) : 0;
	long ret = pages_mmap(hint, bytes, protection, 0);
	if (!pages_failed(ret) && ((uintptr_t)ret & (alignment - 1)) != 0) {
		hk_sys2(SYS_munmap, ret, bytes);
		ret = pages_map_trimmed(bytes, alignment, protection);
	}
	if (!pages_failed(ret))
		atomic_store_explicit(&pages_hint, (uintptr_t)ret, memory_order_relaxed);
	return ret;
}

/* The name in /proc/PID/smaps, where the kernel knows names: a hint. */
static void pages_name(long start, size_t bytes, const char *name)
{
	if (hk_may_call())
		hk_sys5(SYS_prctl, PAGES_PR_SET_VMA, PAGES_PR_SET_VMA_ANON_NAME, start, bytes, name);
}

void hk_os_set_thp(void *address, size_t bytes, bool partly)
{
	if (hk_options.thp != HK_THP_AUTO || partly)
		hk_sys3(SYS_madvise, address, bytes, hk_options.thp == HK_THP_ALWAYS ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
}

void *hk_os_map(size_t bytes, size_t alignment, const char *name)
{
	long ret = pages_map_aligned(bytes, alignment, PROT_READ | PROT_WRITE);
	if (pages_failed(ret))
		return NULL;
	pages_name(ret, bytes, name);
	return (void *)ret;
}

bool hk_os_unmap(void *address, size_t bytes)
{
	return hk_sys2(SYS_munmap, address, bytes) == 0;
}

bool hk_os_wipe_on_fork(void *address, size_t bytes)
{
	return hk_sys3(SYS_madvise, address, bytes, MADV_WIPEONFORK) == 0;
}

bool hk_os_purge(void *address, size_t bytes)
{
	return hk_sys3(SYS_madvise, address, bytes, MADV_DONTNEED) == 0;
}

/*
 * Runs of pages that go back in one call.  The kernel flushes the processor's translations once for all of them, and with
 * them, in a process with threads, interrupts the other cores once; from 33 pages on it flushes everything instead of each
 * page.  Figures are in docs/allocator.md.
 */
#define PAGES_RUNS 64u
struct pages_runs {
	char *base;
	uint16_t *masks;
	unsigned n, n_purged; /* runs; pages that went back */
	struct iovec runs[PAGES_RUNS];
};

static bool pages_purge_vector(const struct pages_runs *batch, size_t bytes)
{
	if (batch->n < 2 || atomic_load_explicit(&pages_no_vector, memory_order_relaxed) || !hk_may_call())
		return false;
	long ret = hk_sys5(SYS_process_madvise, PAGES_PIDFD_SELF, batch->runs, batch->n, MADV_DONTNEED, 0);
	if (pages_failed(ret))
		atomic_store_explicit(&pages_no_vector, true, memory_order_relaxed);
	return ret == (long)bytes;
}

/* A run by itself, and where the kernel refuses some of it (mlocked memory), what lies in each mask by itself. */
static void pages_purge_run(struct pages_runs *batch, const struct iovec *run)
{
	unsigned page = (unsigned)((size_t)((char *)run->iov_base - batch->base) >> HK_PAGE_SHIFT);
	unsigned n = (unsigned)(run->iov_len >> HK_PAGE_SHIFT), count;
	if (hk_os_purge(run->iov_base, run->iov_len)) {
		batch->n_purged += n;
		return;
	}
	for (unsigned end = page + n; page != end; page += count) {
		count = HK_MIN(end - page, HK_SLICE_PAGES - page % HK_SLICE_PAGES);
		char *part = batch->base + (size_t)page * HK_PAGE_BYTES;
		if (count != n && hk_os_purge(part, (size_t)count * HK_PAGE_BYTES))
			batch->n_purged += count;
		else
			batch->masks[page / HK_SLICE_PAGES] &= (uint16_t)~hk_mask32(page % HK_SLICE_PAGES, count);
	}
}

static void pages_purge_runs(struct pages_runs *batch)
{
	size_t bytes = 0;
	for (unsigned i = 0; i < batch->n; i++)
		bytes += batch->runs[i].iov_len;
	if (pages_purge_vector(batch, bytes)) {
		batch->n_purged += (unsigned)(bytes >> HK_PAGE_SHIFT);
	} else {
		for (unsigned i = 0; i < batch->n; i++)
			pages_purge_run(batch, &batch->runs[i]);
	}
	batch->n = 0;
}

unsigned hk_os_purge_pages(char *base, uint16_t *masks, unsigned n_masks)
{
	struct pages_runs batch = {.base = base, .masks = masks};
	char *end = NULL; /* of the latest run */
	for (unsigned page = 0; page < n_masks * HK_SLICE_PAGES; page++) {
		char *at = base + (size_t)page * HK_PAGE_BYTES;
		if ((masks[page / HK_SLICE_PAGES] >> page % HK_SLICE_PAGES & 1) == 0)
			continue;
		if (at != end) {
			if (batch.n == PAGES_RUNS)
				pages_purge_runs(&batch);
			batch.runs[batch.n++] = (struct iovec){at, 0};
		}
		batch.runs[batch.n - 1].iov_len += HK_PAGE_BYTES;
		end = at + HK_PAGE_BYTES;
	}
	pages_purge_runs(&batch);
	return batch.n_purged;
}

void hk_os_populate(void *address, size_t bytes)
{
	if (atomic_load_explicit(&pages_no_populate, memory_order_relaxed))
		return;
	if (hk_sys3(SYS_madvise, address, bytes, MADV_POPULATE_WRITE) != 0)
		atomic_store_explicit(&pages_no_populate, true, memory_order_relaxed);
}

bool hk_os_resize(void *address, size_t old_bytes, size_t new_bytes)
{
	return !pages_failed(hk_sys4(SYS_mremap, address, old_bytes, new_bytes, 0));
}

/* The first word of a reservation.  Nobody else's mapping begins with it. */
static uintptr_t pages_mark(const void *target, const void *owner)
{
	return (uintptr_t)target ^ (uintptr_t)owner ^ ((uintptr_t)1 << 63);
}

/* A plain mremap loses the alignment of three moves in four; so the target is reserved first. */
void *hk_os_reserve(size_t bytes, size_t alignment, const void *owner)
{
	long ret = pages_map_aligned(bytes, alignment, PROT_NONE);
	if (pages_failed(ret))
		return NULL;
	if (hk_sys3(SYS_mprotect, ret, HK_PAGE_BYTES, PROT_READ | PROT_WRITE) != 0) {
		hk_sys2(SYS_munmap, ret, bytes);
		return NULL;
	}
	*(uintptr_t *)ret = pages_mark((void *)ret, owner);
	return (void *)ret;
}

/* MREMAP_FIXED removes what is at the target before it moves, older kernels before they check limits; other failures
 * come later still.  So look, in a way that survives an unmapped address; in doubt the addresses are lost. */
void hk_os_unreserve(void *target, size_t bytes, const void *owner)
{
	uintptr_t mark = 0;
	struct iovec local = {&mark, sizeof mark}, remote = {target, sizeof mark};
	long pid = hk_sys0(SYS_getpid);
	if (hk_sys6(SYS_process_vm_readv, pid, (long)&local, 1, (long)&remote, 1, 0) == (long)sizeof mark &&
	    mark == pages_mark(target, owner))
		hk_sys2(SYS_munmap, target, bytes);
}

bool hk_os_move(void *address, size_t old_bytes, void *target, size_t new_bytes, const char *name)
{
	long ret = hk_sys5(SYS_mremap, address, old_bytes, new_bytes, MREMAP_MAYMOVE | MREMAP_FIXED, target);
	if (pages_failed(ret))
		return false;
	pages_name(ret, new_bytes, name);
	return true;
}
