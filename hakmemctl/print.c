/* SPDX-License-Identifier: MIT */
/* Answers for people and for programs: see ctl.h. */
#include <config.h>

#include "hakmemctl/ctl.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hakmemd/text.h"
#include "hakmemd/util.h"

uint64_t ctl_number(const json_t *object, const char *name)
{
	json_int_t value = json_integer_value(json_object_get(object, name));

	return value > 0 ? (uint64_t)value : 0;
}

double ctl_real(const json_t *object, const char *name)
{
	return json_number_value(json_object_get(object, name));
}

const char *ctl_text(const json_t *object, const char *name)
{
	const char *text = json_string_value(json_object_get(object, name));

	return text ? text : "";
}

void ctl_print_json(const json_t *answer)
{
	json_dumpf(answer, stdout, JSON_INDENT(2));
	putchar('\n');
}

static void table_add(struct ctl_table *table, char *cell)
{
	char **grown;

	if (table->n_cells == table->capacity) {
		table->capacity = table->capacity * 2 + 64;
		grown = reallocarray(table->cells, table->capacity, sizeof *grown);
		if (!grown)
			abort(); /* out of memory for a table: nothing sensible is left to print */
		table->cells = grown;
	}
	table->cells[table->n_cells++] = cell;
}

void ctl_table_cell(struct ctl_table *table, const char *format, ...)
{
	va_list arguments;
	char *cell;

	va_start(arguments, format);
	if (vasprintf(&cell, format, arguments) < 0)
		abort();
	va_end(arguments);
	table_add(table, cell);
}

void ctl_table_bytes(struct ctl_table *table, uint64_t bytes)
{
	char text[32];

	ctl_table_cell(table, "%s", text_bytes(bytes, text, sizeof text));
}

void ctl_table_seconds(struct ctl_table *table, double seconds)
{
	char text[32];

	ctl_table_cell(table, "%s", text_duration(seconds, text, sizeof text));
}

static bool table_left(const struct ctl_table *table, size_t column)
{
	return table->heads[column][0] == '<';
}

static void table_print_cell(const struct ctl_table *table, size_t column, const char *text, int width)
{
	bool last = column + 1 == table->n_columns;

	if (column)
		fputs("  ", stdout);
	if (!table_left(table, column))
		printf("%*s", width, text);
	else if (last)
		fputs(text, stdout);
	else
		printf("%-*s", width, text);
	if (last)
		putchar('\n');
}

void ctl_table_print(struct ctl_table *table)
{
	int widths[CTL_COLUMNS_MAX];

	for (size_t i = 0; i < table->n_columns; i++)
		widths[i] = (int)strlen(table->heads[i]) - table_left(table, i);
	for (size_t i = 0; i < table->n_cells; i++) {
		int width = (int)strlen(table->cells[i]);

		if (width > widths[i % table->n_columns])
			widths[i % table->n_columns] = width;
	}
	for (size_t i = 0; i < table->n_columns; i++)
		table_print_cell(table, i, table->heads[i] + table_left(table, i), widths[i]);
	for (size_t i = 0; i < table->n_cells; i++) {
		table_print_cell(table, i % table->n_columns, table->cells[i], widths[i % table->n_columns]);
		free(table->cells[i]);
	}
	free(table->cells);
	table->cells = NULL;
	table->n_cells = table->capacity = 0;
}

void ctl_print_others(const json_t *answer)
{
	const json_t *others = json_object_get(answer, "others");
	char used[32], releasable[32];
	uint64_t n_others = ctl_number(others, "processes");

	if (n_others)
		printf("and %llu of other users: %s used, %s releasable\n", (unsigned long long)n_others,
			text_bytes(ctl_number(others, "used_bytes"), used, sizeof used),
			text_bytes(ctl_number(others, "releasable_bytes"), releasable, sizeof releasable));
}
