/* SPDX-License-Identifier: MIT */
/* Rounds, budgets and the choice of who is asked: see policy.h. */
#include <config.h>

#include "hakmemd/policy_parts.h"

#include "hakmemd/util.h"

#define POLICY_RANK_IDLE     1e18 /* idle ones go first */
#define POLICY_RANK_LOW      1e36 /* protected ones last, idle or not */
#define POLICY_BUDGET_MIN    (UINT64_C(1) << 20)
#define POLICY_BUDGET_MAX    (UINT64_C(1) << 46)
#define POLICY_CLIENTS_NSEC     (5 * NSEC_PER_SEC) /* clients are looked at so often, with nothing going on, ... */
#define POLICY_CLIENTS_PER_IDLE 6                  /* ... and so many times while one becomes idle */
#define POLICY_PROACTIVE_NSEC   NSEC_PER_SEC       /* between two clients asked proactively, at least */
#define POLICY_HEADROOM_PACE 10 /* rounds that headroom asks for follow so much faster: it does not lag as PSI does */

/* ---- rounds ---- */

static int policy_depth(const struct policy_domain *domain)
{
	switch (domain->level) {
	case HKP_LOW:
		return 0;
	case HKP_MEDIUM:
		return domain->n_rounds || domain->by_headroom ? 2 : 1;
	case HKP_CRITICAL:
		return domain->n_rounds ? 3 : 2;
	case HKP_CALM:
	default:
		return -1;
	}
}

/* How much is missing until headroom no longer holds the domain at medium. */
static uint64_t policy_shortage(const struct policy_config *config, const struct policy_domain *domain)
{
	double share = config->headroom_medium * POLICY_HEADROOM_HOLD - domain->headroom;

	return domain->headroom < 0 || share <= 0 ? 0 : (uint64_t)(share * (double)domain->limit_bytes);
}

static void policy_set_budget(const struct policy_config *config, struct policy_domain *domain)
{
	if (!domain->budget_bytes)
		domain->budget_bytes = config->budget_first_bytes;
	else if (domain->regretted)
		domain->budget_bytes = util_max(domain->budget_bytes / 2, POLICY_BUDGET_MIN);
	else
		domain->budget_bytes = util_min(domain->budget_bytes * 2, POLICY_BUDGET_MAX);
	domain->regretted = false;
	domain->left_bytes = util_max(domain->budget_bytes, policy_shortage(config, domain));
	if (domain->round_level == POLICY_N_LEVELS - 1)
		domain->left_bytes = UINT64_MAX;
}

static void policy_update_round(const struct policy_config *config, struct policy_domain *domain, uint64_t now)
{
	uint64_t interval = config->round_interval_nsec;

	if (domain->level == HKP_CALM) {
		domain->round_level = -1;
		domain->budget_bytes = 0;
		domain->regretted = false;
		return;
	}
	if (now < domain->next_round_nsec)
		return;
	if (domain->by_headroom)
		interval /= POLICY_HEADROOM_PACE;
	domain->round_level = policy_depth(domain);
	domain->next_round_nsec = now + interval;
	domain->n_rounds++;
	policy_set_budget(config, domain);
}

/* ---- who ---- */

/* The domain around the client that asks deepest; NULL = none does. */
static struct policy_domain *policy_asking(const struct policy_client *client)
{
	struct policy_domain *deepest = NULL;

	for (struct policy_domain *domain = client->domain; domain; domain = domain->parent)
		if (domain->round_level >= 0 && (!deepest || domain->round_level > deepest->round_level))
			deepest = domain;
	return deepest;
}

/* Whether memory.low speaks for it: of its own cgroup, or of one above it that is still inside `asking`. */
static bool policy_protected(const struct policy_client *client, const struct policy_domain *asking)
{
	for (const struct policy_domain *domain = client->domain; domain && domain != asking; domain = domain->parent)
		if (domain->protected_)
			return true;
	return false;
}

static double policy_rank(const struct policy_client *client, const struct policy_domain *asking)
{
	double rank = client->bytes_per_usec * (double)policy_expected_bytes(client, (unsigned)asking->round_level);

	if (client->idle)
		rank += POLICY_RANK_IDLE;
	if (policy_protected(client, asking))
		rank -= POLICY_RANK_LOW;
	return rank;
}

