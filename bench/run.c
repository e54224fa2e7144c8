// SPDX-License-Identifier: MIT
/*
 * run: starts the workers and keeps what they say.
 *
 * Why a process per measurement: see worker.h.  Why the allocators take turns within each run: the machine gets warmer,
 * and other work comes and goes; what lasts a second must not hit one of them alone.  The turn begins with
 * another allocator in each run.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/bench.h"

#define JOB_SECONDS 300
#define MAX_JOBS 128
#define MAX_WORDS 12
#define BESIDE_DAEMON "hakmemd "

struct result {
	const char *job; /* of the plan */
	size_t lib;
	char key[48];
	size_t n_values;
	double values[BENCH_MAX_RUNS];
};

static struct result *results;
static size_t n_results, n_room;

static struct result *find(const char *job, size_t lib, const char *key)
{
	size_t i;

	for (i = 0; i < n_results; i++)
		if (results[i].lib == lib && strcmp(results[i].job, job) == 0 && strcmp(results[i].key, key) == 0)
			return &results[i];
	return NULL;
}

static struct result *find_or_add(const char *job, size_t lib, const char *key)
{
	struct result *result = find(job, lib, key);

	if (result)
		return result;
	if (n_results == n_room) {
		n_room = 2 * n_room + 64;
		results = reallocarray(results, n_room, sizeof(*results));
		if (!results)
			abort();
	}
	result = &results[n_results++];
	memset(result, 0, sizeof(*result));
	result->job = job;
	result->lib = lib;
	snprintf(result->key, sizeof(result->key), "%.47s", key);
	return result;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

size_t bench_values(const char *job, size_t lib, const char *key, double *ret_values)
{
	const struct result *result = find(job, lib, key);

	if (!result)
		return 0;
	memcpy(ret_values, result->values, result->n_values * sizeof(double));
	qsort(ret_values, result->n_values, sizeof(double), by_value);
	return result->n_values;
}

static bool median_of(const char *job, size_t lib, const char *key, double *ret_median)
{
	double values[BENCH_MAX_RUNS];
	size_t n = bench_values(job, lib, key, values);

	if (n == 0)
		return false;
	*ret_median = n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
	return true;
}

bool bench_median(const struct bench_column *column, size_t lib, double *ret_median)
{
	double minus = 0;

	if (!median_of(column->job, lib, column->key, ret_median))
		return false;
	if (column->minus && !median_of(column->minus, lib, column->key, &minus))
		return false;
	*ret_median -= minus;
	return true;
}

void bench_each(void (*visit)(void *arg, const char *job, size_t lib, const char *key), void *arg)
{
	size_t i;

	for (i = 0; i < n_results; i++)
		visit(arg, results[i].job, results[i].lib, results[i].key);
}

/* Of the daemon that runs beside the job; NULL = none. */
static const char *runtime_dir;

/* In the child: the job's words become the worker's arguments. */
static void exec_worker(const struct bench_options *options, const struct bench_lib *lib, const char *job)
{
	char *argv[MAX_WORDS + 2] = { (char *)"worker" }, *rest = strdup(job), *word;
	size_t n = 1;

	setenv("HAKMEM_RUNTIME_DIR", runtime_dir ? runtime_dir : "/nonexistent", runtime_dir != NULL);
	while (n <= MAX_WORDS && (word = strsep(&rest, " ")) != NULL) {
		if (n == 1 && strchr(word, '='))
			putenv(word);
		else if (n > 1 || strcmp(word, "hakmemd") != 0)
			argv[n++] = word;
	}
	if (lib->path)
		setenv("LD_PRELOAD", lib->path, 1);
	else
		unsetenv("LD_PRELOAD");
	alarm(JOB_SECONDS);
	execv(options->worker, argv);
	fprintf(stderr, "hakmem-bench: cannot run %s: %s\n", options->worker, strerror(errno));
	_exit(127);
}

int bench_start(const struct bench_options *options, const struct bench_lib *lib, const char *job, int output)
{
	pid_t pid = fork();

	if (pid != 0)
		return pid;
	if (output < 0)
		output = open("/dev/null", O_WRONLY | O_CLOEXEC);
	if (dup2(output, STDOUT_FILENO) < 0)
		_exit(127);
	exec_worker(options, lib, job);
	return -1;
}

static bool same_file(const char *a, const char *b)
{
	char *x = realpath(a, NULL), *y = realpath(b, NULL);
	bool same = x && y && strcmp(x, y) == 0;

	free(x);
	free(y);
	return same;
}

/* A line of the worker; false if another allocator than the one meant has served it. */
static bool take_line(const struct bench_lib *lib, const char *job, size_t index, char *line)
{
	char *value = strchr(line, '=');
	struct result *result;

	if (!value)
		return true;
	*value++ = '\0';
	value[strcspn(value, "\n")] = '\0';
	if (strcmp(line, "served_by") == 0)
		return lib->path ? same_file(lib->path, value) : strstr(value, "/libc.so") != NULL;
	result = find_or_add(job, index, line);
	if (result->n_values < BENCH_MAX_RUNS)
		result->values[result->n_values++] = strtod(value, NULL);
	return true;
}

static bool take_output(const struct bench_lib *lib, const char *job, size_t index, int fd)
{
	FILE *stream = fdopen(fd, "r");
	char line[512];
	bool good = stream != NULL;

	while (good && fgets(line, sizeof(line), stream))
		good = take_line(lib, job, index, line);
	if (stream)
		fclose(stream);
	if (!good)
		fprintf(stderr, "hakmem-bench: %s: malloc was not served by %s\n", lib->name,
			lib->path ? lib->path : "libc");
	return good;
}

static void run_job(const struct bench_options *options, const char *job, size_t index)
{
	const struct bench_lib *lib = &options->libs[index];
	int ends[2], status = 0;
	pid_t pid;
	bool good;

	if (pipe(ends) < 0 || (pid = bench_start(options, lib, job, ends[1])) < 0) {
		fprintf(stderr, "hakmem-bench: no process: %s\n", strerror(errno));
		exit(1);
	}
	close(ends[1]);
	good = take_output(lib, job, index, ends[0]);
	waitpid(pid, &status, 0);
	if (status != 0)
		fprintf(stderr, "hakmem-bench: %s, %s: ended with status 0x%x\n", lib->name, job, status);
	if (!good)
		exit(1);
}

static void add_job(const char **jobs, size_t *n, const char *job)
{
	size_t i;

	for (i = 0; i < *n; i++)
		if (strcmp(jobs[i], job) == 0)
			return;
	if (*n == MAX_JOBS)
		abort();
	jobs[(*n)++] = job;
}

static void add_column(const char **jobs, size_t *n, const struct bench_column *column)
{
	if (column->job)
		add_job(jobs, n, column->job);
	if (column->minus)
		add_job(jobs, n, column->minus);
}

static size_t wanted_jobs(const struct bench_options *options, const char **jobs)
{
	size_t n = 0, i;

	for (i = 0; i < bench_n_tables; i++) {
		const struct bench_column *columns = bench_tables[i].columns;
		size_t j;

		if (!bench_wanted(options, bench_tables[i].bench))
			continue;
		for (j = 0; j < BENCH_MAX_COLUMNS && columns[j].job; j++)
			add_column(jobs, &n, &columns[j]);
	}
	for (i = 0; i < bench_n_goals; i++) {
		if (!bench_goal_wanted(options, &bench_goals[i]))
			continue;
		add_column(jobs, &n, &bench_goals[i].column);
		add_column(jobs, &n, &bench_goals[i].other);
	}
	return n;
}

static void run_libs(const struct bench_options *options, const char *job, unsigned int run)
{
	size_t lib;

	if (strncmp(job, BESIDE_DAEMON, strlen(BESIDE_DAEMON)) == 0) {
		runtime_dir = bench_daemon_start(options->daemon);
		if (!runtime_dir)
			return;
	}
	for (lib = 0; lib < options->n_libs; lib++)
		run_job(options, job, (lib + run) % options->n_libs);
	if (runtime_dir)
		bench_daemon_stop();
	runtime_dir = NULL;
}

void bench_run(const struct bench_options *options)
{
	const char *jobs[MAX_JOBS];
	size_t n_jobs = wanted_jobs(options, jobs), job;
	unsigned int run;

	for (run = 0; run < options->n_runs; run++) {
		for (job = 0; job < n_jobs; job++) {
			fprintf(stderr, "run %u of %u, job %zu of %zu: %s\n", run + 1, options->n_runs, job + 1, n_jobs,
				jobs[job]);
			run_libs(options, jobs[job], run);
		}
	}
}
