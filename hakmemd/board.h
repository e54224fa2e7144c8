/* SPDX-License-Identifier: MIT */
/*
 * The daemon's side of the board (layout and meaning: protocol/board.h).
 *
 * How: a sealed memfd of which clients get an O_RDONLY description, and, since a memfd cannot be linked into a
 * directory, a 0444 file in the runtime directory written alike for processes without a control thread.
 */
#ifndef HAKMEMD_BOARD_H
#define HAKMEMD_BOARD_H

#include <limits.h>

#include "protocol/board.h"
#include "protocol/wire.h"

struct board {
	int read_fd;             /* the description that clients get */
	struct hkp_board *memory;
	struct hkp_board *file;
	char path[PATH_MAX];     /* of the file; empty = none was made */
};

int board_init(struct board *board, const char *runtime_dir);
void board_deinit(struct board *board); /* publishes calm, removes the file */

/* Publish the levels in *board (level, budgets, expiry_nsec, n_slots, slots; the rest is the daemon's) to both copies. */
void board_publish(struct board *board, const struct hkp_board *levels);

#endif
