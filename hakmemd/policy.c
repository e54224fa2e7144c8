/* SPDX-License-Identifier: MIT */
/* Policy, a pure function of signals, views and time: see policy.h. */
#include <config.h>

#include "hakmemd/policy.h"

#include <string.h>

#include "hakmemd/util.h"

#define POLICY_STRAIN_NSEC   (2 * NSEC_PER_SEC)   /* reclaim counts this long: PSI's own averaging period */
#define POLICY_HEADROOM_HOLD 1.2                  /* headroom leaves a level at 1.2 x its entry value */
#define POLICY_CPU_TICK_NSEC (10 * NSEC_PER_MSEC) /* /proc counts CPU time in these: one is noise */
#define POLICY_DEMOTE_NSEC   (600 * NSEC_PER_SEC) /* after so many timeouts in a row: */
#define POLICY_DEMOTE_AFTER  3
#define POLICY_RESET_BYTES   (UINT64_C(8) << 20)  /* growth by this much, and twofold, ends a back-off */
#define POLICY_EWMA          0.3                  /* weight of the latest flush */
#define POLICY_PRIOR_RATE    4096.0               /* bytes per us before the first flush: one page */

void policy_domain_init(struct policy_domain *domain, bool host)
{
	memset(domain, 0, sizeof *domain);
	domain->host = host;
	domain->headroom = -1;
	domain->round_level = -1;
}

void policy_client_init(struct policy_client *client, const struct policy_config *config)
{
	memset(client, 0, sizeof *client);
	client->busy_level = -1;
	client->backoff_nsec = config->client_interval_nsec;
	client->bytes_per_usec = POLICY_PRIOR_RATE;
	client->trust = 1;
}

const char *policy_level_name(enum hkp_pressure level)
{
	static const char *const names[] = {"calm", "low", "medium", "critical"};

	return (size_t)level < ARRAY_SIZE(names) ? names[level] : "unknown";
}

/* ---- levels ---- */

static void policy_take_sample(struct policy_domain *domain, uint64_t now_nsec)
{
	struct policy_sample *newest = &domain->samples[0];

	if (!domain->sampled)
		return;
	memmove(newest + 1, newest, (POLICY_SAMPLES - 1) * sizeof *newest);
	*newest = (struct policy_sample){now_nsec, domain->some_usec, domain->full_usec};
	if (domain->n_samples < POLICY_SAMPLES)
		domain->n_samples++;
}

uint64_t policy_stall_usec(const struct policy_domain *domain, bool full, uint64_t window_usec)
{
	const struct policy_sample *newest = &domain->samples[0], *oldest = newest;
	uint64_t stall, span;

	for (unsigned i = 1; i < domain->n_samples; i++) {
		oldest = &domain->samples[i];
		if (newest->when_nsec - oldest->when_nsec >= window_usec * NSEC_PER_USEC)
			break;
	}
	span = (newest->when_nsec - oldest->when_nsec) / NSEC_PER_USEC;
	stall = full ? newest->full_usec - oldest->full_usec : newest->some_usec - oldest->some_usec;
	if ((int64_t)stall < 0)
		return 0; /* the counter began anew */
	return span > window_usec ? (uint64_t)((double)stall * (double)window_usec / (double)span) : stall;
}

/* The highest level whose entry condition holds when thresholds are multiplied by `scale`. */
static enum hkp_pressure policy_stall_level(
	const struct policy_config *config, const struct policy_domain *domain, double scale)
{
	for (int i = 2; i >= 0; i--) {
		const struct policy_stall *enter = &config->enter[i];
		double stall = (double)policy_stall_usec(domain, enter->full, enter->window_usec);

		if (stall > 0 && stall >= (double)enter->stall_usec * scale)
			return (enum hkp_pressure)(i + 1);
	}
	return HKP_CALM;
}

static enum hkp_pressure policy_headroom_level(
	const struct policy_config *config, const struct policy_domain *domain, double scale)
{
	if (domain->headroom < 0)
		return HKP_CALM;
	if (domain->headroom <= config->headroom_critical * scale)
		return HKP_CRITICAL;
	return domain->headroom <= config->headroom_medium * scale ? HKP_MEDIUM : HKP_CALM;
}

/* Host: stall time alone proves nothing; it must come with low headroom or reclaim of the host's own. */
static enum hkp_pressure policy_host_level(const struct policy_config *config,
	const struct policy_domain *domain, uint64_t now_nsec, enum hkp_pressure stall, enum hkp_pressure headroom)
{
	if (stall == HKP_CALM)
		return HKP_CALM;
	if (headroom == HKP_CALM && now_nsec >= domain->strained_until_nsec)
		return HKP_CALM;
	if (stall < headroom)
		stall = headroom;
	if (stall == HKP_LOW && domain->headroom > config->suppress_low_above)
		return HKP_CALM;
	return stall;
}

