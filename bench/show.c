// SPDX-License-Identifier: MIT
/*
 * show: tables as text, everything as JSON, and two pictures by gnuplot.
 *
 * Smaller is better in every column; the best is marked with *.  Where hakmem is among the allocators a last row
 * gives its ratio to the best of the others.
 */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench/bench.h"

#define NAME_WIDTH 13
#define MIN_WIDTH 9

static int width(const struct bench_column *column)
{
	int n = (int)strlen(column->title) + 2;

	return n > MIN_WIDTH ? n : MIN_WIDTH;
}

static bool is_column(const struct bench_table *table, size_t i)
{
	return i < BENCH_MAX_COLUMNS && table->columns[i].job;
}

/* The smallest median of a column; `others` leaves hakmem out.  False where there is none. */
static bool best_of(const struct bench_options *options, const struct bench_column *column, bool others, double *ret)
{
	bool found = false;
	double median;
	size_t i;

	for (i = 0; i < options->n_libs; i++) {
		if (others && bench_is_hakmem(&options->libs[i]))
			continue;
		if (!bench_median(column, i, &median) || (found && median >= *ret))
			continue;
		*ret = median;
		found = true;
	}
	return found;
}

static void print_titles(const struct bench_table *table)
{
	size_t i;

	printf("\n%s\n%-*s", table->title, NAME_WIDTH, "");
	for (i = 0; is_column(table, i); i++)
		printf("%*s ", width(&table->columns[i]), table->columns[i].title);
	putchar('\n');
}

static void print_floors(const struct bench_table *table)
{
	bool any = false;
	size_t i;

	for (i = 0; is_column(table, i); i++)
		any |= table->columns[i].floor > 0;
	if (!any)
		return;
	printf("%-*s", NAME_WIDTH, "floor");
	for (i = 0; is_column(table, i); i++) {
		if (table->columns[i].floor > 0)
			printf("%*.*f ", width(&table->columns[i]), table->n_decimals, table->columns[i].floor);
		else
			printf("%*s ", width(&table->columns[i]), "");
	}
	putchar('\n');
}

static void print_row(const struct bench_options *options, const struct bench_table *table, size_t lib)
{
	size_t i;

	printf("%-*s", NAME_WIDTH, options->libs[lib].name);
	for (i = 0; is_column(table, i); i++) {
		const struct bench_column *column = &table->columns[i];
		double median, best = 0;

		if (!bench_median(column, lib, &median)) {
			printf("%*s ", width(column), "-");
			continue;
		}
		best_of(options, column, false, &best);
		best += table->n_decimals == 0 ? 0.5 : table->n_decimals == 1 ? 0.05 : 0.005; /* looks the same */
		printf("%*.*f%c", width(column), table->n_decimals, median, median <= best ? '*' : ' ');
	}
	putchar('\n');
}

static void print_ratios(const struct bench_options *options, const struct bench_table *table)
{
	size_t lib = 0, i;

	while (lib < options->n_libs && !bench_is_hakmem(&options->libs[lib]))
		lib++;
	if (lib == options->n_libs || options->n_libs < 2)
		return;
	printf("%-*s", NAME_WIDTH, "hakmem/best");
	for (i = 0; is_column(table, i); i++) {
		const struct bench_column *column = &table->columns[i];
		double median, best;

		if (bench_median(column, lib, &median) && best_of(options, column, true, &best) && best > 0)
			printf("%*.2f ", width(column), median / best);
		else
			printf("%*s ", width(column), "-");
	}
	putchar('\n');
}

static void read_word(const char *path, char *ret, size_t size)
{
	FILE *stream = fopen(path, "r");

	if (!stream || !fgets(ret, (int)size, stream))
		snprintf(ret, size, "unknown");
	ret[strcspn(ret, "\n")] = '\0';
	if (stream)
		fclose(stream);
}

static void print_machine(const struct bench_options *options)
{
	char thp[128];
	struct utsname system;
	size_t i;

	uname(&system);
	read_word("/sys/kernel/mm/transparent_hugepage/enabled", thp, sizeof(thp));
	printf("%s %s, %ld cores, transparent huge pages: %s; medians of %u runs, allocators taking turns\n",
	       system.sysname, system.release, sysconf(_SC_NPROCESSORS_ONLN), thp, options->n_runs);
	for (i = 0; i < options->n_libs; i++)
		printf("%-*s%s\n", NAME_WIDTH, options->libs[i].name,
		       options->libs[i].path ? options->libs[i].path : "libc's own");
}

