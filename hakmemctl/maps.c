/* SPDX-License-Identifier: MIT */
/*
 * hakmemctl maps PID: where a process's memory is, by the kernel's account.
 *
 * Reads /proc/PID/smaps with the caller's own rights; no daemon is needed.  The library names its mappings
 * (PR_SET_VMA_ANON_NAME); a kernel without CONFIG_ANON_VMA_NAME drops the names, and then this says so.
 */
#include <config.h>

#include "hakmemctl/ctl.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "hakmemd/text.h"
#include "hakmemd/util.h"

enum maps_kind { MAPS_SLABS, MAPS_LARGE, MAPS_META, MAPS_PAGE_MAP, MAPS_BRK, MAPS_STACK, MAPS_ANON, MAPS_FILE, MAPS_N };

static const struct {
	const char *key;   /* in JSON */
	const char *words;
	const char *name;  /* beginning of the name in smaps; NULL = by other means */
} maps_kinds[MAPS_N] = {
	[MAPS_SLABS] = {"slabs", "hakmem: slabs, mid blocks", "[anon:hakmem: slabs]"},
	[MAPS_LARGE] = {"large", "hakmem: large blocks", "[anon:hakmem: large]"},
	[MAPS_META] = {"metadata", "hakmem: metadata", "[anon:hakmem: metadata]"},
	[MAPS_PAGE_MAP] = {"page_map", "hakmem: page map", "[anon:hakmem: page map]"},
	[MAPS_BRK] = {"brk", "heap of brk", "[heap]"},
	[MAPS_STACK] = {"stack", "main thread's stack", "[stack]"},
	[MAPS_ANON] = {"anonymous", "other anonymous memory", NULL},
	[MAPS_FILE] = {"files", "files and shared memory", NULL},
};

struct maps_sum {
	uint64_t n, size, rss, private_dirty, swap;
};

struct maps {
	struct maps_sum sums[MAPS_N];
	bool library; /* libhakmem is mapped */
	bool named;   /* at least one mapping bears one of its names */
	uint64_t page_tables;
};

static enum maps_kind maps_kind_of(const char *name)
{
	for (int kind = 0; kind < MAPS_N; kind++)
		if (maps_kinds[kind].name && !strncmp(name, maps_kinds[kind].name, strlen(maps_kinds[kind].name)))
			return (enum maps_kind)kind;
	return *name && strncmp(name, "[anon", 5) != 0 ? MAPS_FILE : MAPS_ANON;
}

/* The first line of a mapping: "from-to rights offset device inode   name". */
static bool maps_header(const char *line, enum maps_kind *ret_kind, struct maps *maps)
{
	uint64_t from, to;
	char name[512] = "";

	if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %*s %*s %*s %*s %511[^\n]", &from, &to, name) < 2)
		return false;
	*ret_kind = maps_kind_of(name);
	maps->named |= *ret_kind <= MAPS_PAGE_MAP;
	maps->library |= strstr(name, "/libhakmem.so") != NULL;
	maps->sums[*ret_kind].n++;
	maps->sums[*ret_kind].size += to - from;
	return true;
}

static int maps_read(int pid, struct maps *ret_maps)
{
	char path[64], line[4096];
	enum maps_kind kind = MAPS_ANON;
	CLEANUP_FILE FILE *smaps = NULL, *status = NULL;
	uint64_t kib;

	snprintf(path, sizeof path, "/proc/%d/smaps", pid);
	smaps = fopen(path, "re");
	if (!smaps)
		return -errno;
	errno = 0;
	while (fgets(line, sizeof line, smaps)) {
		struct maps_sum *sum = &ret_maps->sums[kind];

		if (sscanf(line, "Rss: %" SCNu64, &kib) == 1)
			sum->rss += kib << 10;
		else if (sscanf(line, "Private_Dirty: %" SCNu64, &kib) == 1)
			sum->private_dirty += kib << 10;
		else if (sscanf(line, "Swap: %" SCNu64, &kib) == 1)
			sum->swap += kib << 10;
		else
			(void)maps_header(line, &kind, ret_maps);
	}
	if (ferror(smaps)) /* the rights to read it are looked at here, not at open */
		return errno ? -errno : -EACCES;
	snprintf(path, sizeof path, "/proc/%d/status", pid);
	status = fopen(path, "re");
	while (status && fgets(line, sizeof line, status))
		if (sscanf(line, "VmPTE: %" SCNu64, &kib) == 1)
			ret_maps->page_tables = kib << 10;
	return 0;
}

static void maps_print(const struct maps *maps)
{
	struct ctl_table table = {
		.heads = {"<WHAT", "MAPPINGS", "MAPPED", "RESIDENT", "DIRTY", "SWAPPED"}, .n_columns = 6};

	for (int kind = 0; kind < MAPS_N; kind++) {
		const struct maps_sum *sum = &maps->sums[kind];

		if (!sum->n)
			continue;
		ctl_table_cell(&table, "%s", maps_kinds[kind].words);
		ctl_table_cell(&table, "%" PRIu64, sum->n);
		ctl_table_bytes(&table, sum->size);
		ctl_table_bytes(&table, sum->rss);
		ctl_table_bytes(&table, sum->private_dirty);
		ctl_table_bytes(&table, sum->swap);
	}
	ctl_table_cell(&table, "page tables");
	ctl_table_cell(&table, "-");
	ctl_table_cell(&table, "-");
	ctl_table_bytes(&table, maps->page_tables);
	ctl_table_cell(&table, "-");
	ctl_table_cell(&table, "-");
	ctl_table_print(&table);
	if (!maps->library)
		printf("libhakmem.so is not mapped there\n");
	else if (!maps->named)
		printf("this kernel keeps no names of anonymous memory (CONFIG_ANON_VMA_NAME): hakmem's is among the other\n");
}

static void maps_print_json(const struct maps *maps)
{
	json_t *object = json_object();

	for (int kind = 0; kind < MAPS_N; kind++) {
		const struct maps_sum *sum = &maps->sums[kind];

		json_object_set_new(object, maps_kinds[kind].key,
			json_pack("{s:I, s:I, s:I, s:I, s:I}", "mappings", (json_int_t)sum->n, "mapped_bytes",
				(json_int_t)sum->size, "rss_bytes", (json_int_t)sum->rss, "dirty_bytes",
				(json_int_t)sum->private_dirty, "swapped_bytes", (json_int_t)sum->swap));
	}
	json_object_set_new(object, "page_table_bytes", json_integer((json_int_t)maps->page_tables));
	json_object_set_new(object, "library_mapped", json_boolean(maps->library));
	json_object_set_new(object, "named", json_boolean(maps->named));
	ctl_print_json(object);
	json_decref(object);
}

int verb_maps(const struct ctl_options *options)
{
	struct maps maps = {0};
	int r = maps_read(options->pid, &maps);

	if (r == -ENOENT || r == -ESRCH) {
		ctl_complain("there is no process %d", options->pid);
		return CTL_NO_PROCESS;
	}
	if (r < 0) {
		ctl_complain("/proc/%d/smaps: %s (it is read as the caller: its owner or root may)", options->pid, strerror(-r));
		return r == -EACCES || r == -EPERM ? CTL_DENIED : CTL_ERROR;
	}
	if (options->json)
		maps_print_json(&maps);
	else
		maps_print(&maps);
	return CTL_OK;
}
