/* SPDX-License-Identifier: MIT */
/* Text to values and back: see text.h. */
#include <config.h>

#include "hakmemd/text.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "hakmemd/util.h"

#define TEXT_NAME_MAX 64 /* longer names are compared by their beginning */

static unsigned text_min3(unsigned a, unsigned b, unsigned c)
{
	unsigned least = a < b ? a : b;

	return least < c ? least : c;
}

unsigned text_distance(const char *a, const char *b)
{
	unsigned rows[3][TEXT_NAME_MAX + 1]; /* the row before the last, the last, this one */
	unsigned *before = rows[0], *last = rows[1], *row = rows[2], *spare;
	size_t n_a = strnlen(a, TEXT_NAME_MAX), n_b = strnlen(b, TEXT_NAME_MAX);

	for (size_t j = 0; j <= n_b; j++)
		last[j] = before[j] = (unsigned)j;
	for (size_t i = 1; i <= n_a; i++) {
		row[0] = (unsigned)i;
		for (size_t j = 1; j <= n_b; j++) {
			int x = tolower((unsigned char)a[i - 1]), y = tolower((unsigned char)b[j - 1]);

			row[j] = text_min3(last[j] + 1, row[j - 1] + 1, last[j - 1] + (x != y));
			if (i > 1 && j > 1 && x == tolower((unsigned char)b[j - 2]) &&
				y == tolower((unsigned char)a[i - 2]) && before[j - 2] + 1 < row[j])
				row[j] = before[j - 2] + 1;
		}
		spare = before;
		before = last;
		last = row;
		row = spare;
	}
	return last[n_b];
}

const char *text_nearest(const char *wrong, const char *const *names, size_t n_names)
{
	size_t length = strlen(wrong);
	unsigned best = (unsigned)(length / 3 + 1), distance;
	const char *nearest = NULL;

	for (size_t i = 0; i < n_names; i++) {
		distance = length >= 3 && !strncasecmp(wrong, names[i], length) ? 0 : text_distance(wrong, names[i]);
		if (distance < best || (distance == best && !nearest)) {
			best = distance;
			nearest = names[i];
		}
	}
	return nearest;
}

int text_to_u64(const char *text, uint64_t min, uint64_t max, uint64_t *ret_value)
{
	unsigned long long value;
	char *end;

	if (!isdigit((unsigned char)*text))
		return -EINVAL;
	errno = 0;
	value = strtoull(text, &end, 10);
	if (*end)
		return -EINVAL;
	if (errno == ERANGE || value < min || value > max)
		return -ERANGE;
	*ret_value = value;
	return 0;
}

/* A non-negative number and what follows it, spaces in between skipped. */
static int text_number(const char *text, double *ret_value, const char **ret_rest)
{
	char *end;

	if (!isdigit((unsigned char)*text))
		return -EINVAL;
	*ret_value = strtod(text, &end);
	if (!isfinite(*ret_value) || strpbrk(text, "xX"))
		return -EINVAL;
	while (*end == ' ')
		end++;
	*ret_rest = end;
	return 0;
}

int text_to_bytes(const char *text, uint64_t *ret_bytes)
{
	static const char units[] = "KMGT";
	const char *rest, *unit;
	double value;

	if (text_number(text, &value, &rest) < 0)
		return -EINVAL;
	unit = *rest ? strchr(units, toupper((unsigned char)*rest)) : NULL;
	if (unit) {
		value = ldexp(value, 10 * (int)(unit - units + 1));
		rest++;
		if (*rest == 'i' && rest[1] == 'B')
			rest++;
	}
	if (*rest == 'B')
		rest++;
	if (*rest)
		return -EINVAL;
	if (value > 9e18)
		return -ERANGE;
	*ret_bytes = (uint64_t)value;
	return 0;
}

int text_to_nsec(const char *text, uint64_t unit_nsec, uint64_t *ret_nsec)
{
	static const struct {
		const char *name;
		double nsec;
	} units[] = {{"us", 1e3}, {"ms", 1e6}, {"s", 1e9}, {"sec", 1e9}, {"min", 60e9}, {"h", 3600e9}};
	double value, scale = (double)unit_nsec;
	const char *rest;

	if (text_number(text, &value, &rest) < 0)
		return -EINVAL;
	if (*rest) {
		scale = 0;
		for (size_t i = 0; i < ARRAY_SIZE(units); i++)
			if (!strcmp(rest, units[i].name))
				scale = units[i].nsec;
		if (scale <= 0)
			return -EINVAL;
	}
	if (value * scale > 9e18)
		return -ERANGE;
	*ret_nsec = (uint64_t)(value * scale);
	return 0;
}

char *text_bytes(uint64_t bytes, char *buffer, size_t size)
{
	static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
	double value = (double)bytes;
	size_t unit = 0;

	while (value >= 1023.95 && unit + 1 < ARRAY_SIZE(units)) {
		value /= 1024;
		unit++;
	}
	snprintf(buffer, size, unit ? "%.1f %s" : "%.0f %s", value, units[unit]);
	return buffer;
}

char *text_duration(double seconds, char *buffer, size_t size)
{
	if (seconds < 100)
		snprintf(buffer, size, "%.1f s", seconds);
	else if (seconds < 6000)
		snprintf(buffer, size, "%.0f min", seconds / 60);
	else
		snprintf(buffer, size, "%.0f h", seconds / 3600);
	return buffer;
}

void text_printable(const char *from, char *to, size_t size)
{
	size_t i;

	for (i = 0; i + 1 < size && from[i]; i++)
		to[i] = from[i] >= ' ' && from[i] <= '~' ? from[i] : '?';
	if (size)
		to[i] = '\0';
}
