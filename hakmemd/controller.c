/* SPDX-License-Identifier: MIT */
/* The controller: see controller.h. */
#include <config.h>

#include "hakmemd/controller.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "hakmemd/daemon.h"
#include "hakmemd/proc.h"
#include "hakmemd/report.h"
#include "hakmemd/util.h"

#define CONTROLLER_SLOW_NSEC   (5 * NSEC_PER_SEC)    /* steps with nothing raised and prompt triggers */
#define CONTROLLER_FAST_NSEC   (100 * NSEC_PER_MSEC) /* never faster */
#define CONTROLLER_REFILL_NSEC (5 * NSEC_PER_MSEC)   /* a flush ended and others wait for their turn */
#define CONTROLLER_WAKE_NSEC   NSEC_PER_MSEC         /* gathers events that come together */
#define CONTROLLER_HELLO_NSEC  (5 * NSEC_PER_SEC)    /* a connection without HELLO is dropped */
#define CONTROLLER_LOGGED_DOMAINS 128                /* changes of level beyond these go without a line */
#define CONTROLLER_LINES       64                    /* about single flushes in ... */
#define CONTROLLER_LINES_NSEC  (10 * NSEC_PER_SEC)
#define CONTROLLER_QUIET_SHARE 0.001                 /* of the time: what senpai acts below, too */
#define CONTROLLER_BOARD_STEPS 4                     /* a level on the board outlives so many missed steps */

/* ---- signals and views ---- */

static void controller_read_pressure(struct controller *controller, struct domain *domain, uint64_t now)
{
	struct daemon *daemon = controller->daemon;
	char path[CGROUP_PATH_MAX + CGROUP_ROOT_MAX + 32];
	struct psi_totals totals;

	domain->policy.sampled = false;
	/* A little early counts as in time: steps do not fall on the dot. */
	if (domain->read_nsec && now - domain->read_nsec < daemon->config.poll_nsec * 9 / 10 &&
		!domain->policy.triggered)
		return;
	registry_pressure_path(&daemon->registry, domain, path, sizeof path);
	domain->read_nsec = now;
	if (psi_read(path, &totals) < 0)
		return;
	domain->policy.sampled = true;
	domain->policy.some_usec = totals.some_usec;
	domain->policy.full_usec = totals.full_usec;
}

/* May idle processes be bothered for little?  Read only where that was asked for: see psi_read(). */
static bool controller_quiet(const struct config *config)
{
	static const char *const names[] = {"memory", "io"};
	char path[CONFIG_TEXT_MAX + 32];
	double share;

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		snprintf(path, sizeof path, "%s/pressure/%s", config->proc_root, names[i]);
		if (psi_read_share(path, &share) < 0 || share >= CONTROLLER_QUIET_SHARE)
			return false;
	}
	return true;
}

static void controller_read_domain(struct controller *controller, struct domain *domain, uint64_t now)
{
	struct cgroup_memory memory;
	struct proc_host host;

	if (domain->policy.host && !domain->n_users)
		return;
	controller_read_pressure(controller, domain, now);
	if (domain->policy.host) {
		domain->policy.headroom = -1;
		if (proc_host(controller->daemon->config.proc_root, &host) < 0)
			return;
		if (host.total_bytes)
			domain->policy.headroom = (double)host.available_bytes / (double)host.total_bytes;
		domain->policy.limit_bytes = host.total_bytes;
		domain->policy.n_reclaims = host.n_reclaims;
		domain->policy.n_stalls = host.n_stalls;
		domain->policy.quiet =
			controller->daemon->config.policy.proactive && controller_quiet(&controller->daemon->config);
		return;
	}
	cgroup_read_memory(&controller->daemon->registry.roots, domain->path, &memory);
	domain->policy.headroom = memory.headroom;
	domain->policy.limit_bytes = memory.limit_bytes;
	domain->policy.protected_ = memory.protected_;
	domain->policy.n_ooms = memory.n_ooms;
	domain->policy.n_hits = memory.n_hits;
}

/* Grows whenever the program takes memory that a flush could have kept for it. */
static uint64_t controller_taken(const struct hkp_stats *stats)
{
	return (stats->superslabs_made << 21) + stats->mid_bytes + stats->large_bytes;
}

