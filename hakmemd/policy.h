/* SPDX-License-Identifier: MIT */
/*
 * Policy: who gives memory back, how deep, and when to stop.
 *
 * Why: everything that decides stands in one place without file descriptors, clocks or logs, so that recorded
 * signals replay in tests and every rule has a test that fails without it.
 *
 * How: the caller fills the signal part of each domain and the view part of each client, and calls
 * policy_step() with the time; it gets advice and carries it out, or only says what it would have done.  What
 * a flush came to goes back in with policy_result().
 *
 * Rules, in words:
 *   level     A domain's level rises at once to what its stall time (PSI) and headroom say, and falls one
 *             level at a time after down_delay below half the entry value.
 *   host      The host's level needs stall time *and* low headroom or direct reclaim of the host's own: one
 *             cgroup at its limit shows as host stall while memory is plentiful.
 *   depth     low: flush level 0.  medium: 1, and 2 from the second round on.  critical: 2, then 3.
 *   who       Clients inside the domain only, with at least floor to give; idle ones first, then by what they
 *             gave per microsecond and what they hold.
 *   back-off  A client that gave (next to) nothing is left alone twice as long each time, for that depth and
 *             those below; a deeper flush is not held off.  Twice as much to give, and 8 MiB, ends it.
 *   idle      No slow path and under 1 % of a CPU for idle_nsec: level 2, once per idle episode.
 *
 * Invariants: nothing here allocates, blocks or fails.  State parts belong to this file.
 */
#ifndef HAKMEMD_POLICY_H
#define HAKMEMD_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol/board.h"
#include "protocol/wire.h"

#define POLICY_SAMPLES   8 /* of PSI per domain: windows are 1 to 10 s and samples at least 1 s apart */
#define POLICY_N_LEVELS  4 /* flush levels */

/* Stall time within a window that enters a level: "70ms/1s", "full 140ms/2s". */
struct policy_stall {
	bool full; /* all tasks stalled, not only some */
	uint64_t stall_usec;
	uint64_t window_usec;
};

struct policy_config {
	struct policy_stall enter[3];     /* of low, medium, critical */
	double headroom_medium;           /* share of memory free that enters medium */
	double headroom_critical;         /* and critical */
	double suppress_low_above;        /* the host is never low while this share is available */
	uint64_t down_delay_nsec;         /* below half the entry value this long before a level falls */
	uint64_t round_interval_nsec;     /* PSI lags: look at what a round did before the next */
	uint64_t client_interval_nsec;    /* between flushes of one client that paid off */
	uint64_t client_backoff_max_nsec; /* of one that did not */
	uint64_t nothing_bytes;           /* a flush that gave less counts as having given nothing */
	uint64_t floor_bytes;             /* pressure: less than this is not worth waking a process */
	uint64_t idle_nsec;               /* quiet this long is idle; 0 = never */
	uint64_t idle_floor_bytes;        /* idle: the same floor */
};

struct policy_sample {
	uint64_t when_nsec;
	uint64_t some_usec;
	uint64_t full_usec;
};

struct policy_domain {
	/* Signals, filled by the caller before a step. */
	struct policy_domain *parent; /* the domain that contains this one; NULL for the host */
	bool host;
	bool sampled;        /* some_usec and full_usec were read for this step */
	bool triggered;      /* the kernel said that the low threshold was crossed since the last step */
	uint64_t some_usec;  /* total= of the pressure file */
	uint64_t full_usec;
	double headroom;     /* share of the limit (host: of memory) still free; negative = unknown */
	uint64_t n_reclaims; /* host: allocstall + pgscan_direct of /proc/vmstat */
	uint64_t n_ooms;     /* cgroup: oom + oom_kill of memory.events */

