/* SPDX-License-Identifier: MIT */
/* Levels of pressure of a domain, from stall time, headroom and events: see policy.h. */
#include <config.h>

#include "hakmemd/policy_parts.h"

#include <string.h>

#include "hakmemd/util.h"

#define POLICY_STRAIN_NSEC    (2 * NSEC_PER_SEC)    /* reclaim counts this long: PSI's own averaging period */
#define POLICY_BLIND_STALLS   100                   /* per second: tasks sent into direct reclaim, beside ... */
#define POLICY_BLIND_FLAT     1000                  /* ... so few us of stall per second ... */
#define POLICY_BLIND_SAMPLES  3                     /* ... so many times in a row: the counter is held back */
#define POLICY_BLIND_NSEC     (60 * NSEC_PER_SEC)   /* and is not believed for so long */
#define POLICY_LOOK_MIN_NSEC  (100 * NSEC_PER_MSEC) /* no faster, however fast headroom falls */
#define POLICY_LOOK_FILL      0.25                  /* bytes per ns: what one or two tasks can fault in */
#define POLICY_LOOK_HEADROOM  0.5                   /* above this share free nothing is looked at faster */

void policy_domain_init(struct policy_domain *domain, bool host)
{
	memset(domain, 0, sizeof *domain);
	domain->host = host;
	domain->headroom = -1;
	domain->round_level = -1;
}

const char *policy_level_name(enum hkp_pressure level)
{
	static const char *const names[] = {"calm", "low", "medium", "critical"};

	return (size_t)level < ARRAY_SIZE(names) ? names[level] : "unknown";
}

bool policy_blinded(const struct policy_domain *domain, uint64_t now_nsec)
{
	return now_nsec < domain->blinded_until_nsec;
}

/*
 * Many tasks in direct reclaim, and stall time that does not move: somebody reads the pressure file so fast that
 * the kernel's unprivileged averages never see a whole tick.
 */
static void policy_watch_blinding(struct policy_domain *domain, uint64_t now_nsec)
{
	const struct policy_sample *newest = &domain->samples[0];
	uint64_t msec = (now_nsec - newest->when_nsec) / NSEC_PER_MSEC;
	uint64_t n_stalls = domain->n_stalls - domain->last_n_stalls;
	uint64_t stalled_usec = domain->some_usec - newest->some_usec;

	if (!domain->n_samples || !msec || domain->n_stalls < domain->last_n_stalls ||
		n_stalls * 1000 / msec < POLICY_BLIND_STALLS || stalled_usec * 1000 / msec > POLICY_BLIND_FLAT)
		domain->n_flat = 0;
	else if (++domain->n_flat >= POLICY_BLIND_SAMPLES)
		domain->blinded_until_nsec = now_nsec + POLICY_BLIND_NSEC;
	domain->last_n_stalls = domain->n_stalls;
}

static void policy_take_sample(struct policy_domain *domain, uint64_t now_nsec)
{
	struct policy_sample *newest = &domain->samples[0];

	if (!domain->sampled)
		return;
	if (domain->host)
		policy_watch_blinding(domain, now_nsec);
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
	/* What the counter cannot say, reclaim does. */
	if (stall == HKP_CALM && policy_blinded(domain, now_nsec) && now_nsec < domain->strained_until_nsec)
		stall = HKP_LOW;
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
	/* A limit that was run against: file pages do that all day, so it is worth no more than a look. */
	if (stall == HKP_CALM && domain->known_counters && domain->n_hits > domain->last_n_hits)
		stall = HKP_LOW;
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

bool policy_level_near(const struct policy_domain *domain)
{
	return !domain->host && domain->headroom >= 0 && domain->headroom < POLICY_LOOK_HEADROOM;
}

uint64_t policy_level_look(const struct policy_config *config, struct policy_domain *domain, uint64_t now_nsec)
{
	double fall = domain->last_headroom - domain->headroom, spare = domain->headroom - config->headroom_medium;
	double span = (double)(now_nsec - domain->last_headroom_nsec), ahead = (double)UINT64_MAX;

	/* Half way to the entry value, at the present speed or at one that is always possible, whichever is sooner. */
	if (domain->headroom >= 0 && domain->headroom < POLICY_LOOK_HEADROOM && domain->able) {
		if (domain->last_headroom_nsec && fall > 0)
			ahead = spare / fall * span / 2;
		if (!domain->host && domain->limit_bytes && spare * (double)domain->limit_bytes / POLICY_LOOK_FILL / 2 < ahead)
			ahead = spare * (double)domain->limit_bytes / POLICY_LOOK_FILL / 2;
	}
	domain->last_headroom = domain->headroom;
	domain->last_headroom_nsec = domain->headroom >= 0 ? now_nsec : 0;
	if (ahead >= 3600 * (double)NSEC_PER_SEC)
		return UINT64_MAX;
	return ahead < (double)POLICY_LOOK_MIN_NSEC ? POLICY_LOOK_MIN_NSEC : (uint64_t)ahead;
}

void policy_level_update(const struct policy_config *config, struct policy_domain *domain, uint64_t now)
{
	enum hkp_pressure enters, holds;

	policy_take_sample(domain, now);
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
	domain->last_n_hits = domain->n_hits;
	domain->by_headroom = !domain->host && domain->level != HKP_CALM &&
		policy_headroom_level(config, domain, POLICY_HEADROOM_HOLD) >= domain->level;
	domain->known_counters = true;
	domain->triggered = false;
}
