/* SPDX-License-Identifier: MIT */
/* Rounds: who is asked, in what order, how deep, and for how much. */
#include "tests/hakmemd/policy-world.h"

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

static void test_floor(void **state)
{
	struct world *world = *state;

	world->clients[A1].releasable_bytes = MIB - 1;
	world_second(world, A, 250, 0);
	assert_null(world_advice(world, A1));
	assert_non_null(world_advice(world, A2));
}

/* ---- what a depth reaches ---- */

/* A second at low, in which A1 has 64 MiB to give and A2 the same. */
static void world_low(struct world *world, uint64_t a1_cold_bytes, uint64_t a2_cold_bytes)
{
	world->clients[A1].cold_bytes = a1_cold_bytes;
	world->clients[A2].cold_bytes = a2_cold_bytes;
	world_second(world, A, 75, 0);
	assert_int_equal(world->domains[A].round_level, 0);
}

static void test_cold_floor(void **state)
{
	struct world *world = *state;

	world_low(world, MIB - 1, MIB);
	assert_null(world_advice(world, A1));
	assert_int_equal(world->clients[A1].verdict, POLICY_FLOOR);
	assert_false(policy_wants_held(&world->config, &world->clients[A1], world->now_nsec));
	assert_non_null(world_advice(world, A2));
}

static void test_cold_order(void **state)
{
	struct world *world = *state;

	world->clients[A1].releasable_bytes = 128 * MIB;
	world_low(world, 2 * MIB, 3 * MIB);
	assert_int_equal(world->n_advice, 2);
	assert_ptr_equal(world->advice[0].client, &world->clients[A2]);
}

static void test_cold_budget(void **state)
{
	struct world *world = *state;

	world_small_budget(world);
	world->clients[A1].trust = 0.5;
	world_low(world, 8 * MIB, 10 * MIB);
	assert_int_equal(world->n_advice, 2);
	assert_int_equal(world->advice[0].target_bytes, UINT64_MAX); /* all that it has */
	assert_int_equal(world->advice[1].target_bytes, UINT64_MAX);
	assert_int_equal(world->domains[A].left_bytes, 2 * MIB);
}

/* A claim, as the others are. */
static void test_cold_is_releasable(void **state)
{
	struct world *world = *state;

	world_small_budget(world);
	world->clients[A1].releasable_bytes = 3 * MIB;
	world_low(world, 1024 * MIB, 8 * MIB);
	assert_ptr_equal(world->advice[0].client, &world->clients[A2]);
	assert_int_equal(world->domains[A].left_bytes, 5 * MIB);
}

static void test_cold_is_for_level_0(void **state)
{
	struct world *world = *state;

	world_small_budget(world);
	world->clients[A1].cold_bytes = world->clients[A2].cold_bytes = 0;
	world_second(world, A, 250, 0);
	assert_int_equal(world->n_advice, 1);
	assert_int_equal(world->advice[0].level, 1);
	assert_int_equal(world_asked(world), 16 * MIB);
}

static void test_cached_is_not_for_level_1(void **state)
{
	struct world *world = *state;

	world_small_budget(world);
	world->clients[A1].cached_bytes = 63 * MIB + MIB / 2;
	world->clients[A2].cached_bytes = 60 * MIB;
	world_second(world, A, 250, 0);
	assert_int_equal(world->domains[A].round_level, 1);
	assert_int_equal(world->clients[A1].verdict, POLICY_FLOOR);
	assert_non_null(world_advice(world, A2));
	assert_int_equal(world->domains[A].left_bytes, 12 * MIB);
	world->clients[A1].cached_bytes = 1024 * MIB; /* no more than all */
	world_step(world);
	assert_int_equal(world->clients[A1].verdict, POLICY_FLOOR);
	world_seconds(world, 1);
	world_second(world, A, 250, 0);
	assert_int_equal(world->domains[A].round_level, 2);
	assert_non_null(world_advice(world, A1));
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
	const struct CMUnitTest tests[] = {
		TEST(test_deeper_while_it_lasts), TEST(test_only_inside), TEST(test_floor), TEST(test_order),
		TEST(test_cold_floor), TEST(test_cold_order), TEST(test_cold_budget), TEST(test_cold_is_releasable),
		TEST(test_cold_is_for_level_0), TEST(test_cached_is_not_for_level_1),
		TEST(test_busy_waits_for_deeper), TEST(test_omit), TEST(test_paused), TEST(test_budget_doubles),
		TEST(test_budget_begins_anew), TEST(test_budget_covers_shortage), TEST(test_everything_has_no_budget),
		TEST(test_headroom_paces_rounds), TEST(test_regret_halves_the_budget), TEST(test_at_once),
		TEST(test_protected_last), TEST(test_excluded), TEST(test_verdicts),
	};

	return cmocka_run_group_tests_name("policy: rounds", tests, NULL, NULL);
}
