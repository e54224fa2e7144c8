/* SPDX-License-Identifier: MIT */
/* The scheduler of the interleaving tests: see schedule.h. */
#include "tests/libhakmem/unit.h"

#include "tests/libhakmem/schedule.h"

#include <limits.h>
#include <pthread.h>
#include <semaphore.h>

#include "base/point.h"

/* Now and then a thread is held back this long, as one is that was preempted at a bad moment. */
#define SCHEDULE_NAP_STEPS 60u

/* Rounds of destructors after which a thread is over: one fewer with ThreadSanitizer, as in the allocator. */
#ifdef HK_TSAN
#define SCHEDULE_EXIT_ROUNDS (PTHREAD_DESTRUCTOR_ITERATIONS - 1)
#else
#define SCHEDULE_EXIT_ROUNDS PTHREAD_DESTRUCTOR_ITERATIONS
#endif

static struct {
	struct schedule_thread {
		schedule_body *body;
		sem_t turn;
		uint64_t seed;
		uint64_t asleep_until; /* step before which it is passed over if another can run */
		unsigned exit_rounds;
		bool done;
	} threads[SCHEDULE_THREADS_MAX];
	unsigned n;
	uint64_t seed, steps, hash;
	bool on;
} schedule; /* touched by the one thread that has its turn */

static __thread unsigned schedule_me = SCHEDULE_THREADS_MAX;
static pthread_key_t schedule_key; /* younger than the allocator's, so its destructor runs after that */

uint64_t schedule_steps(void)
{
	return schedule.steps;
}

uint64_t schedule_hash(void)
{
	return schedule.hash;
}

void schedule_off(void)
{
	schedule.on = false;
}

/* A random thread that is not done, not `but`, and awake if that is asked for; n where there is none. */
static unsigned schedule_pick(unsigned but, bool awake)
{
	unsigned first = unit_below(&schedule.seed, schedule.n);
	for (unsigned k = 0; k < schedule.n; k++) {
		unsigned i = (first + k) % schedule.n;
		const struct schedule_thread *thread = &schedule.threads[i];
		if (i != but && !thread->done && (!awake || thread->asleep_until <= schedule.steps))
			return i;
	}
	return schedule.n;
}

static unsigned schedule_next(bool stuck)
{
	unsigned me = schedule_me;
	if (unit_below(&schedule.seed, 16) == 0)
		schedule.threads[me].asleep_until = schedule.steps + unit_below(&schedule.seed, SCHEDULE_NAP_STEPS);
	unsigned next = schedule_pick(stuck ? me : schedule.n, true);
	if (next == schedule.n)
		next = schedule_pick(stuck ? me : schedule.n, false);
	return next != schedule.n ? next : me;
}

static void schedule_switch(unsigned next)
{
	schedule.steps++;
	schedule.hash = (schedule.hash ^ next) * 0x100000001b3ull;
	if (next == schedule_me)
		return;
	sem_post(&schedule.threads[next].turn);
	if (!schedule.threads[schedule_me].done)
		sem_wait(&schedule.threads[schedule_me].turn);
}

void hk_point(const char *name)
{
	if (!schedule.on || schedule_me == SCHEDULE_THREADS_MAX)
		return;
	/* one that waits for another gets nowhere by itself */
	schedule_switch(schedule_next(strcmp(name, "lock_spin") == 0 || strcmp(name, "sweep_nap") == 0));
}

static void *schedule_thread(void *arg)
{
	struct schedule_thread *me = arg;
	unsigned index = (unsigned)(me - schedule.threads);
	sem_wait(&me->turn);
	schedule_me = index;
	pthread_setspecific(schedule_key, me);
	me->body(index, &me->seed);
	return NULL;
}

/* The allocator's exit hook is scheduled too: the turn passes on when the last round of destructors is over. */
static void schedule_exit(void *arg)
{
	struct schedule_thread *me = arg;
	if (++me->exit_rounds < SCHEDULE_EXIT_ROUNDS) {
		pthread_setspecific(schedule_key, me);
		return;
	}
	me->done = true;
	unsigned next = schedule_pick(schedule.n, false);
	if (next != schedule.n)
		schedule_switch(next);
}

void schedule_run(uint64_t seed, schedule_body *const *bodies, unsigned n)
{
	pthread_t threads[SCHEDULE_THREADS_MAX];
	memset(&schedule, 0, sizeof schedule);
	if (schedule_key == 0)
		pthread_key_create(&schedule_key, schedule_exit);
	schedule.seed = seed;
	schedule.n = n;
	schedule.on = true;
	for (unsigned i = 0; i < n; i++) {
		schedule.threads[i].body = bodies[i];
		schedule.threads[i].seed = seed * 31 + i;
		sem_init(&schedule.threads[i].turn, 0, 0);
	}
	for (unsigned i = 0; i < n; i++)
		pthread_create(&threads[i], NULL, schedule_thread, &schedule.threads[i]);
	sem_post(&schedule.threads[unit_below(&schedule.seed, n)].turn);
	for (unsigned i = 0; i < n; i++)
		pthread_join(threads[i], NULL);
	schedule.on = false;
}
