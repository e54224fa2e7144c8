/* SPDX-License-Identifier: MIT */
/*
 * A world for the policy's tests, under a virtual clock.
 *
 * Two cgroups /a and /b under the host, with two clients in /a and one in /b.  Stall time is given per second, so
 * that a test reads like a trace.
 */
#ifndef TESTS_HAKMEMD_POLICY_WORLD_H
#define TESTS_HAKMEMD_POLICY_WORLD_H

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

void world_step(struct world *world);
/* One second in which `domain` stalled for so long. */
void world_second(struct world *world, int domain, uint64_t some_msec, uint64_t full_msec);
void world_seconds(struct world *world, unsigned n);
/* Answer every piece of advice as a client would that gives back so much. */
void world_answer(struct world *world, uint64_t actual_bytes);
/* The advice for a client; NULL = there is none. */
const struct policy_advice *world_advice(const struct world *world, int client);
int world_setup(void **state);
int world_teardown(void **state);
/* Bytes that the round under way asked for. */
uint64_t world_asked(const struct world *world);
void world_small_budget(struct world *world);

#define TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)

#endif
