/* SPDX-License-Identifier: MIT */
/*
 * The policy, rule by rule, under a virtual clock.
 *
 * A world is two cgroups /a and /b under the host, with two clients in /a and one in /b.  Stall time is given per
 * second, so that a test reads like a trace.
 */
#include "tests/hakmemd/unit.h"

#include "hakmemd/config.h"
#include "hakmemd/policy.h"
#include "hakmemd/util.h"

#define MIB (UINT64_C(1) << 20)

enum { HOST, A, B, N_DOMAINS };
enum { A1, A2, B1, N_CLIENTS };

struct world {
	struct policy_config config;
	struct policy_domain domains[N_DOMAINS];
	struct policy_client clients[N_CLIENTS];
	struct policy_advice advice[N_CLIENTS];
	size_t n_advice;
	uint64_t now_nsec;
	uint64_t cpu_nsec; /* of all */
	bool paused;
	struct policy_scene scene;
};

static void world_step(struct world *world)
{
	struct policy_domain *domains[N_DOMAINS];
	struct policy_client *clients[N_CLIENTS];

	for (size_t i = 0; i < N_DOMAINS; i++)
		domains[i] = &world->domains[i];
	for (size_t i = 0; i < N_CLIENTS; i++) {
		clients[i] = &world->clients[i];
		clients[i]->has_cpu = policy_wants_cpu(&world->config, clients[i], world->now_nsec);
		clients[i]->cpu_nsec = world->cpu_nsec;
	}
	world->scene = (struct policy_scene){.domains = domains,
		.n_domains = N_DOMAINS,
		.clients = clients,
		.n_clients = N_CLIENTS,
		.paused = world->paused};
	world->n_advice = policy_step(&world->config, world->now_nsec, &world->scene, world->advice, N_CLIENTS);
}

/* One second in which `domain` stalled for so long. */
static void world_second(struct world *world, int domain, uint64_t some_msec, uint64_t full_msec)
{
	world->now_nsec += NSEC_PER_SEC;
	world->domains[domain].some_usec += some_msec * 1000;
	world->domains[domain].full_usec += full_msec * 1000;
	world_step(world);
}

static void world_seconds(struct world *world, unsigned n)
{
	while (n--)
		world_second(world, HOST, 0, 0);
}

/* Answer every piece of advice as a client would that gives back so much. */
static void world_answer(struct world *world, uint64_t actual_bytes)
{
	for (size_t i = 0; i < world->n_advice; i++) {
		const struct policy_advice *advice = &world->advice[i];
		struct policy_outcome outcome = {.level = advice->level,
			.claimed_bytes = actual_bytes,
			.actual_bytes = actual_bytes,
			.usec = 1000,
			.target_bytes = advice->target_bytes,
			.taken_bytes = advice->client->taken_bytes};

		policy_sent(&world->config, world->now_nsec, advice->client, advice->level, advice->reason);
		policy_result(&world->config, world->now_nsec, advice->client, &outcome);
	}
}

/* The advice for a client; NULL = there is none. */
static const struct policy_advice *world_advice(const struct world *world, int client)
{
	for (size_t i = 0; i < world->n_advice; i++)
		if (world->advice[i].client == &world->clients[client])
			return &world->advice[i];
	return NULL;
}

static int setup(void **state)
{
	struct world *world = calloc(1, sizeof *world);
	struct config config;

	config_init(&config);
	world->config = config.policy;
	world->config.idle_nsec = 0; /* tests of idleness turn it on */
	world->config.budget_first_bytes = 1024 * MIB; /* and tests of budgets make it small */
	world->now_nsec = 1000 * NSEC_PER_SEC;
	for (int i = 0; i < N_DOMAINS; i++) {
		policy_domain_init(&world->domains[i], i == HOST);
		world->domains[i].parent = i == HOST ? NULL : &world->domains[HOST];
		world->domains[i].sampled = true;
		world->domains[i].headroom = i == HOST ? 0.4 : -1;
	}
	for (int i = 0; i < N_CLIENTS; i++) {
		policy_client_init(&world->clients[i], &world->config);
		world->clients[i].domain = &world->domains[i == B1 ? B : A];
		world->clients[i].releasable_bytes = 64 * MIB;
		world->clients[i].activity_nsec = world->now_nsec;
	}
	world_step(world); /* the first sample is where counting begins */
	*state = world;
	return 0;
}

static int teardown(void **state)
{
	free(*state);
	return 0;
}

