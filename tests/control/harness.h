/* SPDX-License-Identifier: MIT */
/*
 * For the tests of the control thread: cases in processes of their own, a stand-in for the allocator's core,
 * and a stand-in for hakmemd.
 */
#ifndef HK_TESTS_CONTROL_HARNESS_H
#define HK_TESTS_CONTROL_HARNESS_H

#include "base/options.h"
#include "policy/board.h"
#include "policy/control.h"
#include "protocol/board.h"
#include "protocol/stats.h"
#include "protocol/wire.h"

#include <stdio.h>
#include <sys/types.h>
#include <unistd.h>

/* ---- cases ---- */

#define CHECK(condition)                                                                                     \
	do {                                                                                                 \
		if (!(condition)) {                                                                          \
			printf("# %s:%d: %s\n", __FILE__, __LINE__, #condition);                             \
			fflush(stdout);                                                                      \
			_exit(1);                                                                            \
		}                                                                                            \
	} while (0)

#define CASE_SKIP 77 /* exit status of a case that cannot run here */

struct test_case {
	const char *name;
	void (*run)(void);
	bool needs_root;
};

/* Run each case in a child with a fresh runtime directory, print TAP.  Returns main's status. */
int run_cases(const struct test_case *cases, size_t n);

pid_t fork_program(void); /* fork; the child does not outlive the case, whatever becomes of it */

extern char runtime_dir[64];
const char *in_runtime_dir(const char *name); /* static buffer */

/* ---- the core's stand-in ---- */

struct core_log {
	_Atomic unsigned flushes;
	_Atomic unsigned level;
	_Atomic uint64_t target_bytes;
	_Atomic uint64_t budget_usec;
	_Atomic uint64_t rest_nsec;     /* of the latest flush of threads that rest */
	_Atomic unsigned flush_msec; /* how long a flush takes */
	_Atomic int interrupts;      /* > 0: a flush ends at its next step, a millisecond here */
	_Atomic unsigned tls_seen;      /* core_tls as the latest flush found it; it leaves 7 there */
	_Atomic unsigned surveys;
	_Atomic unsigned publishes;
	_Atomic unsigned unpublishes;
	_Atomic unsigned decays;
	_Atomic uint64_t decay_next_nsec; /* what hk_decay_run answers */
};
extern struct core_log core;
extern HK_TLS unsigned core_tls;

/* ---- watching the process ---- */

uint64_t now_nsec(void);
void sleep_msec(unsigned msec);
int task_count(void);
int control_thread(void);                                             /* tid, 0 = none */
int status_field(int tid, const char *field, char *ret, size_t size); /* of /proc/self/task/TID/status */
int open_fds(int tid);                                                /* in the table of that thread */
bool fd_points_at(int tid, const char *target);                       /* does one of them? */
void start(void);                                                     /* hk_control_init and the first poke */
bool wait_until(bool (*condition)(void), unsigned msec);
bool thread_is_there(void);
bool thread_is_gone(void);

/* ---- hakmemd's stand-in ---- */

int fake_listen(void);
int fake_accept(int listener, int msec); /* -1 = nobody came */
int fake_board(unsigned level, unsigned msec, unsigned seals);
bool fake_send(int fd, const struct hkp_frame *frame, const int *fds, size_t n_fds);
bool fake_send_raw(int fd, const void *bytes, size_t length, const int *fds, size_t n_fds);
/* Wait for one frame.  1, 0 = nothing in time, -1 = end of file or malformed.  *ret_fd: -1 or what came. */
int fake_receive(int fd, struct hkp_frame *ret, int *ret_fd, int msec);
/* Accept, take HELLO, answer WELCOME with a calm board.  Returns the connection. */
int fake_register(int listener);
/* FLUSH and its RESULT. */
bool fake_flush(int fd, unsigned level, uint32_t seq, struct hkp_result *ret);

#endif