static enum policy_verdict policy_judge_pressure(const struct policy_config *config, uint64_t now,
	const struct policy_client *client, const struct policy_domain *domain)
{
	unsigned level = (unsigned)domain->round_level;

	if (client->busy_level >= domain->round_level)
		return POLICY_BUSY;
	if (policy_reach_bytes(client, level) < config->floor_bytes)
		return POLICY_FLOOR;
	if (policy_held_off(client, now, level))
		return POLICY_HELD_OFF;
	return domain->left_bytes ? POLICY_ASKED : POLICY_BUDGET;
}

/* Less than is worth it for idleness alone. */
static enum policy_verdict policy_judge_proactive(
	const struct policy_config *config, uint64_t now, const struct policy_client *client)
{
	struct policy_domain *host = policy_host(client);

	if (!config->proactive || !host->quiet || client->releasable_bytes < POLICY_PROACTIVE_BYTES)
		return POLICY_FLOOR;
	if (now < host->proactive_nsec || policy_held_off(client, now, 2))
		return POLICY_HELD_OFF;
	host->proactive_nsec = now + POLICY_PROACTIVE_NSEC;
	return POLICY_ASKED;
}

static enum policy_verdict policy_judge_idle(
	const struct policy_config *config, uint64_t now, const struct policy_client *client)
{
	if (!client->idle)
		return POLICY_CALM;
	if (client->idle_flushed)
		return POLICY_IDLE_DONE;
	if (client->busy_level >= 0)
		return POLICY_BUSY;
	if (client->releasable_bytes <= config->idle_floor_bytes)
		return policy_judge_proactive(config, now, client);
	return policy_held_off(client, now, 2) ? POLICY_HELD_OFF : POLICY_ASKED;
}

/* Of one that is not idle: then all of it is asked. */
static enum policy_verdict policy_judge_threads(
	const struct policy_config *config, uint64_t now, const struct policy_client *client)
{
	if (!config->rest_nsec || client->n_threads < 2 || client->hot_bytes <= config->idle_floor_bytes)
		return POLICY_CALM;
	if (client->busy_level >= 0)
		return POLICY_BUSY;
	return now < client->next_rest_nsec ? POLICY_CALM : POLICY_ASKED;
}

/* So that its domains are looked at in time. */
static void policy_mark_able(const struct policy_config *config, uint64_t now, const struct policy_client *client)
{
	if (client->releasable_bytes < config->floor_bytes || policy_held_off(client, now, 2))
		return;
	for (struct policy_domain *domain = client->domain; domain; domain = domain->parent)
		domain->able = true;
}

/* Pressure first; where that does not ask the client, idleness may. */
static bool policy_advise(const struct policy_config *config, uint64_t now, struct policy_client *client,
	struct policy_advice *ret_advice)
{
	struct policy_domain *domain = policy_asking(client);
	enum policy_verdict verdict = POLICY_CALM, idle;

	*ret_advice = (struct policy_advice){.client = client, .level = 2, .reason = HKP_REASON_IDLE};
	if (domain) {
		verdict = policy_judge_pressure(config, now, client, domain);
		client->verdict_level = domain->level;
	}
	if (verdict == POLICY_ASKED) {
		ret_advice->domain = domain;
		ret_advice->level = (unsigned)domain->round_level;
		ret_advice->reason = HKP_REASON_PRESSURE;
		ret_advice->rank = policy_rank(client, domain);
	} else {
		idle = policy_judge_idle(config, now, client);
		if (idle == POLICY_ASKED || verdict == POLICY_CALM)
			verdict = idle;
		if (verdict == POLICY_CALM && policy_judge_threads(config, now, client) == POLICY_ASKED) {
			verdict = POLICY_ASKED;
			ret_advice->level = 0;
			ret_advice->rest = true;
		}
	}
	ret_advice->target_bytes = UINT64_MAX;
	client->verdict = verdict;
	return verdict == POLICY_ASKED;
}

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

/* Take from the domain's budget what this client can be expected to give; false where nothing is left of it. */
static bool policy_spend(struct policy_advice *advice)
{
	struct policy_domain *domain = advice->domain;
	uint64_t expected = policy_expected_bytes(advice->client, advice->level);

	if (!domain || domain->left_bytes == UINT64_MAX)
		return true;
	if (!domain->left_bytes)
		return false;
	if (expected > domain->left_bytes)
		advice->target_bytes = domain->left_bytes;
	domain->left_bytes -= util_min(expected, domain->left_bytes);
	return true;
}