/* What a client says it could give, but no more than the kernel says it holds. */
static void controller_view(struct controller *controller, struct client *client, uint64_t now)
{
	const struct policy_config *config = &controller->daemon->config.policy;
	struct policy_client *view = &client->policy;
	struct proc_memory memory;
	struct hkp_stats stats;

	view->omit = client->state != CLIENT_READY;
	view->has_cpu = false;
	view->held_bytes = 0;
	view->busy_level = client->queued.ticket ? (int8_t)client->queued.why.level
		: client->current.ticket         ? (int8_t)client->current.why.level
						 : -1;
	if (view->omit)
		return;
	client_read_stats(client, &stats, offsetof(struct hkp_stats, classes));
	view->activity_nsec = stats.activity_nsec;
	view->changes = stats.superslabs_made + stats.mid_bytes + stats.large_bytes;
	view->releasable_bytes = client->said_bytes = stats.releasable_bytes;
	view->taken_bytes = controller_taken(&stats);
	view->hot_bytes = stats.hot_bytes;
	view->cold_bytes = stats.cold_bytes;
	view->cached_bytes = stats.large_cached_bytes;
	view->n_threads = (uint32_t)util_min(stats.threads, UINT32_MAX);
	client->wants_cpu = policy_wants_cpu(config, view, now);
	client->wants_held = policy_wants_held(config, view, now);
	if (!client->wants_cpu && !client->wants_held)
		return;
	if (client_memory(client, &memory) >= 0) {
		view->held_bytes = memory.private_bytes;
		client->viewed_rss_bytes = memory.rss_bytes;
		view->releasable_bytes = util_min(view->releasable_bytes, view->held_bytes);
	}
	view->has_cpu = client->wants_cpu && client_cpu_nsec(client, &view->cpu_nsec) >= 0;
}

static bool controller_read_domains(struct controller *controller, uint64_t now)
{
	struct registry *registry = &controller->daemon->registry;
	bool raised = false;

	for (size_t i = 0; i < registry->n_domains; i++) {
		struct domain *domain = domain_of_policy(registry->domains[i]);

		controller_read_domain(controller, domain, now);
		raised |= domain->policy.level != HKP_CALM || domain->policy.triggered ||
			domain->hot_until_nsec > now || !domain->trigger.prompt ||
			(!domain->policy.host && domain->policy.headroom >= 0);
	}
	return raised;
}

/* ---- flushes ---- */

static void controller_set_deadline(struct controller *controller, uint64_t now)
{
	struct client *first = TAILQ_FIRST(&controller->waiting);
	uint64_t due;

	if (!first) {
		loop_timer_stop(controller->deadline);
		return;
	}
	due = first->sent.when_nsec + controller->daemon->config.timeout_nsec;
	loop_timer_set(controller->deadline, due > now ? due - now : CONTROLLER_WAKE_NSEC);
}

/* Send what is current.  Of many at once, each is told before anything is read of the next. */
static void controller_send(struct controller *controller, struct client *client)
{
	struct client_flush *flush = &client->current;
	struct hkp_frame frame = {.header = {.type = HKP_FLUSH, .seq = client->next_seq++},
		.flush = {.level = flush->why.level,
			.reason = flush->why.reason,
			.target_bytes = flush->target_bytes,
			.rest_msec = flush->why.reason == HKP_REASON_IDLE && flush->why.level == 0 ? (uint32_t)(controller->daemon->config.policy.rest_nsec / NSEC_PER_MSEC) : 0,
			/* The client stops in time to say so. */
			.deadline_msec = (uint32_t)(controller->daemon->config.timeout_nsec * 3 / 4 / NSEC_PER_MSEC)}};
	int r;

	client->sent.seq = frame.header.seq;
	client->sent.when_nsec = util_now_nsec();
	TAILQ_INSERT_TAIL(&controller->waiting, client, waiting);
	r = client_send(client, &frame, -1);
	if (r < 0) /* it does not read, or is going: the time-out or the hang-up tells */
		log_debug("FLUSH to pid %d: %s", client->pid, strerror(-r));
	if (TAILQ_FIRST(&controller->waiting) == client)
		controller_set_deadline(controller, client->sent.when_nsec);
}

