/* SPDX-License-Identifier: MIT */
/* What the kernel's files say: PSI, cgroup and /proc parsers. */
#include "tests/hakmemd/unit.h"

#include <errno.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "hakmemd/cgroup.h"
#include "hakmemd/events.h"
#include "hakmemd/loop.h"
#include "hakmemd/proc.h"
#include "hakmemd/psi.h"
#include "hakmemd/util.h"

static void test_psi(void **state)
{
	struct psi_totals totals;

	(void)state;
	assert_int_equal(psi_parse("some avg10=1.23 avg60=0.50 avg300=0.00 total=123456\n"
				   "full avg10=0.00 avg60=0.00 avg300=0.00 total=789\n", &totals), 0);
	assert_int_equal(totals.some_usec, 123456);
	assert_int_equal(totals.full_usec, 789);
	assert_int_equal(psi_parse("some avg10=1.23 avg60=0.50 avg300=0.00 total=5\n", &totals), 0);
	assert_int_equal(totals.full_usec, 0);
	assert_int_equal(psi_parse("", &totals), -EBADMSG);
	assert_int_equal(psi_parse("some avg10=1.23\nfull avg10=0 total=3\n", &totals), -EBADMSG);
	assert_int_equal(psi_parse("full avg10=0 total=3\n", &totals), -EBADMSG);
}

static void test_mountinfo(void **state)
{
	char path[64];

	(void)state;
	assert_int_equal(cgroup_parse_mountinfo(
				 "31 23 0:28 / /sys/fs/cgroup rw shared:9 - tmpfs tmpfs rw,mode=755\n"
				 "35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
				 "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime shared:1 - cgroup2 cgroup2 rw\n",
				 path, sizeof path), 0);
	assert_string_equal(path, "/sys/fs/cgroup/unified");
	assert_int_equal(cgroup_parse_mountinfo("41 31 0:38 / /with\\040space rw - cgroup2 x rw", path, sizeof path), 0);
	assert_string_equal(path, "/with space");
	assert_int_equal(cgroup_parse_mountinfo("31 23 0:28 / /a rw - tmpfs cgroup2 rw\n", path, sizeof path), -ENOENT);
	assert_int_equal(cgroup_parse_mountinfo("41 31 0:38 / /sys/fs/cgroup rw - cgroup2 x rw", path, 5), -ENAMETOOLONG);
}

static void test_membership(void **state)
{
	char path[64];

	(void)state;
	assert_int_equal(cgroup_parse_membership("4:memory:/x\n1:cpu:/\n0::/a.slice/b.service\n", path, sizeof path), 0);
	assert_string_equal(path, "/a.slice/b.service");
	assert_int_equal(cgroup_parse_membership("0::/\n", path, sizeof path), 0);
	assert_string_equal(path, "/");
	assert_int_equal(cgroup_parse_membership("0::/gone (deleted)\n", path, sizeof path), 0);
	assert_string_equal(path, "/gone");
	assert_int_equal(cgroup_parse_membership("10::/x\n4:memory:/x\n", path, sizeof path), -ENOENT);
	assert_int_equal(cgroup_parse_membership("0::/a.slice/b.service\n", path, 8), -ENAMETOOLONG);
}

static void test_memory_mount(void **state)
{
	static const char mountinfo[] = "33 31 0:30 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu,cpuacct\n"
					"35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n";
	char path[64];

	(void)state;
	assert_int_equal(cgroup_parse_memory_mount(mountinfo, path, sizeof path), 0);
	assert_string_equal(path, "/sys/fs/cgroup/memory");
	assert_int_equal(cgroup_parse_memory_mount("41 31 0:38 / /s rw - cgroup2 x rw,memory_recursiveprot\n", path,
				 sizeof path), -ENOENT);
}