static void test_calm(void **state)
{
	struct world *world = *state;

	for (int i = 0; i < 30; i++) {
		world_second(world, A, 30, 0); /* 3 %: below every threshold */
		assert_int_equal(world->n_advice, 0);
	}
	assert_int_equal(world->domains[A].level, HKP_CALM);
}

static void test_entry_levels(void **state)
{
	struct world *world = *state;

	world_second(world, A, 75, 0);
	assert_int_equal(world->domains[A].level, HKP_LOW);
	assert_int_equal(world_advice(world, A1)->level, 0);
	world_second(world, A, 150, 0); /* 225 ms in 2 s */
	assert_int_equal(world->domains[A].level, HKP_MEDIUM);
	assert_int_equal(world_advice(world, A1)->level, 1);
	world_second(world, A, 200, 150);
	assert_int_equal(world->domains[A].level, HKP_CRITICAL);
	assert_int_equal(world_advice(world, A1)->level, 2);
}

static void test_deeper_while_it_lasts(void **state)
{
	struct world *world = *state;

	world_second(world, A, 250, 0);
	assert_int_equal(world_advice(world, A1)->level, 1);
	world_answer(world, 8 * MIB);
	world_second(world, A, 250, 0);
	assert_int_equal(world->n_advice, 0); /* rounds are 2 s apart */
	world_second(world, A, 250, 0);
	assert_int_equal(world_advice(world, A1)->level, 2);
	world_answer(world, 8 * MIB);
	world_second(world, A, 250, 150);
	assert_int_equal(world->domains[A].level, HKP_CRITICAL);
	world_seconds(world, 1);
	world_second(world, A, 300, 200);
	assert_int_equal(world_advice(world, A1)->level, 3);
}

static void test_only_inside(void **state)
{
	struct world *world = *state;

	world_second(world, A, 250, 0);
	assert_non_null(world_advice(world, A1));
	assert_non_null(world_advice(world, A2));
	assert_null(world_advice(world, B1));
}

/* One cgroup at its limit shows as host stall: with memory to spare and no reclaim of its own, no level. */
static void test_host_needs_strain(void **state)
{
	struct world *world = *state;

	for (int i = 0; i < 10; i++) {
		world_second(world, HOST, 900, 800);
		assert_int_equal(world->domains[HOST].level, HKP_CALM);
		assert_int_equal(world->n_advice, 0);
	}
	world->domains[HOST].n_reclaims += 10;
	world_second(world, HOST, 900, 0);
	assert_int_equal(world->domains[HOST].level, HKP_CRITICAL); /* full over 2 s is still there */
	assert_int_equal(world->n_advice, 3);
}

static void test_host_headroom_needs_stall(void **state)
{
	struct world *world = *state;

	world->domains[HOST].headroom = 0.04;
	world_seconds(world, 5);
	assert_int_equal(world->domains[HOST].level, HKP_CALM);
	world_second(world, HOST, 80, 0);
	assert_int_equal(world->domains[HOST].level, HKP_CRITICAL);
}

static void test_host_low_suppressed(void **state)
{
	struct world *world = *state;

	world->domains[HOST].headroom = 0.6;
	world->domains[HOST].n_reclaims++;
	world_second(world, HOST, 80, 0);
	assert_int_equal(world->domains[HOST].level, HKP_CALM);
	world->domains[HOST].headroom = 0.4;
	world->domains[HOST].n_reclaims++;
	world_second(world, HOST, 80, 0);
	assert_int_equal(world->domains[HOST].level, HKP_LOW);
}

static void test_trigger_counts(void **state)
{
	struct world *world = *state;

	world->domains[A].triggered = true;
	world_second(world, A, 10, 0);
	assert_int_equal(world->domains[A].level, HKP_LOW);
	world->domains[HOST].triggered = true; /* but not for a host with memory to spare */
	world_seconds(world, 1);
	assert_int_equal(world->domains[HOST].level, HKP_CALM);
}

static void test_cgroup_headroom(void **state)
{
	struct world *world = *state;

	world->domains[A].headroom = 0.09;
	world_seconds(world, 1);
	assert_int_equal(world->domains[A].level, HKP_MEDIUM);
	world->domains[A].headroom = 0.11; /* holds up to 1.2 x the entry value */
	world_seconds(world, 15);
	assert_int_equal(world->domains[A].level, HKP_MEDIUM);
	world->domains[A].headroom = 0.13;
	world_seconds(world, 11);
	assert_int_equal(world->domains[A].level, HKP_LOW);
}

