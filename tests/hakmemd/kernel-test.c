/* SPDX-License-Identifier: MIT */
/* What the kernel's files say: PSI, cgroup and /proc parsers. */
#include "tests/hakmemd/unit.h"

#include <errno.h>

#include "hakmemd/cgroup.h"
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
	uint64_t nsec, total, available;

	(void)state;
	assert_int_equal(proc_parse_cpu("42 (a) b) (c) S 1 42 42 0 -1 4194304 100 0 0 0 150 50 0 0 20 0 1 0 9 1 1", 100,
				 &nsec), 0);
	assert_int_equal(nsec, 2 * NSEC_PER_SEC);
	assert_int_equal(proc_parse_cpu("nonsense", 100, &nsec), -EBADMSG);
	assert_int_equal(proc_parse_reclaims("pgscan_direct 5\nallocstall_dma 1\nallocstall_normal 2\n"
					     "pgscan_direct_throttle 1000\npgscan_kswapd 7\n"), 8);
	assert_int_equal(proc_parse_meminfo("MemTotal:  10 kB\nMemFree: 1 kB\nMemAvailable: 4 kB\n", &total, &available), 0);
	assert_int_equal(total, 10240);
	assert_int_equal(available, 4096);
	assert_int_equal(proc_parse_meminfo("MemTotal: 10 kB\n", &total, &available), -EBADMSG);
}

static void test_self(void **state)
{
	struct proc_memory memory;
	uint64_t nsec;

	(void)state;
	assert_int_equal(proc_memory(getpid(), &memory), 0);
	assert_true(memory.rss_bytes > memory.private_bytes && memory.private_bytes > 0);
	assert_int_equal(proc_cpu_nsec(getpid(), &nsec), 0);
	assert_int_equal(proc_memory(0, &memory), -ESRCH);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_psi),
		cmocka_unit_test(test_mountinfo),
		cmocka_unit_test(test_membership),
		cmocka_unit_test(test_inside),
		cmocka_unit_test(test_proc),
		cmocka_unit_test(test_self),
	};

	return cmocka_run_group_tests_name("kernel", tests, NULL, NULL);
}
