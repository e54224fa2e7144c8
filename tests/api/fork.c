// SPDX-License-Identifier: MIT
/*
 * fork: children of a multithreaded process, by fork, vfork and posix_spawn.
 *
 * The threads never stop allocating while the process forks 200 times, so that locks, magazines and batches
 * are caught in every state.  Each child frees blocks of the parent, allocates, starts threads of its own,
 * and some fork again.  A child that hangs is killed by its alarm and counts as failed.
 */
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

#include "block.h"
#include "family.h"
#include "tap.h"

extern char **environ;

#define N_BUSY 3
#define N_FORKS 200
#define N_KEPT 400
#define CHILD_SECONDS 20

static atomic_bool stopping;
static _Atomic(void *) exchange[64];
static struct family family;

static void *new_block(uint64_t key)
{
	uint64_t random = block_mix(key);
	size_t n = 16 + (random >> 8) % (random % 300 == 0 ? 200000 : 600);
	uint64_t *p = block_hide(malloc(n));

	if (!p)
		_exit(10);
	p[0] = n;
	p[1] = key;
	block_fill(p + 2, n - 16, key);
	return p;
}

static void end_block(void *block)
{
	uint64_t *p = block;

	if (!p)
		return;
	if (block_differs(p + 2, p[0] - 16, p[1]) != p[0] - 16)
		_exit(11);
	free(p);
}

/* Frees go to other threads through the exchange, so that foreign batches are caught as well. */
static void *busy_thread(void *arg)
{
	uint64_t i;

	for (i = (uint64_t)(uintptr_t)arg << 40; !atomic_load_explicit(&stopping, memory_order_relaxed); i++) {
		void *old = atomic_exchange(&exchange[block_mix(i) % 64], new_block(i));

		end_block(old);
		if (i % 4096 == 0 && family.hak_tiny_magazine_flush_all)
			family.hak_tiny_magazine_flush_all();
	}
	return NULL;
}

static void *child_thread(void *arg)
{
	void *blocks[500];
	size_t i;

	for (i = 0; i < 500; i++)
		blocks[i] = new_block(i);
	for (i = 0; i < 500; i++)
		end_block(blocks[i]);
	return arg;
}

static void child_work(void **kept, int i)
{
	pthread_t threads[2];
	size_t j;

	for (j = 0; j < N_KEPT; j += 2) {
		end_block(kept[j]);
		kept[j] = new_block(j);
	}
	for (j = 0; j < 2; j++)
		if (pthread_create(&threads[j], NULL, child_thread, NULL) != 0)
			_exit(12);
	for (j = 0; j < 2; j++)
		pthread_join(threads[j], NULL);
	if (i % 3 == 0)
		malloc_trim(0);
	for (j = 0; j < N_KEPT; j++)
		end_block(kept[j]);
}

static void child(void **kept, int i)
{
	alarm(CHILD_SECONDS);
	if (i % 20 == 0) {
		pid_t grandchild = fork();
		int status = 0;

		if (grandchild == 0) {
			child_work(kept, 0);
			_exit(0);
		}
		if (waitpid(grandchild, &status, 0) != grandchild || status != 0)
			_exit(13);
	}
	child_work(kept, i);
	if (i % 2)
		exit(0); /* through the exit handlers */
	_exit(0);
}

static void test_fork(void)
{
	void *kept[N_KEPT];
	int i, status = 0, n_good = 0, bad = 0;

	for (i = 0; i < N_KEPT; i++)
		kept[i] = new_block((uint64_t)i);
	for (i = 0; i < N_FORKS; i++) {
		pid_t pid = fork();

		if (pid == 0)
			child(kept, i);
		if (waitpid(pid, &status, 0) == pid && status == 0)
			n_good++;
		else
			bad = status;
		end_block(kept[i % N_KEPT]);
		kept[i % N_KEPT] = new_block((uint64_t)i);
	}
	for (i = 0; i < N_KEPT; i++)
		end_block(kept[i]);
	tap_ok(n_good == N_FORKS, "%d of %d children of a busy process end well (bad status 0x%x)", n_good,
	       N_FORKS, bad);
}

/* The child of vfork runs on its parent's memory; whatever it does must leave the parent's heap usable. */
static void test_vfork(void)
{
	static char *const argv[] = { (char *)"true", NULL };
	static int i, status, n_good; /* static: the child shares this stack frame */

	for (i = 0; i < 50; i++) {
		void *before = new_block((uint64_t)i);
		pid_t pid = vfork();

		if (pid == 0) {
			execv("/bin/true", argv);
			_exit(127);
		}
		n_good += waitpid(pid, &status, 0) == pid && status == 0;
		end_block(before);
	}
	tap_ok(n_good == 50, "vfork and exec, %d of 50 (status 0x%x)", n_good, status);
}

static void test_spawn(void)
{
	static char *const argv[] = { (char *)"sh", (char *)"-c", (char *)"x=$(echo 7); exit $x", NULL };
	int i, status = 0, n_good = 0;

	for (i = 0; i < 50; i++) {
		pid_t pid;

		if (posix_spawn(&pid, "/bin/sh", NULL, NULL, argv, environ) == 0)
			n_good += waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 7;
	}
	tap_ok(n_good == 50, "posix_spawn, %d of 50 (status 0x%x)", n_good, status);
	status = system("exit 3");
	tap_ok(WIFEXITED(status) && WEXITSTATUS(status) == 3, "system()");
}

int main(void)
{
	pthread_t busy[N_BUSY];
	size_t i;

	family_find(&family);
	alarm(100);
	for (i = 0; i < N_BUSY; i++)
		pthread_create(&busy[i], NULL, busy_thread, (void *)(i + 1));
	test_fork();
	test_vfork();
	test_spawn();
	atomic_store(&stopping, true);
	for (i = 0; i < N_BUSY; i++)
		pthread_join(busy[i], NULL);
	for (i = 0; i < 64; i++)
		end_block(atomic_load(&exchange[i]));
	tap_ok(true, "the parent's threads end and its blocks are whole");
	return tap_done();
}
