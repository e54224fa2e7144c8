/* SPDX-License-Identifier: MIT */
/* Configuration: see config.h. */
#include <config.h>

#include "hakmemd/config.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <strings.h>

#include "hakmemd/text.h"
#include "hakmemd/util.h"

enum config_type {
	CONFIG_COUNT,   /* uint64_t */
	CONFIG_BYTES,   /* uint64_t */
	CONFIG_SECONDS, /* uint64_t of nanoseconds, a bare number is seconds */
	CONFIG_MSEC,    /* the same, a bare number is milliseconds */
	CONFIG_PERCENT, /* double, 0 to 1 */
	CONFIG_STALL,   /* struct policy_stall */
	CONFIG_MODE,    /* uint64_t, enum config_mode */
	CONFIG_SWITCH,  /* uint64_t, 0 or 1 */
	CONFIG_TEXT,    /* char[CONFIG_TEXT_MAX] */
};

struct config_key {
	const char *section;
	const char *name;
	enum config_type type;
	size_t offset;        /* in struct config */
	const char *standard; /* the default, as it would stand in the file */
	uint64_t min, max;    /* of numbers, in the unit stored */
	const char *help;
};

#define KEY(section, name, type, member, standard, min, max, help)                                            \
	{section, name, type, offsetof(struct config, member), standard, min, max, help}

#define HOUR    (3600 * NSEC_PER_SEC)
#define ANY     UINT64_MAX

static const struct config_key config_keys[] = {
	KEY("Daemon", "Mode", CONFIG_MODE, mode, "act", 0, 0, "act, or observe: decide and log but send nothing"),
	KEY("Daemon", "StayAwaySec", CONFIG_SECONDS, stay_away_nsec, "2", 0, HOUR,
		"clients of a daemon stopped on purpose reconnect no sooner"),
	KEY("Daemon", "ControlGroup", CONFIG_TEXT, control_group, "hakmem", 0, 0,
		"members of this group may see and steer every process"),
	KEY("Daemon", "ProcRoot", CONFIG_TEXT, proc_root, "/proc", 0, 0,
		"where pressure, meminfo and vmstat of the host are read"),
	KEY("Daemon", "CgroupRoot", CONFIG_TEXT, cgroup_root, "", 0, 0,
		"mount point of cgroup2; empty = found by itself"),
	KEY("Pressure", "LowThreshold", CONFIG_STALL, policy.enter[0], "70ms/1s", 0, 0,
		"stall time within a window that enters level low"),
	KEY("Pressure", "MediumThreshold", CONFIG_STALL, policy.enter[1], "200ms/2s", 0, 0, "the same for medium"),
	KEY("Pressure", "CriticalThreshold", CONFIG_STALL, policy.enter[2], "full 140ms/2s", 0, 0,
		"the same for critical; full = all tasks stalled"),
	KEY("Pressure", "HeadroomMedium", CONFIG_PERCENT, policy.headroom_medium, "10%", 0, 0,
		"share of memory free that enters level medium"),
	KEY("Pressure", "HeadroomCritical", CONFIG_PERCENT, policy.headroom_critical, "5%", 0, 0,
		"the same for critical"),
	KEY("Pressure", "SuppressLowAbove", CONFIG_PERCENT, policy.suppress_low_above, "50%", 0, 0,
		"the host is never low while this share of memory is available"),
	KEY("Pressure", "DownDelaySec", CONFIG_SECONDS, policy.down_delay_nsec, "10", 0, HOUR,
		"a level falls after this long below half its entry value"),
	KEY("Pressure", "PollSec", CONFIG_SECONDS, poll_nsec, "1", 100 * NSEC_PER_MSEC, 60 * NSEC_PER_SEC,
		"pressure is read this often where it is raised or the kernel sends no event"),
	KEY("Flush", "RoundIntervalSec", CONFIG_SECONDS, policy.round_interval_nsec, "2", 0, HOUR,
		"between two rounds of flushes in one pressured domain"),
	KEY("Flush", "ClientIntervalSec", CONFIG_SECONDS, policy.client_interval_nsec, "10", 0, HOUR,
		"between two flushes of one process that gave memory back"),
	KEY("Flush", "ClientBackoffMaxSec", CONFIG_SECONDS, policy.client_backoff_max_nsec, "320", 0, 24 * HOUR,
		"the longest that a process which gives nothing is left alone"),
	KEY("Flush", "NothingReleased", CONFIG_BYTES, policy.nothing_bytes, "512K", 0, ANY,
		"a flush that gave less back gave nothing"),
	KEY("Flush", "FloorBytes", CONFIG_BYTES, policy.floor_bytes, "1M", 0, ANY,
		"under pressure, processes that could give less are left alone"),
	KEY("Flush", "FirstBudget", CONFIG_BYTES, policy.budget_first_bytes, "16M", 1 << 20, ANY,
		"asked for in a domain's first round; doubles while pressure persists, halves on regret"),
	KEY("Flush", "AtOnce", CONFIG_COUNT, policy.n_at_once, "4", 1, 1000000, "flushes under way at the same time"),
	KEY("Flush", "RegretSec", CONFIG_SECONDS, policy.regret_nsec, "10", 0, HOUR,
		"a process that takes again within this time what it gave is left alone longer"),
	KEY("Flush", "Exclude", CONFIG_TEXT, exclude, "", 0, 0,
		"units, or cgroups (/...), apart by spaces, that are never asked but by hakmemctl"),
	KEY("Flush", "TimeoutMs", CONFIG_MSEC, timeout_nsec, "2000", NSEC_PER_MSEC, 600 * NSEC_PER_SEC,
		"a process that has not answered a flush by then is given up on"),
	KEY("Idle", "ProcessIdleSec", CONFIG_SECONDS, policy.idle_nsec, "30", 0, 24 * HOUR,
		"a process quiet for this long gives its memory back; 0 = never"),
	KEY("Idle", "FloorBytes", CONFIG_BYTES, policy.idle_floor_bytes, "1M", 0, ANY,
		"unless it could give no more than this"),
	KEY("Idle", "ThreadRestSec", CONFIG_SECONDS, policy.rest_nsec, "5", 0, HOUR,
		"threads that rest so long in a busy process lose what they keep at hand; 0 = never"),
	KEY("Idle", "Proactive", CONFIG_SWITCH, policy.proactive, "no", 0, 0,
		"yes: while nothing on the host stalls, idle processes give their last bits back too"),
	KEY("Limits", "ClientsMax", CONFIG_COUNT, clients_max, "16384", 1, 1000000, "processes in all"),
	KEY("Limits", "ClientsPerUid", CONFIG_COUNT, clients_per_uid, "4096", 1, 1000000,
		"processes of one user; root is bound by ClientsMax alone"),
	KEY("Limits", "ControlMax", CONFIG_COUNT, control_max, "64", 1, 4096, "control connections in all"),
};