/* All 0 where it cannot be read. */
static void controller_read_before(struct client *client)
{
	if (client_memory(client, &client->sent.before) < 0)
		client->sent.before = (struct proc_memory){0};
}

/* One is queued already: it covers this one too. */
static void controller_deepen(struct client_flush *queued, const struct client_flush *flush)
{
	uint64_t target_bytes = util_max(queued->target_bytes, flush->target_bytes), ticket = queued->ticket;

	if (queued->why.level < flush->why.level)
		*queued = *flush;
	queued->target_bytes = target_bytes;
	queued->ticket = ticket;
}

uint64_t controller_flush(struct controller *controller, struct client *client, uint32_t level,
	uint64_t target_bytes, const struct why *why)
{
	struct client_flush flush = {.target_bytes = target_bytes, .why = *why};

	flush.why.level = level & 3u;

	if (client->current.ticket && client->queued.ticket) {
		controller_deepen(&client->queued, &flush);
		return client->queued.ticket;
	}
	flush.ticket = ++controller->next_ticket;
	if (client->current.ticket) {
		client->queued = flush;
		return flush.ticket;
	}
	client->current = flush;
	if (why->reason != HKP_REASON_REQUEST && client->policy.held_bytes)
		client->sent.before = (struct proc_memory){.rss_bytes = client->viewed_rss_bytes,
			.private_bytes = client->policy.held_bytes}; /* read in this very step */
	else
		controller_read_before(client);
	controller_send(controller, client);
	return flush.ticket;
}

bool controller_survey(struct controller *controller, struct client *client, uint64_t for_connection)
{
	struct hkp_frame frame = {.header = {.type = HKP_SURVEY, .seq = client->next_seq}};

	(void)controller;
	if (client->state != CLIENT_READY || client->survey_seq || client_send(client, &frame, -1) < 0)
		return false;
	client->survey_seq = client->next_seq++;
	client->survey_for = for_connection;
	return true;
}

static void controller_log_line(
	const struct controller *controller, const struct client *client, const struct controller_report *report)
{
	const struct client_flush *flush = &client->current;
	struct log_flush fields = {.pid = client->pid,
		.comm = client->comm,
		.level = report->level,
		.reason = hkp_reason_name(flush->why.reason),
		.claimed_bytes = report->claimed_bytes,
		.actual_bytes = report->actual_bytes,
		.usec = report->usec};
	const char *status = report->error == -ETIMEDOUT ? "timeout"
		: report->error == -ESRCH                ? "gone"
							 : hkp_status_name(report->status);
	char words[WHY_WORDS_MAX];

	why_words(&flush->why, &controller->daemon->registry, words, sizeof words);
	log_flush(&fields,
		"flush pid=%d comm=%s level=%" PRIu32 " reason=%s (%s) claimed_bytes=%" PRIu64
		" returned_bytes=%" PRIu64 " usec=%" PRIu64 " status=%s",
		client->pid, client->comm, report->level, fields.reason, words, report->claimed_bytes,
		report->actual_bytes, report->usec, status);
}

/* One line for all that got none, when nobody is being waited for or the next lines are due. */
static void controller_log_unsaid(struct controller *controller, uint64_t now)
{
	struct controller_unsaid *unsaid = &controller->unsaid;
	bool over = now - unsaid->since_nsec >= CONTROLLER_LINES_NSEC;
	bool done = TAILQ_EMPTY(&controller->waiting) && unsaid->n_lines < 2 * CONTROLLER_LINES;

	if (unsaid->n_flushes && (over || done)) { /* where one after another is asked for, this line has its limit as well */
		unsaid->n_lines++;
		log_info("flushed %u more: claimed_bytes=%" PRIu64 " returned_bytes=%" PRIu64 " longest_usec=%" PRIu64
			 " unanswered=%u (hakmemctl explain PID tells of each)",
			unsaid->n_flushes, unsaid->claimed_bytes, unsaid->actual_bytes, unsaid->longest_usec,
			unsaid->n_unanswered);
		*unsaid = (struct controller_unsaid){.since_nsec = unsaid->since_nsec, .n_lines = unsaid->n_lines};
	}
	if (over)
		*unsaid = (struct controller_unsaid){.since_nsec = now};
}

