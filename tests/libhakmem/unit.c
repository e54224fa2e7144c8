/* SPDX-License-Identifier: MIT */
/* Helpers of the allocator's unit tests: see unit.h. */
#include "tests/libhakmem/unit.h"

#include "caches/thread_internal.h"
#include "front/front.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

char unit_said[4096];
void *unit_blocks[UNIT_BLOCKS];

size_t unit_resident_pages(const void *address, size_t bytes)
{
	static unsigned char present[64 * 1024];
	size_t n = bytes / HK_PAGE_BYTES, pages = 0;
	assert_true(n <= sizeof present);
	assert_int_equal(mincore((void *)(uintptr_t)address, bytes, present), 0);
	for (size_t i = 0; i < n; i++)
		pages += present[i] & 1;
	return pages;
}

/* From smaps_rollup: the counters behind statm are kept per CPU and lag by some hundred pages. */
size_t unit_rss(void)
{
	unsigned long kib = 0;
	char line[256];
	FILE *file = fopen("/proc/self/smaps_rollup", "r");
	assert_non_null(file);
	while (fgets(line, sizeof line, file) != NULL && sscanf(line, "Rss: %lu kB", &kib) != 1)
		;
	fclose(file);
	return kib * KIB;
}

static void unit_read_all(int fd)
{
	size_t n = 0;
	ssize_t got;
	while (n < sizeof unit_said - 1 && (got = read(fd, unit_said + n, sizeof unit_said - 1 - n)) > 0)
		n += (size_t)got;
	unit_said[n] = '\0';
}

int unit_in_child(void (*act)(void *arg), void *arg)
{
	int fds[2], status = 0;
	fflush(NULL);
	assert_int_equal(pipe(fds), 0);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		signal(SIGABRT, SIG_DFL); /* cmocka has handlers that would go on with the next test */
		signal(SIGSEGV, SIG_DFL);
		dup2(fds[1], 2);
		alarm(60);
		act(arg);
		_exit(0);
	}
	close(fds[1]);
	unit_read_all(fds[0]);
	close(fds[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

void unit_assert_aborts(void (*act)(void *arg), void *arg, const char *line)
{
	int status = unit_in_child(act, arg);
	if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGABRT || strstr(unit_said, line) == NULL)
		fail_msg("wanted SIGABRT and '%s'; status %#x, said '%s'", line, (unsigned)status, unit_said);
}

int unit_setup(void **state)
{
	(void)state;
	hk_threads_bypass_first = 0; /* magazines from the first slow path on */
	hk_threads_init();
	return 0;
}

int unit_flush(void **state)
{
	(void)state;
	unit_flush_level(HAK_LEVEL_EVERYTHING, NULL);
	hk_threads_set_frugal(0);
	return 0;
}

void unit_fill(size_t bytes, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		unit_blocks[i] = hk_malloc(bytes);
		memset(unit_blocks[i], 1, bytes);
	}
}

void unit_free_but_every(unsigned n, unsigned keep)
{
	for (unsigned i = 0; i < n; i++)
		if (keep == 0 || i % keep != 0) {
			hk_free(unit_blocks[i]);
			unit_blocks[i] = NULL;
		}
}

void unit_free_rest(void)
{
	for (unsigned i = 0; i < UNIT_BLOCKS; i++) {
		hk_free(unit_blocks[i]);
		unit_blocks[i] = NULL;
	}
}

void unit_own_slab(size_t bytes)
{
	void *block;
	assert_int_equal(hk_cold_take(hk_class_of(bytes), &block, 1, 0), 1);
}

static int64_t unit_touched_pages(void)
{
	int64_t pages = 0;
	for (struct hk_superslab *s = hk_heap_walk(NULL); s != NULL; s = hk_heap_walk(s))
		for (unsigned i = 0; i < HK_SLICES; i++)
			pages += hk_popcount64(s->touched[i]);
	return pages;
}

void unit_assert_conserved(void)
{
	struct hkp_stats_class classes[HK_CLASSES_ALL] = {{0}};
	hk_cold_publish(classes);
	const struct hkp_stats *s = hk_stats();
	uint64_t used = s->mid_bytes + s->large_bytes, hot = 0, cold = 0, slabs = 0;
	for (unsigned c = 0; c < HK_CLASSES_ALL; c++) {
		const struct hkp_stats_class *k = &classes[c];
		uint64_t capacity = k->slabs * hk_class_info[c].n_blocks;
		if (k->used + k->hot + k->cold + k->free != capacity)
			fail_msg("class %u: used %lu + hot %lu + cold %lu + free %lu != %lu", c, k->used, k->hot, k->cold,
				 k->free, capacity);
		assert_true(k->used <= capacity && k->hot <= capacity);
		slabs += k->slabs;
		if (c >= HK_CLASSES)
			continue;
		used += k->used * hk_class_info[c].block_bytes;
		hot += k->hot * hk_class_info[c].block_bytes;
		cold += k->cold * hk_class_info[c].block_bytes;
	}
	assert_int_equal(s->used_bytes, used);
	assert_int_equal(s->hot_bytes, hot);
	assert_int_equal(s->cold_bytes, cold);
	assert_int_equal(s->slabs, slabs);
	assert_int_equal(hk_counters_private.touched_pages, unit_touched_pages());
	assert_true(hk_stats_audit());
}

size_t unit_release_reserve(unsigned keep)
{
	size_t bytes = 0;
	while (hk_heap_release_one(keep, &bytes))
		;
	return bytes;
}

size_t unit_trim(void)
{
	size_t bytes = unit_release_reserve(0);
	for (struct hk_superslab *s = hk_heap_walk(NULL); s != NULL; s = hk_heap_walk(s))
		bytes += hk_heap_purge(s);
	return bytes;
}
