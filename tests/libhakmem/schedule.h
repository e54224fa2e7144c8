/* SPDX-License-Identifier: MIT */
/*
 * A deterministic scheduler: of the threads given to it exactly one runs, and at each schedule point
 * (base/point.h) a seeded choice says who goes on.  The same seed gives the same interleaving.
 *
 * It orders whole steps; it says nothing about the memory order of the machine, which stress tests cover.
 */
#ifndef TESTS_LIBHAKMEM_SCHEDULE_H
#define TESTS_LIBHAKMEM_SCHEDULE_H

#include <stdbool.h>
#include <stdint.h>

#define SCHEDULE_THREADS_MAX 8

typedef void schedule_body(unsigned index, uint64_t *seed);

/* Run the bodies, each in a thread of its own, to their ends. */
void schedule_run(uint64_t seed, schedule_body *const *bodies, unsigned n);

/* In a fork child: nobody is left to schedule. */
void schedule_off(void);

/* How many points were passed, and a hash of the choices: two runs of one seed agree. */
uint64_t schedule_steps(void);
uint64_t schedule_hash(void);

#endif