/* A line each for as many as one can read; thousands of lines would cost more than the flushes. */
static void controller_log(
	struct controller *controller, const struct client *client, const struct controller_report *report)
{
	struct controller_unsaid *unsaid = &controller->unsaid;

	if (unsaid->n_lines < CONTROLLER_LINES) {
		unsaid->n_lines++;
		controller_log_line(controller, client, report);
		return;
	}
	unsaid->n_flushes++;
	unsaid->n_unanswered += report->error != 0;
	unsaid->claimed_bytes += report->claimed_bytes;
	unsaid->actual_bytes += report->actual_bytes;
	unsaid->longest_usec = util_max(unsaid->longest_usec, report->usec);
}

static void controller_count(struct controller *controller, struct client *client,
	const struct controller_report *report, uint64_t now)
{
	struct policy_outcome outcome = {.level = report->level,
		.claimed_bytes = report->claimed_bytes,
		.actual_bytes = report->actual_bytes,
		.usec = report->usec,
		.target_bytes = client->current.target_bytes,
		.held_bytes = report->after.private_bytes};
	struct hkp_stats stats;
	size_t bucket;

	client->n_timeouts = 0;
	client->n_flushes++;
	client->actual_bytes += report->actual_bytes;
	client->last = (struct client_last){.when_nsec = now,
		.actual_bytes = report->actual_bytes,
		.why = client->current.why};
	client->last.why.level = report->level & 3u;
	controller->totals.n_flushes[client->current.why.reason]++;
	controller->totals.claimed_bytes += report->claimed_bytes;
	controller->totals.actual_bytes += report->actual_bytes;
	controller->totals.usec += report->usec;
	for (bucket = 0; bucket < METRICS_BUCKETS && report->usec > metrics_bucket_usec[bucket];)
		bucket++;
	controller->totals.n_in_bucket[bucket]++;
	client_read_stats(client, &stats, offsetof(struct hkp_stats, classes));
	outcome.taken_bytes = controller_taken(&stats);
	record_result(&controller->daemon->record, now, &client->policy, &outcome);
	policy_result(&controller->daemon->config.policy, now, &client->policy, &outcome);
}

static void controller_finish(
	struct controller *controller, struct client *client, const struct controller_report *report)
{
	uint64_t now = util_now_nsec(), ticket = client->current.ticket;

	controller_log(controller, client, report);
	if (controller->daemon->ctl.n_watching)
		ctl_event(&controller->daemon->ctl, client, report_flush_event(client, report));
	if (!report->error)
		controller_count(controller, client, report, now);
	else if (report->error == -ETIMEDOUT) {
		controller->totals.n_timeouts++;
		client->n_timeouts += client->n_timeouts < UINT8_MAX;
		record_timeout(
			&controller->daemon->record, now, &client->policy, client->current.why.level, client->n_timeouts);
		policy_timeout(&controller->daemon->config.policy, now, &client->policy, client->current.why.level,
			client->n_timeouts);
	}
	TAILQ_REMOVE(&controller->waiting, client, waiting);
	client->current = client->queued;
	client->queued.ticket = 0;
	if (client->current.ticket && report->error != -ESRCH) {
		controller_read_before(client);
		controller_send(controller, client);
	}
	controller_log_unsaid(controller, now);
	controller_set_deadline(controller, now);
	if (controller->n_waiting) { /* some more of those under way may end meanwhile */
		controller->n_waiting = 0;
		controller->looked_nsec = 0;
		controller->ticking = true;
		loop_timer_set(controller->tick, CONTROLLER_REFILL_NSEC);
	}
	ctl_flush_done(&controller->daemon->ctl, ticket, client, report);
}

static void controller_deadline(void *data)
{
	struct controller *controller = data;
	uint64_t now = util_now_nsec(), timeout = controller->daemon->config.timeout_nsec;
	struct client *client;

	while ((client = TAILQ_FIRST(&controller->waiting)) && now - client->sent.when_nsec >= timeout) {
		struct controller_report report = {.error = -ETIMEDOUT,
			.level = client->current.why.level,
			.usec = (now - client->sent.when_nsec) / NSEC_PER_USEC,
			.before = client->sent.before};

		controller_finish(controller, client, &report);
	}
	controller_set_deadline(controller, now);
}

