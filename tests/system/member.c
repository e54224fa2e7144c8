/* SPDX-License-Identifier: MIT */
/*
 * One of the many processes of the storm: allocates, looks after its bytes, and sleeps, until it is told to stop.
 *
 * Ends with 0 only if every block still held what was written to it; anything else is said on stderr.
 */
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
	N_BLOCKS = 64,
	BLOCK_MAX = 4096,
	PAUSE_MSEC = 1000, /* half of it random, so that a thousand do not wake up as one */
};

static volatile sig_atomic_t stop;

static void on_term(int signal)
{
	(void)signal;
	stop = 1;
}

static uint32_t next_random(uint32_t *state)
{
	return *state = *state * 1664525u + 1013904223u;
}

static void check(const unsigned char *block, size_t bytes, unsigned char wanted)
{
	for (size_t i = 0; i < bytes; i++)
		if (block[i] != wanted) {
			fprintf(stderr, "member: byte %zu of %zu is %u, not %u\n", i, bytes, block[i], wanted);
			exit(1);
		}
}

int main(void)
{
	struct sigaction action = {.sa_handler = on_term};
	uint32_t state = (uint32_t)clock() ^ (uint32_t)time(NULL) ^ (uint32_t)(uintptr_t)&state;
	unsigned char *blocks[N_BLOCKS] = {NULL};
	size_t bytes[N_BLOCKS] = {0};

	sigaction(SIGTERM, &action, NULL);
	while (!stop) {
		struct timespec pause = {.tv_nsec = 1000000L * (PAUSE_MSEC / 2 + next_random(&state) % (PAUSE_MSEC / 2))};

		for (unsigned i = 0; i < N_BLOCKS; i++) {
			check(blocks[i], bytes[i], (unsigned char)i);
			free(blocks[i]);
			bytes[i] = 1 + (next_random(&state) >> 8) % BLOCK_MAX;
			blocks[i] = malloc(bytes[i]);
			if (!blocks[i]) {
				perror("member: malloc");
				return 1;
			}
			memset(blocks[i], (int)i, bytes[i]);
		}
		nanosleep(&pause, NULL);
	}
	for (unsigned i = 0; i < N_BLOCKS; i++)
		check(blocks[i], bytes[i], (unsigned char)i);
	return 0;
}