static void test_oom_is_critical(void **state)
{
	struct world *world = *state;

	world->domains[A].n_ooms = 1;
	world_seconds(world, 1);
	assert_int_equal(world->domains[A].level, HKP_CRITICAL);
}

static void test_falls_one_at_a_time(void **state)
{
	struct world *world = *state;
	unsigned seconds = 0;

	world_second(world, A, 400, 300);
	assert_int_equal(world->domains[A].level, HKP_CRITICAL);
	while (world->domains[A].level == HKP_CRITICAL && seconds++ < 30)
		world_seconds(world, 1);
	assert_int_equal(world->domains[A].level, HKP_MEDIUM);
	assert_in_range(seconds, 10, 13); /* 2 s until the window is empty, then the delay */
	world_seconds(world, 9);
	assert_int_equal(world->domains[A].level, HKP_MEDIUM);
	world_seconds(world, 1);
	assert_int_equal(world->domains[A].level, HKP_LOW);
	world_seconds(world, 10);
	assert_int_equal(world->domains[A].level, HKP_CALM);
}

static void test_half_the_entry_value_holds(void **state)
{
	struct world *world = *state;

	world_second(world, A, 80, 0);
	for (int i = 0; i < 40; i++)
		world_second(world, A, 40, 0); /* below 70, above 35 */
	assert_int_equal(world->domains[A].level, HKP_LOW);
}

static void test_counter_that_began_anew(void **state)
{
	struct world *world = *state;

	world_second(world, A, 10, 0);
	world->domains[A].some_usec = 3;
	world_seconds(world, 1);
	assert_int_equal(world->domains[A].level, HKP_CALM);
}

static void test_samples_far_apart_are_scaled(void **state)
{
	struct world *world = *state;

	world->now_nsec += 9 * NSEC_PER_SEC;
	world_second(world, A, 300, 0); /* 30 ms per second over ten */
	assert_int_equal(world->domains[A].level, HKP_CALM);
	assert_in_range(policy_stall_usec(&world->domains[A], false, 1000000), 29000, 31000);
}

static void test_floor(void **state)
{
	struct world *world = *state;

	world->clients[A1].releasable_bytes = MIB - 1;
	world_second(world, A, 250, 0);
	assert_null(world_advice(world, A1));
	assert_non_null(world_advice(world, A2));
}

static void test_backoff(void **state)
{
	struct world *world = *state;
	unsigned n_asked = 0;

	world->config.enter[1] = world->config.enter[2]; /* low only: the same depth all the time */
	for (int i = 0; i < 160; i++) {
		world_second(world, A, 100, 0);
		if (world_advice(world, A1))
			n_asked++;
		world_answer(world, 0);
	}
	/* 0, then after 20, 40, 80 s: doubling, not every round */
	assert_in_range(n_asked, 3, 4);
}

static void test_backoff_lets_deeper_through(void **state)
{
	struct world *world = *state;

	world_second(world, A, 80, 0);
	world_answer(world, 0);
	world_second(world, A, 250, 0);
	assert_non_null(world_advice(world, A1));
	assert_int_equal(world_advice(world, A1)->level, 1);
}

static void test_growth_ends_backoff(void **state)
{
	struct world *world = *state;

	world->config.enter[1] = world->config.enter[2];
	world_second(world, A, 100, 0);
	world_answer(world, 0);
	world_second(world, A, 100, 0);
	world_second(world, A, 100, 0);
	assert_null(world_advice(world, A1));
	world->clients[A1].releasable_bytes = 128 * MIB;
	world_second(world, A, 100, 0);
	if (!world->n_advice) /* between two rounds */
		world_second(world, A, 100, 0);
	assert_non_null(world_advice(world, A1));
	assert_null(world_advice(world, A2));
}

static void test_gave_back_interval(void **state)
{
	struct world *world = *state;
	int second;

	world->config.enter[1] = world->config.enter[2];
	world_second(world, A, 100, 0);
	world_answer(world, 8 * MIB);
	for (second = 1; second < 60; second++) {
		world_second(world, A, 100, 0);
		if (world_advice(world, A1))
			break;
	}
	assert_in_range(second, 10, 12);
}

static void test_timeouts_demote(void **state)
{
	struct world *world = *state;

	policy_timeout(&world->config, world->now_nsec, &world->clients[A1], 2, 1);
	assert_true(world->clients[A1].next_flush_nsec[2] <= world->now_nsec + 20 * NSEC_PER_SEC);
	assert_int_equal(world->clients[A1].next_flush_nsec[3], 0);
	policy_timeout(&world->config, world->now_nsec, &world->clients[A1], 2, 3);
	assert_int_equal(world->clients[A1].next_flush_nsec[3], world->now_nsec + 600 * NSEC_PER_SEC);
}

