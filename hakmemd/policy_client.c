/* SPDX-License-Identifier: MIT */
/* A client in the eyes of the policy: whether it is idle, and what its flushes came to.  See policy.h. */
#include <config.h>

#include "hakmemd/policy_parts.h"

#include <string.h>

#include "hakmemd/util.h"

#define POLICY_CPU_TICK_NSEC (10 * NSEC_PER_MSEC) /* /proc counts CPU time in these: one is noise */
#define POLICY_DEMOTE_NSEC   (600 * NSEC_PER_SEC) /* after so many timeouts in a row: */
#define POLICY_DEMOTE_AFTER  3
#define POLICY_RESET_BYTES   (UINT64_C(8) << 20)  /* growth by this much, and twofold, ends a back-off */
#define POLICY_EWMA          0.3                  /* weight of the latest flush */
#define POLICY_PRIOR_RATE    4096.0               /* bytes per us before the first flush: one page */
#define POLICY_REGRET_SOME   0.1                  /* share taken again that doubles the back-off */
#define POLICY_REGRET_MUCH   0.5                  /* and that quadruples it, and halves the budget */
#define POLICY_REGRET_MIN    (UINT64_C(1) << 20)  /* so little is taken by anybody who works at all */

void policy_client_init(struct policy_client *client, const struct policy_config *config)
{
	memset(client, 0, sizeof *client);
	client->busy_level = -1;
	client->cold_bytes = UINT64_MAX;
	client->backoff_nsec = config->client_interval_nsec;
	client->bytes_per_usec = POLICY_PRIOR_RATE;
	client->trust = 1;
}

const char *policy_verdict_name(enum policy_verdict verdict)
{
	static const char *const names[] = {
#define X(id, name, words) name,
		POLICY_VERDICTS(X)
#undef X
	};

	return (size_t)verdict < ARRAY_SIZE(names) ? names[verdict] : "unknown";
}

const char *policy_verdict_words(enum policy_verdict verdict)
{
	static const char *const texts[] = {
#define X(id, name, words) words,
		POLICY_VERDICTS(X)
#undef X
	};

	return (size_t)verdict < ARRAY_SIZE(texts) ? texts[verdict] : "unknown";
}

uint64_t policy_reach_bytes(const struct policy_client *client, unsigned level)
{
	uint64_t releasable = client->releasable_bytes;

	if (level == 0)
		return util_min(client->cold_bytes, releasable);
	return level == 1 ? releasable - util_min(client->cached_bytes, releasable) : releasable;
}

uint64_t policy_expected_bytes(const struct policy_client *client, unsigned level)
{
	return (uint64_t)((double)policy_reach_bytes(client, level) * client->trust);
}

/* Its own part of a quarter of `nsec`, other for each `n`: a mix of its seed, for the policy has no random source. */
static uint64_t policy_jitter(const struct policy_client *client, unsigned n, uint64_t nsec)
{
	uint64_t mix = client->seed * UINT64_C(0x9e3779b97f4a7c15) + n * UINT64_C(0xbf58476d1ce4e5b9);

	if (!client->seed)
		return 0;
	mix = (mix ^ mix >> 31) * UINT64_C(0x94d049bb133111eb);
	return (uint64_t)((double)nsec / 4 * ((double)(mix >> 40) / (double)(1 << 24)));
}

struct policy_domain *policy_host(const struct policy_client *client)
{
	struct policy_domain *domain = client->domain;

	while (domain && domain->parent)
		domain = domain->parent;
	return domain;
}

/* ---- hold-off ---- */

bool policy_held_off(const struct policy_client *client, uint64_t now, unsigned level)
{
	bool grown = client->releasable_bytes >= client->flushed_releasable_bytes + POLICY_RESET_BYTES &&
		client->releasable_bytes / 2 >= client->flushed_releasable_bytes;

	return now < client->next_flush_nsec[level] && !grown;
}