bool controller_result(struct controller *controller, struct client *client, const struct hkp_frame *frame)
{
	const struct hkp_result *result = &frame->result;
	struct client_flush *flush = &client->current;
	struct controller_report report = {0};

	if (client->survey_seq && frame->header.seq == client->survey_seq) {
		client->survey_seq = 0;
		client->policy.rebase = true;
		record_survey(&controller->daemon->record, util_now_nsec(), &client->policy);
		ctl_survey_done(&controller->daemon->ctl, client->survey_for);
		return true;
	}
	if (!flush->ticket || frame->header.seq != client->sent.seq)
		return false;
	report.before = client->sent.before;
	if (client_memory(client, &report.after) < 0)
		report.after = report.before;
	report.status = result->status <= HKP_STATUS_ERROR ? result->status : HKP_STATUS_ERROR;
	report.level = util_min(result->level, POLICY_N_LEVELS - 1);
	report.claimed_bytes = report.before.rss_bytes ? util_min(result->released_bytes, report.before.private_bytes)
						       : result->released_bytes;
	if (!report.before.rss_bytes) /* out of sight (hidepid=): its word is all there is */
		report.actual_bytes = report.claimed_bytes;
	else if (report.before.private_bytes > report.after.private_bytes)
		report.actual_bytes = report.before.private_bytes - report.after.private_bytes;
	report.usec = util_min(result->usec, (util_now_nsec() - client->sent.when_nsec) / NSEC_PER_USEC);
	report.first_usec = util_min(result->first_usec, report.usec);
	report.threads_swept = result->threads_swept;
	report.threads_pending = result->threads_pending;
	controller_finish(controller, client, &report);
	return true;
}

void controller_gone(struct controller *controller, struct client *client)
{
	struct controller_report report = {.error = -ESRCH, .level = client->current.why.level};
	uint64_t queued = client->queued.ticket;

	if (client->survey_seq) {
		client->survey_seq = 0;
		ctl_survey_done(&controller->daemon->ctl, client->survey_for);
	}
	if (!client->current.ticket)
		return;
	controller_finish(controller, client, &report);
	if (queued)
		ctl_flush_done(&controller->daemon->ctl, queued, client, &report);
}

/* ---- advice ---- */

static void controller_observe(struct controller *controller, struct client *client,
	const struct policy_advice *advice, const struct why *why, uint64_t now)
{
	/* Threads that rest are asked at level 0, but not for what is cold. */
	uint64_t bytes = policy_reach_bytes(advice->client, advice->rest ? 2 : advice->level);
	struct policy_outcome outcome = {.level = advice->level,
		.claimed_bytes = bytes,
		.actual_bytes = bytes,
		.usec = 1000,
		.target_bytes = advice->target_bytes,
		.taken_bytes = advice->client->taken_bytes};
	char words[WHY_WORDS_MAX];

	why_words(why, &controller->daemon->registry, words, sizeof words);
	if (controller->daemon->ctl.n_watching)
		ctl_event(&controller->daemon->ctl, client, report_observe_event(client, advice));
	log_info("would flush pid=%d comm=%s level=%u reason=%s (%s) releasable_bytes=%" PRIu64, client->pid,
		client->comm, advice->level, hkp_reason_name(advice->reason), words, advice->client->releasable_bytes);
	controller->totals.n_observed++;
	record_result(&controller->daemon->record, now, &client->policy, &outcome);
	policy_result(&controller->daemon->config.policy, now, &client->policy, &outcome);
}

static void controller_apply(struct controller *controller, const struct policy_advice *advice, uint64_t now)
{
	struct daemon *daemon = controller->daemon;
	struct client *client = client_of_policy(advice->client);
	struct why why = why_advice(advice, &daemon->config, now);

	record_sent(&daemon->record, now, advice->client, advice->level, advice->reason);
	policy_sent(&daemon->config.policy, now, advice->client, advice->level, advice->reason);
	if (daemon->config.mode == CONFIG_MODE_OBSERVE)
		controller_observe(controller, client, advice, &why, now);
	else
		controller_flush(controller, client, advice->level, advice->target_bytes, &why);
}

