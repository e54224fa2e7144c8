// SPDX-License-Identifier: MIT
/* limits: what the kernel refuses, and how memory goes back to it. */
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "case.h"

static void limit(int resource, rlim_t value)
{
	struct rlimit limits = { value, value };

	MUST(setrlimit(resource, &limits) == 0);
}

/* As much as there is, 1 MiB at a time, and all of it back; returns how many. */
static unsigned int exhaust(void)
{
	void **chain = NULL, **p;
	unsigned int n = 0;

	while (n < 4096 && (p = block_hide(malloc(MIB))) != NULL) {
		memset(p, 1, MIB);
		*p = (void *)chain;
		chain = p;
		n++;
	}
	MUST(n == 4096 || errno == ENOMEM);
	while ((p = chain) != NULL) {
		chain = (void **)*p;
		free(p);
	}
	return n;
}

static void exhaust_twice(unsigned int least)
{
	unsigned int first = exhaust(), second = exhaust();

	MUST(first >= least && first < 4096 && second >= first - first / 8);
	case_work(1);
}

static void rlimit_as_case(void)
{
	limit(RLIMIT_AS, 256 * MIB);
	exhaust_twice(100);
}

static void rlimit_data_case(void)
{
	limit(RLIMIT_DATA, 128 * MIB);
	exhaust_twice(60);
}

/* No descriptor at all: the control thread cannot have a signalfd, and the rest must not need one. */
static void rlimit_nofile_case(void)
{
	limit(RLIMIT_NOFILE, 3);
	case_work(20);
	malloc_trim(0);
	case_sleep_msec(200);
	case_work(5);
	MUST(open("/dev/null", O_RDONLY) < 0 && errno == EMFILE);
}

/* For root the kernel knows no such limit. */
static void rlimit_nproc_case(void)
{
	if (geteuid() == 0)
		MUST(setgid(65534) == 0 && setuid(65534) == 0);
	limit(RLIMIT_NPROC, 0);
	case_work(20);
	MUST(case_threads() == 1);
}

static void memlock_case(void)
{
	enum { N = 60 };
	static void *blocks[N];
	size_t i;

	if (mlockall(MCL_CURRENT | MCL_FUTURE) < 0)
		SKIP("mlockall is not allowed here");
	for (i = 0; i < N; i++)
		blocks[i] = block_labelled(150 * KIB, i);
	for (i = 0; i < N; i += 2)
		MUST(block_end_labelled(blocks[i]));
	malloc_trim(0); /* the kernel refuses to purge */
	for (i = 0; i < N; i += 2) {
		unsigned char *p = block_hide(calloc(150, KIB)); /* what was not purged is not taken for zero */

		MUST(p && block_all(p, 150 * KIB, 0));
	}
	for (i = 1; i < N; i += 2)
		MUST(block_end_labelled(blocks[i]));
}

/* Strict: no system call but read, write and exit.  What the magazines hold needs none. */
static void seccomp_strict_case(void)
{
	enum { N = 100 };
	static void *blocks[N];
	int status, round, i;
	pid_t pid = fork();

	if (pid == 0) {
		for (round = 0; round < 20; round++) { /* magazines grow */
			for (i = 0; i < N; i++)
				blocks[i] = block_labelled(64, (uint64_t)i);
			for (i = 0; i < N; i++)
				MUST(block_end_labelled(blocks[i]));
		}
		MUST(prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) == 0);
		for (round = 0; round < 1000; round++) {
			for (i = 0; i < N; i++)
				blocks[i] = block_labelled(64, (uint64_t)i);
			for (i = 0; i < N; i++)
				if (!block_end_labelled(blocks[i]))
					syscall(SYS_exit, 1);
		}
		syscall(SYS_exit, 0);
	}
	MUST(waitpid(pid, &status, 0) == pid && status == 0);
}

/* A filter that kills for every call but those a program without threads needs for its memory and its end. */
static void seccomp_filter_case(void)
{
#define ALLOW(name) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_##name, 0, 1), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		ALLOW(mmap), ALLOW(munmap), ALLOW(mremap), ALLOW(mprotect), ALLOW(madvise), ALLOW(futex), ALLOW(prctl),
		ALLOW(write), ALLOW(exit_group), ALLOW(membarrier), ALLOW(clock_gettime), ALLOW(clock_nanosleep),
		ALLOW(getpid), ALLOW(process_vm_readv), ALLOW(rt_sigprocmask),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
	};
#undef ALLOW
	struct sock_fprog program = { sizeof(filter) / sizeof(filter[0]), filter };
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		MUST(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
		MUST(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0);
		case_work(20); /* far beyond the threshold: no thread, no socket */
		malloc_trim(0);
		_exit(0);
	}
	MUST(waitpid(pid, &status, 0) == pid);
	dprintf(1, "status 0x%x\n", (unsigned int)status);
	MUST(status == 0);
}

/* One file of the machine's, as text; false where it is not there. */
static bool read_file(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd >= 0 ? read(fd, text, size - 1) : -1;

	if (fd >= 0)
		close(fd);
	text[n > 0 ? n : 0] = '\0';
	return n > 0;
}

/* The line of /proc/self/smaps that begins with `field`, of the mapping that `address` lies in (NULL: the first that
 * has the field and not 0); false where there is none. */