void bench_print(const struct bench_options *options)
{
	size_t i, lib;

	print_machine(options);
	for (i = 0; i < bench_n_tables; i++) {
		if (!bench_wanted(options, bench_tables[i].bench))
			continue;
		print_titles(&bench_tables[i]);
		print_floors(&bench_tables[i]);
		for (lib = 0; lib < options->n_libs; lib++)
			print_row(options, &bench_tables[i], lib);
		print_ratios(options, &bench_tables[i]);
	}
	bench_print_goals(options);
	fflush(stdout); /* before the pictures, which take a while and fork */
}

void bench_json_string(FILE *stream, const char *text)
{
	fputc('"', stream);
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			fprintf(stream, "\\%c", *text);
		else if ((unsigned char)*text < 0x20)
			fprintf(stream, "\\u%04x", *text);
		else
			fputc(*text, stream);
	}
	fputc('"', stream);
}

struct json {
	FILE *stream;
	const struct bench_options *options;
	bool begun;
};

static void json_result(void *arg, const char *job, size_t lib, const char *key)
{
	struct json *json = arg;
	double values[BENCH_MAX_RUNS], median;
	size_t n = bench_values(job, lib, key, values), i;
	struct bench_column column = { job, key, NULL, 0, NULL };

	bench_median(&column, lib, &median);
	fputs(json->begun ? ",\n    {\"job\": " : "\n    {\"job\": ", json->stream);
	json->begun = true;
	bench_json_string(json->stream, job);
	fputs(", \"allocator\": ", json->stream);
	bench_json_string(json->stream, json->options->libs[lib].name);
	fputs(", \"key\": ", json->stream);
	bench_json_string(json->stream, key);
	fprintf(json->stream, ", \"median\": %.10g, \"values\": [", median);
	for (i = 0; i < n; i++)
		fprintf(json->stream, "%s%.10g", i ? ", " : "", values[i]);
	fputs("]}", json->stream);
}

bool bench_write_json(const struct bench_options *options)
{
	struct json json = { fopen(options->json, "w"), options, false };
	struct utsname system;
	size_t i;

	if (!json.stream) {
		fprintf(stderr, "hakmem-bench: cannot write %s: %s\n", options->json, strerror(errno));
		return false;
	}
	uname(&system);
	fprintf(json.stream, "{\n  \"kernel\": ");
	bench_json_string(json.stream, system.release);
	fprintf(json.stream, ",\n  \"cores\": %ld,\n  \"runs\": %u,\n  \"time\": %lld,\n  \"allocators\": {",
		sysconf(_SC_NPROCESSORS_ONLN), options->n_runs, (long long)time(NULL));
	for (i = 0; i < options->n_libs; i++) {
		fputs(i ? ", " : "", json.stream);
		bench_json_string(json.stream, options->libs[i].name);
		fputs(": ", json.stream);
		bench_json_string(json.stream, options->libs[i].path ? options->libs[i].path : "libc");
	}
	fputs("},\n  \"results\": [", json.stream);
	bench_each(json_result, &json);
	fputs("\n  ],\n  \"goals\": [", json.stream);
	bench_write_goals(options, json.stream);
	fputs("\n  ]\n}\n", json.stream);
	return fclose(json.stream) == 0;
}

#define SAMPLE_USEC 4000
#define TIMELINE_JOB "timeline 5000000"

static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* From outside, so that the measured process does nothing for it. */
static bool sample(pid_t pid, FILE *stream, double begin)
{
	char path[64];
	unsigned long total, rss;
	FILE *statm;
	bool good;

	snprintf(path, sizeof(path), "/proc/%d/statm", (int)pid);
	statm = fopen(path, "r");
	good = statm && fscanf(statm, "%lu %lu", &total, &rss) == 2;
	if (statm)
		fclose(statm);
	if (good)
		fprintf(stream, "%.4f %.3f\n", seconds() - begin, (double)rss * (double)sysconf(_SC_PAGESIZE) / 1048576);
	return good;
}

static bool plot_timeline(const struct bench_options *options, const struct bench_lib *lib)
{
	char path[PATH_MAX];
	double begin = seconds();
	FILE *stream;
	pid_t pid;
	int status = 0;

	snprintf(path, sizeof(path), "%s/rss-%s.dat", options->plot, lib->name);
	stream = fopen(path, "w");
	if (!stream)
		return false;
	fprintf(stderr, "timeline of %s\n", lib->name);
	pid = bench_start(options, lib, TIMELINE_JOB, -1);
	while (pid > 0 && waitpid(pid, &status, WNOHANG) == 0) {
		sample(pid, stream, begin);
		usleep(SAMPLE_USEC);
	}
	return fclose(stream) == 0 && pid > 0 && status == 0;
}