/* What a thread's magazines may hold at a level; 0 = as much as ever.  A working set of magazines at medium, next to
 * nothing at critical: refills then cost more than memory does. */
static uint64_t controller_thread_budget(enum hkp_pressure level)
{
	return level == HKP_CRITICAL ? 16 << 10 : level == HKP_MEDIUM ? 64 << 10 : 0;
}

/* The highest level around a domain, the host's apart, which everybody sees. */
static enum hkp_pressure controller_level_around(const struct policy_domain *domain)
{
	enum hkp_pressure level = HKP_CALM;

	for (; domain && !domain->host; domain = domain->parent)
		if (domain->level > level)
			level = domain->level;
	return level;
}

static void controller_publish(struct controller *controller, uint64_t interval_nsec, uint64_t now)
{
	struct daemon *daemon = controller->daemon;
	struct registry *registry = &daemon->registry;
	bool silent = controller->paused || daemon->config.mode == CONFIG_MODE_OBSERVE, raised = false;
	uint64_t expiry = now + util_max(NSEC_PER_SEC, CONTROLLER_BOARD_STEPS * interval_nsec);
	struct hkp_board levels = {0};

	for (size_t i = 0; i < registry->n_domains && !silent; i++) {
		struct domain *domain = domain_of_policy(registry->domains[i]);
		enum hkp_pressure level =
			domain->policy.host ? domain->policy.level : controller_level_around(&domain->policy);

		if (level == HKP_CALM)
			continue;
		raised = true;
		if (domain->policy.host) {
			levels.level = level;
			levels.thread_budget_bytes = controller_thread_budget(level);
			levels.process_budget_bytes = levels.thread_budget_bytes * HKP_BOARD_PROCESS_THREADS;
			levels.expiry_nsec = expiry;
		} else if (domain->n_clients && levels.n_slots < HKP_BOARD_SLOTS)
			levels.slots[levels.n_slots++] = (struct hkp_board_slot){.domain = domain->id,
				.level = level,
				.thread_budget_bytes = controller_thread_budget(level),
				.expiry_nsec = expiry};
	}
	if (raised || controller->board_raised)
		board_publish(&daemon->board, &levels);
	controller->board_raised = raised;
}

static void controller_log_level(
	const struct controller *controller, const struct domain *domain, enum hkp_pressure before)
{
	const struct policy_stall *enter = &controller->daemon->config.policy.enter[0];
	char headroom[32] = "unknown";

	if (domain->policy.headroom >= 0)
		snprintf(headroom, sizeof headroom, "%.0f%%", domain->policy.headroom * 100);
	log_info("pressure of %s: %s -> %s (some=%" PRIu64 "us/%" PRIu64 "ms headroom=%s)", domain->path,
		policy_level_name(before), policy_level_name(domain->policy.level),
		policy_stall_usec(&domain->policy, false, enter->window_usec), enter->window_usec / 1000, headroom);
	if (controller->daemon->ctl.n_watching)
		ctl_event(&controller->daemon->ctl, NULL, report_level_event(domain, before));
	if (domain->policy.host)
		notify_status("pressure %s, %zu processes", policy_level_name(domain->policy.level),
			controller->daemon->registry.n_ready);
}

static void controller_log_levels(struct controller *controller, const enum hkp_pressure *before, size_t n)
{
	const struct registry *registry = &controller->daemon->registry;

	for (size_t i = 0; i < n; i++)
		if (registry->domains[i]->level != before[i])
			controller_log_level(controller, domain_of_policy(registry->domains[i]), before[i]);
}

static void controller_log_blinded(struct controller *controller, uint64_t now)
{
	bool blinded = policy_blinded(&controller->daemon->registry.host->policy, now);

	if (blinded && !controller->blinded)
		log_warning("the host's stall counter does not move while many tasks reclaim memory: some program reads "
			    "/proc/pressure/memory too often; going by reclaim and headroom");
	controller->blinded = blinded;
}

static void controller_drop_silent(struct controller *controller, uint64_t now)
{
	struct registry *registry = &controller->daemon->registry;

	for (size_t i = registry->n_clients; registry->n_ready < registry->n_clients && i-- > 0;) {
		struct client *client = registry->clients[i];

		if (client->state == CLIENT_NEW && now - client->connected_nsec > CONTROLLER_HELLO_NSEC)
			server_drop(&controller->daemon->server, client, "did not say HELLO");
	}
}

