// SPDX-License-Identifier: MIT
/*
 * goals: what the allocator is aimed at, row by row: its figure, the best peer's, the goal, and whether it
 * was met.
 *
 * Where a peer has no way to do the same (nobody empties its sleeping threads from outside) it is measured by
 * the best that it has, and the row says so.
 */
#include <string.h>

#include "bench/bench.h"

#define AT(job, key)                                                                                         \
	{                                                                                                    \
		job, key, NULL, 0, NULL                                                                      \
	}
#define NONE                                                                                                 \
	{                                                                                                    \
		NULL, NULL, NULL, 0, NULL                                                                    \
	}
#define LIMIT(title, unit, job, key, limit)                                                                  \
	{                                                                                                    \
		"memory", title, unit, AT(job, key), NONE, BENCH_LIMIT, NULL, limit                          \
	}
#define FASTEST(title, job, key, limit)                                                                      \
	{                                                                                                    \
		"speed", title, "ns", AT(job, key), NONE, BENCH_BEST, NULL, limit                            \
	}
#define SLOWEST(title, job, key)                                                                             \
	{                                                                                                    \
		"calls", title, "ns", AT(job, key), NONE, BENCH_BEST, NULL, 1.0                              \
	}
#define BESIDE_MIMALLOC(title, job, key)                                                                     \
	{                                                                                                    \
		"memory", title, "MiB total", AT(job, key), NONE, BENCH_NAMED, "mimalloc", 1.0               \
	}
#define SCALE(n, words)                                                                                      \
	BESIDE_MIMALLOC("battle " words ", peak", "battle " n " fifo", "peak"),                              \
	        BESIDE_MIMALLOC("battle " words ", flushed", "battle " n " fifo", "flushed")

