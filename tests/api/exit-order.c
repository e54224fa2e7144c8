// SPDX-License-Identifier: MIT
/*
 * exit-order: blocks that are allocated and freed while a thread or the process goes away.
 *
 * Destructors of thread keys run in no promised order and up to four rounds; __cxa_thread_atexit's (C++
 * thread_local) run before them; glibc itself frees the thread's dynamic TLS after all.  An allocator whose own
 * destructor has already run must still serve the ones after it.  The same for atexit and for destructors
 * of the program.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

#include "block.h"
#include "tap.h"

/* What a C++ compiler emits for thread_local objects; glibc exports it. */
extern int __cxa_thread_atexit_impl(void (*destroy)(void *), void *object, void *dso_symbol);
extern void *__dso_handle;

#define N_KEYS 8
#define N_ROUNDS 4 /* PTHREAD_DESTRUCTOR_ITERATIONS */

static pthread_key_t keys[N_KEYS];
static atomic_long n_destroyed;
static atomic_long n_damaged;

static void *filled_block(uint64_t key)
{
	return block_labelled(16 + block_mix(key) % 3000, key);
}

static void end_block(void *block)
{
	if (!block_end_labelled(block))
		atomic_fetch_add(&n_damaged, 1);
}

/* More than a magazine's worth, of many classes: the slow paths must work in a dying thread too. */
static void work(uint64_t key)
{
	void *blocks[300];
	size_t i;

	for (i = 0; i < 300; i++)
		blocks[i] = filled_block(key * 1000 + i);
	for (i = 0; i < 300; i++)
		end_block(blocks[i]);
}

static uint64_t block_round(const void *block)
{
	return ((const uint64_t *)block)[1] >> 32;
}

/* Sets its key again until the last round, so that some run after every other destructor. */
static void key_destructor(void *block)
{
	uint64_t round = block_round(block);
	size_t i;

	atomic_fetch_add(&n_destroyed, 1);
	work(round);
	for (i = 0; round + 1 < N_ROUNDS && i < N_KEYS; i++) {
		if (pthread_getspecific(keys[i]) == NULL) {
			pthread_setspecific(keys[i], filled_block((round + 1) << 32 | i));
			break;
		}
	}
	end_block(block);
}

static void thread_local_destructor(void *block)
{
	atomic_fetch_add(&n_destroyed, 1);
	work(7);
	end_block(block);
}

static void *dying_thread(void *arg)
{
	size_t i;

	for (i = 0; i < N_KEYS; i++)
		pthread_setspecific(keys[i], filled_block(i));
	for (i = 0; i < 5; i++)
		__cxa_thread_atexit_impl(thread_local_destructor, filled_block(100 + i), &__dso_handle);
	if (arg)
		pthread_exit(NULL);
	return NULL;
}

/* A thread whose first call of malloc comes from a destructor. */
static void *late_thread(void *arg)
{
	pthread_setspecific(keys[0], arg);
	return NULL;
}

static void test_thread_exit(void)
{
	size_t i;

	for (i = 0; i < N_KEYS; i++)
		pthread_key_create(&keys[i], key_destructor);
	for (i = 0; i < 100; i++) {
		pthread_t thread;

		if (i % 5 == 4)
			pthread_create(&thread, NULL, late_thread, filled_block(i));
		else
			pthread_create(&thread, NULL, dying_thread, (void *)(i % 2));
		pthread_join(thread, NULL);
	}
	tap_ok(atomic_load(&n_destroyed) >= 80 * (N_KEYS + 5) + 20, "destructors ran (%ld)",
	       atomic_load(&n_destroyed));
	tap_ok(atomic_load(&n_damaged) == 0, "blocks in destructors stay whole (%ld damaged)",
	       atomic_load(&n_damaged));
}

static void *at_exit_block;

static void at_exit(void)
{
	end_block(at_exit_block);
	work(9);
	if (atomic_load(&n_damaged) != 0)
		_exit(3);
	at_exit_block = filled_block(500);
}

/* Runs after every atexit function. */
__attribute__((destructor)) static void last(void)
{
	if (!at_exit_block)
		return;
	end_block(at_exit_block);
	work(10);
	_exit(atomic_load(&n_damaged) != 0 ? 4 : 42);
}

static void *waiting_thread(void *arg)
{
	for (;;) {
		work(11);
		usleep(1000);
	}
	return arg;
}

/* exit() with a second thread still allocating: 42 says that all of it ran to the end. */
static void exiting_child(void)
{
	pthread_t thread;

	pthread_create(&thread, NULL, waiting_thread, NULL);
	at_exit_block = filled_block(400);
	atexit(at_exit);
	exit(0);
}

static void test_process_exit(void)
{
	int i, status = 0, n_good = 0;

	for (i = 0; i < 20; i++) {
		pid_t child = fork();

		if (child == 0)
			exiting_child();
		waitpid(child, &status, 0);
		n_good += WIFEXITED(status) && WEXITSTATUS(status) == 42;
	}
	tap_ok(n_good == 20, "atexit functions and destructors allocate and free (%d of 20, last status 0x%x)",
	       n_good, status);
}

static void *survivor(void *arg)
{
	usleep(20000);
	work(12);
	_exit(atomic_load(&n_damaged) != 0 ? 5 : 43);
	return arg;
}

static void test_main_exits_first(void)
{
	pid_t child = fork();
	int status = 0;

	if (child == 0) {
		pthread_t thread;

		pthread_create(&thread, NULL, survivor, NULL);
		work(13);
		pthread_exit(NULL);
	}
	waitpid(child, &status, 0);
	tap_ok(WIFEXITED(status) && WEXITSTATUS(status) == 43, "main calls pthread_exit, a thread lives on (0x%x)",
	       status);
}

int main(void)
{
	test_thread_exit();
	test_process_exit();
	test_main_exits_first();
	return tap_done();
}