const char *config_mode_name(uint64_t mode)
{
	return mode == CONFIG_MODE_OBSERVE ? "observe" : "act";
}

int config_mode_from_name(const char *name, uint64_t *ret_mode)
{
	for (uint64_t mode = CONFIG_MODE_ACT; mode <= CONFIG_MODE_OBSERVE; mode++)
		if (!strcmp(name, config_mode_name(mode))) {
			*ret_mode = mode;
			return 0;
		}
	return -EINVAL;
}

static int config_percent(const char *text, double *ret_share)
{
	char *end;
	double value;

	if (!isdigit((unsigned char)*text))
		return -EINVAL;
	value = strtod(text, &end);
	if (strcmp(end, "%") != 0)
		return -EINVAL;
	if (!(value >= 0 && value <= 100))
		return -ERANGE;
	*ret_share = value / 100;
	return 0;
}

/* "[some|full] STALL/WINDOW" */
static int config_stall(const char *text, struct policy_stall *ret_stall)
{
	struct policy_stall stall = {0};
	char first[32];
	const char *slash;

	if (!strncmp(text, "full ", 5))
		stall.full = true;
	if (!strncmp(text, "full ", 5) || !strncmp(text, "some ", 5))
		text += 5;
	slash = strchr(text, '/');
	if (!slash || (size_t)(slash - text) >= sizeof first)
		return -EINVAL;
	snprintf(first, sizeof first, "%.*s", (int)(slash - text), text);
	if (text_to_nsec(first, NSEC_PER_MSEC, &stall.stall_usec) < 0 ||
		text_to_nsec(slash + 1, NSEC_PER_SEC, &stall.window_usec) < 0)
		return -EINVAL;
	stall.stall_usec /= NSEC_PER_USEC;
	stall.window_usec /= NSEC_PER_USEC;
	if (stall.window_usec < 500000 || stall.window_usec > 10000000) /* what the kernel's windows may be */
		return -ERANGE;
	if (stall.stall_usec < 1 || stall.stall_usec > stall.window_usec)
		return -ERANGE;
	*ret_stall = stall;
	return 0;
}

