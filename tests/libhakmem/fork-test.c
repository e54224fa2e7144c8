/* SPDX-License-Identifier: MIT */
/*
 * Copies of the process, by fork and by system calls that run no handlers: what the child does stays its own.
 *
 * The library's constructor runs in this program, so that handlers and mark are as they are in use.
 */
#include "tests/libhakmem/unit.h"

#include <pthread.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/options.h"
#include "front/fork.h"
#include "front/front.h"
#include "policy/control.h"

static pid_t bare_fork(void)
{
	return (pid_t)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);
}

/* Of a child of `copy` that does `act`: its wait status; what it wrote to standard error is in unit_said. */
static int child_of(pid_t (*copy)(void), void (*act)(void))
{
	int status = 0, fds[2];
	assert_int_equal(pipe(fds), 0);
	pid_t pid = copy();
	if (pid == 0) {
		signal(SIGABRT, SIG_DFL);
		dup2(fds[1], 2);
		alarm(20);
		act();
		_exit(0);
	}
	close(fds[1]);
	ssize_t n = read(fds[0], unit_said, sizeof unit_said - 1);
	unit_said[n > 0 ? n : 0] = '\0';
	close(fds[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static void work(void)
{
	static void *blocks[20000];
	uint64_t before = hk_stats()->used_bytes;
	for (unsigned i = 0; i < HK_COUNT(blocks); i++)
		blocks[i] = memset(hk_malloc(1000), 1, 1000);
	if (hk_counters_published() || hk_stats()->used_bytes < before + HK_COUNT(blocks) * 500)
		_exit(30);
	for (unsigned i = 0; i < HK_COUNT(blocks); i++)
		hk_free(blocks[i]);
	unit_flush_level(HAK_LEVEL_PAGES, NULL);
	if (!hk_stats_audit())
		_exit(31);
}

/* What the parent counts, in the segment that the daemon reads. */
static void child_counts_for_itself(pid_t (*copy)(void))
{
	struct hkp_stats before;
	int memfd = memfd_create("stats", MFD_CLOEXEC);
	assert_int_equal(ftruncate(memfd, HKP_STATS_BYTES), 0);
	assert_int_equal(hk_stats_publish(memfd), 0);
	close(memfd);
	memcpy(&before, hk_stats(), sizeof before);
	assert_int_equal(child_of(copy, work), 0);
	assert_memory_equal(hk_stats(), &before, sizeof before);
}

static void fork_child_counts_for_itself(void **state)
{
	(void)state;
	child_counts_for_itself(fork);
}

static void bare_child_counts_for_itself(void **state)
{
	(void)state;
	child_counts_for_itself(bare_fork);
}

/* One thread, no control thread: nothing has to tell the child apart, and no page is spent on it. */
static void small_process_has_no_mark(void **state)
{
	const _Atomic uint32_t *none = atomic_load(&hk_mark);
	(void)state;
	hk_free(hk_malloc(1000));
	assert_ptr_equal(atomic_load(&hk_mark), none);
	assert_int_equal(*none, HK_MARK_OWN);
	assert_int_equal(child_of(bare_fork, work), 0);
	hk_mark_make();
	assert_ptr_not_equal(atomic_load(&hk_mark), none);
	assert_int_equal(*atomic_load(&hk_mark), HK_MARK_OWN);
}

static void *allocate_once(void *arg)
{
	(void)arg;
	hk_free(hk_malloc(1000));
	return NULL;
}

static void child_with_two_threads(void)
{
	const _Atomic uint32_t *none = atomic_load(&hk_mark);
	pthread_t thread;
	hk_free(hk_malloc(1000));
	pthread_create(&thread, NULL, allocate_once, NULL);
	pthread_join(thread, NULL);
	if (atomic_load(&hk_mark) == none)
		_exit(35);
}

static void second_thread_brings_the_mark(void **state)
{
	(void)state;
	assert_int_equal(child_of(fork, child_with_two_threads), 0);
}

/* A child of a child, by either way after either. */
static void fork_again(void)
{
	int status = 0;
	work();
	for (unsigned i = 0; i < 2; i++) {
		pid_t pid = i == 0 ? fork() : bare_fork();
		if (pid == 0) {
			work();
			_exit(0);
		}
		if (waitpid(pid, &status, 0) != pid || status != 0)
			_exit(32);
	}
}

static void children_have_children(void **state)
{
	(void)state;
	assert_int_equal(child_of(fork, fork_again), 0);
	assert_int_equal(child_of(bare_fork, fork_again), 0);
}

/* The control thread is nobody's business here; that the child may start its own is. */
static void start_own_thread(void)
{
	work();
	if (hk_control_phase != HK_CONTROL_PHASE_NONE)
		_exit(33);
}

static void child_may_start_a_thread(void **state)
{
	(void)state;
	int phase = atomic_exchange(&hk_control_phase, HK_CONTROL_PHASE_RUNNING);
	assert_int_equal(child_of(fork, start_own_thread), 0);
	assert_int_equal(child_of(bare_fork, start_own_thread), 0);
	atomic_store(&hk_control_phase, phase);
}

/* Another thread is inside as the copy is made. */
static void *hold_lock(void *barrier)
{
	hk_lock_take(hk_threads_lock());
	pthread_barrier_wait(barrier);
	pthread_barrier_wait(barrier);
	hk_lock_drop(hk_threads_lock());
	return NULL;
}

static void held_lock_is_said(void **state)
{
	pthread_barrier_t barrier;
	pthread_t thread;
	(void)state;
	pthread_barrier_init(&barrier, NULL, 2);
	pthread_create(&thread, NULL, hold_lock, &barrier);
	pthread_barrier_wait(&barrier);
	int status = child_of(bare_fork, work);
	pthread_barrier_wait(&barrier);
	pthread_join(thread, NULL);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	assert_string_equal(unit_said, "hakmem: this process was forked by a bare system call while a thread was inside "
				       "malloc or free: it cannot allocate\n");
}

/* A flush that another thread had interrupted must not stay so in the child. */
static void flush_in_child(void)
{
	struct hak_report report;
	unit_flush_level(HAK_LEVEL_PAGES, &report);
	if (report.status != HAK_OK)
		_exit(34);
}

static void child_flushes_to_the_end(void **state)
{
	(void)state;
	hk_flush_interrupt(true);
	int status = child_of(fork, flush_in_child);
	hk_flush_interrupt(false);
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(second_thread_brings_the_mark),
		cmocka_unit_test(small_process_has_no_mark), /* from here on there is one */
		cmocka_unit_test(child_flushes_to_the_end),
		cmocka_unit_test(held_lock_is_said),
		cmocka_unit_test(child_may_start_a_thread),
		cmocka_unit_test(children_have_children),
		cmocka_unit_test(fork_child_counts_for_itself),
		cmocka_unit_test(bare_child_counts_for_itself),
	};
	hk_options.control_threshold_bytes = SIZE_MAX; /* none starts by itself */
	return cmocka_run_group_tests_name("fork", tests, unit_setup, NULL);
}