static void test_order(void **state)
{
	struct world *world = *state;

	world->clients[A1].releasable_bytes = 10 * MIB;
	world->clients[A2].releasable_bytes = 20 * MIB;
	world_second(world, A, 75, 0);
	assert_ptr_equal(world->advice[0].client, &world->clients[A2]);
	world->clients[A1].bytes_per_usec = 100000; /* gives much faster */
	world_second(world, A, 250, 0);
	assert_ptr_equal(world->advice[0].client, &world->clients[A1]);
	world->clients[A2].idle = true; /* idle goes before everything */
	world_second(world, A, 300, 200);
	assert_ptr_equal(world->advice[0].client, &world->clients[A2]);
}

static void test_busy_waits_for_deeper(void **state)
{
	struct world *world = *state;

	world->clients[A1].busy_level = 1;
	world->clients[A2].busy_level = 0;
	world_second(world, A, 250, 0);
	assert_null(world_advice(world, A1));
	assert_int_equal(world_advice(world, A2)->level, 1);
}

static void test_omit(void **state)
{
	struct world *world = *state;

	world->clients[A1].omit = true;
	world_second(world, A, 250, 0);
	assert_null(world_advice(world, A1));
}

static void test_paused(void **state)
{
	struct world *world = *state;

	world->paused = true;
	world_second(world, A, 250, 0);
	assert_int_equal(world->domains[A].level, HKP_MEDIUM);
	assert_int_equal(world->n_advice, 0);
	world->paused = false;
	world_second(world, A, 250, 0);
	assert_int_equal(world_advice(world, A1)->level, 1);
	world->paused = true; /* in the middle of a round, too */
	world_second(world, A, 250, 0);
	assert_int_equal(world->n_advice, 0);
	world->config.idle_nsec = 5 * NSEC_PER_SEC;
	world_seconds(world, 10);
	assert_int_equal(world->n_advice, 0);
}

/* ---- idleness ---- */

static void test_idle(void **state)
{
	struct world *world = *state;

	world->config.idle_nsec = 30 * NSEC_PER_SEC;
	world_seconds(world, 29);
	assert_int_equal(world->n_advice, 0);
	world_seconds(world, 2);
	assert_int_equal(world->n_advice, 3);
	assert_int_equal(world_advice(world, A1)->level, 2);
	assert_int_equal(world_advice(world, A1)->reason, HKP_REASON_IDLE);
	assert_null(world_advice(world, A1)->domain);
}

static void test_idle_once_per_episode(void **state)
{
	struct world *world = *state;

	world->config.idle_nsec = 5 * NSEC_PER_SEC;
	world_seconds(world, 6);
	assert_int_equal(world->n_advice, 3);
	world_answer(world, 32 * MIB);
	for (int i = 0; i < 100; i++) {
		world_seconds(world, 1);
		assert_int_equal(world->n_advice, 0);
	}
	world->clients[A1].activity_nsec = world->now_nsec; /* a new episode begins */
	world_seconds(world, 5);
	assert_int_equal(world->n_advice, 0);
	world_seconds(world, 3);
	assert_int_equal(world->n_advice, 1);
}

/* The flush itself changes figures: that is no activity of the program. */
static void test_idle_flush_is_no_activity(void **state)
{
	struct world *world = *state;

	world->config.idle_nsec = 5 * NSEC_PER_SEC;
	world_seconds(world, 6);
	world_answer(world, 32 * MIB);
	world->clients[A1].activity_nsec++;
	world->clients[A1].changes++;
	for (int i = 0; i < 30; i++) {
		world_seconds(world, 1);
		assert_null(world_advice(world, A1));
	}
}

static void test_idle_needs_quiet_heap(void **state)
{
	struct world *world = *state;

	world->config.idle_nsec = 5 * NSEC_PER_SEC;
	for (int i = 0; i < 30; i++) {
		world->clients[A1].activity_nsec = world->now_nsec;
		world->clients[A2].changes++;
		world_seconds(world, 1);
		assert_null(world_advice(world, A1));
		assert_null(world_advice(world, A2));
	}
}