static int config_switch(const char *text, uint64_t *ret_on)
{
	if (strcmp(text, "yes") != 0 && strcmp(text, "no") != 0)
		return -EINVAL;
	*ret_on = *text == 'y';
	return 0;
}

static int config_text(const char *text, char *ret_text)
{
	if (strlen(text) >= CONFIG_TEXT_MAX)
		return -ERANGE;
	strcpy(ret_text, text);
	return 0;
}

static int config_number(const struct config_key *key, const char *text, uint64_t *ret_number)
{
	uint64_t number = 0;
	int r = -EINVAL;

	if (key->type == CONFIG_COUNT)
		r = text_to_u64(text, 0, UINT64_MAX, &number);
	else if (key->type == CONFIG_BYTES)
		r = text_to_bytes(text, &number);
	else if (key->type == CONFIG_SECONDS)
		r = text_to_nsec(text, NSEC_PER_SEC, &number);
	else if (key->type == CONFIG_MSEC)
		r = text_to_nsec(text, NSEC_PER_MSEC, &number);
	if (r < 0)
		return r;
	if (number < key->min || number > key->max)
		return -ERANGE;
	*ret_number = number;
	return 0;
}

static int config_set(struct config *config, const struct config_key *key, const char *text)
{
	void *at = (char *)config + key->offset;

	switch (key->type) {
	case CONFIG_PERCENT:
		return config_percent(text, at);
	case CONFIG_STALL:
		return config_stall(text, at);
	case CONFIG_MODE:
		return config_mode_from_name(text, at);
	case CONFIG_SWITCH:
		return config_switch(text, at);
	case CONFIG_TEXT:
		return config_text(text, at);
	case CONFIG_COUNT:
	case CONFIG_BYTES:
	case CONFIG_SECONDS:
	case CONFIG_MSEC:
	default:
		return config_number(key, text, at);
	}
}

void config_init(struct config *ret_config)
{
	memset(ret_config, 0, sizeof *ret_config);
	for (size_t i = 0; i < ARRAY_SIZE(config_keys); i++)
		if (config_set(ret_config, &config_keys[i], config_keys[i].standard) < 0)
			abort(); /* the table contradicts itself; a test loads it */
}

/* ---- the file ---- */

struct config_reader {
	struct config *config;
	const char *name;
	unsigned line;
	unsigned n_wrong;
	char section[64]; /* empty = before the first, or after a wrong one */
	bool skip;        /* inside a section that is not known: its keys were complained of once */
	config_complain *complain;
	void *data;
};

static void config_wrong(struct config_reader *reader, const char *format, ...) PRINTF(2, 3);

static void config_wrong(struct config_reader *reader, const char *format, ...)
{
	char what[320], line[512];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(what, sizeof what, format, arguments);
	va_end(arguments);
	snprintf(line, sizeof line, "%.150s:%u: %s", reader->name, reader->line, what);
	reader->n_wrong++;
	if (reader->complain)
		reader->complain(reader->data, line);
}

static void config_read_section(struct config_reader *reader, char *text)
{
	const char *names[ARRAY_SIZE(config_keys)], *nearest;
	size_t length = strlen(text);
	char shown[64];

	reader->skip = true;
	if (length < 2 || text[length - 1] != ']') {
		config_wrong(reader, "a section is written [Name]");
		return;
	}
	text[length - 1] = '\0';
	text_printable(text + 1, shown, sizeof shown);
	for (size_t i = 0; i < ARRAY_SIZE(config_keys); i++) {
		names[i] = config_keys[i].section;
		if (!strcmp(text + 1, names[i])) {
			strcpy(reader->section, names[i]);
			reader->skip = false;
			return;
		}
	}
	nearest = text_nearest(shown, names, ARRAY_SIZE(config_keys));
	if (nearest)
		config_wrong(reader, "unknown section [%s], did you mean [%s]?", shown, nearest);
	else
		config_wrong(reader, "unknown section [%s]", shown);
}

