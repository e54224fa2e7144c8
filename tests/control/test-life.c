/* SPDX-License-Identifier: MIT */
/* Life of the control thread: what the program around it must never notice. */
#include "harness.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/single_threaded.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static void start_and_wait(void)
{
	start();
	CHECK(wait_until(thread_is_there, 2000));
}

static void test_starts_once(void)
{
	CHECK(task_count() == 1);
	hk_control_poke(); /* before init: nothing */
	sleep_msec(20);
	CHECK(task_count() == 1);
	hk_control_init(environ);
	errno = 4711;
	for (int i = 0; i < 100; i++)
		hk_control_poke();
	CHECK(errno == 4711);
	CHECK(wait_until(thread_is_there, 2000));
	CHECK(task_count() == 2);
}

static void *poking_thread(void *barrier)
{
	pthread_barrier_wait(barrier);
	for (int i = 0; i < 1000; i++)
		hk_control_poke();
	return NULL;
}

static void test_one_winner(void)
{
	pthread_barrier_t barrier;
	pthread_t threads[8];

	for (int round = 0; round < 20; round++) {
		pthread_barrier_init(&barrier, NULL, HK_COUNT(threads));
		hk_control_init(environ);
		for (size_t i = 0; i < HK_COUNT(threads); i++)
			CHECK(pthread_create(&threads[i], NULL, poking_thread, &barrier) == 0);
		for (size_t i = 0; i < HK_COUNT(threads); i++)
			pthread_join(threads[i], NULL);
		CHECK(wait_until(thread_is_there, 2000));
		sleep_msec(2); /* joined threads are unlinked a little later */
		CHECK(task_count() == 2);
		CHECK(hk_control_stop());
		hk_control_resume();
	}
}

static void test_is_no_libc_thread(void)
{
	start_and_wait();
	CHECK(__libc_single_threaded);
}

static void test_is_harmless(void)
{
	char caps[32], mask[32];

	start_and_wait();
	sleep_msec(20);
	for (const char *const *field =
	             (const char *const[]){"CapEff:", "CapPrm:", "CapInh:", "CapAmb:", NULL};
	     *field; field++) {
		CHECK(status_field(control_thread(), *field, caps, sizeof caps) == 0);
		CHECK(strspn(caps, "0") == strlen(caps));
	}
	CHECK(status_field(control_thread(), "SigBlk:", mask, sizeof mask) == 0);
	CHECK(strcmp(mask, "fffffffffffbfeff") == 0); /* all but SIGKILL and SIGSTOP */
	CHECK(prctl(PR_GET_DUMPABLE) == 1);
}

/* The program keeps its own signal mask and gets its signals. */
static volatile sig_atomic_t got_signal;

static void on_signal(int sig)
{
	got_signal = sig;
}

static void test_signals_reach_the_program(void)
{
	sigset_t before, after;

	signal(SIGUSR1, on_signal);
	CHECK(sigprocmask(SIG_BLOCK, NULL, &before) == 0);
	start_and_wait();
	CHECK(sigprocmask(SIG_BLOCK, NULL, &after) == 0);
	CHECK(memcmp(&before, &after, 8) == 0);
	CHECK(kill(getpid(), SIGUSR1) == 0);
	CHECK(got_signal == SIGUSR1);
}

static void test_no_descriptor_is_visible(void)
{
	int before, after, control;

	before = open_fds(getpid());
	start_and_wait();
	sleep_msec(50);
	control = control_thread();
	after = open_fds(getpid());
	CHECK(before == after);
	CHECK(open_fds(control) == 4); /* 0-2 and the signalfd */
	CHECK(fd_points_at(control, "/dev/null") && fd_points_at(control, "signalfd"));
	CHECK(!fd_points_at(getpid(), "signalfd"));
}

/* Code of the library that reads a thread-local variable there finds its own, and zero. */
static void check_tls(int listener)
{
	struct hkp_result result;
	int fd = fake_register(listener);

	core.tls_seen = 1000;
	CHECK(fake_flush(fd, 1, 1, &result));
	CHECK(core.tls_seen == 0 && core_tls == 42);
	CHECK(fake_flush(fd, 1, 2, &result));
	CHECK(core.tls_seen == 7 && core_tls == 42);
	close(fd);
}

