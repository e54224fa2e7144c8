/* SPDX-License-Identifier: MIT */
/* Parsing the options from the environment: see options.h. */
#include "base/options.h"

#include "base/log.h"

#include <string.h>

#define OPTION_PREFIX   "HAKMEM_"
#define OPTION_PATH_MAX 90 /* bytes: a socket's address holds 107, name included */

struct hk_options hk_options = {
#define X(field, name, type, def, min, max, text) .field = def,
	HK_OPTIONS(X)
#undef X
};

_Atomic bool hk_filtered;
HK_TLS bool hk_is_control;

enum option_type { OPTION_control, OPTION_thp, OPTION_path, OPTION_size, OPTION_number, OPTION_bool };

static const char *const option_words_control[] = {"auto", "thread", "inline", "off", NULL};
static const char *const option_words_thp[] = {"auto", "never", "always", NULL};

static const struct option {
	const char *name;
	enum option_type type;
	uint64_t minimum, maximum;
	uintptr_t fallback; /* the default: a number, an index of words, or a string */
	const char *help;
} options[] = {
#define X(field, name, type, def, min, max, text) {#name, OPTION_##type, min, max, (uintptr_t)(def), text},
	HK_OPTIONS(X)
#undef X
};

static const char *const *option_words(enum option_type type)
{
	return type == OPTION_control ? option_words_control : type == OPTION_thp ? option_words_thp : NULL;
}

/* A program may overwrite its environment to change its title; so text is copied. */
static const char *option_copy(const char *text)
{
	static char path[OPTION_PATH_MAX + 1] HK_PLACE_LAST;
	hk_copy(path, text, strlen(text) + 1);
	return path;
}

static void option_store(size_t index, uint64_t value, const char *text)
{
	size_t i = 0;
#define OPTION_SET_control(field) hk_options.field = (enum hk_control_mode)value
#define OPTION_SET_thp(field)     hk_options.field = (enum hk_thp_mode)value
#define OPTION_SET_path(field)    hk_options.field = option_copy(text)
#define OPTION_SET_size(field)    hk_options.field = value
#define OPTION_SET_number(field)  hk_options.field = value
#define OPTION_SET_bool(field)    hk_options.field = value != 0
#define X(field, name, type, def, min, max, help_text)                                                        \
	if (i++ == index)                                                                                     \
		OPTION_SET_##type(field);
	HK_OPTIONS(X)
#undef X
}

/* A whole number with an optional K, M or G; false for anything else. */
static bool option_number(const char *text, bool with_suffix, uint64_t *ret_value)
{
	uint64_t value = 0;
	if (*text == '\0')
		return false;
	for (; *text >= '0' && *text <= '9'; text++)
		if (__builtin_mul_overflow(value, 10, &value) ||
		    __builtin_add_overflow(value, (uint64_t)(*text - '0'), &value))
			return false;
	if (with_suffix && *text != '\0') {
		unsigned shift = *text == 'K' ? 10 : *text == 'M' ? 20 : *text == 'G' ? 30 : 0;
		if (shift == 0 || value > UINT64_MAX >> shift)
			return false;
		value <<= shift;
		text++;
	}
	*ret_value = value;
	return *text == '\0';
}

static bool option_parse(const struct option *option, const char *text, uint64_t *ret_value)
{
	const char *const *words = option_words(option->type);
	if (words != NULL) {
		for (unsigned i = 0; words[i] != NULL; i++)
			if (strcmp(words[i], text) == 0) {
				*ret_value = i;
				return true;
			}
		return false;
	}
	if (option->type == OPTION_path)
		return text[0] == '/' && strlen(text) <= OPTION_PATH_MAX;
	return option_number(text, option->type == OPTION_size, ret_value) && *ret_value >= option->minimum &&
	       *ret_value <= option->maximum;
}

/* Edit distance of two short words, for "did you mean". */
static unsigned option_distance(const char *a, size_t n, const char *b)
{
	unsigned row[33];
	size_t m = strlen(b);
	if (n >= HK_COUNT(row) || m >= HK_COUNT(row))
		return 99;
	for (unsigned j = 0; j <= m; j++)
		row[j] = j;
	for (size_t i = 1; i <= n; i++) {
		unsigned diagonal = row[0];
		row[0] = (unsigned)i;
		for (size_t j = 1; j <= m; j++) {
			unsigned best = diagonal + (a[i - 1] != b[j - 1]);
			diagonal = row[j];
			best = HK_MIN(best, HK_MIN(row[j], row[j - 1]) + 1);
			row[j] = best;
		}
	}
	return row[m];
}

static const char *option_nearest(const char *name, size_t length)
{
	const char *best = options[0].name;
	unsigned least = 99;
	for (size_t i = 0; i < HK_COUNT(options); i++) {
		unsigned distance = option_distance(name, length, options[i].name);
		if (distance < least) {
			least = distance;
			best = options[i].name;
		}
	}
	return best;
}

static void option_read(const char *name, size_t length, const char *text)
{
	char shown[33];
	size_t n = HK_MIN(length, sizeof shown - 1);
	hk_copy(shown, name, n);
	shown[n] = '\0';
	for (size_t i = 0; i < HK_COUNT(options); i++) {
		uint64_t value = 0;
		if (strlen(options[i].name) != length || memcmp(options[i].name, name, length) != 0)
			continue;
		if (option_parse(&options[i], text, &value))
			option_store(i, value, text);
		else
			hk_log("option " OPTION_PREFIX "%s: bad value '%s'; the default stays (HAKMEM_HELP=1 lists what is valid)",
			       shown, text);
		return;
	}
	hk_log("unknown option " OPTION_PREFIX "%s; the nearest valid name is " OPTION_PREFIX "%s", shown,
	       option_nearest(name, length));
}

static void options_print(void)
{
	for (size_t i = 0; i < HK_COUNT(options); i++) {
		const char *const *words = option_words(options[i].type);
		hk_log(OPTION_PREFIX "%s: %s", options[i].name, options[i].help);
		if (words != NULL)
			hk_log("    %s, %s, %s%s%s (default %s)", words[0], words[1], words[2], words[3] ? ", " : "",
			       words[3] ? words[3] : "", words[options[i].fallback]);
		else if (options[i].type == OPTION_path)
			hk_log("    an absolute path of at most %u bytes (default %s)", OPTION_PATH_MAX, (const char *)options[i].fallback);
		else
			hk_log("    %lu to %lu%s (default %lu)", (unsigned long)options[i].minimum,
			       (unsigned long)options[i].maximum, options[i].type == OPTION_size ? ", K, M or G allowed" : "",
			       (unsigned long)options[i].fallback);
	}
}

void hk_options_init(char *const envp[], bool secure)
{
	static const size_t prefix = sizeof OPTION_PREFIX - 1;
	if (secure || envp == NULL)
		return;
	for (; *envp != NULL; envp++) {
		if (strncmp(*envp, OPTION_PREFIX, prefix) != 0)
			continue;
		const char *name = *envp + prefix;
		const char *equals = strchr(name, '=');
		if (equals != NULL)
			option_read(name, (size_t)(equals - name), equals + 1);
	}
	if (hk_options.help)
		options_print();
}
