/* SPDX-License-Identifier: MIT */
/* A world for the policy's tests: see policy-world.h. */
#include "tests/hakmemd/policy-world.h"

void world_step(struct world *world)
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

void world_second(struct world *world, int domain, uint64_t some_msec, uint64_t full_msec)
{
	world->now_nsec += NSEC_PER_SEC;
	world->domains[domain].some_usec += some_msec * 1000;
	world->domains[domain].full_usec += full_msec * 1000;
	world_step(world);
}

void world_seconds(struct world *world, unsigned n)
{
	while (n--)
		world_second(world, HOST, 0, 0);
}

void world_answer(struct world *world, uint64_t actual_bytes)
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

const struct policy_advice *world_advice(const struct world *world, int client)
{
	for (size_t i = 0; i < world->n_advice; i++)
		if (world->advice[i].client == &world->clients[client])
			return &world->advice[i];
	return NULL;
}

int world_setup(void **state)
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

int world_teardown(void **state)
{
	free(*state);
	return 0;
}

uint64_t world_asked(const struct world *world)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < world->n_advice; i++)
		sum += util_min(world->advice[i].target_bytes, world->advice[i].client->releasable_bytes);
	return sum;
}

void world_small_budget(struct world *world)
{
	world->config.budget_first_bytes = 16 * MIB;
	world->config.enter[2] = (struct policy_stall){.full = true, .stall_usec = 1999999, .window_usec = 2000000};
}
