/* SPDX-License-Identifier: MIT */
/*
 * The client's side of the board: the present pressure, read with two loads.
 *
 * Why: slow paths ask "is memory short?" far more often than it changes, and must not pay for the answer.
 *
 * How: see board.c and protocol/board.h.  The readers are thread safe and async-signal safe; adopt and open
 * are called by one thread at a time (the control thread, or the winner of the control state).
 */
#ifndef HK_POLICY_BOARD_H
#define HK_POLICY_BOARD_H

#include "base/attr.h"

/* Map the board that came with WELCOME.  Does not close `fd`.  False if it is not a board to be trusted. */
bool hk_board_adopt(int fd);

/* Map the board file in `runtime_dir`, for processes without a control thread.  False if there is none. */
bool hk_board_open(const char *runtime_dir);

/* The host's level (enum hkp_pressure) at `now_nsec` (CLOCK_MONOTONIC); calm without a board or once it
 * expired. */
unsigned hk_board_level(uint64_t now_nsec);

/* Bytes that a thread's hot magazines, or a process's cold ones, may hold at `now_nsec`; 0 = the default. */
uint64_t hk_board_thread_budget(uint64_t now_nsec);
uint64_t hk_board_process_budget(uint64_t now_nsec);

#endif
