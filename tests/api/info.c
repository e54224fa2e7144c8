// SPDX-License-Identifier: MIT
/*
 * info: malloc_trim, mallinfo2, malloc_info, malloc_stats, free_sized, free_aligned_sized.
 *
 * The numbers differ from one allocator to another; what is checked is that they move with what the program
 * does, that malloc_trim gives memory back, and that the texts are there and well formed at both ends.
 */
#include <errno.h>

#include "block.h"
#include "family.h"
#include "tap.h"

#define N_BLOCKS 200000
#define SIZE 100

static void *blocks[N_BLOCKS];

static void allocate(void)
{
	size_t i;

	for (i = 0; i < N_BLOCKS; i++) {
		blocks[i] = block_hide(malloc(SIZE));
		memset(blocks[i], 1, SIZE);
	}
}

static void test_trim(void)
{
	size_t before, full, after, i;
	int first, second;

	memset(blocks, 1, sizeof(blocks)); /* the array's own pages count from the start */
	before = block_resident();
	allocate();
	full = block_resident();
	tap_ok(full >= before + (size_t)N_BLOCKS * SIZE, "%d blocks are resident (%zu KiB)", N_BLOCKS,
	       (full - before) / KIB);
	for (i = 0; i < N_BLOCKS; i++)
		free(blocks[i]);
	errno = 55;
	first = malloc_trim(0);
	after = block_resident();
	second = malloc_trim(0);
	tap_ok(first == 1 || after < before + MIB, "malloc_trim says 1 where it released something");
	tap_ok(after < before + MIB, "after malloc_trim all but %ld KiB are gone",
	       ((long)after - (long)before) / (long)KIB);
	tap_ok(second == 0 || second == 1, "a second malloc_trim says %d", second);
	tap_ok(errno == 55, "malloc_trim leaves errno alone");
}

static void test_mallinfo2(void)
{
	struct mallinfo2 before = mallinfo2(), full, freed;
	size_t i;

	allocate();
	full = mallinfo2();
	for (i = 0; i < N_BLOCKS; i++)
		free(blocks[i]);
	malloc_trim(0);
	freed = mallinfo2();
	tap_ok(full.uordblks + full.hblkhd >= before.uordblks + before.hblkhd + (size_t)N_BLOCKS * SIZE,
	       "mallinfo2: used bytes grow with the blocks (%zu -> %zu)", before.uordblks, full.uordblks);
	tap_ok(freed.uordblks < before.uordblks + MIB, "mallinfo2: and fall when they are freed (%zu)",
	       freed.uordblks);
	tap_ok(full.arena + full.hblkhd >= full.uordblks, "mallinfo2: mapped covers used (%zu, %zu)", full.arena,
	       full.uordblks);
}

static void test_malloc_info(void)
{
	char *text = NULL;
	size_t length = 0;
	FILE *stream = open_memstream(&text, &length);
	int status = malloc_info(0, stream);

	fclose(stream);
	tap_ok(status == 0, "malloc_info(0) succeeds");
	tap_ok(length > 20 && strncmp(text, "<malloc", 7) == 0, "malloc_info begins with <malloc");
	tap_ok(length > 20 && strstr(text, "</malloc>") != NULL, "malloc_info ends its element");
	free(text);
	errno = 0;
	status = malloc_info(1, stdout);
	tap_ok(status != 0 && (errno == EINVAL || status == EINVAL), "malloc_info(1) is EINVAL");
}

/* malloc_stats writes to standard error: put a file there. */
static void test_malloc_stats(void)
{
	FILE *file = tmpfile();
	int saved = dup(STDERR_FILENO);
	off_t length;

	if (!file || saved < 0) {
		tap_skip("malloc_stats", "no temporary file");
		return;
	}
	dup2(fileno(file), STDERR_FILENO);
	malloc_stats();
	fflush(stderr);
	dup2(saved, STDERR_FILENO);
	close(saved);
	length = lseek(fileno(file), 0, SEEK_END);
	tap_ok(length > 20, "malloc_stats writes to standard error (%ld bytes)", (long)length);
	fclose(file);
}

static bool have(bool found, const char *name)
{
	if (found)
		return true;
	if (tap_under_hakmem())
		tap_ok(false, "%s is missing", name);
	else
		tap_skip(name, "this allocator has none");
	return false;
}

static void test_free_sized(const struct family *family)
{
	size_t n;

	if (!have(family->free_sized != NULL, "free_sized"))
		return;
	for (n = 0; n <= 70000; n += 1 + n / 50)
		family->free_sized(block_hide(malloc(n)), n);
	family->free_sized(block_hide(calloc(10, 50)), 500);
	family->free_sized(block_hide(realloc(NULL, 3 * MIB)), 3 * MIB);
	errno = 66;
	family->free_sized(NULL, 100);
	tap_ok(errno == 66, "free_sized of many sizes and of NULL");
}

static void test_free_aligned_sized(const struct family *family)
{
	size_t alignment, n;

	if (!have(family->free_aligned_sized != NULL, "free_aligned_sized"))
		return;
	for (alignment = 8; alignment <= 4 * MIB; alignment *= 2)
		for (n = alignment; n <= 4 * alignment && n < 9 * MIB; n += alignment)
			family->free_aligned_sized(block_hide(aligned_alloc(alignment, n)), alignment, n);
	errno = 66;
	family->free_aligned_sized(NULL, 16, 100);
	tap_ok(errno == 66, "free_aligned_sized of many alignments and of NULL");
}

int main(void)
{
	struct family family;

	family_find(&family);
	test_trim();
	test_mallinfo2();
	test_malloc_info();
	test_malloc_stats();
	test_free_sized(&family);
	test_free_aligned_sized(&family);
	return tap_done();
}