static enum hkp_pressure policy_signal_level(const struct policy_config *config,
	const struct policy_domain *domain, uint64_t now_nsec, bool entering)
{
	enum hkp_pressure stall = policy_stall_level(config, domain, entering ? 1 : 0.5);
	enum hkp_pressure headroom =
		policy_headroom_level(config, domain, entering ? 1 : POLICY_HEADROOM_HOLD);

	if (stall == HKP_CALM && domain->triggered)
		stall = HKP_LOW;
	if (domain->host)
		return policy_host_level(config, domain, now_nsec, stall, headroom);
	if (domain->known_counters && domain->n_ooms > domain->last_n_ooms)
		return HKP_CRITICAL;
	return stall > headroom ? stall : headroom;
}

static void policy_set_level(struct policy_domain *domain, enum hkp_pressure level, uint64_t now_nsec)
{
	bool rising = level > domain->level;

	domain->level = level;
	domain->below_since_nsec = 0;
	domain->n_rounds = rising ? 0 : 1; /* on the way down the deeper answer of a level stays */
	if (rising)
		domain->next_round_nsec = now_nsec;
}

static void policy_update_level(const struct policy_config *config, struct policy_domain *domain, uint64_t now)
{
	enum hkp_pressure enters, holds;

	if (domain->known_counters && domain->n_reclaims > domain->last_n_reclaims)
		domain->strained_until_nsec = now + POLICY_STRAIN_NSEC;
	enters = policy_signal_level(config, domain, now, true);
	holds = policy_signal_level(config, domain, now, false);
	if (enters > domain->level)
		policy_set_level(domain, enters, now);
	else if (holds >= domain->level)
		domain->below_since_nsec = 0;
	else if (!domain->below_since_nsec)
		domain->below_since_nsec = now;
	else if (now - domain->below_since_nsec >= config->down_delay_nsec) {
		policy_set_level(domain, domain->level - 1, now);
		domain->below_since_nsec = now;
	}
	domain->last_n_reclaims = domain->n_reclaims;
	domain->last_n_ooms = domain->n_ooms;
	domain->known_counters = true;
	domain->triggered = false;
}

/* ---- rounds ---- */

static int policy_depth(const struct policy_domain *domain)
{
	switch (domain->level) {
	case HKP_LOW:
		return 0;
	case HKP_MEDIUM:
		return domain->n_rounds ? 2 : 1;
	case HKP_CRITICAL:
		return domain->n_rounds ? 3 : 2;
	case HKP_CALM:
	default:
		return -1;
	}
}

static void policy_start_round(const struct policy_config *config, struct policy_domain *domain, uint64_t now)
{
	domain->round_level = -1;
	if (domain->level == HKP_CALM || now < domain->next_round_nsec)
		return;
	domain->round_level = policy_depth(domain);
	domain->next_round_nsec = now + config->round_interval_nsec;
	domain->n_rounds++;
}

/* The domain around the client that asks deepest in this step; NULL = none does. */
static struct policy_domain *policy_asking(const struct policy_client *client)
{
	struct policy_domain *deepest = NULL;

	for (struct policy_domain *domain = client->domain; domain; domain = domain->parent)
		if (domain->round_level >= 0 && (!deepest || domain->round_level > deepest->round_level))
			deepest = domain;
	return deepest;
}

static bool policy_held_off(const struct policy_client *client, uint64_t now, unsigned level)
{
	bool grown = client->releasable_bytes >= client->flushed_releasable_bytes + POLICY_RESET_BYTES &&
		client->releasable_bytes / 2 >= client->flushed_releasable_bytes;

	return now < client->next_flush_nsec[level] && !grown;
}

static bool policy_advise_pressure(const struct policy_config *config, uint64_t now,
	struct policy_client *client, struct policy_advice *ret_advice)
{
	struct policy_domain *domain = policy_asking(client);

	if (!domain || client->busy_level >= domain->round_level)
		return false;
	if (client->releasable_bytes < config->floor_bytes ||
		policy_held_off(client, now, (unsigned)domain->round_level))
		return false;
	*ret_advice = (struct policy_advice){
		.client = client,
		.domain = domain,
		.level = (unsigned)domain->round_level,
		.reason = HKP_REASON_PRESSURE,
		.target_bytes = UINT64_MAX,
		.rank = client->bytes_per_usec * (double)client->releasable_bytes + (client->idle ? 1e18 : 0),
	};
	return true;
}

/* ---- idleness ---- */

static void policy_restart_idle(struct policy_client *client, uint64_t now)
{
	client->idle_since_nsec = now;
	client->idle_cpu_nsec = client->cpu_nsec;
	client->idle_has_cpu = client->has_cpu;
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
	client->rebase = false;
	client->known = true;
	client->last_activity_nsec = client->activity_nsec;
	client->last_changes = client->changes;
	if (config->idle_nsec && client->idle_has_cpu && now - client->idle_since_nsec >= config->idle_nsec)
		client->idle = true;
}

