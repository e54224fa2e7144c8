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
 *   blinded   Any reader of the host's pressure file can keep its counter from advancing.  Direct reclaim by the
 *             hundred per second beside a flat counter means that, and then reclaim counts as stall.
 *   depth     low: flush level 0.  medium: 1, and 2 from the second round on, or at once where headroom, which does
 *             not lag as stall time does, says so.  critical: 2, then 3.
 *   who       Clients inside the domain only, not excluded, with at least floor to give; idle ones first, then by
 *             what they gave per microsecond, what they hold and how true their word was; those whose cgroup
 *             is within its memory.low last.
 *   reach     Floor, order and budget of a round go by what its depth reaches: level 0 cold magazines alone, level 1 all
 *             but what is kept of freed large blocks.
 *   budget    A round asks for so many bytes and no more: as many as headroom lacks, and at least an amount that
 *             doubles from round to round while pressure persists and halves when what came back was taken
 *             again.  At depth 3 there is no budget.
 *   look      Headroom is looked at again before it can reach medium, as long as somebody has something to give.
 *             Clients are looked at while there is pressure or a limit near, else as often as idleness needs it.
 *   at once   No more than n_at_once flushes are under way; who has to wait is asked when one has ended.
 *   back-off  A client that gave (next to) nothing is left alone twice as long each time, for that depth and
 *             those below; a deeper flush is not held off.  Twice as much to give, and 8 MiB, ends it.  A
 *             client that gave all that was asked of it may be asked for more at once.
 *   regret    What a client takes again within regret_nsec was not worth taking: a tenth of it doubles its
 *             back-off, half of it quadruples it and halves the budgets around it.
 *   idle      No slow path and under 1 % of a CPU for idle_nsec: level 2, once per idle episode.
 *   threads   A client that is not idle but keeps more than the floor in the magazines of several threads is asked to
 *             empty those of threads that rest: at rest_nsec, and twice as long apart each time that gives nothing.
 *   proactive Unless turned off, as it is at first: while next to nothing stalls for memory or io on the host, idle
 *             clients are asked for less than the floor, too; one a second, and for a hundredth of a CPU's time.
 *   jitter    Times that many clients share are stretched by up to a quarter, each by its own part.
 *
 * Files: policy.c rounds, budgets, choice; policy_level.c levels of domains; policy_client.c idleness and what is
 * learnt of a client.
 *
 * Invariants: nothing here allocates, blocks or fails.  State parts belong to these files.
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
	uint64_t budget_first_bytes;      /* of the first round */
	uint64_t n_at_once;               /* flushes under way at the same time */
	uint64_t regret_nsec;             /* what is taken again within this time was taken in vain */
	uint64_t idle_nsec;               /* quiet this long is idle; 0 = never */
	uint64_t idle_floor_bytes;        /* idle: the same floor */
	uint64_t rest_nsec;               /* threads of a busy client that rest so long are emptied; 0 = never */
	uint64_t proactive;               /* ask idle clients for less than that, while nothing stalls */
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
	uint64_t limit_bytes; /* of which headroom is a share; 0 = unknown */
	bool protected_;     /* cgroup: uses no more than its memory.low */
	uint64_t n_reclaims; /* host: allocstall + pgscan_direct of /proc/vmstat */
	uint64_t n_stalls;   /* host: allocstall alone, tasks sent into direct reclaim */
	bool quiet;          /* host: next to nothing stalls for memory or io */
	uint64_t n_ooms;     /* cgroup: oom + oom_kill of memory.events */
	uint64_t n_hits;     /* cgroup: high + max of memory.events */

	/* State. */
	enum hkp_pressure level;
	struct policy_sample samples[POLICY_SAMPLES]; /* newest first */
	unsigned n_samples;
	bool known_counters;       /* last_* are set */
	uint64_t last_n_reclaims;
	uint64_t last_n_ooms;
	uint64_t last_n_hits;
	uint64_t last_n_stalls;       /* at the newest sample */
	double last_headroom;
	uint64_t last_headroom_nsec;  /* 0 = last_headroom is not set */
	unsigned n_flat;              /* samples in a row that did not move while many tasks reclaimed */
	uint64_t blinded_until_nsec;  /* host: the counter is not to be believed */
	uint64_t strained_until_nsec; /* host: its own reclaim was seen lately */
	uint64_t below_since_nsec;    /* 0 = the signal holds the level */
	uint64_t next_round_nsec;
	unsigned n_rounds;            /* at this level */
	int round_level;              /* flush level of the round under way; -1 = none */
	bool able;                    /* somebody in it could give something in the latest step */
	bool by_headroom;             /* headroom, which does not lag, holds the level by itself */
	uint64_t budget_bytes;        /* of the round under way; 0 = there was none yet */
	uint64_t left_bytes;          /* of it, not yet asked for */
	uint64_t proactive_nsec;      /* host: no client is asked proactively before */
	bool regretted;               /* since the round began, somebody took back what it had given */
};