/* ---- the step ---- */

static uint64_t controller_interval(const struct controller *controller, bool raised)
{
	const struct config *config = &controller->daemon->config;
	uint64_t interval = CONTROLLER_SLOW_NSEC;

	if (config->policy.idle_nsec)
		interval = util_min(interval, util_max(CONTROLLER_FAST_NSEC, config->policy.idle_nsec / 6));
	return raised ? util_min(interval, config->poll_nsec) : interval;
}

/* Look at every client, and do what the policy says. */
static void controller_step_clients(struct controller *controller, struct policy_scene *scene, uint64_t now)
{
	struct daemon *daemon = controller->daemon;
	struct registry *registry = &daemon->registry;
	size_t n_advice;

	controller->looked_nsec = now;
	for (size_t i = 0; i < registry->n_clients; i++)
		controller_view(controller, registry->clients[i], now);
	record_clients(&daemon->record, scene);
	n_advice = policy_step_clients(&daemon->config.policy, now, scene, registry->advice, registry->capacity);
	record_answers(&daemon->record, scene, registry->advice, n_advice);
	controller->n_waiting = scene->n_waiting;
	for (size_t i = 0; i < n_advice; i++)
		controller_apply(controller, &registry->advice[i], now);
}

static void controller_step(void *data)
{
	struct controller *controller = data;
	struct daemon *daemon = controller->daemon;
	struct registry *registry = &daemon->registry;
	enum hkp_pressure before[CONTROLLER_LOGGED_DOMAINS];
	uint64_t now = util_now_nsec(), interval;
	struct policy_scene scene;
	size_t n_before;
	bool raised;

	controller->totals.n_steps++;
	controller->stepped_nsec = now;
	controller_drop_silent(controller, now);
	controller_log_unsaid(controller, now);
	registry_check_some(registry);
	raised = controller_read_domains(controller, now);
	scene = (struct policy_scene){.domains = registry->domains,
		.n_domains = registry->n_domains,
		.clients = registry->views,
		.n_clients = registry->n_clients,
		.paused = controller->paused};
	n_before = util_min(registry->n_domains, ARRAY_SIZE(before));
	for (size_t i = 0; i < n_before; i++)
		before[i] = registry->domains[i]->level;
	record_domains(&daemon->record, now, &scene, controller->looked_nsec);
	policy_step_domains(&daemon->config.policy, now, &scene);
	controller_log_levels(controller, before, n_before);
	controller_log_blinded(controller, now);
	if (policy_wants_clients(&daemon->config.policy, now, &scene, controller->looked_nsec))
		controller_step_clients(controller, &scene, now);
	else
		record_answers(&daemon->record, &scene, NULL, 0);
	interval = util_max(CONTROLLER_FAST_NSEC, util_min(controller_interval(controller, raised), scene.look_nsec));
	controller_publish(controller, interval, now);
	controller->ticking = registry->n_clients > 0;
	if (controller->ticking)
		loop_timer_set(controller->tick, interval);
}

/* Not sooner after the latest step than steps may follow one another: a process that registers again and again would
 * otherwise have us look at all others each time. */
void controller_wake(struct controller *controller)
{
	uint64_t now = util_now_nsec(), due = controller->stepped_nsec + CONTROLLER_FAST_NSEC;

	controller->ticking = true;
	loop_timer_set(controller->tick, due > now + CONTROLLER_WAKE_NSEC ? due - now : CONTROLLER_WAKE_NSEC);
}

int controller_init(struct controller *controller, struct daemon *daemon)
{
	int r;

	*controller = (struct controller){.daemon = daemon};
	TAILQ_INIT(&controller->waiting);
	r = loop_timer_new(daemon->loop, controller_step, controller, &controller->tick);
	if (r >= 0)
		r = loop_timer_new(daemon->loop, controller_deadline, controller, &controller->deadline);
	return r;
}

void controller_deinit(struct controller *controller)
{
	loop_timer_free(controller->tick);
	loop_timer_free(controller->deadline);
	controller->tick = controller->deadline = NULL;
}
