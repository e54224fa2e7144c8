// SPDX-License-Identifier: MIT
/*
 * classes: what tables of size classes waste, over distributions and over records of programs (record.c).
 *
 *     bench/classes [RECORD...]
 *
 * Waste is what the blocks take beyond what was asked for, in percent, at the moment when most bytes are
 * live: all of it, and of that what is resident in fresh blocks, whose last pages nobody has written. Against
 * it stands what a class costs: a magazine in every thread's set, and the blocks that a thread which has used
 * the class keeps in it. Requests above 64 KiB take whole pages in every table.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/record.h"
#include "caches/hot.h"
#include "map/classes.h"

#define N_DRAWN    200000
#define PAGE       4096u
#define HELD_BYTES 1024u /* what a magazine holds at its first capacity, at most */

struct table {
	const char *name;
	size_t exact; /* multiples of `step` to here; 0 = the library's own table */
	size_t step;
	unsigned per_doubling; /* classes for each doubling above */
};

static const struct table tables[] = {
        {"library", 0, 0, 0},        {"16s-512,8", 512, 16, 8}, {"16s-128,8", 128, 16, 8},
        {"16s-128,4", 128, 16, 4},   {"16s-1K,4", 1024, 16, 4}, {"16s-1K,8", 1024, 16, 8},
        {"16s-1K,16", 1024, 16, 16}, {"16s-2K,8", 2048, 16, 8}, {"32s-1K,8", 1024, 32, 8},
};
#define N_TABLES (sizeof(tables) / sizeof(tables[0]))

static size_t up(size_t bytes, size_t unit)
{
	return (bytes + unit - 1) / unit * unit;
}

/* The block that serves a request. */
static size_t block_bytes(const struct table *table, size_t bytes)
{
	size_t top;

	if (bytes > HK_TINY_BYTES)
		return up(bytes, PAGE);
	if (table->exact == 0)
		return hk_class_info[hk_class_of(bytes)].block_bytes;
	if (bytes <= table->exact)
		return up(bytes, table->step);
	for (top = table->exact; top < bytes; top *= 2)
		;
	return up(bytes, top / 2 / table->per_doubling);
}

static unsigned n_classes(const struct table *table)
{
	size_t bytes, last = 0;
	unsigned n = 0;

	for (bytes = 1; bytes <= HK_TINY_BYTES; bytes++) {
		n += block_bytes(table, bytes) != last;
		last = block_bytes(table, bytes);
	}
	return n;
}

/* The live sizes of a program at its peak: how many blocks of each size up to 64 KiB, and the larger ones'
 * bytes. */
struct sizes {
	uint64_t counts[HK_TINY_BYTES + 1];
	uint64_t large, large_taken;
	uint64_t bytes;
};

static void count(struct sizes *sizes, size_t bytes, int64_t n)
{
	sizes->bytes += (uint64_t)((int64_t)bytes * n);
	if (bytes <= HK_TINY_BYTES) {
		sizes->counts[bytes] += (uint64_t)n;
	} else {
		sizes->large += (uint64_t)((int64_t)bytes * n);
		sizes->large_taken += (uint64_t)((int64_t)up(bytes, PAGE) * n);
	}
}

static double percent_over(uint64_t taken, uint64_t asked)
{
	return 100 * ((double)taken / (double)asked - 1);
}

static void print_row(const char *name, const struct sizes *sizes)
{
	size_t i, bytes;

	printf("%-14.14s%9.1f", name, (double)sizes->bytes / 1048576);
	for (i = 0; i < N_TABLES; i++) {
		uint64_t taken = sizes->large_taken, resident = taken;
		size_t last = 0;
		unsigned touched = 0;

		for (bytes = 1; bytes <= HK_TINY_BYTES; bytes++) {
			size_t block = sizes->counts[bytes] ? block_bytes(&tables[i], bytes) : 0;

			if (!block)
				continue;
			taken += sizes->counts[bytes] * block;
			resident += sizes->counts[bytes] * HK_MIN(block, up(bytes, PAGE));
			touched += block != last;
			last = block;
		}
		printf("%6.1f %5.1f %3u", percent_over(taken, sizes->bytes),
		       percent_over(resident, sizes->bytes), touched);
	}
	putchar('\n');
}

static uint64_t random_state;

static size_t below(size_t n)
{
	random_state ^= random_state >> 12;
	random_state ^= random_state << 25;
	random_state ^= random_state >> 27;
	return (size_t)((unsigned __int128)(random_state * 0x2545f4914f6cdd1du) * n >> 64);
}

static size_t uniform(void)
{
	return 8 + below(1017);
}