/* X(id, name, words): why a client was asked, or not, in a step. */
#define POLICY_VERDICTS(X)                                                                                    \
	X(CALM, "calm", "no pressure around it, and it is not idle")                                          \
	X(ASKED, "asked", "asked to give memory back")                                                        \
	X(EXCLUDED, "excluded", "excluded by the configuration (Exclude=)")                                   \
	X(BETWEEN, "between-rounds", "the domain waits to see what its latest round did")                     \
	X(FLOOR, "floor", "could give less, at the depth asked for, than is worth waking it (FloorBytes=)")       \
	X(BUSY, "busy", "a flush at least as deep is under way")                                              \
	X(HELD_OFF, "held-off", "left alone for a while, for what its flushes came to")                       \
	X(BUDGET, "budget", "others were asked first, and they had enough to give")                           \
	X(AT_ONCE, "at-once", "waits until one of the flushes under way has ended (AtOnce=)")                 \
	X(IDLE_DONE, "idle-done", "idle, and already asked in this idle episode")                             \
	X(PAUSED, "paused", "nobody is asked while the daemon is paused")

enum policy_verdict {
#define X(id, name, words) POLICY_##id,
	POLICY_VERDICTS(X)
#undef X
};

/* There are thousands of these: what is small stands together. */
struct policy_client {
	/* View, filled by the caller before a step. */
	struct policy_domain *domain;
	uint64_t activity_nsec;    /* latest slow path, as the client says */
	uint64_t changes;          /* any figure that only the program's own doing changes */
	uint64_t releasable_bytes; /* clamped by the caller to what the kernel says it holds */
	uint64_t cpu_nsec;         /* of the whole process */
	uint64_t taken_bytes;      /* grows when the program takes memory: SuperSlabs made, mid and large */
	uint64_t hot_bytes;        /* in the magazines of its threads, as it says */
	uint64_t cold_bytes;       /* in its cold magazines, as it says; UINT64_MAX = is not known, so all may be */
	uint64_t cached_bytes;     /* in freed large blocks that it keeps, as it says */
	uint64_t held_bytes;       /* by the kernel's account; 0 = was not read for this step */
	uint32_t n_threads;        /* that have any */
	uint32_t seed;             /* of its part of the jitter; 0 = none */
	int8_t busy_level;         /* a flush of this level is on its way; -1 = none */
	bool has_cpu;              /* cpu_nsec was read for this step */
	bool omit;                 /* not ready */
	bool excluded;             /* the administrator keeps it out (Exclude=) */

	/* State. */
	uint32_t n_jitters;
	uint64_t last_activity_nsec;
	uint64_t last_changes;
	uint64_t idle_since_nsec; /* start of the quiet spell */
	uint64_t idle_cpu_nsec;   /* CPU time then */
	uint64_t look_cpu_nsec;   /* CPU time is looked at no sooner */
	uint64_t next_flush_nsec[POLICY_N_LEVELS];
	uint64_t backoff_nsec;
	uint64_t next_rest_nsec;  /* its threads are asked for no sooner, */
	uint64_t rest_backoff_nsec; /* and so long after the latest time */
	uint64_t flushed_releasable_bytes; /* releasable when last asked */
	double bytes_per_usec;    /* given back, moving average */
	double trust;             /* truly given back / claimed, moving average */
	uint64_t regret_due_nsec; /* the latest flush is judged then; 0 = it was */
	uint64_t regret_taken_bytes; /* taken_bytes after it */
	uint64_t regret_held_bytes;  /* held_bytes after it; 0 = unknown */
	uint64_t regret_given_bytes; /* what it gave */
	uint64_t regret_bytes;    /* taken again, of all flushes */
	uint32_t n_regrets;
	bool known : 1;           /* the fields up to idle_cpu_nsec are set */
	bool rebase : 1;          /* a change seen in the next step is a flush's doing, not the program's */
	bool idle_has_cpu : 1;
	bool idle : 1;            /* quiet for idle_nsec */
	bool idle_flushed : 1;    /* in this episode */
	bool proactive : 1;       /* the latest flush was */
	bool rest : 1;            /* the latest flush was for threads that rest */
	uint8_t regret_level;
	uint8_t verdict;          /* enum policy_verdict of the latest step */
	uint8_t verdict_level;    /* enum hkp_pressure then, of the domain that asked; calm = none did */
};

