/* SPDX-License-Identifier: MIT */
/* What the control socket tells: see report.h. */
#include <config.h>

#include "hakmemd/report.h"

#include <errno.h>
#include <string.h>

#include "hakmemd/daemon.h"
#include "hakmemd/util.h"

static void report_number(json_t *object, const char *name, uint64_t value)
{
	json_object_set_new(object, name, json_integer((json_int_t)util_min(value, INT64_MAX)));
}

static double report_seconds(uint64_t since_nsec)
{
	uint64_t now_nsec = util_now_nsec();
	double seconds = now_nsec > since_nsec ? (double)(now_nsec - since_nsec) / (double)NSEC_PER_SEC : 0;

	return (double)(uint64_t)(seconds * 1000) / 1000; /* no noise behind the milliseconds */
}

static void report_identity(json_t *object, const struct client *client)
{
	char version[32];

	report_number(object, "pid", (uint64_t)client->pid);
	json_object_set_new(object, "comm", json_string(client->comm));
	report_number(object, "uid", client->uid);
	json_object_set_new(object, "cgroup", json_string(client->domain->path));
	snprintf(version, sizeof version, "%u.%u.%u", client->library_version >> 16,
		client->library_version >> 8 & 0xff, client->library_version & 0xff);
	json_object_set_new(object, "library", json_string(version));
}

static void report_last(json_t *object, const struct client *client)
{
	const struct client_last *last = &client->last;

	if (!last->when_nsec) {
		json_object_set_new(object, "last_flush", json_null());
		return;
	}
	json_object_set_new(object, "last_flush",
		json_pack("{s:s, s:i, s:f, s:I}", "reason", hkp_reason_name(last->why.reason), "level",
			(int)last->why.level, "seconds_ago", report_seconds(last->when_nsec), "returned_bytes",
			(json_int_t)util_min(last->actual_bytes, INT64_MAX)));
}

static json_t *report_class_list(const struct hkp_stats *stats)
{
	uint64_t n_classes = util_min(stats->n_classes, HKP_STATS_CLASS_MAX);
	json_t *list = json_array(), *object;

	for (uint64_t i = 0; i < n_classes; i++) {
		object = json_object();
#define X(name) report_number(object, #name, stats->classes[i].name);
		HKP_STATS_CLASS(X)
#undef X
		json_array_append_new(list, object);
	}
	return list;
}

static json_t *report_process(const struct client *client, enum report_detail detail)
{
	json_t *object = json_object();
	struct proc_memory memory = {0};
	struct hkp_stats stats;

	client_read_stats(client, &stats,
		detail == REPORT_CLASSES ? sizeof stats : offsetof(struct hkp_stats, classes));
	(void)client_memory(client, &memory);
	report_identity(object, client);
	report_number(object, "rss_bytes", memory.rss_bytes);
	report_number(object, "private_bytes", memory.private_bytes);
	json_object_set_new(object, "idle_seconds",
		json_real(report_seconds(stats.activity_nsec ? stats.activity_nsec : client->connected_nsec)));
	report_last(object, client);
	json_object_set_new(object, "excluded", json_boolean(client->policy.excluded));
	report_number(object, "asked_flushes", client->n_flushes);
	report_number(object, "returned_bytes", client->actual_bytes);
	if (detail == REPORT_BRIEF) {
		report_number(object, "used_bytes", stats.used_bytes);
		report_number(object, "releasable_bytes", stats.releasable_bytes);
		return object;
	}
#define X(name, unit, help) report_number(object, #name, stats.name);
	HKP_STATS_GLOBALS(X)
#undef X
	if (detail == REPORT_CLASSES)
		json_object_set_new(object, "classes", report_class_list(&stats));
	return object;
}

/* Sums over processes; no counter of a single stranger can be told from them when there are several. */
struct report_sums {
	uint64_t n_processes;
	uint64_t mapped_bytes;
	uint64_t used_bytes;
	uint64_t releasable_bytes;
};

static void report_add(struct report_sums *sums, const struct client *client)
{
	struct hkp_stats stats;

	client_read_stats(client, &stats, offsetof(struct hkp_stats, classes));
	sums->n_processes++;
	sums->mapped_bytes += util_min(stats.mapped_bytes, UINT64_C(1) << 48); /* an address space at most */
	sums->used_bytes += util_min(stats.used_bytes, UINT64_C(1) << 48);
	sums->releasable_bytes += util_min(stats.releasable_bytes, UINT64_C(1) << 48);
}

static json_t *report_sums(const struct report_sums *sums)
{
	json_t *object = json_object();

	report_number(object, "processes", sums->n_processes);
	report_number(object, "mapped_bytes", sums->mapped_bytes);
	report_number(object, "used_bytes", sums->used_bytes);
	report_number(object, "releasable_bytes", sums->releasable_bytes);
	return object;
}