static void test_tls_of_its_own(void)
{
	int listener = fake_listen();

	core_tls = 42;
	start();
	check_tls(listener);
	CHECK(hk_control_stop());
	hk_control_resume();
	hk_control_poke();
	check_tls(listener);
}

/* The write end of a pipe is not kept open by the thread, and a POSIX lock is not lost. */
static void test_pipes_and_locks(void)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1};
	int file = open(in_runtime_dir("plain"), O_RDWR | O_CREAT, 0600), fds[2], status;
	char byte;
	pid_t pid;

	CHECK(file >= 0 && pipe(fds) == 0 && fcntl(file, F_SETLK, &lock) == 0);
	start_and_wait();
	sleep_msec(20);
	close(fds[1]);
	CHECK(read(fds[0], &byte, 1) == 0);
	pid = fork_program();
	if (pid == 0)
		_exit(fcntl(file, F_SETLK, &lock) == 0 ? 1 : 0);
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
}

/* ---- stop and wake ---- */

static int mappings(void)
{
	FILE *file = fopen("/proc/self/maps", "re");
	char line[512];
	int n = 0;

	while (fgets(line, sizeof line, file))
		n++;
	fclose(file);
	return n;
}

static void test_stop_and_resume(void)
{
	uint64_t begin, worst = 0, all;
	int before = 0;

	hk_control_init(environ);
	all = now_nsec();
	for (int i = 0; i < 1000; i++) {
		hk_control_poke();
		if (i % 10 == 0)
			CHECK(wait_until(thread_is_there, 2000)); /* else: while it is starting */
		if (i % 100 == 50)
			sleep_msec(5); /* while it waits in poll */
		begin = now_nsec();
		CHECK(hk_control_stop());
		worst = HK_MAX(worst, now_nsec() - begin);
		if (i % 10 == 0)
			CHECK(task_count() == 1);
		hk_control_poke(); /* must not start while held */
		CHECK(hk_control_phase == HK_CONTROL_PHASE_NONE);
		hk_control_resume();
		if (i == 10)
			before = mappings();
	}
	printf("# 1000 stops: %lu ms, worst %lu us\n", (unsigned long)((now_nsec() - all) / 1000000),
	       (unsigned long)(worst / 1000));
	CHECK(task_count() == 1);
	CHECK(mappings() < before + 50); /* a leak would show a thousand times; sanitizers map now and then */
	hk_control_poke();
	CHECK(wait_until(thread_is_there, 2000));
}

/* A program that changes its uid all the time gets ever fewer threads, and one after all. */
static void test_restarts_become_rare(void)
{
	uint64_t end = now_nsec() + 400000000u;
	int starts = 0;

	hk_control_timing.restart_msec = 10;
	start_and_wait();
	while (now_nsec() < end) {
		CHECK(setuid(getuid()) == 0);
		for (int i = 0; i < 20; i++)
			hk_control_poke();
		starts += hk_control_phase != HK_CONTROL_PHASE_NONE;
	}
	printf("# %d starts in 400 ms\n", starts);
	CHECK(starts >= 2 && starts <= 6); /* after 20, 40, 80, 160 ms */
	for (int i = 0; i < 2000 && task_count() == 1; i++) {
		hk_control_poke();
		sleep_msec(1);
	}
	CHECK(task_count() == 2);
}

static void test_stops_nest(void)
{
	start_and_wait();
	CHECK(hk_control_stop() && hk_control_stop());
	hk_control_resume();
	hk_control_poke();
	sleep_msec(30);
	CHECK(task_count() == 1);
	hk_control_resume();
	hk_control_poke();
	CHECK(wait_until(thread_is_there, 2000));
}