struct policy_advice {
	struct policy_client *client;
	struct policy_domain *domain; /* NULL = idle */
	unsigned level;               /* flush level */
	enum hkp_reason reason;
	uint64_t target_bytes;        /* UINT64_MAX = all there is */
	bool rest;                    /* and of threads that rest, at level 0 */
	double rank;                  /* higher goes first */
};

/* What a flush came to. */
struct policy_outcome {
	unsigned level;
	uint64_t claimed_bytes; /* as the client says */
	uint64_t actual_bytes;  /* by the kernel's account of the process */
	uint64_t usec;
	uint64_t target_bytes;  /* that were asked for; 0 = all */
	uint64_t taken_bytes;   /* as in the view, right after it */
	uint64_t held_bytes;
};

/* All that a step looks at. */
struct policy_scene {
	struct policy_domain *const *domains;
	size_t n_domains;
	struct policy_client *const *clients;
	size_t n_clients;
	bool paused;
	/* Filled by the step. */
	size_t n_waiting;   /* clients that would have been asked but for n_at_once: step again when a flush ended */
	uint64_t look_nsec; /* headroom falls so fast that the next look should be within this; UINT64_MAX = any time */
};

void policy_domain_init(struct policy_domain *domain, bool host);
void policy_client_init(struct policy_client *client, const struct policy_config *config);

/* True where a step at `now_nsec` needs cpu_nsec of this client, whose other views are filled in: it is the dearest
 * figure to get, so only while its heap is quiet, at the beginning of a spell and four times in it. */
bool policy_wants_cpu(const struct policy_config *config, const struct policy_client *client, uint64_t now_nsec);

/* True where a step needs held_bytes, and releasable_bytes clamped to it: a flush of this client is still to be
 * judged, or by the views filled in so far it would be asked now. */
bool policy_wants_held(const struct policy_config *config, const struct policy_client *client, uint64_t now_nsec);

/*
 * One step at `now_nsec` in two halves.  The first updates the levels of domains.  The second, which may be left out
 * unless policy_wants_clients(), updates idleness and, unless paused, writes at most `max_advice` pieces of advice,
 * best first, and returns their number.  policy_step() is both.
 */
void policy_step_domains(const struct policy_config *config, uint64_t now_nsec, struct policy_scene *scene);
bool policy_wants_clients(const struct policy_config *config, uint64_t now_nsec, const struct policy_scene *scene,
	uint64_t looked_nsec); /* looked_nsec: the latest second half */
size_t policy_step_clients(const struct policy_config *config, uint64_t now_nsec, struct policy_scene *scene,
	struct policy_advice *advice, size_t max_advice);
size_t policy_step(const struct policy_config *config, uint64_t now_nsec, struct policy_scene *scene,
	struct policy_advice *advice, size_t max_advice);

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

/* True where the host's stall counter is not to be believed at `now_nsec`. */
bool policy_blinded(const struct policy_domain *domain, uint64_t now_nsec);

/* What a flush of that level reaches, by the client's word: what is releasable, but at level 0 only what of it is cold (a
 * step of the decay is done there as well, but what that gives would go back a little later without us), and at level 1
 * not what is kept of freed large blocks.  How much lies in page holes, which level 1 leaves too, it does not say. */
uint64_t policy_reach_bytes(const struct policy_client *client, unsigned level);

/* What budgets of bytes and rank go by: the same, as far as its word was true so far. */
uint64_t policy_expected_bytes(const struct policy_client *client, unsigned level);

const char *policy_level_name(enum hkp_pressure level);
const char *policy_verdict_name(enum policy_verdict verdict);
const char *policy_verdict_words(enum policy_verdict verdict);

#endif
