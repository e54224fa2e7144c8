/* SPDX-License-Identifier: MIT */
/* cgroup2: see cgroup.h. */
#include <config.h>

#include "hakmemd/cgroup.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "hakmemd/proc.h"
#include "hakmemd/util.h"

/* mountinfo writes space, tab, newline and backslash as three octal digits. */
static int cgroup_unescape(const char *from, size_t length, char *to, size_t size)
{
	size_t n = 0;

	for (size_t i = 0; i < length; i++) {
		unsigned code = (unsigned char)from[i];

		if (code == '\\' && length - i > 3 && sscanf(from + i + 1, "%3o", &code) == 1)
			i += 3;
		if (n + 1 >= size)
			return -ENAMETOOLONG;
		to[n++] = (char)code;
	}
	to[n] = '\0';
	return 0;
}

/* Field number `index` (0 = first) of a line of words. */
static const char *cgroup_field(const char *line, const char *end, unsigned index, size_t *ret_length)
{
	const char *at = line, *space;

	for (;; at = space + 1) {
		space = memchr(at, ' ', (size_t)(end - at));
		if (index-- == 0)
			break;
		if (!space)
			return NULL;
	}
	*ret_length = (size_t)((space ? space : end) - at);
	return at;
}

int cgroup_parse_mountinfo(const char *mountinfo, char *ret_path, size_t size)
{
	const char *line = mountinfo, *end, *dash, *field;
	size_t length;

	for (; *line; line = *end ? end + 1 : end) {
		end = strchrnul(line, '\n');
		dash = memmem(line, (size_t)(end - line), " - cgroup2 ", 11);
		if (!dash)
			continue;
		field = cgroup_field(line, dash, 4, &length);
		if (field)
			return cgroup_unescape(field, length, ret_path, size);
	}
	return -ENOENT;
}

int cgroup_parse_membership(const char *text, char *ret_path, size_t size)
{
	const char *line = text;
	size_t length;

	for (; line && strncmp(line, "0::", 3) != 0; line = strchr(line, '\n'))
		if (*line == '\n' && !strncmp(++line, "0::", 3))
			break;
	if (!line || line[3] != '/')
		return -ENOENT;
	line += 3;
	length = strcspn(line, "\n");
	if (length > 10 && !strncmp(line + length - 10, " (deleted)", 10))
		length -= 10;
	if (length >= size)
		return -ENAMETOOLONG;
	memcpy(ret_path, line, length);
	ret_path[length] = '\0';
	return 0;
}

int cgroup_find_mount(char *ret_path, size_t size)
{
	CLEANUP_FREE char *text = malloc(1 << 18);
	int r;

	if (!text)
		return -ENOMEM;
	r = proc_read("/proc/self/mountinfo", text, 1 << 18);
	return r < 0 ? r : cgroup_parse_mountinfo(text, ret_path, size);
}

int cgroup_of_pid(pid_t pid, char *ret_path, size_t size)
{
	char path[64], text[8192];
	int r;

	snprintf(path, sizeof path, "/proc/%d/cgroup", pid);
	r = proc_read(path, text, sizeof text);
	return r < 0 ? r : cgroup_parse_membership(text, ret_path, size);
}

int cgroup_id(const char *root, const char *path, uint64_t *ret_id)
{
	char full[CGROUP_PATH_MAX + 300];
	struct stat st;

	snprintf(full, sizeof full, "%s%s", root, path);
	if (stat(full, &st) < 0)
		return -errno;
	*ret_id = st.st_ino;
	return 0;
}

static int cgroup_read(const char *root, const char *path, const char *file, char *buffer, size_t size)
{
	char full[CGROUP_PATH_MAX + 300];

	snprintf(full, sizeof full, "%s%s/%s", root, strcmp(path, "/") ? path : "", file);
	return proc_read(full, buffer, size);
}

bool cgroup_root_is_host(const char *root)
{
	char path[300];

	snprintf(path, sizeof path, "%s/cgroup.events", root);
	return access(path, F_OK) < 0;
}

/* The number in a file; UINT64_MAX for "max" and where there is none. */
static uint64_t cgroup_number(const char *root, const char *path, const char *file)
{
	uint64_t value;
	char text[64];

	if (cgroup_read(root, path, file, text, sizeof text) < 0 || sscanf(text, "%" SCNu64, &value) != 1)
		return UINT64_MAX;
	return value;
}

static uint64_t cgroup_limit(const char *root, const char *path)
{
	return util_min(
		cgroup_number(root, path, "memory.max"), cgroup_number(root, path, "memory.high"));
}

/* The number behind `key` in a file of "key number" lines; 0 where there is none. */
static uint64_t cgroup_keyed(const char *text, const char *key)
{
	size_t length = strlen(key);
	uint64_t value;

	for (const char *line = text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (!strncmp(line, key, length) && line[length] == ' ')
			return sscanf(line + length, "%" SCNu64, &value) == 1 ? value : 0;
	}
	return 0;
}

bool cgroup_limited(const char *root, const char *path)
{
	return cgroup_limit(root, path) != UINT64_MAX;
}

double cgroup_headroom(const char *root, const char *path)
{
	uint64_t limit = cgroup_limit(root, path), used = cgroup_number(root, path, "memory.current"), file = 0;
	char text[8192];

	if (limit == UINT64_MAX || used == UINT64_MAX || !limit)
		return -1;
	if (cgroup_read(root, path, "memory.stat", text, sizeof text) >= 0)
		file = cgroup_keyed(text, "inactive_file");
	used -= util_min(file, used);
	return used >= limit ? 0 : (double)(limit - used) / (double)limit;
}

uint64_t cgroup_ooms(const char *root, const char *path)
{
	char text[512];

	if (cgroup_read(root, path, "memory.events", text, sizeof text) < 0)
		return 0;
	return cgroup_keyed(text, "oom") + cgroup_keyed(text, "oom_kill");
}

bool cgroup_inside(const char *path, const char *ancestor)
{
	size_t length = strlen(ancestor);

	if (!strcmp(ancestor, "/"))
		return true;
	return !strncmp(path, ancestor, length) && (path[length] == '\0' || path[length] == '/');
}