/* A busy process that lives in its magazines has no slow path either: its CPU time gives it away. */
static void test_idle_needs_quiet_cpu(void **state)
{
	struct world *world = *state;

	world->config.idle_nsec = 30 * NSEC_PER_SEC;
	for (int i = 0; i < 100; i++) {
		world->cpu_nsec += 100 * NSEC_PER_MSEC; /* 10 % */
		world_seconds(world, 1);
		assert_int_equal(world->n_advice, 0);
	}
	for (int i = 0; i < 40; i++) { /* the spell restarts once the busy seconds are behind it */
		world->cpu_nsec += 5 * NSEC_PER_MSEC; /* half a percent */
		world_seconds(world, 1);
		if (world->n_advice)
			break;
	}
	assert_int_equal(world->n_advice, 3);
}

static void test_idle_floor(void **state)
{
	struct world *world = *state;

	world->config.idle_nsec = 5 * NSEC_PER_SEC;
	world->config.idle_floor_bytes = 32 * MIB; /* above pressure's, so that its CPU time is looked at all the same */
	world->clients[A1].releasable_bytes = 32 * MIB;
	world_seconds(world, 8);
	assert_true(world->clients[A1].idle);
	assert_null(world_advice(world, A1));
	assert_non_null(world_advice(world, A2));
}

/* ---- budgets ---- */

/* Bytes that the round under way asked for. */
static uint64_t world_asked(const struct world *world)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < world->n_advice; i++)
		sum += util_min(world->advice[i].target_bytes, world->advice[i].client->releasable_bytes);
	return sum;
}

static void world_small_budget(struct world *world)
{
	world->config.budget_first_bytes = 16 * MIB;
	world->config.enter[2] = (struct policy_stall){.full = true, .stall_usec = 1999999, .window_usec = 2000000};
}

static void test_budget_doubles(void **state)
{
	struct world *world = *state;

	world_small_budget(world);
	world_second(world, A, 250, 0);
	assert_int_equal(world->n_advice, 1); /* one can give all that is asked for */
	assert_int_equal(world_asked(world), 16 * MIB);
	world_answer(world, 16 * MIB);
	world_second(world, A, 250, 0);
	assert_int_equal(world->n_advice, 0); /* the budget is spent */
	world_second(world, A, 250, 0);
	assert_int_equal(world_asked(world), 32 * MIB);
	world_answer(world, 32 * MIB);
	world_seconds(world, 1);
	world_second(world, A, 500, 0);
	assert_int_equal(world_asked(world), 64 * MIB);
	world_answer(world, 64 * MIB);
	world_seconds(world, 1);
	world_second(world, A, 500, 0);
	assert_int_equal(world->domains[A].budget_bytes, 128 * MIB);
	assert_int_equal(world->n_advice, 1); /* the other: the first has nothing left that it was not asked for */
}

static void test_budget_begins_anew(void **state)
{
	struct world *world = *state;

	world_small_budget(world);
	world_second(world, A, 250, 0);
	world_seconds(world, 1);
	world_second(world, A, 250, 0);
	assert_int_equal(world->domains[A].budget_bytes, 32 * MIB);
	world_seconds(world, 40);
	assert_int_equal(world->domains[A].level, HKP_CALM);
	world_second(world, A, 250, 0);
	assert_int_equal(world->domains[A].budget_bytes, 16 * MIB);
}

static void test_budget_covers_shortage(void **state)
{
	struct world *world = *state;

	world_small_budget(world);
	world->domains[A].headroom = 0.08;
	world->domains[A].limit_bytes = 1000 * MIB;
	world_seconds(world, 1);
	assert_in_range(world_asked(world), 39 * MIB, 41 * MIB); /* from 8 % to 1.2 x 10 % */
}

static void test_everything_has_no_budget(void **state)
{
	struct world *world = *state;

	world->config.budget_first_bytes = MIB;
	world_second(world, A, 500, 400);
	world_second(world, A, 500, 400);
	world_second(world, A, 500, 400);
	assert_int_equal(world_advice(world, A1)->level, 3);
	assert_int_equal(world_advice(world, A1)->target_bytes, UINT64_MAX);
	assert_non_null(world_advice(world, A2));
}

/* Rounds that headroom asks for follow faster: it does not lag. */
static void test_headroom_paces_rounds(void **state)
{
	struct world *world = *state;

	world->domains[A].headroom = 0.09;
	world_seconds(world, 1);
	assert_int_equal(world_advice(world, A1)->level, 2); /* and go deep at once */
	world->now_nsec += 250 * NSEC_PER_MSEC;
	world_step(world);
	assert_int_equal(world->domains[A].budget_bytes, 2048 * MIB);
}