static bool smaps_line(const void *address, const char *field, char *line, size_t size)
{
	FILE *file = fopen("/proc/self/smaps", "r");
	bool inside = address == NULL, found = false;
	unsigned long from, to;

	MUST(file != NULL);
	while (!found && fgets(line, (int)size, file)) {
		if (address && sscanf(line, "%lx-%lx ", &from, &to) == 2)
			inside = (unsigned long)(uintptr_t)address - from < to - from;
		found = inside && strncmp(line, field, strlen(field)) == 0 && (address || !strstr(line, " 0 kB"));
	}
	fclose(file);
	return found;
}

/* Whatever the system's setting, a partly filled SuperSlab may not become 2 MiB of memory. */
static void thp_case(void)
{
	static char setting[100], line[512];
	size_t before = block_resident();
	void *p[64];
	int i;

	read_file("/sys/kernel/mm/transparent_hugepage/enabled", setting, sizeof(setting));
	for (i = 0; i < 64; i++)
		p[i] = block_labelled(16 + (size_t)i * 16, 1); /* each class its slab */
	dprintf(1, "%zu KiB for 64 blocks; the system says %s", (block_resident() - before) / KIB, setting);
	MUST(block_resident() < before + MIB);
	for (i = 0; i < 64; i++) {
		MUST(smaps_line(p[i], "AnonHugePages:", line, sizeof(line)) && strstr(line, " 0 kB"));
		MUST(smaps_line(p[i], "VmFlags:", line, sizeof(line)) && strstr(line, " nh ")); /* never */
	}
	for (i = 0; i < 64; i++)
		MUST(block_end_labelled(p[i]));
}

/* Gone at once, not when the kernel finds time. */
static void lazyfree_case(void)
{
	size_t before = block_resident(), i;
	static void *blocks[40000];
	char line[512];

	for (i = 0; i < 40000; i++)
		blocks[i] = block_labelled(500, i);
	MUST(block_resident() > before + 15 * MIB);
	for (i = 0; i < 40000; i++)
		MUST(block_end_labelled(blocks[i]));
	malloc_trim(0);
	MUST(!smaps_line(NULL, "LazyFree:", line, sizeof(line)));
	MUST(block_resident() < before + 2 * MIB);
}

/* A cgroup at its limit: the flush must not need memory that it does not get. */
static void cgroup_case(void)
{
	static void *blocks[100000];
	char folder[] = "/sys/fs/cgroup/memory/hakmem-preload-XXXXXX", path[100];
	size_t i, n = 0;
	int fd, status;
	pid_t pid;

	if (!mkdtemp(folder))
		SKIP("no memory controller to make a cgroup in");
	chmod(folder, 0755);
	snprintf(path, sizeof(path), "%s/memory.limit_in_bytes", folder);
	if ((fd = open(path, O_WRONLY)) < 0 || write(fd, "40000000", 8) != 8) {
		rmdir(folder);
		SKIP("no limit can be set");
	}
	close(fd);
	if ((pid = fork()) == 0) {
		snprintf(path, sizeof(path), "%s/cgroup.procs", folder);
		fd = open(path, O_WRONLY);
		MUST(fd >= 0 && write(fd, "0", 1) == 1);
		for (n = 0; n < 100000 && block_resident() < 36000000; n++)
			blocks[n] = block_labelled(333, n);
		for (i = 0; i < n; i++) /* holes everywhere, the limit is near */
			if (i % 50 != 0)
				MUST(block_end_labelled(blocks[i]));
		MUST(malloc_trim(0) == 1);
		MUST(block_resident() < 25000000);
		case_work(2);
		_exit(0);
	}
	MUST(waitpid(pid, &status, 0) == pid);
	rmdir(folder);
	MUST(status == 0);
}

/* The machine's setting is changed for a moment, so only where the test is asked to. */
static void overcommit_case(void)
{
	int fd = open("/proc/sys/vm/overcommit_memory", O_RDWR), status = -1;
	char before = '0';
	pid_t pid;

	if (!getenv("PRELOAD_CHANGE_SYSCTL"))
		SKIP("changes a setting of the machine: set PRELOAD_CHANGE_SYSCTL=1");
	if (fd < 0 || read(fd, &before, 1) != 1 || pwrite(fd, "2", 1, 0) != 1)
		SKIP("/proc/sys/vm/overcommit_memory cannot be written here");
	if ((pid = fork()) == 0) {
		limit(RLIMIT_AS, 256 * MIB);
		case_work(10);
		exhaust_twice(100);
		_exit(0);
	}
	waitpid(pid, &status, 0);
	MUST(pwrite(fd, &before, 1, 0) == 1);
	MUST(status == 0);
}

/* Beside tests/preload/meddler.c. */
static void meddled_case(void)
{
	MUST(getenv("MEDDLED") != NULL);
	MUST(mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED); /* it is at work */
	case_work(5);
	malloc_trim(0);
	if (fork() == 0) {
		case_work(1);
		_exit(0);
	}
	MUST(wait(NULL) > 0);
}

static const struct test_case cases[] = {
	{ "meddled", meddled_case },
	{ "rlimit-as", rlimit_as_case },
	{ "rlimit-data", rlimit_data_case },
	{ "rlimit-nofile", rlimit_nofile_case },
	{ "rlimit-nproc", rlimit_nproc_case },
	{ "memlock", memlock_case },
	{ "seccomp-strict", seccomp_strict_case },
	{ "seccomp-filter", seccomp_filter_case },
	{ "thp", thp_case },
	{ "lazyfree", lazyfree_case },
	{ "cgroup", cgroup_case },
	{ "overcommit", overcommit_case },
};

CASE_MAIN(cases)