/* Whoever calls setuid does not wait for the rest of it. */
static void test_stop_cuts_a_flush_short(void)
{
	struct hkp_frame flush = {.header = {.type = HKP_FLUSH, .seq = 1}};
	int listener = fake_listen(), fd;
	uint64_t before;

	start();
	fd = fake_register(listener);
	core.flush_msec = 5000;
	CHECK(fake_send(fd, &flush, NULL, 0));
	sleep_msec(50);
	CHECK(core.flushes == 0);
	before = now_nsec();
	CHECK(hk_control_stop());
	CHECK(now_nsec() - before < 1000000000);
	CHECK(core.flushes == 1 && core.interrupts == 0 && task_count() == 1);
}

static void test_says_bye(void)
{
	int listener = fake_listen(), fd, stray;
	struct hkp_result result;
	struct hkp_frame bye;

	start();
	fd = fake_register(listener);
	CHECK(fake_flush(fd, 0, 1,
	                 &result)); /* nothing unread is left that would turn the end into a reset */
	CHECK(hk_control_stop());
	CHECK(fake_receive(fd, &bye, &stray, 1000) == 1);
	CHECK(bye.header.type == HKP_BYE && bye.bye.reason == HKP_BYE_CLIENT);
	CHECK(fake_receive(fd, &bye, &stray, 1000) == -1);
	hk_control_resume();
	hk_control_poke();
	fake_register(listener);
	CHECK(core.publishes == 2);
}

static unsigned decays_before;

static bool decayed(void)
{
	return core.decays > decays_before;
}

static void test_wake(void)
{
	int listener = fake_listen();

	start();
	fake_register(listener);
	sleep_msec(50);
	for (int i = 0; i < 50; i++) {
		decays_before = core.decays;
		hk_control_wake();
		CHECK(wait_until(decayed, 1000));
		sleep_msec(i % 3);
	}
	/* A timer: it wakes by itself, and no signal is spent on a thread that will wake anyway. */
	core.decay_next_nsec = now_nsec() + 100000000;
	decays_before = core.decays;
	hk_control_wake();
	CHECK(wait_until(decayed, 1000));
	sleep_msec(20);
	decays_before = core.decays;
	hk_control_wake();
	sleep_msec(30);
	CHECK(!decayed());
	core.decay_next_nsec = UINT64_MAX;
	CHECK(wait_until(decayed, 1000));
}

/* ---- fork, vfork, exit ---- */

static void test_fork(void)
{
	int listener = fake_listen(), status;
	struct hkp_result result;
	pid_t pid;
	int fd;

	start();
	fd = fake_register(listener);
	hk_control_prefork();
	pid = fork_program();
	if (pid == 0) {
		hk_control_postfork_child();
		CHECK(task_count() == 1 && core.unpublishes == 1);
		hk_control_poke();
		CHECK(wait_until(thread_is_there, 2000));
		CHECK(task_count() == 2);
		sleep_msec(300);
		_exit(core.flushes == 1 ? 0 : 1);
	}
	hk_control_postfork_parent();
	CHECK(fake_flush(fake_register(listener), 1, 1, &result)); /* the child's */
	CHECK(core.flushes == 0);
	CHECK(fake_flush(fd, 1, 1, &result)); /* ours stays */
	CHECK(core.flushes == 1);
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
}

/* Someone is between stop and resume, or starting, while another thread forks: that does not bind the child. */
static void test_fork_while_held(void)
{
	int status;
	pid_t pid;

	start_and_wait();
	CHECK(hk_control_stop());
	pid = fork_program();
	if (pid == 0) {
		hk_control_postfork_child();
		hk_control_phase = HK_CONTROL_PHASE_STARTING;
		hk_control_postfork_child();
		hk_control_poke();
		CHECK(wait_until(thread_is_there, 2000));
		hk_control_resume();
		CHECK(hk_control_stop() && task_count() == 1);
		_exit(0);
	}
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
}

/* Made by a bare system call, and before there was anything that would tell it. */
static void test_unseen_copy(void)
{
	int status;
	pid_t pid;

	hk_control_init(environ);
	pid = (pid_t)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);
	if (pid == 0) {
		hk_control_poke();
		CHECK(wait_until(thread_is_there, 2000));
		CHECK(task_count() == 2 && core.unpublishes == 1);
		_exit(0);
	}
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	CHECK(task_count() == 1);
}