static void config_unknown_key(struct config_reader *reader, const char *wrong)
{
	const char *names[ARRAY_SIZE(config_keys)], *nearest;
	size_t n_names = 0;

	for (size_t i = 0; i < ARRAY_SIZE(config_keys); i++)
		if (!strcmp(config_keys[i].section, reader->section))
			names[n_names++] = config_keys[i].name;
	nearest = text_nearest(wrong, names, n_names);
	for (size_t i = 0; i < ARRAY_SIZE(config_keys) && !nearest; i++)
		if (!strcasecmp(wrong, config_keys[i].name)) {
			config_wrong(reader, "unknown key \"%s\" in [%s], did you mean the one in [%s]?", wrong,
				reader->section, config_keys[i].section);
			return;
		}
	if (nearest)
		config_wrong(reader, "unknown key \"%s\" in [%s], did you mean \"%s\"?", wrong, reader->section,
			nearest);
	else
		config_wrong(reader, "unknown key \"%s\" in [%s]", wrong, reader->section);
}

static void config_read_value(struct config_reader *reader, const char *name, const char *value)
{
	char shown[64], shown_value[64];
	int r;

	text_printable(name, shown, sizeof shown);
	text_printable(value, shown_value, sizeof shown_value);
	for (size_t i = 0; i < ARRAY_SIZE(config_keys); i++) {
		const struct config_key *key = &config_keys[i];

		if (strcmp(key->section, reader->section) != 0 || strcmp(key->name, name) != 0)
			continue;
		r = config_set(reader->config, key, value);
		if (r == -ERANGE)
			config_wrong(reader, "%s=%s is out of range", shown, shown_value);
		else if (r < 0)
			config_wrong(reader, "%s=%s is not understood; write it like %s=%s", shown, shown_value,
				key->name, key->standard);
		return;
	}
	config_unknown_key(reader, shown);
}

static char *config_strip(char *text)
{
	char *end = text + strlen(text);

	while (end > text && isspace((unsigned char)end[-1]))
		*--end = '\0';
	while (isspace((unsigned char)*text))
		text++;
	return text;
}

static void config_read_line(struct config_reader *reader, char *text)
{
	char *equals;

	text = config_strip(text);
	if (!*text || *text == '#' || *text == ';')
		return;
	if (*text == '[') {
		config_read_section(reader, text);
		return;
	}
	if (reader->skip)
		return;
	equals = strchr(text, '=');
	if (!equals) {
		config_wrong(reader, "neither [Section] nor Key=Value");
		return;
	}
	if (!*reader->section) {
		config_wrong(reader, "a key before the first [Section]");
		return;
	}
	*equals = '\0';
	config_read_value(reader, config_strip(text), config_strip(equals + 1));
}

int config_parse(FILE *file, const char *name, config_complain *complain, void *data, struct config *ret_config)
{
	struct config config;
	struct config_reader reader = {.config = &config, .name = name, .complain = complain, .data = data};
	CLEANUP_FREE char *line = NULL;
	size_t size = 0;

	config_init(&config);
	errno = 0;
	while (getline(&line, &size, file) >= 0) {
		reader.line++;
		config_read_line(&reader, line);
	}
	if (ferror(file))
		config_wrong(&reader, "cannot be read: %s", strerror(errno));
	if (reader.n_wrong)
		return -EINVAL;
	*ret_config = config;
	return 0;
}

int config_load(const char *path, bool must_exist, config_complain *complain, void *data,
	struct config *ret_config)
{
	CLEANUP_FILE FILE *file = fopen(path, "re");
	char line[512];
	int r = -errno;

	if (file)
		return config_parse(file, path, complain, data, ret_config);
	if (r == -ENOENT && !must_exist) {
		config_init(ret_config);
		return 0;
	}
	snprintf(line, sizeof line, "%.300s: %s", path, strerror(-r));
	complain(data, line);
	return r;
}

void config_print_keys(FILE *out)
{
	const char *section = "";

	for (size_t i = 0; i < ARRAY_SIZE(config_keys); i++) {
		const struct config_key *key = &config_keys[i];
		char assignment[64];

		if (strcmp(section, key->section) != 0)
			fprintf(out, "  [%s]\n", key->section);
		section = key->section;
		snprintf(assignment, sizeof assignment, "%s=%s", key->name, key->standard);
		fprintf(out, "    %-32s %s\n", assignment, key->help);
	}
}
