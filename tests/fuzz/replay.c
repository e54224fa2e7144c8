/* SPDX-License-Identifier: MIT */
/*
 * A target without libFuzzer: the files of its corpus, and seeded mutants of each.
 *
 * Prints TAP.  The corpus is that of the program's name, below the source directory; a file named on the command line
 * is run instead of it, alone and as it is.
 */
#include <dirent.h>
#include <stdio.h>
#include <unistd.h>

#include "tests/fuzz/fuzz.h"

#define REPLAY_MAX     8192 /* bytes of an input */
#define REPLAY_MUTANTS 200  /* per file */

static uint64_t replay_random = UINT64_C(0x9e3779b97f4a7c15);

static uint64_t replay_next(void)
{
	replay_random ^= replay_random << 13;
	replay_random ^= replay_random >> 7;
	replay_random ^= replay_random << 17;
	return replay_random;
}

/* One to four changes: a byte, a bit, a piece taken out, a piece doubled. */
static size_t replay_mutate(uint8_t *bytes, size_t size)
{
	for (uint64_t n = 1 + replay_next() % 4; n && size; n--) {
		size_t at = replay_next() % size, length = 1 + replay_next() % 16;

		length = length < size - at ? length : size - at;
		switch (replay_next() % 4) {
		case 0:
			bytes[at] = (uint8_t)replay_next();
			break;
		case 1:
			bytes[at] ^= (uint8_t)(1u << replay_next() % 8);
			break;
		case 2:
			memmove(bytes + at, bytes + at + length, size - at - length);
			size -= length;
			break;
		default:
			if (size + length > REPLAY_MAX)
				break;
			memmove(bytes + at + length, bytes + at, size - at);
			size += length;
		}
	}
	return size;
}

/* A copy of its own length each time: a sanitizer then sees a read beyond it. */
static void replay_run(const uint8_t *bytes, size_t size)
{
	uint8_t *copy = malloc(size ? size : 1);

	FUZZ_HOLDS(copy);
	memcpy(copy, bytes, size);
	(void)LLVMFuzzerTestOneInput(copy, size);
	free(copy);
}

static size_t replay_file(const char *path, unsigned n_mutants)
{
	uint8_t original[REPLAY_MAX], mutant[REPLAY_MAX];
	FILE *file = fopen(path, "re");
	size_t size;

	if (!file)
		return 0;
	size = fread(original, 1, sizeof original, file);
	fclose(file);
	replay_run(original, size);
	for (unsigned i = 0; i < n_mutants; i++) {
		memcpy(mutant, original, size);
		replay_run(mutant, replay_mutate(mutant, size));
	}
	return 1 + n_mutants;
}

/* Files in the order of their names, so that a run can be repeated.  The program is NAME-fuzz. */
static size_t replay_corpus(const char *program)
{
	const char *top = getenv("top_srcdir"), *slash = strrchr(program, '/'), *name = slash ? slash + 1 : program;
	char folder[1024], path[2048];
	struct dirent **entries;
	size_t n = 0;
	int n_entries;

	snprintf(folder, sizeof folder, "%s/tests/fuzz/corpus/%.*s", top ? top : ".", (int)strcspn(name, "-"), name);
	n_entries = scandir(folder, &entries, NULL, alphasort);
	for (int i = 0; i < n_entries; i++) {
		snprintf(path, sizeof path, "%s/%s", folder, entries[i]->d_name);
		if (*entries[i]->d_name != '.')
			n += replay_file(path, REPLAY_MUTANTS);
		free(entries[i]);
	}
	if (n_entries >= 0)
		free(entries);
	return n;
}

int main(int argc, char **argv)
{
	size_t n;

	printf("1..1\n");
	fflush(stdout);
	n = argc > 1 ? replay_file(argv[1], 0) : replay_corpus(argv[0]);
	printf("%sok 1 - %zu inputs\n", n ? "" : "not ", n);
	return n ? 0 : 1;
}