/* However still it stands: 20 MiB above medium can be gone in 80 ms.  But only while somebody could help. */
static void test_looks_often_near_the_limit(void **state)
{
	struct world *world = *state;

	world->domains[A].headroom = 0.2;
	world->domains[A].limit_bytes = 1000 * MIB;
	world_seconds(world, 2);
	assert_in_range(world->scene.look_nsec, 200 * NSEC_PER_MSEC, 220 * NSEC_PER_MSEC);
	world->domains[A].limit_bytes = 100000 * MIB;
	world_seconds(world, 1);
	assert_true(world->scene.look_nsec > 10 * NSEC_PER_SEC);
	world->domains[A].limit_bytes = 1000 * MIB;
	world->clients[A1].releasable_bytes = world->clients[A2].releasable_bytes = 1;
	world_seconds(world, 2);
	assert_true(world->scene.look_nsec == UINT64_MAX);
}

static void test_looks_sooner_as_headroom_falls(void **state)
{
	struct world *world = *state;

	world->domains[A].headroom = 0.40;
	world_seconds(world, 1);
	assert_true(world->scene.look_nsec == UINT64_MAX);
	world->domains[A].headroom = 0.30;
	world_seconds(world, 1);
	assert_in_range(world->scene.look_nsec, 999 * NSEC_PER_MSEC, 1001 * NSEC_PER_MSEC); /* half of (30 - 10) / 10 */
	world->domains[A].headroom = 0.11;
	world_seconds(world, 1);
	assert_int_equal(world->scene.look_nsec, 100 * NSEC_PER_MSEC);
	world->domains[A].headroom = 0.2;
	world_seconds(world, 1);
	assert_true(world->scene.look_nsec == UINT64_MAX);
}

/* ---- regret ---- */

static void test_regret_backs_off(void **state)
{
	struct world *world = *state;
	unsigned n_asked = 0;

	world->config.enter[1] = world->config.enter[2];
	for (int i = 0; i < 100; i++) {
		world_second(world, A, 100, 0);
		n_asked += world_advice(world, A1) != NULL;
		world_answer(world, 8 * MIB);
		world->clients[A1].taken_bytes += 8 * MIB / 4; /* all of it again within four seconds */
	}
	assert_in_range(n_asked, 2, 4); /* 0, then after 40, 160 s: not every ten */
	assert_true(world->clients[A1].n_regrets >= 2);
}

static void test_little_regret_doubles(void **state)
{
	struct world *world = *state;

	world->config.enter[1] = world->config.enter[2];
	world_second(world, A, 100, 0);
	world_answer(world, 20 * MIB);
	world->clients[A1].taken_bytes += 4 * MIB; /* a fifth */
	world->clients[A2].taken_bytes += MIB;     /* a twentieth */
	for (int i = 0; i < 10; i++)
		world_second(world, A, 100, 0);
	assert_int_equal(world->clients[A1].backoff_nsec, 20 * NSEC_PER_SEC);
	assert_int_equal(world->clients[A2].backoff_nsec, 10 * NSEC_PER_SEC);
}

/* Pages given back inside SuperSlabs that stay are taken again without any new one: the kernel sees it. */
static void test_regret_by_the_kernel(void **state)
{
	struct world *world = *state;

	world_second(world, A, 250, 0);
	world->clients[A1].held_bytes = 100 * MIB;
	world_answer(world, 8 * MIB);
	world->clients[A1].regret_held_bytes = 92 * MIB;
	world_second(world, A, 250, 0);
	assert_int_equal(world->clients[A1].n_regrets, 1);
}

static void test_regret_later_is_none(void **state)
{
	struct world *world = *state;

	world_second(world, A, 250, 0);
	world_answer(world, 8 * MIB);
	world_seconds(world, 11);
	world->clients[A1].taken_bytes += 64 * MIB;
	world_seconds(world, 1);
	assert_int_equal(world->clients[A1].n_regrets, 0);
}

static void test_regret_halves_the_budget(void **state)
{
	struct world *world = *state;

	world_small_budget(world);
	world_second(world, A, 250, 0);
	world_answer(world, 16 * MIB);
	world->clients[A1].taken_bytes += 16 * MIB;
	world->clients[A2].taken_bytes += 16 * MIB;
	world_second(world, A, 250, 0);
	world_second(world, A, 250, 0);
	assert_int_equal(world->domains[A].budget_bytes, 8 * MIB);
	assert_int_equal(world->domains[B].budget_bytes, 0);
}

