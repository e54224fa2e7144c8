/* SPDX-License-Identifier: MIT */
/*
 * cgroup2: where it is mounted, which cgroup a process is in, and what a cgroup's files say.
 *
 * Never takes a mount point for granted: on a hybrid host cgroup2 is not at /sys/fs/cgroup, and has PSI though
 * the memory controller is in a hierarchy of version 1.  There, whoever makes cgroups gives them the same path in
 * both, so limit and use are read from the cgroup of the same path; without one, pressure is all there is.
 * A path is as in /proc/PID/cgroup ("/", "/system.slice/x.service"); identity is the directory's inode.
 */
#ifndef HAKMEMD_CGROUP_H
#define HAKMEMD_CGROUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define CGROUP_PATH_MAX 1024 /* longer paths count as the host */
#define CGROUP_ROOT_MAX 256

/* Where cgroups are: the mount point of cgroup2, and that of version 1's memory controller where it has that. */
struct cgroup_roots {
	char unified[CGROUP_ROOT_MAX]; /* empty = there is none */
	char memory[CGROUP_ROOT_MAX];  /* empty = the memory controller is on cgroup2, or nowhere */
};

/* The first mount of type cgroup2 in the text of a mountinfo file.  0, -ENOENT, or -ENAMETOOLONG. */
int cgroup_parse_mountinfo(const char *mountinfo, char *ret_path, size_t size);

/* The path on the line "0::" of the text of /proc/PID/cgroup.  0, -ENOENT, or -ENAMETOOLONG. */
int cgroup_parse_membership(const char *text, char *ret_path, size_t size);

/* The same for a mount of version 1 that has the memory controller. */
int cgroup_parse_memory_mount(const char *mountinfo, char *ret_path, size_t size);

/* 0 where cgroup2 was found. */
int cgroup_find_roots(struct cgroup_roots *ret_roots);
int cgroup_of_pid(pid_t pid, char *ret_path, size_t size);
int cgroup_id(const char *root, const char *path, uint64_t *ret_id);

/* True where the mount's root is the machine's, not that of a cgroup namespace. */
bool cgroup_root_is_host(const char *root);

/* What a cgroup's files say about its memory. */
struct cgroup_memory {
	double headroom;      /* share of the limit still free, inactive file pages counted so; negative = no limit */
	uint64_t limit_bytes; /* the lower of memory.max and memory.high; 0 = none */
	bool protected_;      /* uses no more than its memory.low */
	uint64_t n_ooms;      /* oom + oom_kill of memory.events */
	uint64_t n_hits;      /* high + max of it; version 1: memory.failcnt */
};

void cgroup_read_memory(const struct cgroup_roots *roots, const char *path, struct cgroup_memory *ret_memory);

/* True where a limit is set. */
bool cgroup_limited(const struct cgroup_roots *roots, const char *path);

/*
 * True where a list of words, apart by spaces, names this cgroup: "/a/b" it and what is below, with wildcards the
 * whole path; any other word a unit, which is a component of the path, wildcards too.
 */
bool cgroup_named(const char *path, const char *words);

/* "/a/b" is inside "/a" and "/a/b", not inside "/a/bc"; everything is inside "/". */
bool cgroup_inside(const char *path, const char *ancestor);

#endif