static void policy_hold_off(struct policy_client *client, uint64_t until_nsec, unsigned level)
{
	for (unsigned i = 0; i <= level && i < POLICY_N_LEVELS; i++)
		client->next_flush_nsec[i] = until_nsec;
}

/* From now on for its back-off, which is first made so many times longer. */
static void policy_back_off(
	const struct policy_config *config, struct policy_client *client, uint64_t now, unsigned level, unsigned times)
{
	client->backoff_nsec = util_min(client->backoff_nsec * times, config->client_backoff_max_nsec);
	policy_hold_off(client, now + client->backoff_nsec + policy_jitter(client, ++client->n_jitters, client->backoff_nsec),
		level);
}

/* ---- regret ---- */

static uint64_t policy_growth(uint64_t now, uint64_t before)
{
	return now > before ? now - before : 0;
}

/* Judge the latest flush as soon as half of what it gave was taken again, else when its time is up. */
static void policy_judge(const struct policy_config *config, struct policy_client *client, uint64_t now)
{
	uint64_t again = policy_growth(client->taken_bytes, client->regret_taken_bytes);
	double share;

	if (!client->regret_due_nsec)
		return;
	if (client->held_bytes && client->regret_held_bytes)
		again = util_max(again, policy_growth(client->held_bytes, client->regret_held_bytes));
	again = util_min(again, client->regret_given_bytes);
	share = again < POLICY_REGRET_MIN ? 0 : (double)again / (double)client->regret_given_bytes;
	if (share < POLICY_REGRET_MUCH && now < client->regret_due_nsec)
		return;
	client->regret_due_nsec = 0;
	if (share < POLICY_REGRET_SOME)
		return;
	client->n_regrets++;
	client->regret_bytes += again;
	policy_back_off(config, client, now, client->regret_level, share < POLICY_REGRET_MUCH ? 2 : 4);
	for (struct policy_domain *domain = client->domain; domain && share >= POLICY_REGRET_MUCH;
		domain = domain->parent)
		domain->regretted = true;
}

/* ---- idleness ---- */

static void policy_restart_idle(struct policy_client *client, uint64_t now)
{
	client->idle_since_nsec = now;
	client->idle_cpu_nsec = client->cpu_nsec;
	client->idle_has_cpu = client->has_cpu;
	client->look_cpu_nsec = 0;
	client->idle = client->idle_flushed = false;
}

static bool policy_program_moved(const struct policy_client *client)
{
	return client->activity_nsec != client->last_activity_nsec || client->changes != client->last_changes;
}

static void policy_update_idle(const struct policy_config *config, struct policy_client *client, uint64_t now)
{
	uint64_t allowed = config->idle_nsec / 100 + POLICY_CPU_TICK_NSEC;

	if (!client->known || (policy_program_moved(client) && !client->rebase))
		policy_restart_idle(client, now);
	else if (client->has_cpu && !client->idle_has_cpu) {
		/* First look at its CPU time: what it used before is not known, so the spell starts here. */
		policy_restart_idle(client, now);
	} else if (client->has_cpu && !client->idle_flushed && client->cpu_nsec > client->idle_cpu_nsec + allowed)
		policy_restart_idle(client, now);
	if (client->has_cpu)
		client->look_cpu_nsec = now + config->idle_nsec / 4;
	client->rebase = false;
	client->known = true;
	client->last_activity_nsec = client->activity_nsec;
	client->last_changes = client->changes;
	if (config->idle_nsec && client->idle_has_cpu &&
		now - client->idle_since_nsec >= config->idle_nsec + policy_jitter(client, 0, config->idle_nsec))
		client->idle = true;
}

void policy_client_update(const struct policy_config *config, struct policy_client *client, uint64_t now_nsec)
{
	policy_judge(config, client, now_nsec);
	policy_update_idle(config, client, now_nsec);
}