/* Keep, best first, what the budgets and n_at_once allow. */
static size_t policy_choose(const struct policy_config *config, struct policy_scene *scene, size_t n_busy,
	struct policy_advice *advice, size_t n_advice)
{
	size_t n_chosen = 0;

	policy_sort(advice, n_advice);
	for (size_t i = 0; i < n_advice; i++) {
		struct policy_client *client = advice[i].client;

		if (n_busy + n_chosen >= config->n_at_once) {
			client->verdict = POLICY_AT_ONCE;
			scene->n_waiting++;
		} else if (!policy_spend(&advice[i]))
			client->verdict = POLICY_BUDGET;
		else
			advice[n_chosen++] = advice[i];
	}
	return n_chosen;
}

/* ---- the step ---- */

void policy_step_domains(const struct policy_config *config, uint64_t now_nsec, struct policy_scene *scene)
{
	scene->look_nsec = UINT64_MAX;
	for (size_t i = 0; i < scene->n_domains; i++) {
		struct policy_domain *domain = scene->domains[i];

		scene->look_nsec = util_min(scene->look_nsec, policy_level_look(config, domain, now_nsec));
		policy_level_update(config, domain, now_nsec);
		if (!scene->paused)
			policy_update_round(config, domain, now_nsec);
	}
}

bool policy_wants_clients(const struct policy_config *config, uint64_t now_nsec, const struct policy_scene *scene,
	uint64_t looked_nsec)
{
	uint64_t interval = POLICY_CLIENTS_NSEC;

	for (size_t i = 0; i < scene->n_domains; i++)
		if (scene->domains[i]->level != HKP_CALM || policy_level_near(scene->domains[i]))
			return true;
	if (config->idle_nsec)
		interval = util_min(interval, config->idle_nsec / POLICY_CLIENTS_PER_IDLE);
	/* A little early counts as in time: steps do not fall on the dot. */
	return now_nsec - looked_nsec >= interval / 10 * 9;
}

bool policy_wants_held(const struct policy_config *config, const struct policy_client *client, uint64_t now_nsec)
{
	const struct policy_domain *domain = policy_asking(client);

	return client->regret_due_nsec || (domain && !client->excluded &&
						  policy_judge_pressure(config, now_nsec, client, domain) == POLICY_ASKED);
}

size_t policy_step_clients(const struct policy_config *config, uint64_t now_nsec, struct policy_scene *scene,
	struct policy_advice *advice, size_t max_advice)
{
	size_t n_advice = 0, n_busy = 0;

	scene->n_waiting = 0;
	for (size_t i = 0; i < scene->n_domains; i++)
		scene->domains[i]->able = false;
	for (size_t i = 0; i < scene->n_clients; i++) {
		struct policy_client *client = scene->clients[i];

		if (client->omit)
			continue;
		policy_client_update(config, client, now_nsec);
		client->verdict_level = HKP_CALM;
		n_busy += client->busy_level >= 0;
		if (client->excluded || scene->paused)
			client->verdict = client->excluded ? POLICY_EXCLUDED : POLICY_PAUSED;
		else {
			policy_mark_able(config, now_nsec, client);
			n_advice += n_advice < max_advice && policy_advise(config, now_nsec, client, &advice[n_advice]);
		}
	}
	return policy_choose(config, scene, n_busy, advice, n_advice);
}

size_t policy_step(const struct policy_config *config, uint64_t now_nsec, struct policy_scene *scene,
	struct policy_advice *advice, size_t max_advice)
{
	policy_step_domains(config, now_nsec, scene);
	return policy_step_clients(config, now_nsec, scene, advice, max_advice);
}

/* ---- what was done with it ---- */

void policy_sent(const struct policy_config *config, uint64_t now_nsec, struct policy_client *client,
	unsigned level, enum hkp_reason reason)
{
	client->rest = reason == HKP_REASON_IDLE && level == 0;
	if (client->rest) {
		client->next_rest_nsec = now_nsec + config->rest_nsec;
		return;
	}
	client->flushed_releasable_bytes = client->releasable_bytes;
	if (reason == HKP_REASON_IDLE)
		client->idle_flushed = true;
	client->proactive = reason == HKP_REASON_IDLE && client->releasable_bytes <= config->idle_floor_bytes;
	for (unsigned i = 0; i <= level && i < POLICY_N_LEVELS; i++)
		client->next_flush_nsec[i] =
			util_max(client->next_flush_nsec[i], now_nsec + config->client_interval_nsec);
}
