/* SPDX-License-Identifier: MIT */
/* What the kernel's files say: pressure, meminfo, vmstat, stat, cgroup and mountinfo, from any text. */
#include "hakmemd/cgroup.h"
#include "hakmemd/proc.h"
#include "hakmemd/psi.h"

#include "tests/fuzz/fuzz.h"

static void fuzz_paths(const char *text)
{
	char path[64];

	if (cgroup_parse_mountinfo(text, path, sizeof path) == 0)
		FUZZ_HOLDS(strlen(path) < sizeof path);
	if (cgroup_parse_memory_mount(text, path, sizeof path) == 0)
		FUZZ_HOLDS(strlen(path) < sizeof path);
	if (cgroup_parse_membership(text, path, sizeof path) == 0) {
		FUZZ_HOLDS(*path == '/' && strlen(path) < sizeof path && !strchr(path, '\n'));
		FUZZ_HOLDS(cgroup_inside(path, "/") && cgroup_inside(path, path));
		(void)cgroup_named(path, text);
	}
	(void)cgroup_named("/system.slice/a.service", text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = fuzz_text(data, size);
	struct psi_totals totals;
	uint64_t a, b;

	(void)psi_parse(text, &totals);
	(void)proc_parse_meminfo(text, &a, &b);
	(void)proc_parse_reclaims(text, &a);
	fuzz_paths(text);
	free(text);
	return 0;
}