static void put(const char *dir, const char *name, const char *text)
{
	char path[256];
	FILE *file;

	snprintf(path, sizeof path, "%s/%s", dir, name);
	file = fopen(path, "w");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static void test_cgroup_memory(void **state)
{
	struct cgroup_roots roots = {.unified = "/tmp/hakmemd-kernel.XXXXXX"};
	struct cgroup_memory memory;
	char dir[300], command[400];

	(void)state;
	assert_non_null(mkdtemp(roots.unified));
	snprintf(dir, sizeof dir, "%s/a", roots.unified);
	assert_int_equal(mkdir(dir, 0700), 0);
	put(dir, "memory.max", "max\n");
	put(dir, "memory.high", "1000000\n");
	put(dir, "memory.current", "950000\n");
	put(dir, "memory.low", "950000\n");
	put(dir, "memory.stat", "anon 1\ninactive_file 150000\n");
	put(dir, "memory.events", "low 9\nhigh 3\nmax 4\noom 1\noom_kill 1\n");
	cgroup_read_memory(&roots, "/a", &memory);
	assert_int_equal(memory.limit_bytes, 1000000);
	assert_in_range((int)(memory.headroom * 1000), 199, 201);
	assert_true(memory.protected_);
	assert_int_equal(memory.n_ooms, 2);
	assert_int_equal(memory.n_hits, 7);
	assert_true(cgroup_limited(&roots, "/a"));
	/* The same folder as a cgroup of version 1. */
	strcpy(roots.memory, roots.unified);
	put(dir, "memory.limit_in_bytes", "9223372036854771712\n");
	put(dir, "memory.usage_in_bytes", "400000\n");
	put(dir, "memory.stat", "inactive_file 1\ntotal_inactive_file 100000\n");
	put(dir, "memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 5\n");
	put(dir, "memory.failcnt", "6\n");
	assert_false(cgroup_limited(&roots, "/a"));
	put(dir, "memory.limit_in_bytes", "1000000\n");
	cgroup_read_memory(&roots, "/a", &memory);
	assert_in_range((int)(memory.headroom * 1000), 699, 701);
	assert_int_equal(memory.n_ooms, 5);
	assert_int_equal(memory.n_hits, 6);
	assert_false(memory.protected_);
	snprintf(command, sizeof command, "rm -r %s", roots.unified);
	assert_int_equal(system(command), 0);
}

static void test_named(void **state)
{
	(void)state;
	assert_true(cgroup_named("/system.slice/redis.service", "redis.service"));
	assert_true(cgroup_named("/system.slice/redis.service", "a.service  redis*"));
	assert_true(cgroup_named("/system.slice/x.service", "system.slice"));
	assert_true(cgroup_named("/a/b/c", "/a/b"));
	assert_true(cgroup_named("/a/b/c", "/a/*"));
	assert_false(cgroup_named("/a/bc", "/a/b"));
	assert_false(cgroup_named("/system.slice/redis.service", "redis"));
	assert_false(cgroup_named("/system.slice/redis.service", ""));
}

/* A file that tells of its changes once each, and of its end: cgroup.events stands for memory.events, which has the
 * same kernel code and is not there where the memory controller is elsewhere. */
static void count_event(void *data)
{
	++*(int *)data;
}

static void stop_loop(void *data)
{
	loop_stop(data);
}

static void run_for(struct loop *loop, uint64_t nsec)
{
	struct loop_timer *timer;

	assert_int_equal(loop_timer_new(loop, stop_loop, loop, &timer), 0);
	assert_int_equal(loop_timer_set(timer, nsec), 0);
	assert_int_equal(loop_run(loop), 0);
	loop_timer_free(timer);
}

static void test_events(void **state)
{
	struct cgroup_roots roots;
	struct events_watch watch;
	char dir[400], path[450], text[16];
	struct loop *loop;
	int n = 0;
	pid_t pid;

	(void)state;
	if (cgroup_find_roots(&roots) < 0)
		skip();
	snprintf(dir, sizeof dir, "%s/hakmemd-kernel-%d", roots.unified, getpid());
	if (mkdir(dir, 0755) < 0)
		skip();
	snprintf(path, sizeof path, "%s/cgroup.events", dir);
	assert_int_equal(loop_new(&loop), 0);
	assert_int_equal(events_arm(&watch, loop, path, count_event, &n), 0);
	run_for(loop, 50 * NSEC_PER_MSEC);
	assert_int_equal(n, 0);
	pid = fork();
	if (!pid) {
		pause();
		_exit(0);
	}
	snprintf(text, sizeof text, "%d", pid);
	put(dir, "cgroup.procs", text);
	run_for(loop, 50 * NSEC_PER_MSEC);
	assert_int_equal(n, 1);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	run_for(loop, 50 * NSEC_PER_MSEC);
	assert_int_equal(n, 2);
	for (int i = 0; i < 50 && rmdir(dir) < 0; i++)
		usleep(10000);
	run_for(loop, 100 * NSEC_PER_MSEC);
	assert_in_range(n, 2, 3); /* not for ever */
	events_disarm(&watch);
	loop_free(loop);
}

static void test_inside(void **state)
{
	(void)state;
	assert_true(cgroup_inside("/a/b", "/a"));
	assert_true(cgroup_inside("/a", "/a"));
	assert_false(cgroup_inside("/a/bc", "/a/b"));
	assert_true(cgroup_inside("/x", "/"));
}

static void test_proc(void **state)
{
	uint64_t total, available, stalls;

	(void)state;
	assert_int_equal(proc_parse_reclaims("pgscan_direct 5\nallocstall_dma 1\nallocstall_normal 2\n"
					     "pgscan_direct_throttle 1000\npgscan_kswapd 7\n", &stalls), 8);
	assert_int_equal(stalls, 3);
	assert_int_equal(proc_parse_meminfo("MemTotal:  10 kB\nMemFree: 1 kB\nMemAvailable: 4 kB\n", &total, &available), 0);
	assert_int_equal(total, 10240);
	assert_int_equal(available, 4096);
	assert_int_equal(proc_parse_meminfo("MemTotal: 10 kB\n", &total, &available), -EBADMSG);
}

static uint64_t own_cpu_nsec(void)
{
	struct timespec used;

	assert_int_equal(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used), 0);
	return (uint64_t)used.tv_sec * NSEC_PER_SEC + (uint64_t)used.tv_nsec;
}

