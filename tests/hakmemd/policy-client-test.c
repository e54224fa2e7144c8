/* SPDX-License-Identifier: MIT */
/* Clients: idleness, and what is learnt of what their flushes came to. */
#include "tests/hakmemd/policy-world.h"

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
	assert_true(policy_expected_bytes(&world->clients[A1], 2) < 13 * MIB);
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

/* ---- proactive ---- */

static void world_proactive(struct world *world)
{
	world->config.proactive = 1;
	world->config.idle_nsec = 5 * NSEC_PER_SEC;
	world->domains[HOST].quiet = true;
	for (int i = 0; i < N_CLIENTS; i++)
		world->clients[i].releasable_bytes = 512 << 10; /* half of the floor */
}

static void test_proactive(void **state)
{
	struct world *world = *state;
	unsigned n_asked = 0;

	world_proactive(world);
	for (int i = 0; i < 30; i++) {
		world_seconds(world, 1);
		world->clients[B1].releasable_bytes = i < 3 ? 512 << 10 : 16 << 10; /* by the time it is idle */
		assert_true(world->n_advice <= 1); /* one after the other */
		n_asked += (unsigned)world->n_advice;
		world_answer(world, 256 << 10);
	}
	assert_int_equal(n_asked, 2); /* once per episode, and not for next to nothing */
	assert_int_equal(world->clients[A1].backoff_nsec, 10 * NSEC_PER_SEC); /* little is not nothing here */
}

static void test_proactive_is_off(void **state)
{
	struct world *world = *state;

	world_proactive(world);
	world->config.proactive = 0;
	world->config.floor_bytes = 1; /* so that its CPU time is looked at */
	for (int i = 0; i < 30; i++) {
		world_seconds(world, 1);
		assert_int_equal(world->n_advice, 0);
	}
	assert_true(world->clients[A1].idle);
}

static void test_proactive_needs_quiet(void **state)
{
	struct world *world = *state;

	world_proactive(world);
	world->domains[HOST].quiet = false;
	for (int i = 0; i < 30; i++) {
		world_seconds(world, 1);
		assert_int_equal(world->n_advice, 0);
	}
	world->domains[HOST].quiet = true;
	world_seconds(world, 1);
	assert_int_equal(world->n_advice, 1);
}

/* 50 ms of work: the next one five seconds later. */
static void test_proactive_takes_little_cpu(void **state)
{
	struct world *world = *state;
	struct policy_outcome slow = {.level = 2, .claimed_bytes = 256 << 10, .actual_bytes = 256 << 10, .usec = 50000};
	int second;

	world_proactive(world);
	while (!world->n_advice)
		world_seconds(world, 1);
	policy_sent(&world->config, world->now_nsec, world->advice[0].client, 2, HKP_REASON_IDLE);
	policy_result(&world->config, world->now_nsec, world->advice[0].client, &slow);
	world->n_advice = 0;
	for (second = 0; !world->n_advice && second < 30; second++)
		world_seconds(world, 1);
	assert_in_range(second, 5, 6);
}

/* ---- threads that rest in a busy process ---- */

static void world_busy_threads(struct world *world)
{
	world->config.idle_nsec = 30 * NSEC_PER_SEC;
	world->config.rest_nsec = 5 * NSEC_PER_SEC;
	world->clients[A1].n_threads = 8;
	world->clients[A1].hot_bytes = 4 * MIB;
}

/* A second in which the program of A1 goes on. */
static void world_busy_second(struct world *world)
{
	world->clients[A1].activity_nsec++;
	world_seconds(world, 1);
}

static void test_threads(void **state)
{
	struct world *world = *state;

	world_busy_threads(world);
	world_busy_second(world);
	assert_int_equal(world->n_advice, 1);
	assert_true(world_advice(world, A1)->rest);
	assert_int_equal(world_advice(world, A1)->level, 0);
	assert_int_equal(world_advice(world, A1)->reason, HKP_REASON_IDLE);
	world_answer(world, MIB);
	assert_false(world->clients[A1].idle_flushed);
	assert_int_equal(world->clients[A1].next_flush_nsec[0], 0); /* pressure may ask it at any time */
	for (int i = 1; i < 5; i++) {
		world_busy_second(world);
		assert_int_equal(world->n_advice, 0);
	}
	world_busy_second(world);
	assert_int_equal(world->n_advice, 1);
}

