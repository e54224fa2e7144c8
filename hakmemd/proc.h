/* SPDX-License-Identifier: MIT */
/*
 * What /proc says about a process and the host: small parsers and readers.
 *
 * Readers return 0 or a negative errno; a process that is gone is -ESRCH.  The caller proves with a pidfd
 * that a pid still means the process it knew.
 */
#ifndef HAKMEMD_PROC_H
#define HAKMEMD_PROC_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define PROC_COMM_MAX 16

/* Memory of a process that only its own giving back can reduce, and all of it. */
struct proc_memory {
	uint64_t rss_bytes;
	uint64_t private_bytes; /* (resident - shared) + swapped: file pages come and go on their own */
};

struct proc_host {
	uint64_t total_bytes;     /* MemTotal */
	uint64_t available_bytes; /* MemAvailable */
	uint64_t n_stalls;        /* allocstall* alone */
	uint64_t n_reclaims;      /* allocstall* + pgscan_direct: grows only where the host itself is short */
};

/* Read a whole small file as text; returns its length or a negative errno. */
int proc_read(const char *path, char *buffer, size_t size);

uint64_t proc_parse_reclaims(const char *vmstat, uint64_t *ret_stalls);
int proc_parse_meminfo(const char *meminfo, uint64_t *ret_total, uint64_t *ret_available);

/* Read for thousands of processes while memory is short, so it looks for swapped memory only where swap is in use. */
int proc_memory(pid_t pid, struct proc_memory *ret_memory);
int proc_cpu_nsec(pid_t pid, uint64_t *ret_nsec); /* by its clock: a tenth of what a file of /proc costs */
int proc_comm(pid_t pid, char ret_comm[PROC_COMM_MAX]);
int proc_host(const char *root, struct proc_host *ret_host); /* root: /proc, or a test's own */

#endif