static size_t mostly_small(void)
{
	size_t percent = below(100);

	return percent < 80 ? 16 + below(113) : percent < 95 ? 128 + below(897) : 1024 + below(31 * 1024 + 1);
}

static size_t powers_and_one(void)
{
	return ((size_t)8 << below(13)) + 1;
}

static const struct {
	const char *name;
	size_t (*draw)(void);
} distributions[] = {
        {"8..1024", uniform},
        {"80/15/5", mostly_small},
        {"2^n + 1", powers_and_one},
};

/* What is live, by address: open addressing, no deletion but of the size. */
struct live {
	struct {
		uint64_t block;
		uint64_t size;
	} * slots;
	size_t n_slots;
};

static uint64_t *live_size(struct live *live, uint64_t block)
{
	size_t i = (size_t)(block * 0x9e3779b97f4a7c15u) & (live->n_slots - 1);

	while (live->slots[i].block && live->slots[i].block != block)
		i = (i + 1) & (live->n_slots - 1);
	live->slots[i].block = block;
	return &live->slots[i].size;
}

/* Replays the first `n` words; returns behind which one most bytes were live. */
static size_t replay(const uint64_t *words, size_t n, struct live *live, struct sizes *sizes)
{
	uint64_t most = 0;
	size_t i, at = 0;

	memset(live->slots, 0, live->n_slots * sizeof(*live->slots));
	memset(sizes, 0, sizeof(*sizes));
	for (i = 0; i < n; i++) {
		uint64_t *size = live_size(live, record_block(words[i]));

		if (*size)
			count(sizes, *size, -1);
		*size = record_size(words[i]);
		if (*size)
			count(sizes, *size, 1);
		if (sizes->bytes > most) {
			most = sizes->bytes;
			at = i + 1;
		}
	}
	return at;
}

static uint64_t *read_words(const char *path, size_t *ret_n)
{
	FILE *stream = fopen(path, "rb");
	size_t n = 0, room = 1 << 16, got;
	uint64_t *words = malloc(room * sizeof(*words));

	while (stream && words && (got = fread(words + n, sizeof(*words), room - n, stream)) > 0) {
		n += got;
		if (n == room)
			words = reallocarray(words, room *= 2, sizeof(*words));
	}
	if (!stream || !words || n == 0) {
		fprintf(stderr, "classes: cannot read %s: %s\n", path,
		        stream ? "it is empty" : strerror(errno));
		exit(1);
	}
	fclose(stream);
	while (n > 0 && words[n - 1] == 0)
		n--;
	*ret_n = n;
	return words;
}

static void study_record(const char *path, struct sizes *sizes)
{
	size_t n, at;
	uint64_t *words = read_words(path, &n);
	const char *name = strrchr(path, '/');
	struct live live = {NULL, 1 << 16};

	while (live.n_slots < 2 * n)
		live.n_slots *= 2;
	live.slots = calloc(live.n_slots, sizeof(*live.slots));
	if (!live.slots)
		abort();
	at = replay(words, n, &live, sizes);
	replay(words, at, &live, sizes);
	print_row(name ? name + 1 : path, sizes);
	free(live.slots);
	free(words);
}

static void print_costs(void)
{
	size_t i;

	printf("\n%-23s", "classes");
	for (i = 0; i < N_TABLES; i++)
		printf("%16u", n_classes(&tables[i]));
	printf("\n%-23s", "a thread's set, bytes");
	for (i = 0; i < N_TABLES; i++)
		printf("%16zu", n_classes(&tables[i]) * sizeof(struct hk_magazine));
	printf("\n\nA class that a thread has used keeps up to %u bytes of blocks at first.\n", HELD_BYTES);
}

int main(int argc, char **argv)
{
	struct sizes *sizes = calloc(1, sizeof(*sizes));
	size_t i, j;

	if (!sizes)
		abort();
	puts("waste at the peak in %, resident waste in fresh blocks, classes used.  Tables: steps to a "
	     "size, then classes\n"
	     "for each doubling.\n");
	printf("%-14s%9s", "", "MiB live");
	for (i = 0; i < N_TABLES; i++)
		printf("%16s", tables[i].name);
	putchar('\n');
	for (i = 0; i < sizeof(distributions) / sizeof(distributions[0]); i++) {
		memset(sizes, 0, sizeof(*sizes));
		random_state = 1;
		for (j = 0; j < N_DRAWN; j++)
			count(sizes, distributions[i].draw(), 1);
		print_row(distributions[i].name, sizes);
	}
	for (i = 1; i < (size_t)argc; i++)
		study_record(argv[i], sizes);
	print_costs();
	free(sizes);
	return 0;
}