static void test_self(void **state)
{
	struct proc_memory memory;
	uint64_t nsec, before, after;

	(void)state;
	assert_int_equal(proc_memory(getpid(), &memory), 0);
	assert_true(memory.rss_bytes > memory.private_bytes && memory.private_bytes > 0);
	before = own_cpu_nsec();
	assert_int_equal(proc_cpu_nsec(getpid(), &nsec), 0);
	after = own_cpu_nsec();
	assert_in_range(nsec, before, after);
	assert_int_equal(proc_cpu_nsec(0, &nsec), -ESRCH);
	assert_int_equal(proc_memory(0, &memory), -ESRCH);
}

static void test_psi_share(void **state)
{
	double share;

	(void)state;
	assert_int_equal(psi_parse_share("some avg10=0.05 avg60=12.50 avg300=50.00 total=1\n", &share), 0);
	assert_in_range((int)(share * 100000), 12499, 12501);
	assert_int_equal(psi_parse_share("some avg10=0.30 avg60=0.00 avg300=0.00 total=1\n", &share), 0);
	assert_in_range((int)(share * 100000), 299, 301);
	assert_int_equal(psi_parse_share("nonsense", &share), -EBADMSG);
	assert_int_equal(psi_read_share("/nonexistent", &share), -ENOENT);
}

/* Two members that are ready at once: the first to be served throws the other out, which must not be called then. */
struct pair {
	struct loop *loop;
	struct loop_set *set;
	int fds[2][2];
	int n_calls[2];
};

struct member {
	struct pair *pair;
	int i;
};

static void member_ready(void *data)
{
	struct member *member = data;
	int other = !member->i;

	member->pair->n_calls[member->i]++;
	loop_set_remove(member->pair->set, member->pair->fds[other][0], member + (other ? 1 : -1));
	if (member->pair->n_calls[member->i] == 2)
		loop_stop(member->pair->loop);
}

static void test_loop_set(void **state)
{
	struct pair pair = {0};
	struct member members[2] = {{&pair, 0}, {&pair, 1}};
	char byte = 0;

	(void)state;
	assert_int_equal(loop_new(&pair.loop), 0);
	assert_int_equal(loop_set_new(pair.loop, member_ready, &pair.set), 0);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(pipe(pair.fds[i]), 0);
		assert_int_equal(write(pair.fds[i][1], &byte, 1), 1);
		assert_int_equal(loop_set_add(pair.set, pair.fds[i][0], &members[i]), 0);
	}
	assert_int_equal(loop_run(pair.loop), 0);
	assert_int_equal(pair.n_calls[0] + pair.n_calls[1], 2); /* it stays ready as long as it is not read */
	assert_true(pair.n_calls[0] == 0 || pair.n_calls[1] == 0);
	loop_set_free(pair.set);
	loop_free(pair.loop);
	for (int i = 0; i < 4; i++)
		close(pair.fds[i / 2][i % 2]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_psi),
		cmocka_unit_test(test_mountinfo),
		cmocka_unit_test(test_membership),
		cmocka_unit_test(test_memory_mount),
		cmocka_unit_test(test_cgroup_memory),
		cmocka_unit_test(test_named),
		cmocka_unit_test(test_events),
		cmocka_unit_test(test_inside),
		cmocka_unit_test(test_proc),
		cmocka_unit_test(test_self),
		cmocka_unit_test(test_psi_share),
		cmocka_unit_test(test_loop_set),
	};

	return cmocka_run_group_tests_name("kernel", tests, NULL, NULL);
}