static bool write_timeline_script(const struct bench_options *options)
{
	char path[PATH_MAX];
	FILE *stream;
	size_t i;

	snprintf(path, sizeof(path), "%s/rss.gp", options->plot);
	stream = fopen(path, "w");
	if (!stream)
		return false;
	fputs("set terminal svg size 960,480 background 'white'\nset output 'rss.svg'\nset key outside\nset grid\n"
	      "set title '5M blocks of 16 bytes: allocated, freed, 1.5 s idle, flushed'\n"
	      "set xlabel 'seconds'\nset ylabel 'RSS, MiB'\nset yrange [0:*]\nplot ",
	      stream);
	for (i = 0; i < options->n_libs; i++)
		fprintf(stream, "%s'rss-%s.dat' with lines lw %d title '%s'", i ? ", " : "", options->libs[i].name,
			bench_is_hakmem(&options->libs[i]) ? 3 : 1, options->libs[i].name);
	fputc('\n', stream);
	return fclose(stream) == 0;
}

/* One line for each row of micro, one column for each allocator; realloc and regrow are left out, theirs are
 * milliseconds. */
static size_t write_micro_data(const struct bench_options *options)
{
	char path[PATH_MAX];
	FILE *stream;
	size_t i, j, lib, n_lines = 0;

	snprintf(path, sizeof(path), "%s/micro.dat", options->plot);
	stream = fopen(path, "w");
	if (!stream)
		return 0;
	fputs("row", stream);
	for (lib = 0; lib < options->n_libs; lib++)
		fprintf(stream, " %s", options->libs[lib].name);
	for (i = 0; i < bench_n_tables; i++) {
		if (strcmp(bench_tables[i].bench, "micro") != 0)
			continue;
		for (j = 0; is_column(&bench_tables[i], j); j++) {
			const struct bench_column *column = &bench_tables[i].columns[j];
			double median;

			if (strncmp(column->title, "re", 2) == 0 || !bench_median(column, 0, &median))
				continue;
			fprintf(stream, "\n\"%s\"", column->title);
			for (lib = 0; lib < options->n_libs; lib++)
				if (bench_median(column, lib, &median))
					fprintf(stream, " %.3f", median);
				else
					fputs(" NaN", stream);
			n_lines++;
		}
	}
	fputc('\n', stream);
	fclose(stream);
	return n_lines;
}

static bool write_micro_script(const struct bench_options *options)
{
	char path[PATH_MAX];
	FILE *stream;

	snprintf(path, sizeof(path), "%s/micro.gp", options->plot);
	stream = fopen(path, "w");
	if (!stream)
		return false;
	fprintf(stream,
		"set terminal svg size 1200,480 background 'white'\nset output 'micro.svg'\nset key outside\n"
		"set grid y\nset style data histograms\nset style histogram clustered gap 1\nset style fill solid 0.8\n"
		"set xtics rotate by -40\nset ylabel 'ns per operation'\nset logscale y\nset yrange [1:*]\n"
		"plot for [i=2:%zu] 'micro.dat' using i:xtic(1) title columnheader(i)\n",
		options->n_libs + 1);
	return fclose(stream) == 0;
}

static bool gnuplot(const struct bench_options *options, const char *script)
{
	pid_t pid = fork();
	int status = 0;

	if (pid == 0) {
		if (chdir(options->plot) == 0)
			execlp("gnuplot", "gnuplot", script, NULL);
		fprintf(stderr, "hakmem-bench: cannot run gnuplot (Debian: gnuplot-nox): %s\n", strerror(errno));
		_exit(127);
	}
	return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

bool bench_plot(const struct bench_options *options)
{
	bool good = true;
	size_t i;

	if (mkdir(options->plot, 0777) < 0 && errno != EEXIST) {
		fprintf(stderr, "hakmem-bench: cannot make %s: %s\n", options->plot, strerror(errno));
		return false;
	}
	for (i = 0; i < options->n_libs; i++)
		good &= plot_timeline(options, &options->libs[i]);
	good = good && write_timeline_script(options) && gnuplot(options, "rss.gp");
	if (write_micro_data(options) == 0) {
		fputs("hakmem-bench: micro was not run: no bars\n", stderr);
		return good;
	}
	return good && write_micro_script(options) && gnuplot(options, "micro.gp");
}
