// SPDX-License-Identifier: MIT
/* process: what a program does with itself while the control thread runs beside it. */
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "case.h"

/* ---- descriptors ---- */

/* A socket of the program's takes the lowest numbers that it just closed.  Nobody else writes there, and nobody closes
 * them. */
static void check_descriptors(void (*close_all)(void))
{
	int pair[2], i, before = case_count("/proc/self/fd");
	char byte;

	case_start_control();
	case_sleep_msec(100);
	MUST(case_count("/proc/self/fd") == before); /* what the thread opens is not seen here */
	close_all();
	MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair) == 0);
	MUST(pair[0] == 3 && pair[1] == 4);
	for (i = 0; i < 30; i++) {
		MUST(write(pair[1], "x", 1) == 1);
		case_work(1);
		malloc_trim(0);
		case_sleep_msec(50); /* it tries to connect meanwhile */
		MUST(read(pair[0], &byte, 1) == 1 && byte == 'x');
	}
	MUST(read(pair[0], &byte, 1) < 0 && errno == EAGAIN);
	MUST(read(pair[1], &byte, 1) < 0 && errno == EAGAIN);
	MUST(case_count("/proc/self/fd") == 6); /* 0-2, the pair, and the folder itself */
	MUST(case_threads() == 2);
}

static void close_from_3(void)
{
	closefrom(3);
}

static void close_range_from_3(void)
{
	MUST(syscall(SYS_close_range, 3, ~0u, 0) == 0);
}

static void close_one_by_one(void)
{
	int fd;

	for (fd = 3; fd < 70000; fd++)
		close(fd);
}

static void closefrom_case(void)
{
	check_descriptors(close_from_3);
}

static void close_range_case(void)
{
	check_descriptors(close_range_from_3);
}

static void close_each_case(void)
{
	check_descriptors(close_one_by_one);
}

/* A daemon's way into the background: fork, setsid, fork, close everything. */
static void daemonize_case(void)
{
	case_start_control();
	if (fork() != 0)
		_exit(0);
	MUST(daemon(0, 1) == 0);
	closefrom(3);
	case_start_control();
	case_work(3);
}

/* ---- identity ---- */

static void all_threads_have_uid(int uid)
{
	DIR *dir = opendir("/proc/self/task");
	struct dirent *entry;
	char path[300], line[200];
	int real = -1;

	MUST(dir != NULL);
	while ((entry = readdir(dir)) != NULL) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "/proc/self/task/%s/status", entry->d_name);
		FILE *file = fopen(path, "r");
		if (!file)
			continue; /* it has ended meanwhile */
		while (fgets(line, sizeof(line), file))
			if (sscanf(line, "Uid: %d", &real) == 1)
				MUST(real == uid);
		fclose(file);
	}
	closedir(dir);
	MUST(real == uid);
}

static void setuid_case(void)
{
	if (geteuid() != 0)
		SKIP("needs root");
	case_start_control();
	MUST(setgid(65534) == 0 && setuid(65534) == 0);
	all_threads_have_uid(65534);
	MUST(setuid(0) < 0);
	case_work(3);
	all_threads_have_uid(65534);
}

static void unshare_case(void)
{
	static const int flags[] = { CLONE_NEWUSER, CLONE_NEWNS, CLONE_FS, CLONE_FILES };
	size_t i;

	for (i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
		case_start_control();
		if (unshare(flags[i]) < 0 && (errno == EPERM || errno == ENOSPC))
			SKIP("the kernel lets nobody make namespaces here");
		else
			MUST(errno != EINVAL);
		case_work(1);
	}
}

/* Into the user and mount namespaces of a child: both refuse a process with a second thread. */
static void setns_case(void)
{
	int ready[2], fd;
	char path[64], byte;
	pid_t pid;

	MUST(pipe(ready) == 0);
	if ((pid = fork()) == 0) {
		byte = unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0;
		MUST(write(ready[1], &byte, 1) == 1);
		pause();
	}
	MUST(read(ready[0], &byte, 1) == 1);
	if (!byte)
		kill(pid, SIGKILL);
	if (!byte)
		SKIP("the kernel lets nobody make namespaces here");
	case_start_control();
	snprintf(path, sizeof(path), "/proc/%d/ns/user", pid);
	MUST((fd = open(path, O_RDONLY | O_CLOEXEC)) >= 0);
	MUST(setns(fd, CLONE_NEWUSER) == 0);
	close(fd);
	case_work(3);
	kill(pid, SIGKILL);
}

static void chroot_case(void)
{
	char empty[] = "/tmp/hakmem-preload-XXXXXX";

	if (geteuid() != 0)
		SKIP("needs root");
	MUST(mkdtemp(empty) != NULL && chdir(empty) == 0 && rmdir(empty) == 0);
	MUST(chroot(".") == 0); /* nothing at all in there, /proc included */
	case_work(20);
	MUST(malloc_trim(0) >= 0);
}

/* ---- copies ---- */

static void *busy_thread(void *arg)
{
	uint64_t key = (uint64_t)(uintptr_t)arg << 40;

	for (;; key++) {
		int i;

		if (!block_end_labelled(block_labelled(16 + block_mix(key) % 60000, key)))
			_exit(40);
		for (i = 0; i < 50; i++) /* a lock each, so that one is held as the process is copied */
			free(block_hide(malloc(70000)));
	}
	return arg;
}