static int vfork_child(void *unused)
{
	(void)unused;
	hk_control_poke();
	_exit(setuid(getuid()) == 0 ? hk_control_phase : 100);
}

static void test_vfork_child_starts_nothing(void)
{
	static char stack[65536] __attribute__((aligned(64)));
	int status, tid;
	pid_t pid;

	hk_control_init(environ);
	pid = clone(vfork_child, stack + sizeof stack, CLONE_VM | CLONE_VFORK | SIGCHLD, NULL);
	CHECK(pid > 0 && waitpid(pid, &status, 0) == pid);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == HK_CONTROL_PHASE_NONE);
	CHECK(task_count() == 1);
	hk_control_poke();
	CHECK(wait_until(thread_is_there, 2000));
	/* and with a thread running, it does not stop ours either */
	tid = control_thread();
	pid = clone(vfork_child, stack + sizeof stack, CLONE_VM | CLONE_VFORK | SIGCHLD, NULL);
	CHECK(pid > 0 && waitpid(pid, &status, 0) == pid);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == HK_CONTROL_PHASE_RUNNING);
	CHECK(control_thread() == tid);
}

/* Wait for a child that should end by itself; true if it did, with status 0. */
static bool ends_soon(pid_t pid)
{
	int status = -1;

	for (int i = 0; i < 2000; i++) {
		if (waitpid(pid, &status, WNOHANG) == pid)
			return status == 0;
		sleep_msec(1);
	}
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	return false;
}

static void test_pthread_exit_ends_the_process(void)
{
	pid_t pid = fork_program();

	if (pid == 0) {
		start_and_wait();
		pthread_exit(NULL);
	}
	CHECK(ends_soon(pid));
}

static void test_exit_during_a_flush(void)
{
	struct hkp_frame flush = {.header = {.type = HKP_FLUSH, .seq = 1}};
	int listener = fake_listen(), fd;
	pid_t pid = fork_program();

	if (pid == 0) {
		core.flush_msec = 15000;
		start();
		while (!core.level)
			sleep_msec(1);
		exit(0);
	}
	fd = fake_register(listener);
	flush.flush.level = 1;
	CHECK(fake_send(fd, &flush, NULL, 0));
	CHECK(ends_soon(pid));
}

/* ---- identity ---- */

static void test_setuid(void)
{
	int listener = fake_listen(), fd;
	struct ucred peer;
	socklen_t length = sizeof peer;
	char uids[64];

	start();
	fake_register(listener);
	CHECK(setgroups(0, NULL) == 0 && setgid(65534) == 0 && setuid(65534) == 0);
	CHECK(task_count() == 1);
	CHECK(setuid(0) == -1 && errno == EPERM);
	errno = 4711;
	CHECK(setuid(65534) == 0 && errno == 4711);
	hk_control_poke();
	fd = fake_accept(listener, 2000);
	CHECK(fd >= 0 && getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) == 0);
	CHECK(peer.uid == 65534 && peer.gid == 65534 && peer.pid == getpid());
	CHECK(status_field(control_thread(), "Uid:", uids, sizeof uids) == 0);
	CHECK(strcmp(uids, "65534\t65534\t65534\t65534") == 0);
}

static void test_the_whole_setuid_family(void)
{
	CHECK(setresgid(100, 100, 0) == 0);
	start_and_wait();
#define STOPS(call)                                                                                          \
	do {                                                                                                 \
		CHECK((call) == 0);                                                                          \
		CHECK(task_count() == 1);                                                                    \
		hk_control_poke();                                                                           \
		CHECK(wait_until(thread_is_there, 2000));                                                    \
	} while (0)
	STOPS(setegid(0));
	STOPS(setregid(100, 0));
	STOPS(setresgid(0, 0, 0));
	STOPS(setgid(0));
	STOPS(initgroups("nobody", 65534));
	STOPS(setgroups(0, NULL));
	STOPS(seteuid(65534));
	STOPS(seteuid(0));
	STOPS(setreuid(65534, 0));
	STOPS(setresuid(65534, 65534, 65534));
	CHECK(getuid() == 65534 && geteuid() == 65534);
}

