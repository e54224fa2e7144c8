/* SPDX-License-Identifier: MIT */
/* The memory controller's files, all of the same text, as version 2 and as version 1. */
#include "hakmemd/cgroup.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/fuzz/fuzz.h"

static const char *const names[] = {"memory.max", "memory.high", "memory.current", "memory.low", "memory.stat",
	"memory.events", "memory.limit_in_bytes", "memory.usage_in_bytes", "memory.failcnt", "memory.oom_control"};
static char directory[] = "/tmp/hakmem-fuzz.XXXXXX";

static void fuzz_remove(void)
{
	char path[128];

	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		snprintf(path, sizeof path, "%s/%s", directory, names[i]);
		unlink(path);
	}
	rmdir(directory);
}

/* One file by every name; returns a descriptor of it. */
static int fuzz_make(void)
{
	char first[128], path[128];
	int fd;

	FUZZ_HOLDS(mkdtemp(directory) && atexit(fuzz_remove) == 0);
	snprintf(first, sizeof first, "%s/%s", directory, names[0]);
	fd = open(first, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	for (size_t i = 1; i < sizeof names / sizeof *names; i++) {
		snprintf(path, sizeof path, "%s/%s", directory, names[i]);
		FUZZ_HOLDS(link(first, path) == 0);
	}
	return fd;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int fd = -1;
	struct cgroup_roots roots = {.unified = ""};
	struct cgroup_memory memory;

	if (fd < 0)
		fd = fuzz_make();
	FUZZ_HOLDS(fd >= 0 && ftruncate(fd, 0) == 0 && pwrite(fd, data, size, 0) == (ssize_t)size);
	snprintf(roots.unified, sizeof roots.unified, "%s", directory);
	cgroup_read_memory(&roots, "/", &memory);
	FUZZ_HOLDS(memory.headroom >= -1 && memory.headroom <= 1);
	snprintf(roots.memory, sizeof roots.memory, "%s", directory);
	cgroup_read_memory(&roots, "/", &memory);
	FUZZ_HOLDS(memory.headroom >= -1 && memory.headroom <= 1);
	return 0;
}