	/* State. */
	enum hkp_pressure level;
	struct policy_sample samples[POLICY_SAMPLES]; /* newest first */
	unsigned n_samples;
	bool known_counters;       /* last_* are set */
	uint64_t last_n_reclaims;
	uint64_t last_n_ooms;
	uint64_t strained_until_nsec; /* host: its own reclaim was seen lately */
	uint64_t below_since_nsec;    /* 0 = the signal holds the level */
	uint64_t next_round_nsec;
	unsigned n_rounds;            /* at this level */
	int round_level;              /* flush level of the round in this step; -1 = none */
};

struct policy_client {
	/* View, filled by the caller before a step. */
	struct policy_domain *domain;
	uint64_t activity_nsec;    /* latest slow path, as the client says */
	uint64_t changes;          /* any figure that only the program's own doing changes */
	uint64_t releasable_bytes; /* clamped by the caller to what the kernel says it holds */
	uint64_t cpu_nsec;         /* of the whole process */
	bool has_cpu;              /* cpu_nsec was read for this step */
	bool omit;                 /* not ready, or excluded */
	int busy_level;            /* a flush of this level is on its way; -1 = none */

	/* State. */
	bool known;               /* the fields up to idle_cpu_nsec are set */
	bool rebase;              /* a change seen in the next step is a flush's doing, not the program's */
	uint64_t last_activity_nsec;
	uint64_t last_changes;
	uint64_t idle_since_nsec; /* start of the quiet spell */
	uint64_t idle_cpu_nsec;   /* CPU time then */
	bool idle_has_cpu;
	bool idle;                /* quiet for idle_nsec */
	bool idle_flushed;        /* in this episode */
	uint64_t next_flush_nsec[POLICY_N_LEVELS];
	uint64_t backoff_nsec;
	uint64_t flushed_releasable_bytes; /* releasable when last asked */
	double bytes_per_usec;    /* given back, moving average */
	double trust;             /* truly given back / claimed, moving average */
};

struct policy_advice {
	struct policy_client *client;
	struct policy_domain *domain; /* NULL = idle */
	unsigned level;               /* flush level */
	enum hkp_reason reason;
	uint64_t target_bytes;        /* UINT64_MAX = all there is */
	double rank;                  /* higher goes first */
};

/* What a flush came to. */
struct policy_outcome {
	unsigned level;
	uint64_t claimed_bytes; /* as the client says */
	uint64_t actual_bytes;  /* by the kernel's account of the process */
	uint64_t usec;
};

void policy_domain_init(struct policy_domain *domain, bool host);
void policy_client_init(struct policy_client *client, const struct policy_config *config);

/* True where a step needs cpu_nsec of this client: it is the dearest figure to get, so only then. */
bool policy_wants_cpu(const struct policy_config *config, const struct policy_client *client);

/*
 * One step at `now_nsec`: update levels and idleness, and, unless `paused`, write at most `max_advice` pieces of
 * advice, best first.  Returns their number.
 */
size_t policy_step(const struct policy_config *config, uint64_t now_nsec, bool paused,
	struct policy_domain *const *domains, size_t n_domains, struct policy_client *const *clients,
	size_t n_clients, struct policy_advice *advice, size_t max_advice);

/* A flush was sent (or, in observe mode, would have been): count it against the idle episode. */
void policy_sent(const struct policy_config *config, uint64_t now_nsec, struct policy_client *client,
	unsigned level, enum hkp_reason reason);

/* A flush was answered. */
void policy_result(const struct policy_config *config, uint64_t now_nsec, struct policy_client *client,
	const struct policy_outcome *outcome);

/* A client did not answer `n_in_a_row` times: leave it alone, in the end for ten minutes. */
void policy_timeout(const struct policy_config *config, uint64_t now_nsec, struct policy_client *client,
	unsigned level, unsigned n_in_a_row);

/* Stall time of the latest `window_usec` by the samples, scaled where they lie further apart. */
uint64_t policy_stall_usec(const struct policy_domain *domain, bool full, uint64_t window_usec);

const char *policy_level_name(enum hkp_pressure level);

#endif