static void test_unshare(void)
{
	for (int i = 0; i < 50; i++) { /* a race with the kernel's unlinking would show now and then */
		pid_t pid = fork_program();

		if (pid == 0) {
			start();
			if (i % 2)
				CHECK(wait_until(thread_is_there, 2000));
			CHECK(unshare(CLONE_NEWUSER) == 0);
			hk_control_poke();
			CHECK(wait_until(thread_is_there, 2000));
			_exit(0);
		}
		CHECK(ends_soon(pid));
	}
}

static void test_unshare_can_be_refused(void)
{
	start_and_wait();
	CHECK(unshare(0x40) == -1 && errno == EINVAL); /* no such flag */
}

static void test_setns(void)
{
	int fd = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);

	start_and_wait();
	CHECK(fd >= 0 && setns(fd, CLONE_NEWNS) == 0); /* EINVAL while another thread shares our root */
	CHECK(task_count() == 1);
}

/* ---- where it must keep quiet or cannot work ---- */

static void filter_with(int nr, unsigned action)
{
	struct sock_filter code[] = {
	        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
	        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)nr, 0, 1),
	        BPF_STMT(BPF_RET | BPF_K, action),
	        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {HK_COUNT(code), code};

	CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0);
}

static void filter(int nr)
{
	filter_with(nr, SECCOMP_RET_ERRNO | EPERM);
}

/* As in sshd's child before login: the question whether there is a filter would be the last. */
static void test_filter_that_kills(void)
{
	hk_options.control = HK_CONTROL_AUTO;
	if (prctl(PR_GET_SECCOMP) != 0)
		_exit(CASE_SKIP);
	hk_control_init(environ);
	filter_with(SYS_prctl, SECCOMP_RET_KILL_PROCESS);
	hk_control_poke();
	CHECK(hk_control_phase == HK_CONTROL_PHASE_IDLE);
	CHECK(task_count() == 1);
}

static void test_seccomp_keeps_it_quiet(void)
{
	hk_options.control = HK_CONTROL_AUTO;
	if (prctl(PR_GET_SECCOMP) != 0)
		_exit(CASE_SKIP);
	hk_control_init(environ);
	filter(1000); /* one that came after the constructor */
	hk_control_poke();
	CHECK(hk_control_phase == HK_CONTROL_PHASE_IDLE);
	hk_control_init(environ); /* one that was there before */
	CHECK(hk_control_phase == HK_CONTROL_PHASE_IDLE);
	sleep_msec(30);
	CHECK(task_count() == 1);
	hk_options.control = HK_CONTROL_THREAD; /* asked for */
	start_and_wait();
}

static void test_auto_is_thread(void)
{
	hk_options.control = HK_CONTROL_AUTO;
	if (prctl(PR_GET_SECCOMP) != 0)
		_exit(CASE_SKIP);
	start_and_wait();
}

static bool phase_is_idle(void)
{
	hk_control_poke();
	return hk_control_phase == HK_CONTROL_PHASE_IDLE;
}

static void test_without_close_range(void)
{
	int before = open_fds(getpid());

	filter(SYS_close_range);
	start();
	CHECK(wait_until(phase_is_idle, 2000));
	CHECK(wait_until(thread_is_gone, 2000));
	CHECK(open_fds(getpid()) == before);
	CHECK(hk_control_stop());
	hk_control_resume();
}

static void test_no_descriptors_allowed(void)
{
	struct rlimit none = {0, 0}, old;

	CHECK(getrlimit(RLIMIT_NOFILE, &old) == 0);
	none.rlim_max = old.rlim_max;
	CHECK(setrlimit(RLIMIT_NOFILE, &none) == 0);
	start();
	CHECK(wait_until(phase_is_idle, 2000));
	CHECK(setrlimit(RLIMIT_NOFILE, &old) == 0);
	CHECK(wait_until(thread_is_gone, 2000));
}