/* ---- how many, in what order, when ---- */

static void test_at_once(void **state)
{
	struct world *world = *state;

	world->config.n_at_once = 1;
	world_second(world, A, 250, 0);
	assert_int_equal(world->n_advice, 1);
	assert_int_equal(world->scene.n_waiting, 1);
	world->advice[0].client->busy_level = 1;
	world_step(world);
	assert_int_equal(world->n_advice, 0);
	assert_int_equal(world->scene.n_waiting, 1);
	world->clients[A1].busy_level = world->clients[A2].busy_level = -1;
	policy_sent(&world->config, world->now_nsec, &world->clients[A1], 1, HKP_REASON_PRESSURE);
	/* It has answered: in the same round comes the other. */
	world_step(world);
	assert_non_null(world_advice(world, A2));
}

static void test_protected_last(void **state)
{
	struct world *world = *state;

	world->domains[A].protected_ = true;
	world->clients[A1].idle = true;
	world->clients[B1].releasable_bytes = 2 * MIB;
	world->domains[HOST].n_reclaims++;
	world_second(world, HOST, 250, 0);
	assert_int_equal(world->n_advice, 3);
	assert_ptr_equal(world->advice[0].client, &world->clients[B1]);
	assert_ptr_equal(world->advice[1].client, &world->clients[A1]);
	world->domains[HOST].headroom = 0.4;
	world_second(world, A, 250, 0); /* against its own cgroup memory.low says nothing */
	assert_ptr_equal(world->advice[0].client, &world->clients[A1]);
}

static void test_trust_counts(void **state)
{
	struct world *world = *state;
	struct policy_outcome lie = {.level = 0, .claimed_bytes = 64 * MIB, .actual_bytes = 0, .usec = 1};
	double rate;

	world->clients[A1].releasable_bytes = 65 * MIB;
	rate = world->clients[A1].bytes_per_usec;
	for (int i = 0; i < 5; i++)
		policy_result(&world->config, world->now_nsec, &world->clients[A1], &lie);
	assert_true(world->clients[A1].trust < 0.2);
	world->clients[A1].bytes_per_usec = rate; /* that its word alone tells the two apart */
	world_second(world, A, 250, 0);
	assert_ptr_equal(world->advice[0].client, &world->clients[A2]);
	assert_true(policy_expected_bytes(&world->clients[A1]) < 13 * MIB);
}

/* It gave all that the budget let it be asked for: it may be asked again in the next round. */
static void test_target_met_is_not_held_off(void **state)
{
	struct world *world = *state;

	world_small_budget(world);
	world->clients[A2].omit = true;
	world_second(world, A, 250, 0);
	world_answer(world, 16 * MIB);
	world_second(world, A, 250, 0);
	world->config.enter[1] = world->config.enter[2]; /* the same depth */
	world_second(world, A, 250, 0);
	assert_non_null(world_advice(world, A1));
}

static void test_excluded(void **state)
{
	struct world *world = *state;

	world->config.idle_nsec = 5 * NSEC_PER_SEC;
	world->clients[A1].excluded = true;
	for (int i = 0; i < 10; i++) {
		world_second(world, A, 250, 0);
		assert_null(world_advice(world, A1));
	}
	assert_int_equal(world->clients[A1].verdict, POLICY_EXCLUDED);
}

static void test_jitter(void **state)
{
	struct world *world = *state;
	struct policy_outcome nothing = {.level = 2, .usec = 1};
	uint64_t first[2];

	for (int i = 0; i < 2; i++) {
		struct policy_client *client = &world->clients[i];

		client->seed = 77 + (uint64_t)i;
		policy_result(&world->config, world->now_nsec, client, &nothing);
		first[i] = client->next_flush_nsec[2] - world->now_nsec;
		assert_in_range(first[i], 20 * NSEC_PER_SEC, 25 * NSEC_PER_SEC);
	}
	assert_int_not_equal(first[0], first[1]);
}

static void test_idle_jitter(void **state)
{
	struct world *world = *state;
	int second[2] = {0, 0};

	world->config.idle_nsec = 40 * NSEC_PER_SEC;
	world->clients[A1].seed = 1;
	world->clients[A2].seed = 4;
	for (int i = 1; i < 60; i++) {
		world_seconds(world, 1);
		for (int j = 0; j < 2; j++)
			if (world_advice(world, j) && !second[j])
				second[j] = i;
	}
	assert_in_range(second[0], 40, 51);
	assert_in_range(second[1], 40, 51);
	assert_int_not_equal(second[0], second[1]);
}