static void test_threads_that_give_nothing(void **state)
{
	struct world *world = *state;
	unsigned n_asked = 0;

	world_busy_threads(world);
	for (int i = 0; i < 70; i++) {
		world_busy_second(world);
		n_asked += world_advice(world, A1) != NULL;
		world_answer(world, 0);
	}
	assert_int_equal(n_asked, 4); /* at once, and after 5, 10 and 20 s more each */
}

static void test_threads_that_do_not_answer(void **state)
{
	struct world *world = *state;

	world_busy_threads(world);
	world_busy_second(world);
	assert_non_null(world_advice(world, A1));
	policy_sent(&world->config, world->now_nsec, &world->clients[A1], 0, HKP_REASON_IDLE);
	policy_timeout(&world->config, world->now_nsec, &world->clients[A1], 0, 1);
	for (int i = 1; i < 20; i++) {
		world_busy_second(world);
		assert_null(world_advice(world, A1));
	}
	world_busy_second(world);
	assert_non_null(world_advice(world, A1));
	policy_timeout(&world->config, world->now_nsec, &world->clients[A1], 0, 3);
	for (int i = 1; i < 600; i++) {
		world_busy_second(world);
		assert_null(world_advice(world, A1));
	}
}

static void test_threads_worth_it(void **state)
{
	struct world *world = *state;

	world_busy_threads(world);
	world->clients[A1].n_threads = 1;
	world_busy_second(world);
	assert_int_equal(world->n_advice, 0);
	world->clients[A1].n_threads = 2;
	world->clients[A1].hot_bytes = MIB;
	world_busy_second(world);
	assert_int_equal(world->n_advice, 0);
	world->clients[A1].hot_bytes = 4 * MIB;
	world->config.rest_nsec = 0;
	world_busy_second(world);
	assert_int_equal(world->n_advice, 0);
	world->config.rest_nsec = 5 * NSEC_PER_SEC;
	world->clients[A1].busy_level = 0;
	world_busy_second(world);
	assert_int_equal(world->n_advice, 0);
	world->clients[A1].busy_level = -1;
	world->config.idle_nsec = 2 * NSEC_PER_SEC; /* idle as a whole: then all of it is asked, at level 2 */
	world_seconds(world, 3);
	world_answer(world, MIB);
	world_seconds(world, 10);
	assert_int_equal(world->n_advice, 0);
}

/* What the kernel says a client holds is read only where it counts. */
static void test_held_is_wanted(void **state)
{
	struct world *world = *state;

	world_seconds(world, 1);
	assert_false(policy_wants_held(&world->config, &world->clients[A1], world->now_nsec));
	world->clients[A2].releasable_bytes = 1;
	world_second(world, A, 250, 0);
	assert_true(policy_wants_held(&world->config, &world->clients[A1], world->now_nsec));
	assert_false(policy_wants_held(&world->config, &world->clients[A2], world->now_nsec)); /* below the floor */
	assert_false(policy_wants_held(&world->config, &world->clients[B1], world->now_nsec)); /* elsewhere */
	world_answer(world, 8 * MIB);
	assert_true(policy_wants_held(&world->config, &world->clients[A1], world->now_nsec)); /* to be judged */
	world_seconds(world, 40); /* until it is calm again */
	assert_false(policy_wants_held(&world->config, &world->clients[A1], world->now_nsec));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_backoff), TEST(test_backoff_lets_deeper_through), TEST(test_growth_ends_backoff),
		TEST(test_gave_back_interval), TEST(test_timeouts_demote), TEST(test_idle),
		TEST(test_idle_once_per_episode), TEST(test_idle_flush_is_no_activity),
		TEST(test_idle_needs_quiet_heap), TEST(test_idle_needs_quiet_cpu), TEST(test_idle_floor),
		TEST(test_regret_backs_off), TEST(test_little_regret_doubles), TEST(test_regret_by_the_kernel),
		TEST(test_regret_later_is_none), TEST(test_trust_counts), TEST(test_target_met_is_not_held_off),
		TEST(test_jitter), TEST(test_idle_jitter),
		TEST(test_proactive), TEST(test_proactive_is_off), TEST(test_proactive_needs_quiet),
		TEST(test_proactive_takes_little_cpu), TEST(test_threads), TEST(test_threads_that_give_nothing),
		TEST(test_threads_that_do_not_answer),
		TEST(test_threads_worth_it), TEST(test_held_is_wanted),
	};

	return cmocka_run_group_tests_name("policy: clients", tests, NULL, NULL);
}
