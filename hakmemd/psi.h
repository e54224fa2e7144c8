/* SPDX-License-Identifier: MIT */
/*
 * Pressure stall information: the text of a pressure file, and kernel triggers on it.
 *
 * What the kernel does, and this file relies on:
 *   A trigger is "some|full STALL WINDOW" in microseconds, written with its NUL; one per open file.  Without
 *   CAP_SYS_RESOURCE the window must be a multiple of 2 s (EINVAL), and is looked at every 2 s only.
 *   Pressure files always poll as readable, and the event is consumed by the poll itself, so the descriptor
 *   is watched for reading with edges: one callback per trigger, and a spurious one at first.
 *   When the cgroup goes away the descriptor reports POLLERR for ever: the watch must end there.
 */
#ifndef HAKMEMD_PSI_H
#define HAKMEMD_PSI_H

#include <stdbool.h>
#include <stdint.h>

#include "hakmemd/loop.h"
#include "hakmemd/policy.h"

struct psi_totals {
	uint64_t some_usec;
	uint64_t full_usec;
};

enum psi_event {
	PSI_CROSSED, /* the threshold was crossed */
	PSI_GONE,    /* the file's cgroup is no more; the trigger has been closed */
};

typedef void psi_fn(enum psi_event event, void *data);

struct psi_trigger {
	int fd;              /* -1 = not armed */
	bool prompt;         /* the kernel looks at it ten times per window; else every 2 s only */
	bool primed;         /* the spurious first callback is past */
	struct loop_io *io;
	psi_fn *fn;
	void *data;
};

/* Parse a pressure file.  Returns 0 or -EBADMSG.  A missing "full" line (old kernels' cpu file) reads as 0. */
int psi_parse(const char *text, struct psi_totals *ret_totals);

/* Read totals from a path.  Never call it more than once a second per file: reading skews what the kernel's
 * unprivileged triggers see.  Returns 0 or a negative errno. */
int psi_read(const char *path, struct psi_totals *ret_totals);

/* The share of time in which some task stalled, as the kernel averages it over 10 and over 60 s: the greater of the
 * two, 0 to 1.  Returns 0 or a negative errno. */
int psi_parse_share(const char *text, double *ret_share);
int psi_read_share(const char *path, double *ret_share);

/* Arm `trigger` at `stall` on a kernel pressure file: first with the window asked for, then with the rate kept
 * and the window rounded up to whole 2 s.  Returns 0, or a negative errno: poll instead. */
int psi_arm(struct psi_trigger *trigger, struct loop *loop, const char *path, const struct policy_stall *stall,
	psi_fn *fn, void *data);

/* Close; allowed at any time, even twice. */
void psi_disarm(struct psi_trigger *trigger);

#endif