json_t *report_processes(struct daemon *daemon, uid_t uid, bool privileged, enum report_detail detail, pid_t pid)
{
	struct registry *registry = &daemon->registry;
	struct report_sums others = {0};
	json_t *list = json_array();

	for (size_t i = 0; i < registry->n_clients; i++) {
		struct client *client = registry->clients[i];

		if (client->state != CLIENT_READY)
			continue;
		if (!privileged && client->uid != uid)
			report_add(&others, client);
		else if (!pid || client->pid == pid) {
			registry_place(registry, client);
			json_array_append_new(list, report_process(client, detail));
		}
	}
	if (pid)
		return json_pack("{s:o}", "processes", list);
	return json_pack("{s:o, s:o}", "processes", list, "others", report_sums(&others));
}

static bool report_domain_shown(const struct registry *registry, const struct domain *domain, uid_t uid,
	bool privileged)
{
	if (privileged || domain->policy.host)
		return true;
	for (size_t i = 0; i < registry->n_clients; i++)
		if (registry->clients[i]->domain == domain && registry->clients[i]->uid == uid)
			return true;
	return false;
}

static json_t *report_domain(const struct daemon *daemon, const struct domain *domain)
{
	const struct policy_domain *policy = &domain->policy;
	const struct policy_stall *enter = &daemon->config.policy.enter[0];
	const char *signal = domain->trigger.fd < 0 ? "poll" : domain->trigger.prompt ? "trigger" : "trigger+poll";
	json_t *object = json_object();

	json_object_set_new(object, "path", json_string(domain->path));
	report_number(object, "id", domain->id);
	json_object_set_new(object, "level", json_string(policy_level_name(policy->level)));
	report_number(object, "processes", domain->n_clients);
	report_number(object, "some_usec", policy_stall_usec(policy, false, enter->window_usec));
	report_number(object, "full_usec", policy_stall_usec(policy, true, enter->window_usec));
	report_number(object, "window_usec", enter->window_usec);
	json_object_set_new(object, "headroom", policy->headroom < 0 ? json_null() : json_real(policy->headroom));
	json_object_set_new(object, "signal", json_string(domain->n_users ? signal : "none"));
	report_number(object, "limit_bytes", policy->limit_bytes);
	report_number(object, "budget_bytes", policy->budget_bytes);
	json_object_set_new(object, "protected", json_boolean(policy->protected_));
	json_object_set_new(object, "events", json_boolean(domain->events.fd >= 0));
	if (policy->host)
		json_object_set_new(object, "blinded", json_boolean(policy_blinded(policy, util_now_nsec())));
	return object;
}

static json_t *report_flush_totals(const struct controller_totals *totals)
{
	json_t *object = json_object();

	for (unsigned reason = HKP_REASON_REQUEST; reason <= HKP_REASON_PRESSURE; reason++)
		report_number(object, hkp_reason_name(reason), totals->n_flushes[reason]);
	report_number(object, "observed", totals->n_observed);
	report_number(object, "timeouts", totals->n_timeouts);
	report_number(object, "claimed_bytes", totals->claimed_bytes);
	report_number(object, "returned_bytes", totals->actual_bytes);
	report_number(object, "usec", totals->usec);
	return object;
}

json_t *report_status(struct daemon *daemon, uid_t uid, bool privileged)
{
	struct registry *registry = &daemon->registry;
	json_t *object = json_object(), *domains = json_array();
	struct report_sums sums = {0};

	for (size_t i = 0; i < registry->n_clients; i++)
		if (registry->clients[i]->state == CLIENT_READY)
			report_add(&sums, registry->clients[i]);
	for (size_t i = 0; i < registry->n_domains; i++) {
		struct domain *domain = domain_of_policy(registry->domains[i]);

		if (report_domain_shown(registry, domain, uid, privileged))
			json_array_append_new(domains, report_domain(daemon, domain));
	}
	json_object_set_new(object, "version", json_string(DAEMON_VERSION));
	report_number(object, "pid", (uint64_t)getpid());
	json_object_set_new(object, "uptime_seconds", json_real(report_seconds(daemon->started_nsec)));
	json_object_set_new(object, "mode", json_string(config_mode_name(daemon->config.mode)));
	json_object_set_new(object, "paused", json_boolean(daemon->controller.paused));
	json_object_set_new(object, "totals", report_sums(&sums));
	json_object_set_new(object, "flushes", report_flush_totals(&daemon->controller.totals));
	report_number(object, "refused_connections", daemon->server.n_refused);
	report_number(object, "dropped_clients", daemon->server.n_dropped);
	report_number(object, "steps", daemon->controller.totals.n_steps);
	json_object_set_new(object, "domains", domains);
	return object;
}

json_t *report_flush(const struct client *client, const struct controller_report *report)
{
	json_t *object = json_object();

	report_number(object, "pid", (uint64_t)client->pid);
	json_object_set_new(object, "comm", json_string(client->comm));
	json_object_set_new(object, "status", json_string(hkp_status_name(report->status)));
	report_number(object, "level", report->level);
	report_number(object, "released_bytes", report->claimed_bytes);
	report_number(object, "returned_bytes", report->actual_bytes);
	report_number(object, "usec", report->usec);
	report_number(object, "first_usec", report->first_usec);
	report_number(object, "threads_swept", report->threads_swept);
	report_number(object, "threads_pending", report->threads_pending);
	report_number(object, "rss_before_bytes", report->before.rss_bytes);
	report_number(object, "rss_after_bytes", report->after.rss_bytes);
	return object;
}