/* A child in a name of its own for its statistics: see tests/libhakmem/fork-test.c. */
static void bare_fork_case(void)
{
	int i, status;

	case_start_control();
	for (i = 0; i < 20; i++) {
		pid_t pid = (pid_t)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);

		if (pid == 0) {
			alarm(20);
			case_work(2);
			malloc_trim(0);
			_exit(case_threads() == 2 ? 0 : 41); /* it has a control thread of its own */
		}
		MUST(waitpid(pid, &status, 0) == pid);
		if (WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT)
			continue; /* the control thread was inside as the copy was made: it says so */
		MUST(status == 0);
	}
}

static int clone_work(void *arg)
{
	case_work(2);
	return (int)(intptr_t)arg;
}

/* A child on the parent's memory, as vfork's and posix_spawn's are. */
static void clone_vm_case(void)
{
	char *stack = mmap(NULL, MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int i, status = 0, threads;

	case_start_control();
	threads = case_threads();
	for (i = 0; i < 20; i++) {
		pid_t pid = clone(clone_work, stack + MIB, CLONE_VM | CLONE_VFORK | SIGCHLD, NULL);

		MUST(pid > 0 && waitpid(pid, &status, 0) == pid && status == 0);
		case_work(1);
		MUST(case_threads() == threads);
	}
}

static void few_blocks(void)
{
	void *blocks[200];
	size_t i;

	for (i = 0; i < 200; i++)
		blocks[i] = block_labelled(16 + block_mix(i) % (i % 50 == 0 ? 100000 : 900), i);
	for (i = 0; i < 200; i++)
		MUST(block_end_labelled(blocks[i]));
}

/* A process that forks while three threads never stop: PRELOAD_FORKS children, each of which flushes and allocates. */
static void fork_storm_case(void)
{
	const char *text = getenv("PRELOAD_FORKS");
	int i, n = text ? atoi(text) : 300, status;
	pthread_t threads[3];

	alarm((unsigned int)(CASE_SECONDS + n));
	for (i = 0; i < 3; i++)
		MUST(pthread_create(&threads[i], NULL, busy_thread, (void *)(intptr_t)(i + 1)) == 0);
	for (i = 0; i < n; i++) {
		pid_t pid = fork();

		if (pid == 0) {
			alarm(20);
			malloc_trim(0);
			few_blocks();
			malloc_trim(0);
			_exit(0);
		}
		MUST(waitpid(pid, &status, 0) == pid);
		MUST(status == 0);
	}
	dprintf(1, "%d forks\n", n);
	_exit(0);
}

static void exec_case(void)
{
	static char *const argv[] = { (char *)"process", (char *)"after-exec", NULL };

	char text[20];

	case_start_control();
	snprintf(text, sizeof(text), "%d", case_count("/proc/self/fd"));
	setenv("PRELOAD_FDS", text, 1);
	execv("/proc/self/exe", argv);
	MUST(false);
}

/* Nothing of the program before is left: no descriptor, no blocked signal, no second thread. */
static void after_exec_case(void)
{
	sigset_t blocked;

	MUST(case_threads() == 1);
	MUST(getenv("PRELOAD_FDS") && case_count("/proc/self/fd") == atoi(getenv("PRELOAD_FDS")));
	MUST(sigprocmask(SIG_BLOCK, NULL, &blocked) == 0 && !sigismember(&blocked, SIGTERM));
	case_start_control();
	case_work(2);
}

/* ---- threads ---- */

static void *short_thread(void *arg)
{
	void *p = block_labelled(100 + (size_t)(uintptr_t)arg % 3000, (uint64_t)(uintptr_t)arg);

	MUST(block_end_labelled(p));
	return block_labelled(64, 1); /* freed by another thread */
}

static void thread_storm_case(void)
{
	const char *text = getenv("PRELOAD_THREADS");
	int i, j, n = text ? atoi(text) : 10000;
	size_t early = 0, late;

	for (i = 0; i < n; i += 10) {
		pthread_t threads[10];
		void *block;

		for (j = 0; j < 10; j++)
			MUST(pthread_create(&threads[j], NULL, short_thread, (void *)(intptr_t)(i + j)) == 0);
		for (j = 0; j < 10; j++) {
			MUST(pthread_join(threads[j], &block) == 0);
			MUST(block_end_labelled(block));
		}
		if (i == n / 5 / 10 * 10)
			early = block_resident();
	}
	late = block_resident();
	dprintf(1, "%d threads: %zu KiB after a fifth of them, %zu KiB after all\n", n, early / KIB, late / KIB);
	MUST(late < early + 512 * KIB);
}

static void *outlives_main(void *arg)
{
	case_sleep_msec(100);
	case_work(2);
	return arg;
}

static void main_exits_case(void)
{
	pthread_t thread;

	case_start_control();
	MUST(pthread_create(&thread, NULL, outlives_main, NULL) == 0);
	pthread_exit(NULL);
}

static const struct test_case cases[] = {
	{ "closefrom", closefrom_case },
	{ "close-range", close_range_case },
	{ "close-each", close_each_case },
	{ "daemonize", daemonize_case },
	{ "setuid", setuid_case },
	{ "unshare", unshare_case },
	{ "setns", setns_case },
	{ "chroot", chroot_case },
	{ "bare-fork", bare_fork_case },
	{ "clone-vm", clone_vm_case },
	{ "fork-storm", fork_storm_case },
	{ "exec", exec_case },
	{ "after-exec", after_exec_case },
	{ "thread-storm", thread_storm_case },
	{ "main-exits", main_exits_case },
};

CASE_MAIN(cases)
