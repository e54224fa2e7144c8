/* SPDX-License-Identifier: MIT */
/*
 * A process that holds nothing but what its allocator keeps: for each line on stdin it allocates MIB of blocks, frees
 * them all, and says so.   freed MIB [BLOCK-BYTES]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv)
{
	size_t bytes = (size_t)(argc > 1 ? atol(argv[1]) : 64) << 20, block = argc > 2 ? (size_t)atol(argv[2]) : 64;
	size_t n = bytes / block;
	char line[16], **blocks;

	while (fgets(line, sizeof line, stdin)) {
		blocks = malloc(n * sizeof *blocks);
		for (size_t i = 0; blocks && i < n; i++) {
			blocks[i] = malloc(block);
			memset(blocks[i], 1, block);
		}
		for (size_t i = 0; blocks && i < n; i++)
			free(blocks[i]);
		free(blocks);
		puts("freed");
		fflush(stdout);
	}
	return 0;
}