const struct bench_goal bench_goals[] = {
        LIMIT("16 B x 1M, peak", "MiB above", "battle 1000000 fifo", "peak_above", 23.2),
        LIMIT("16 B x 5M, peak", "MiB above", "battle 5000000 fifo", "peak_above", 114.9),
        LIMIT("1M freed in order, flushed", "MiB above", "battle 1000000 fifo", "flushed_above", 7.94),
        LIMIT("1M freed at random, flushed", "MiB above", "battle 1000000 random", "flushed_above", 7.94),
        LIMIT("5M freed in order, flushed", "MiB above", "battle 5000000 fifo", "flushed_above", 38.5),
        LIMIT("5M freed at random, flushed", "MiB above", "battle 5000000 random", "flushed_above", 38.5),
        SCALE("100000", "100K"),
        SCALE("500000", "500K"),
        SCALE("1000000", "1M"),
        SCALE("2000000", "2M"),
        SCALE("5000000", "5M"),
        LIMIT("5M freed, idle, no call by the program", "MiB above", "hakmemd rest 5000000", "rested_above",
              38.7),
        LIMIT("2M, each 1000th kept, flushed", "MiB above", "load phantom", "flushed_above", 23.5),
        LIMIT("churn, high-water mark", "MiB above", "churn", "max_above", 560),
        LIMIT("churn, at its end", "MiB above", "churn", "end_above", 313),
        LIMIT("churn, 90 % freed and flushed", "MiB above", "churn", "flushed_above", 80),
        {"memory", "8 idle threads, from outside (peers: main's call)", "MiB above",
         AT("hakmemd threads own 6", "idle"), AT("threads own", "flushed"), BENCH_LIMIT, NULL, 1.5},
        {"memory", "freed by another thread, the same", "MiB above", AT("hakmemd threads xthread 6", "idle"),
         AT("threads xthread", "flushed"), BENCH_LIMIT, NULL, 1.5},
        {"memory",
         "idle thread that worked, of 64",
         "KiB private",
         {"idle 64 work", "per_thread_kib", NULL, 0, "idle 64 nowork"},
         NONE,
         BENCH_LIMIT,
         NULL,
         40},
        {"memory",
         "the same after a flush",
         "KiB private",
         {"idle 64 work", "flushed_per_thread_kib", NULL, 0, "idle 64 nowork"},
         NONE,
         BENCH_LIMIT,
         NULL,
         4},
        LIMIT("trivial process", "KiB private", "trivial", "private_one_kib", 130),
        LIMIT("mixed 8..1024 B, peak over requested", "ratio", "load mixed", "ratio", 1.03),
        LIMIT("redis after FLUSHALL, idle", "MiB total", "hakmemd redis 6", "idle", 20),

        FASTEST("malloc+free pair, 16 B", "micro pair16", "ns", 1.0),
        FASTEST("1,000 x 16 B lifo", "micro lifo16", "ns", 1.1),
        FASTEST("1,000 x 16 B fifo", "micro fifo16", "ns", 1.1),
        FASTEST("10,000 going round", "micro ring10000", "ns", 1.1),
        FASTEST("free 5M in random order", "battle 5000000 random 4k", "free_ns", 0.7),
        FASTEST("first touch of 5M x 16 B, 4 KiB pages", "battle 5000000 random 4k", "alloc_ns", 0.85),
        FASTEST("1,000 x 1 KiB lifo", "micro lifo1024", "ns", 1.1),
        FASTEST("1,000 x 1 KiB fifo", "micro fifo1024", "ns", 1.1),
        FASTEST("realloc 64K..64M, a step", "micro regrow", "ns", 1.0),
        FASTEST("the same, each page written", "micro realloc", "ns", 1.0),
        FASTEST("two threads, 1,000 x 64 B each", "micro mt2", "ns", 1.1),
        FASTEST("producer / consumer", "micro prodcons", "ns", 1.1),

        SLOWEST("p99.99 of malloc, one thread", "latency 1", "malloc_p9999"),
        SLOWEST("p99.99 of free, one thread", "latency 1", "free_p9999"),
        SLOWEST("p99.99 of malloc, two threads", "latency 2", "malloc_p9999"),
        SLOWEST("p99.99 of free, two threads", "latency 2", "free_p9999"),
        {"calls", "madvise + munmap + mmap, steady load", "per second", AT("steady 10", "memory_calls"), NONE,
         BENCH_LIMIT, NULL, 10},
        {"calls", "putc beside the control thread (to none)", "ns", AT("hakmemd attached", "putc_ns"),
         AT("HAKMEM_CONTROL=off attached", "putc_ns"), BENCH_ITSELF, NULL, 1.05},
        {"calls", "shared_ptr copy beside it", "ns", AT("hakmemd attached", "shared_ns"),
         AT("HAKMEM_CONTROL=off attached", "shared_ns"), BENCH_ITSELF, NULL, 1.05},
        {"calls", "setuid() beside it", "us", AT("hakmemd attached", "setuid_usec"),
         AT("HAKMEM_CONTROL=off attached", "setuid_usec"), BENCH_ITSELF, NULL, 0},
};
const size_t bench_n_goals = sizeof(bench_goals) / sizeof(bench_goals[0]);

bool bench_goal_wanted(const struct bench_options *options, const struct bench_goal *goal)
{
	return bench_wanted(options, "goals") || bench_wanted(options, goal->group);
}

struct judged {
	double figure, other, measure; /* `measure` is what the limit is for */
	bool has_figure, has_other;
	const char *other_name;
};

/* The first row from `i` on that is wanted. */
static size_t next_wanted(const struct bench_options *options, size_t i)
{
	while (i < bench_n_goals && !bench_goal_wanted(options, &bench_goals[i]))
		i++;
	return i;
}

static size_t own_index(const struct bench_options *options)
{
	size_t lib = 0;

	while (lib < options->n_libs && !bench_is_hakmem(&options->libs[lib]))
		lib++;
	return lib;
}

/* May this allocator stand in the row's column of peers? */
static bool is_other(const struct bench_goal *goal, const struct bench_lib *lib)
{
	switch (goal->against) {
	case BENCH_ITSELF:
		return bench_is_hakmem(lib);
	case BENCH_NAMED:
		return strcmp(lib->name, goal->peer) == 0;
	case BENCH_BEST:
	case BENCH_LIMIT:
		break;
	}
	return !bench_is_hakmem(lib);
}

