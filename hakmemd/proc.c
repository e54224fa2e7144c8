/* SPDX-License-Identifier: MIT */
/* What /proc says: see proc.h. */
#include <config.h>

#include "hakmemd/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <string.h>
#include <sys/sysinfo.h>
#include <time.h>

#include "hakmemd/text.h"
#include "hakmemd/util.h"

int proc_read(const char *path, char *buffer, size_t size)
{
	CLEANUP_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t length = 0;
	ssize_t n = 1;

	if (fd < 0)
		return -errno;
	while (n > 0 && length < size - 1) {
		n = read(fd, buffer + length, size - 1 - length);
		if (n < 0 && errno == EINTR)
			n = 1;
		else if (n < 0)
			return -errno;
		else
			length += (size_t)n;
	}
	buffer[length] = '\0';
	return (int)length;
}

static int proc_read_of(pid_t pid, const char *name, char *buffer, size_t size)
{
	char path[64];
	int r;

	if (pid <= 0)
		return -ESRCH;
	snprintf(path, sizeof path, "/proc/%d/%s", pid, name);
	r = proc_read(path, buffer, size);
	return r == -ENOENT ? -ESRCH : r;
}

/* The number after `name` at the beginning of a line; false where there is none. */
static bool proc_value(const char *text, const char *name, uint64_t *ret_value)
{
	size_t length = strlen(name);

	for (const char *line = text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (!strncmp(line, name, length))
			return sscanf(line + length, "%" SCNu64, ret_value) == 1;
	}
	return false;
}

uint64_t proc_parse_reclaims(const char *vmstat, uint64_t *ret_stalls)
{
	uint64_t sum = 0, value;

	*ret_stalls = 0;
	for (const char *line = vmstat; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if ((!strncmp(line, "allocstall", 10) || !strncmp(line, "pgscan_direct ", 14)) &&
			sscanf(line, "%*s %" SCNu64, &value) == 1) {
			sum += value;
			*ret_stalls += *line == 'a' ? value : 0;
		}
	}
	return sum;
}

int proc_parse_meminfo(const char *meminfo, uint64_t *ret_total, uint64_t *ret_available)
{
	if (!proc_value(meminfo, "MemTotal:", ret_total) || !proc_value(meminfo, "MemAvailable:", ret_available))
		return -EBADMSG;
	*ret_total *= 1024;
	*ret_available *= 1024;
	return 0;
}

static bool proc_swap_used(void)
{
	struct sysinfo info;

	return sysinfo(&info) < 0 || info.freeswap < info.totalswap;
}

int proc_memory(pid_t pid, struct proc_memory *ret_memory)
{
	uint64_t resident, shared, swapped = 0, os_page = (uint64_t)sysconf(_SC_PAGESIZE);
	char text[4096], *end;
	int r;

	r = proc_read_of(pid, "statm", text, sizeof text);
	if (r < 0)
		return r;
	(void)strtoull(text, &end, 10); /* size */
	resident = strtoull(end, &end, 10);
	shared = strtoull(end, &end, 10);
	if (*end != ' ')
		return -EBADMSG;
	if (proc_swap_used() && proc_read_of(pid, "status", text, sizeof text) >= 0)
		(void)proc_value(text, "VmSwap:", &swapped);
	ret_memory->rss_bytes = resident * os_page;
	ret_memory->private_bytes = (resident > shared ? resident - shared : 0) * os_page + swapped * 1024;
	return 0;
}

int proc_cpu_nsec(pid_t pid, uint64_t *ret_nsec)
{
	struct timespec used;
	clockid_t clock;

	if (pid <= 0 || clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &used) < 0)
		return -ESRCH;
	*ret_nsec = (uint64_t)used.tv_sec * NSEC_PER_SEC + (uint64_t)used.tv_nsec;
	return 0;
}

int proc_comm(pid_t pid, char ret_comm[PROC_COMM_MAX])
{
	char text[64];
	int r = proc_read_of(pid, "comm", text, sizeof text);

	if (r < 0)
		return r;
	text[strcspn(text, "\n")] = '\0';
	text_printable(text, ret_comm, PROC_COMM_MAX);
	return 0;
}

int proc_host(const char *root, struct proc_host *ret_host)
{
	char path[300], text[16384];
	int r;

	*ret_host = (struct proc_host){0};
	snprintf(path, sizeof path, "%s/meminfo", root);
	r = proc_read(path, text, sizeof text);
	if (r < 0)
		return r;
	r = proc_parse_meminfo(text, &ret_host->total_bytes, &ret_host->available_bytes);
	if (r < 0)
		return r;
	snprintf(path, sizeof path, "%s/vmstat", root);
	r = proc_read(path, text, sizeof text);
	if (r < 0)
		return r;
	ret_host->n_reclaims = proc_parse_reclaims(text, &ret_host->n_stalls);
	return 0;
}
