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

/* Which slot of the board is this process's: its cgroup's id, as WELCOME says; 0 = none.  Same callers as adopt. */
void hk_board_set_domain(uint64_t domain);

/* Is there a board at all?  One load. */
bool hk_board_present(void);

/* The higher of the levels of the host and of our own domain (enum hkp_pressure) at `now_nsec` (CLOCK_MONOTONIC);
 * calm without a board or once they expired. */
unsigned hk_board_level(uint64_t now_nsec);

/* Bytes that a thread's hot magazines, or a process's cold ones, may hold at `now_nsec`; 0 = the default.
 * The lower of the host's and our own domain's. */
uint64_t hk_board_thread_budget(uint64_t now_nsec);
uint64_t hk_board_process_budget(uint64_t now_nsec);

#endif
