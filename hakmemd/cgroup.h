/* SPDX-License-Identifier: MIT */
/*
 * cgroup2: where it is mounted, which cgroup a process is in, and what a cgroup's files say.
 *
 * Never takes a mount point for granted: on a hybrid host cgroup2 is not at /sys/fs/cgroup, and has PSI though
 * the memory controller is elsewhere; then headroom is unknown and pressure is all there is.
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

/* The first mount of type cgroup2 in the text of a mountinfo file.  0, -ENOENT, or -ENAMETOOLONG. */
int cgroup_parse_mountinfo(const char *mountinfo, char *ret_path, size_t size);

/* The path on the line "0::" of the text of /proc/PID/cgroup.  0, -ENOENT, or -ENAMETOOLONG. */
int cgroup_parse_membership(const char *text, char *ret_path, size_t size);

int cgroup_find_mount(char *ret_path, size_t size);
int cgroup_of_pid(pid_t pid, char *ret_path, size_t size);
int cgroup_id(const char *root, const char *path, uint64_t *ret_id);

/* True where the mount's root is the machine's, not that of a cgroup namespace. */
bool cgroup_root_is_host(const char *root);

/* True where memory.max or memory.high sets a limit. */
bool cgroup_limited(const char *root, const char *path);

/* Share of the limit still free, inactive file pages counted as free; negative where there is no limit. */
double cgroup_headroom(const char *root, const char *path);

/* oom + oom_kill of memory.events; 0 where there is none. */
uint64_t cgroup_ooms(const char *root, const char *path);

/* "/a/b" is inside "/a" and "/a/b", not inside "/a/bc"; everything is inside "/". */
bool cgroup_inside(const char *path, const char *ancestor);

#endif