/* clone refused: the program goes on, and the thread starts once there is room. */
static void test_no_process_allowed(void)
{
	struct rlimit limit;

	CHECK(syscall(SYS_setresuid, 54321, 54321, 0) == 0);
	CHECK(getrlimit(RLIMIT_NPROC, &limit) == 0);
	limit.rlim_cur = 1;
	CHECK(setrlimit(RLIMIT_NPROC, &limit) == 0);
	hk_control_init(environ);
	for (int i = 0; i < 10; i++)
		hk_control_poke();
	sleep_msec(20);
	CHECK(task_count() == 1 && hk_control_phase == HK_CONTROL_PHASE_NONE);
	limit.rlim_cur = limit.rlim_max;
	CHECK(setrlimit(RLIMIT_NPROC, &limit) == 0);
	for (int i = 0; i < 100; i++)
		hk_control_poke();
	CHECK(wait_until(thread_is_there, 2000));
}

static void test_off(void)
{
	hk_options.control = HK_CONTROL_OFF;
	start();
	sleep_msec(30);
	CHECK(task_count() == 1 && hk_control_phase == HK_CONTROL_PHASE_IDLE);
	CHECK(hk_control_stop());
	hk_control_resume();
	CHECK(setuid(getuid()) == 0);
}

/* All memory locked: what the thread before left in its block cannot be thrown away, only overwritten. */
static void test_mlockall(void)
{
	if (mlockall(MCL_CURRENT | MCL_FUTURE) != 0)
		_exit(CASE_SKIP);
	test_tls_of_its_own();
}

int main(void)
{
	static const struct test_case cases[] = {
	        {"starts once, lazily, preserving errno", test_starts_once, false},
	        {"one winner among threads", test_one_winner, false},
	        {"libc stays single-threaded", test_is_no_libc_thread, false},
	        {"no capabilities, all signals blocked, dumpable", test_is_harmless, false},
	        {"signals reach the program", test_signals_reach_the_program, false},
	        {"no descriptor is visible", test_no_descriptor_is_visible, false},
	        {"thread-local variables of its own", test_tls_of_its_own, false},
	        {"pipes end and locks stay", test_pipes_and_locks, false},
	        {"stop and resume", test_stop_and_resume, false},
	        {"restarts become rare", test_restarts_become_rare, false},
	        {"stops nest", test_stops_nest, false},
	        {"stop cuts a flush short", test_stop_cuts_a_flush_short, false},
	        {"a stopped thread says BYE, the next one registers", test_says_bye, false},
	        {"wake", test_wake, false},
	        {"fork", test_fork, false},
	        {"fork while held or starting", test_fork_while_held, false},
	        {"a copy that nobody was told of", test_unseen_copy, false},
	        {"a vfork child starts and stops nothing", test_vfork_child_starts_nothing, false},
	        {"pthread_exit from main ends the process", test_pthread_exit_ends_the_process, false},
	        {"exit during a flush", test_exit_during_a_flush, false},
	        {"setuid", test_setuid, true},
	        {"the whole setuid family", test_the_whole_setuid_family, true},
	        {"unshare(CLONE_NEWUSER)", test_unshare, false},
	        {"unshare passes errors on", test_unshare_can_be_refused, false},
	        {"setns", test_setns, true},
	        {"quiet under a seccomp filter", test_seccomp_keeps_it_quiet, false},
	        {"quiet under one that kills for prctl", test_filter_that_kills, false},
	        {"auto is thread", test_auto_is_thread, false},
	        {"inline where close_range is refused", test_without_close_range, false},
	        {"inline where no descriptor can be had", test_no_descriptors_allowed, false},
	        {"clone refused for a while", test_no_process_allowed, true},
	        {"off", test_off, false},
	        {"with all memory locked", test_mlockall, false},
	};

	return run_cases(cases, HK_COUNT(cases));
}