bool policy_wants_cpu(const struct policy_config *config, const struct policy_client *client, uint64_t now)
{
	if (!client->known || (policy_program_moved(client) && !client->rebase) || now < client->look_cpu_nsec)
		return false;
	return config->idle_nsec && !client->omit && !client->excluded && !client->idle_flushed &&
		client->releasable_bytes > (config->proactive ? POLICY_PROACTIVE_BYTES
							     : util_min(config->idle_floor_bytes, config->floor_bytes));
}

/* ---- what came of it ---- */

static void policy_expect_regret(const struct policy_config *config, uint64_t now_nsec, struct policy_client *client,
	const struct policy_outcome *outcome)
{
	client->regret_due_nsec = now_nsec + config->regret_nsec;
	client->regret_taken_bytes = outcome->taken_bytes;
	client->regret_held_bytes = outcome->held_bytes;
	client->regret_given_bytes = outcome->actual_bytes;
	client->regret_level = outcome->level;
}

static void policy_pace_proactive(const struct policy_client *client, uint64_t now_nsec, uint64_t usec)
{
	struct policy_domain *host = policy_host(client);

	if (host && client->proactive)
		host->proactive_nsec =
			util_max(host->proactive_nsec, now_nsec + usec * NSEC_PER_USEC * POLICY_PROACTIVE_SHARE);
}

/* Little is expected of it, so nothing is learnt but when to ask again. */
static void policy_threads_result(const struct policy_config *config, uint64_t now_nsec, struct policy_client *client,
	const struct policy_outcome *outcome)
{
	uint64_t longer = util_max(client->rest_backoff_nsec * 2, config->rest_nsec);

	client->rest_backoff_nsec = outcome->actual_bytes >= POLICY_PROACTIVE_BYTES
		? config->rest_nsec
		: util_min(longer, config->client_backoff_max_nsec);
	client->next_rest_nsec = now_nsec + client->rest_backoff_nsec;
}

void policy_result(const struct policy_config *config, uint64_t now_nsec, struct policy_client *client,
	const struct policy_outcome *outcome)
{
	uint64_t nothing_bytes = client->proactive ? POLICY_PROACTIVE_BYTES / 2 : config->nothing_bytes;
	double actual = (double)outcome->actual_bytes;

	client->rebase = true;
	if (client->rest) {
		policy_threads_result(config, now_nsec, client, outcome);
		return;
	}
	if (outcome->claimed_bytes)
		client->trust += POLICY_EWMA *
			((actual < (double)outcome->claimed_bytes ? actual / (double)outcome->claimed_bytes : 1) -
				client->trust);
	client->bytes_per_usec +=
		POLICY_EWMA * (actual / (outcome->usec ? (double)outcome->usec : 1) - client->bytes_per_usec);
	policy_pace_proactive(client, now_nsec, outcome->usec);
	if (outcome->actual_bytes < nothing_bytes) {
		policy_back_off(config, client, now_nsec, outcome->level, 2);
		return;
	}
	policy_expect_regret(config, now_nsec, client, outcome);
	client->backoff_nsec = config->client_interval_nsec;
	if (outcome->target_bytes && outcome->target_bytes != UINT64_MAX && outcome->actual_bytes >= outcome->target_bytes / 10 * 9)
		policy_hold_off(client, now_nsec, outcome->level); /* it has more: the budget stopped it */
	else
		policy_back_off(config, client, now_nsec, outcome->level, 1);
}

void policy_timeout(const struct policy_config *config, uint64_t now_nsec, struct policy_client *client,
	unsigned level, unsigned n_in_a_row)
{
	if (n_in_a_row >= POLICY_DEMOTE_AFTER)
		policy_hold_off(client, now_nsec + POLICY_DEMOTE_NSEC, POLICY_N_LEVELS - 1);
	else
		policy_back_off(config, client, now_nsec, level, 2);
	client->next_rest_nsec = util_max(client->next_rest_nsec, client->next_flush_nsec[0]); /* nor its threads */
}