/* ---- signals ---- */

static void test_blinded(void **state)
{
	struct world *world = *state;

	world->domains[HOST].headroom = 0.08;
	for (int i = 0; i < 2; i++) {
		world->domains[HOST].n_stalls += 500;
		world->domains[HOST].n_reclaims += 500;
		world_second(world, HOST, 0, 0);
		assert_int_equal(world->domains[HOST].level, HKP_CALM);
	}
	world->domains[HOST].n_stalls += 500;
	world->domains[HOST].n_reclaims += 500;
	world_second(world, HOST, 0, 0);
	assert_true(policy_blinded(&world->domains[HOST], world->now_nsec));
	assert_int_equal(world->domains[HOST].level, HKP_MEDIUM);
	world->domains[HOST].headroom = 0.5;
	world_seconds(world, 60);
	assert_false(policy_blinded(&world->domains[HOST], world->now_nsec));
}

static void test_not_blinded_while_the_counter_moves(void **state)
{
	struct world *world = *state;

	for (int i = 0; i < 10; i++) {
		world->domains[HOST].n_stalls += 500;
		world_second(world, HOST, 20, 0);
	}
	assert_false(policy_blinded(&world->domains[HOST], world->now_nsec));
}

static void test_hits_are_low(void **state)
{
	struct world *world = *state;

	world->domains[A].n_hits = 3;
	world_seconds(world, 1);
	assert_int_equal(world->domains[A].level, HKP_LOW);
	world_seconds(world, 11);
	assert_int_equal(world->domains[A].level, HKP_CALM);
}

static void test_verdicts(void **state)
{
	struct world *world = *state;

	world_seconds(world, 1);
	assert_int_equal(world->clients[A1].verdict, POLICY_CALM);
	world->clients[A2].releasable_bytes = 1;
	world_second(world, A, 250, 0);
	assert_int_equal(world->clients[A1].verdict, POLICY_ASKED);
	assert_int_equal(world->clients[A1].verdict_level, HKP_MEDIUM);
	assert_int_equal(world->clients[A2].verdict, POLICY_FLOOR);
	assert_int_equal(world->clients[B1].verdict, POLICY_CALM);
	world_answer(world, 0);
	world_second(world, A, 250, 0);
	assert_int_equal(world->clients[A1].verdict, POLICY_HELD_OFF);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_calm), TEST(test_entry_levels), TEST(test_deeper_while_it_lasts), TEST(test_only_inside),
		TEST(test_host_needs_strain), TEST(test_host_headroom_needs_stall), TEST(test_host_low_suppressed),
		TEST(test_trigger_counts), TEST(test_cgroup_headroom), TEST(test_oom_is_critical),
		TEST(test_falls_one_at_a_time), TEST(test_half_the_entry_value_holds),
		TEST(test_counter_that_began_anew), TEST(test_samples_far_apart_are_scaled), TEST(test_floor),
		TEST(test_backoff), TEST(test_backoff_lets_deeper_through), TEST(test_growth_ends_backoff),
		TEST(test_gave_back_interval), TEST(test_timeouts_demote), TEST(test_order),
		TEST(test_busy_waits_for_deeper), TEST(test_omit), TEST(test_paused), TEST(test_idle),
		TEST(test_idle_once_per_episode), TEST(test_idle_flush_is_no_activity),
		TEST(test_idle_needs_quiet_heap), TEST(test_idle_needs_quiet_cpu), TEST(test_idle_floor),
		TEST(test_budget_doubles), TEST(test_budget_begins_anew), TEST(test_budget_covers_shortage),
		TEST(test_everything_has_no_budget), TEST(test_headroom_paces_rounds),
		TEST(test_looks_sooner_as_headroom_falls), TEST(test_looks_often_near_the_limit), TEST(test_regret_backs_off),
		TEST(test_little_regret_doubles), TEST(test_regret_by_the_kernel), TEST(test_regret_later_is_none),
		TEST(test_regret_halves_the_budget), TEST(test_at_once), TEST(test_protected_last),
		TEST(test_trust_counts), TEST(test_target_met_is_not_held_off), TEST(test_excluded),
		TEST(test_jitter), TEST(test_idle_jitter), TEST(test_blinded),
		TEST(test_not_blinded_while_the_counter_moves), TEST(test_hits_are_low), TEST(test_verdicts),
	};

	return cmocka_run_group_tests_name("policy", tests, NULL, NULL);
}
