/* SPDX-License-Identifier: MIT */
/* Levels of pressure: what enters them, what holds them, and how often is looked. */
#include "tests/hakmemd/policy-world.h"

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

/* Are clients to be looked at, so long after the latest time? */
static bool wants_clients(const struct world *world, uint64_t after_msec)
{
	return policy_wants_clients(
		&world->config, world->now_nsec, &world->scene, world->now_nsec - after_msec * NSEC_PER_MSEC);
}

static void test_when_clients_are_looked_at(void **state)
{
	struct world *world = *state;
	struct policy_domain *domains[] = {&world->domains[HOST], &world->domains[A]};

	world->scene = (struct policy_scene){.domains = domains, .n_domains = 2};
	assert_false(wants_clients(world, 1000));
	assert_true(wants_clients(world, 5000));
	world->config.idle_nsec = 6 * NSEC_PER_SEC;
	assert_false(wants_clients(world, 500));
	assert_true(wants_clients(world, 990)); /* a little early is in time */
	world->domains[A].headroom = 0.6;
	assert_false(wants_clients(world, 1));
	world->domains[A].headroom = 0.4;
	assert_true(wants_clients(world, 1));
	world->domains[A].headroom = -1;
	world->domains[A].level = HKP_LOW;
	assert_true(wants_clients(world, 1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_calm), TEST(test_entry_levels), TEST(test_host_needs_strain),
		TEST(test_host_headroom_needs_stall), TEST(test_host_low_suppressed), TEST(test_trigger_counts),
		TEST(test_cgroup_headroom), TEST(test_oom_is_critical), TEST(test_falls_one_at_a_time),
		TEST(test_half_the_entry_value_holds), TEST(test_counter_that_began_anew),
		TEST(test_samples_far_apart_are_scaled), TEST(test_looks_often_near_the_limit),
		TEST(test_looks_sooner_as_headroom_falls), TEST(test_blinded),
		TEST(test_not_blinded_while_the_counter_moves), TEST(test_hits_are_low),
		TEST(test_when_clients_are_looked_at),
	};

	return cmocka_run_group_tests_name("policy: levels", tests, NULL, NULL);
}