bool policy_wants_cpu(const struct policy_config *config, const struct policy_client *client)
{
	return config->idle_nsec && !client->omit && !client->idle_flushed &&
		client->releasable_bytes > util_min(config->idle_floor_bytes, config->floor_bytes);
}

static bool policy_advise_idle(const struct policy_config *config, uint64_t now, struct policy_client *client,
	struct policy_advice *ret_advice)
{
	if (!client->idle || client->idle_flushed || client->busy_level >= 0)
		return false;
	if (client->releasable_bytes <= config->idle_floor_bytes || policy_held_off(client, now, 2))
		return false;
	*ret_advice = (struct policy_advice){.client = client,
		.level = 2,
		.reason = HKP_REASON_IDLE,
		.target_bytes = UINT64_MAX,
		.rank = 0};
	return true;
}

/* ---- the step ---- */

/* Shell sort, best first: qsort may allocate, and must not here. */
static void policy_sort(struct policy_advice *advice, size_t n_advice)
{
	for (size_t gap = n_advice / 2; gap > 0; gap /= 2)
		for (size_t i = gap; i < n_advice; i++) {
			struct policy_advice moving = advice[i];
			size_t j = i;

			for (; j >= gap && advice[j - gap].rank < moving.rank; j -= gap)
				advice[j] = advice[j - gap];
			advice[j] = moving;
		}
}

size_t policy_step(const struct policy_config *config, uint64_t now_nsec, bool paused,
	struct policy_domain *const *domains, size_t n_domains, struct policy_client *const *clients,
	size_t n_clients, struct policy_advice *advice, size_t max_advice)
{
	size_t n_advice = 0;

	for (size_t i = 0; i < n_domains; i++) {
		policy_take_sample(domains[i], now_nsec);
		policy_update_level(config, domains[i], now_nsec);
		if (!paused)
			policy_start_round(config, domains[i], now_nsec);
	}
	for (size_t i = 0; i < n_clients; i++) {
		if (clients[i]->omit)
			continue;
		policy_update_idle(config, clients[i], now_nsec);
		if (paused || n_advice == max_advice)
			continue;
		if (policy_advise_pressure(config, now_nsec, clients[i], &advice[n_advice]) ||
			policy_advise_idle(config, now_nsec, clients[i], &advice[n_advice]))
			n_advice++;
	}
	policy_sort(advice, n_advice);
	return n_advice;
}

/* ---- what came of it ---- */

void policy_sent(const struct policy_config *config, uint64_t now_nsec, struct policy_client *client,
	unsigned level, enum hkp_reason reason)
{
	client->flushed_releasable_bytes = client->releasable_bytes;
	if (reason == HKP_REASON_IDLE)
		client->idle_flushed = true;
	for (unsigned i = 0; i <= level && i < POLICY_N_LEVELS; i++)
		client->next_flush_nsec[i] =
			util_max(client->next_flush_nsec[i], now_nsec + config->client_interval_nsec);
}

static void policy_hold_off(struct policy_client *client, uint64_t until_nsec, unsigned level)
{
	for (unsigned i = 0; i <= level && i < POLICY_N_LEVELS; i++)
		client->next_flush_nsec[i] = until_nsec;
}

void policy_result(const struct policy_config *config, uint64_t now_nsec, struct policy_client *client,
	const struct policy_outcome *outcome)
{
	double actual = (double)outcome->actual_bytes;

	client->rebase = true;
	if (outcome->claimed_bytes)
		client->trust += POLICY_EWMA *
			((actual < (double)outcome->claimed_bytes ? actual / (double)outcome->claimed_bytes : 1) -
				client->trust);
	client->bytes_per_usec +=
		POLICY_EWMA * (actual / (outcome->usec ? (double)outcome->usec : 1) - client->bytes_per_usec);
	if (outcome->actual_bytes < config->nothing_bytes)
		client->backoff_nsec =
			util_min(client->backoff_nsec * 2, config->client_backoff_max_nsec);
	else
		client->backoff_nsec = config->client_interval_nsec;
	policy_hold_off(client, now_nsec + client->backoff_nsec, outcome->level);
}

void policy_timeout(const struct policy_config *config, uint64_t now_nsec, struct policy_client *client,
	unsigned level, unsigned n_in_a_row)
{
	if (n_in_a_row >= POLICY_DEMOTE_AFTER) {
		policy_hold_off(client, now_nsec + POLICY_DEMOTE_NSEC, POLICY_N_LEVELS - 1);
		return;
	}
	client->backoff_nsec = util_min(client->backoff_nsec * 2, config->client_backoff_max_nsec);
	policy_hold_off(client, now_nsec + client->backoff_nsec, level);
}
