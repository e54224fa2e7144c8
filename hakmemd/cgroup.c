/* SPDX-License-Identifier: MIT */
/* cgroup2: see cgroup.h. */
#include <config.h>

#include "hakmemd/cgroup.h"

#include <errno.h>
#include <fnmatch.h>
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

/* The mount point on the first line of file system type `type` whose options have `option` (NULL = any). */
static int cgroup_find_line(const char *mountinfo, const char *type, const char *option, char *ret_path, size_t size)
{
	const char *line = mountinfo, *end, *dash, *field;
	char marker[32];
	size_t length;

	snprintf(marker, sizeof marker, " - %s ", type);
	for (; *line; line = *end ? end + 1 : end) {
		end = strchrnul(line, '\n');
		dash = memmem(line, (size_t)(end - line), marker, strlen(marker));
		if (!dash || (option && !memmem(dash, (size_t)(end - dash), option, strlen(option))))
			continue;
		field = cgroup_field(line, dash, 4, &length);
		if (field)
			return cgroup_unescape(field, length, ret_path, size);
	}
	return -ENOENT;
}

int cgroup_parse_mountinfo(const char *mountinfo, char *ret_path, size_t size)
{
	return cgroup_find_line(mountinfo, "cgroup2", NULL, ret_path, size);
}

int cgroup_parse_memory_mount(const char *mountinfo, char *ret_path, size_t size)
{
	return cgroup_find_line(mountinfo, "cgroup", ",memory", ret_path, size);
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

int cgroup_find_roots(struct cgroup_roots *ret_roots)
{
	CLEANUP_FREE char *text = malloc(1 << 18);
	int r;

	*ret_roots = (struct cgroup_roots){.unified = ""};
	if (!text)
		return -ENOMEM;
	r = proc_read("/proc/self/mountinfo", text, 1 << 18);
	if (r >= 0)
		r = cgroup_parse_mountinfo(text, ret_roots->unified, sizeof ret_roots->unified);
	if (r >= 0 && cgroup_parse_memory_mount(text, ret_roots->memory, sizeof ret_roots->memory) < 0)
		*ret_roots->memory = '\0';
	return r;
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

/* The limit that binds; 0 where there is none.  Version 1 writes "none" as the largest number of whole pages. */
static uint64_t cgroup_limit(const struct cgroup_roots *roots, const char *path, bool *ret_version1)
{
	uint64_t limit = UINT64_MAX;

	*ret_version1 = *roots->memory != '\0';
	if (*ret_version1)
		limit = cgroup_number(roots->memory, path, "memory.limit_in_bytes");
	else
		limit = util_min(cgroup_number(roots->unified, path, "memory.max"),
			cgroup_number(roots->unified, path, "memory.high"));
	return limit > UINT64_MAX / 4 ? 0 : limit;
}

bool cgroup_limited(const struct cgroup_roots *roots, const char *path)
{
	bool version1;

	return cgroup_limit(roots, path, &version1) != 0;
}

static double cgroup_headroom(const char *root, const char *path, uint64_t limit, uint64_t used, const char *file_key)
{
	uint64_t file = 0;
	char text[8192];

	if (!limit || used == UINT64_MAX)
		return -1;
	if (cgroup_read(root, path, "memory.stat", text, sizeof text) >= 0)
		file = cgroup_keyed(text, file_key);
	used -= util_min(file, used);
	return used >= limit ? 0 : (double)(limit - used) / (double)limit;
}

static void cgroup_read_version1(
	const char *root, const char *path, uint64_t limit, struct cgroup_memory *ret_memory)
{
	uint64_t hits = cgroup_number(root, path, "memory.failcnt");
	char text[512];

	ret_memory->headroom = cgroup_headroom(
		root, path, limit, cgroup_number(root, path, "memory.usage_in_bytes"), "total_inactive_file");
	ret_memory->n_hits = hits == UINT64_MAX ? 0 : hits;
	if (cgroup_read(root, path, "memory.oom_control", text, sizeof text) >= 0)
		ret_memory->n_ooms = cgroup_keyed(text, "oom_kill");
}

static void cgroup_read_version2(
	const char *root, const char *path, uint64_t limit, struct cgroup_memory *ret_memory)
{
	uint64_t used = cgroup_number(root, path, "memory.current"), low = cgroup_number(root, path, "memory.low");
	char text[512];

	ret_memory->headroom = cgroup_headroom(root, path, limit, used, "inactive_file");
	ret_memory->protected_ = used != UINT64_MAX && low != UINT64_MAX && low && used <= low;
	if (cgroup_read(root, path, "memory.events", text, sizeof text) < 0)
		return;
	ret_memory->n_ooms = cgroup_keyed(text, "oom") + cgroup_keyed(text, "oom_kill");
	ret_memory->n_hits = cgroup_keyed(text, "high") + cgroup_keyed(text, "max");
}

void cgroup_read_memory(const struct cgroup_roots *roots, const char *path, struct cgroup_memory *ret_memory)
{
	bool version1;

	*ret_memory = (struct cgroup_memory){.headroom = -1};
	ret_memory->limit_bytes = cgroup_limit(roots, path, &version1);
	if (version1)
		cgroup_read_version1(roots->memory, path, ret_memory->limit_bytes, ret_memory);
	else
		cgroup_read_version2(roots->unified, path, ret_memory->limit_bytes, ret_memory);
}

/* Whether a component of `path` matches the pattern of a unit's name. */
static bool cgroup_has_unit(const char *path, const char *pattern)
{
	char component[256];
	size_t length;

	for (const char *at = path; *at; at += length) {
		at += strspn(at, "/");
		length = strcspn(at, "/");
		if (!length || length >= sizeof component)
			continue;
		memcpy(component, at, length);
		component[length] = '\0';
		if (!fnmatch(pattern, component, 0))
			return true;
	}
	return false;
}

bool cgroup_named(const char *path, const char *words)
{
	char word[CGROUP_PATH_MAX];
	size_t length;

	for (const char *at = words; *at; at += length) {
		at += strspn(at, " \t");
		length = strcspn(at, " \t");
		if (!length || length >= sizeof word)
			continue;
		memcpy(word, at, length);
		word[length] = '\0';
		if (*word == '/' ? cgroup_inside(path, word) || !fnmatch(word, path, 0) : cgroup_has_unit(path, word))
			return true;
	}
	return false;
}

bool cgroup_inside(const char *path, const char *ancestor)
{
	size_t length = strlen(ancestor);

	if (!strcmp(ancestor, "/"))
		return true;
	return !strncmp(path, ancestor, length) && (path[length] == '\0' || path[length] == '/');
}
