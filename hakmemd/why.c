/* SPDX-License-Identifier: MIT */
/* Why a process was asked to flush: see why.h. */
#include <config.h>

#include "hakmemd/why.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "hakmemd/config.h"
#include "hakmemd/registry.h"
#include "hakmemd/util.h"

struct why why_request(uint32_t uid)
{
	return (struct why){.reason = HKP_REASON_REQUEST, .who = uid};
}

struct why why_advice(const struct policy_advice *advice, const struct config *config, uint64_t now_nsec)
{
	const struct policy_domain *domain = advice->domain;
	uint64_t window_usec = config->policy.enter[0].window_usec;

	if (advice->rest)
		return (struct why){.reason = HKP_REASON_IDLE};
	if (!domain)
		return (struct why){
			.reason = HKP_REASON_IDLE, .who = (now_nsec - advice->client->idle_since_nsec) / NSEC_PER_MSEC};
	return (struct why){.reason = HKP_REASON_PRESSURE,
		.who = domain_of_policy(advice->domain)->id,
		.some_usec = (uint32_t)util_min(policy_stall_usec(domain, false, window_usec), UINT32_MAX),
		.window_msec = (uint16_t)(window_usec / 1000),
		.headroom = (int8_t)(domain->headroom < 0 ? -1 : domain->headroom * 100 + 0.5),
		.pressure = domain->level & 3u};
}

/* The end of a long path says more than its beginning. */
static void why_path(const char *path, char *ret_words, size_t size)
{
	size_t length = strlen(path);

	if (length + 4 > size)
		snprintf(ret_words, size, " ..%s", path + length - (size - 5));
	else
		snprintf(ret_words, size, " %s", path);
}

static void why_pressure(const struct why *why, const struct registry *registry, char *ret_words, size_t size)
{
	const struct domain *domain = registry_domain_of_id(registry, why->who);
	int length = snprintf(ret_words, size, "%s some=%" PRIu32 "us/%ums", policy_level_name(why->pressure),
		why->some_usec, why->window_msec);

	if (why->headroom >= 0)
		length += snprintf(ret_words + length, size - (size_t)length, " headroom=%d%%", why->headroom);
	if (domain)
		why_path(domain->path, ret_words + length, size - (size_t)length);
	else
		snprintf(ret_words + length, size - (size_t)length, " cgroup %" PRIu64 ", removed since", why->who);
}

void why_words(const struct why *why, const struct registry *registry, char *ret_words, size_t size)
{
	if (why->reason == HKP_REASON_REQUEST)
		snprintf(ret_words, size, "by uid %" PRIu64, why->who);
	else if (why->reason == HKP_REASON_IDLE && !why->who)
		snprintf(ret_words, size, "threads that rest");
	else if (why->reason == HKP_REASON_IDLE)
		snprintf(ret_words, size, "quiet %.1f s", (double)why->who / 1000);
	else
		why_pressure(why, registry, ret_words, size);
}