/* ---- why ---- */

/* Seconds from now, 0 where that is past. */
static json_t *report_wait(uint64_t when_nsec)
{
	uint64_t now_nsec = util_now_nsec();

	return json_real(when_nsec > now_nsec ? (double)((when_nsec - now_nsec) / NSEC_PER_MSEC) / 1000 : 0);
}

static json_t *report_around(const struct client *client)
{
	json_t *list = json_array();

	for (const struct policy_domain *domain = client->policy.domain; domain; domain = domain->parent)
		json_array_append_new(list, report_domain(client->daemon, domain_of_policy((struct policy_domain *)domain)));
	return list;
}

json_t *report_explain(const struct client *client)
{
	const struct policy_client *policy = &client->policy;
	json_t *object = json_object(), *held_off = json_array();
	char words[WHY_WORDS_MAX];

	report_identity(object, client);
	json_object_set_new(object, "verdict", json_string(policy_verdict_name(policy->verdict)));
	json_object_set_new(object, "words", json_string(policy_verdict_words(policy->verdict)));
	json_object_set_new(object, "pressure", json_string(policy_level_name(policy->verdict_level)));
	json_object_set_new(object, "idle", json_boolean(policy->idle));
	json_object_set_new(object, "idle_flushed", json_boolean(policy->idle_flushed));
	json_object_set_new(object, "quiet_seconds",
		json_real(policy->known ? report_seconds(policy->idle_since_nsec) : 0));
	report_number(object, "releasable_bytes", policy->releasable_bytes);
	report_number(object, "cold_bytes", policy_reach_bytes(policy, 0));
	report_number(object, "expected_bytes", policy_expected_bytes(policy, POLICY_N_LEVELS - 1));
	json_object_set_new(object, "trust", json_real((double)(int)(policy->trust * 1000) / 1000));
	json_object_set_new(object, "bytes_per_usec", json_real((double)(uint64_t)policy->bytes_per_usec));
	for (unsigned level = 0; level < POLICY_N_LEVELS; level++)
		json_array_append_new(held_off, report_wait(policy->next_flush_nsec[level]));
	json_object_set_new(object, "held_off_seconds", held_off);
	json_object_set_new(object, "backoff_seconds", json_real((double)policy->backoff_nsec / (double)NSEC_PER_SEC));
	report_number(object, "regrets", policy->n_regrets);
	report_number(object, "regret_bytes", policy->regret_bytes);
	report_number(object, "timeouts_in_a_row", client->n_timeouts);
	report_number(object, "asked_flushes", client->n_flushes);
	report_number(object, "returned_bytes", client->actual_bytes);
	report_last(object, client);
	if (client->last.when_nsec) {
		why_words(&client->last.why, &client->daemon->registry, words, sizeof words);
		json_object_set_new(object, "last_why", json_string(words));
	}
	json_object_set_new(object, "around", report_around(client));
	return object;
}

/* ---- events ---- */

static json_t *report_event(const char *event)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return json_pack("{s:s, s:f}", "event", event, "time",
		(double)now.tv_sec + (double)(now.tv_nsec / 1000000) / 1000);
}

json_t *report_flush_event(const struct client *client, const struct controller_report *report)
{
	json_t *object = report_event("flush"), *flush = report_flush(client, report);
	char words[WHY_WORDS_MAX];

	json_object_set_new(object, "reason", json_string(hkp_reason_name(client->current.why.reason)));
	why_words(&client->current.why, &client->daemon->registry, words, sizeof words);
	json_object_set_new(object, "why", json_string(words));
	if (report->error)
		json_object_set_new(flush, "status", json_string(report->error == -ETIMEDOUT ? "timeout" : "gone"));
	json_object_update(object, flush);
	json_decref(flush);
	return object;
}

json_t *report_observe_event(const struct client *client, const struct policy_advice *advice)
{
	json_t *object = report_event("would-flush");

	report_number(object, "pid", (uint64_t)client->pid);
	json_object_set_new(object, "comm", json_string(client->comm));
	json_object_set_new(object, "reason", json_string(hkp_reason_name(advice->reason)));
	report_number(object, "level", advice->level);
	return object;
}

json_t *report_level_event(const struct domain *domain, enum hkp_pressure before)
{
	json_t *object = report_event("level");

	json_object_set_new(object, "path", json_string(domain->path));
	json_object_set_new(object, "from", json_string(policy_level_name(before)));
	json_object_set_new(object, "to", json_string(policy_level_name(domain->policy.level)));
	return object;
}

json_t *report_client_event(const struct client *client, const char *event)
{
	json_t *object = report_event(event);

	report_number(object, "pid", (uint64_t)client->pid);
	json_object_set_new(object, "comm", json_string(client->comm));
	return object;
}