static void find_other(const struct bench_options *options, const struct bench_goal *goal,
                       struct judged *judged)
{
	const struct bench_column *column = goal->other.job ? &goal->other : &goal->column;
	double median;
	size_t i;

	for (i = 0; i < options->n_libs; i++) {
		if (!is_other(goal, &options->libs[i]) || !bench_median(column, i, &median))
			continue;
		if (judged->has_other && median >= judged->other)
			continue;
		judged->has_other = true;
		judged->other = median;
		judged->other_name = options->libs[i].name;
	}
}

static struct judged judge(const struct bench_options *options, const struct bench_goal *goal)
{
	struct judged judged = {0};

	judged.has_figure = bench_median(&goal->column, own_index(options), &judged.figure);
	find_other(options, goal, &judged);
	judged.measure = judged.figure;
	if (goal->against != BENCH_LIMIT)
		judged.measure = judged.has_other && judged.other > 0 ? judged.figure / judged.other : 0;
	return judged;
}

static const char *verdict(const struct bench_goal *goal, const struct judged *judged)
{
	bool measured = judged->has_figure && (goal->against == BENCH_LIMIT || judged->has_other);

	if (!measured || goal->limit == 0)
		return "-";
	return judged->measure <= goal->limit ? "yes" : "NO";
}

static const char *limit_text(const struct bench_goal *goal, char text[32])
{
	if (goal->limit == 0)
		return "-";
	snprintf(text, 32, goal->against == BENCH_LIMIT ? "<= %g" : "<= %g x", goal->limit);
	return text;
}

static void print_figure(bool there, double figure)
{
	if (there)
		printf(figure >= 100000 ? "%10.0f " : "%10.2f ", figure);
	else
		printf("%10s ", "-");
}

void bench_print_goals(const struct bench_options *options)
{
	char text[32];
	size_t i;

	if (next_wanted(options, 0) == bench_n_goals)
		return;
	printf("\ngoals: what was aimed at (above: the start of main; other: the best peer, or what the goal "
	       "names)\n"
	       "%-50s%-12s%10s %10s %-10s%7s %-10s%-5s %s\n",
	       "", "unit", "hakmem", "other", "", "ratio", "goal", "met", "measured by");
	for (i = next_wanted(options, 0); i < bench_n_goals; i = next_wanted(options, i + 1)) {
		const struct bench_goal *goal = &bench_goals[i];
		struct judged judged = judge(options, goal);

		printf("%-50s%-12s", goal->title, goal->unit);
		print_figure(judged.has_figure, judged.figure);
		print_figure(judged.has_other, judged.other);
		printf("%-10s", judged.has_other ? judged.other_name : "");
		if (judged.has_figure && judged.has_other && judged.other > 0)
			printf("%7.2f ", judged.figure / judged.other);
		else
			printf("%7s ", "-");
		printf("%-10s%-5s %s: %s\n", limit_text(goal, text), verdict(goal, &judged), goal->column.job,
		       goal->column.key);
	}
}

static void write_member(FILE *stream, const char *name, const char *text)
{
	fprintf(stream, ", \"%s\": ", name);
	bench_json_string(stream, text);
}

void bench_write_goals(const struct bench_options *options, FILE *stream)
{
	char text[32];
	size_t first = next_wanted(options, 0), i;

	for (i = first; i < bench_n_goals; i = next_wanted(options, i + 1)) {
		const struct bench_goal *goal = &bench_goals[i];
		struct judged judged = judge(options, goal);

		fputs(i != first ? ",\n    {\"row\": " : "\n    {\"row\": ", stream);
		bench_json_string(stream, goal->title);
		write_member(stream, "unit", goal->unit);
		if (judged.has_figure)
			fprintf(stream, ", \"hakmem\": %.10g", judged.figure);
		if (judged.has_other) {
			fprintf(stream, ", \"other\": %.10g", judged.other);
			write_member(stream, "other_is", judged.other_name);
		}
		write_member(stream, "goal", limit_text(goal, text));
		write_member(stream, "met", verdict(goal, &judged));
		write_member(stream, "job", goal->column.job);
		write_member(stream, "key", goal->column.key);
		fputc('}', stream);
	}
}
