// SPDX-License-Identifier: MIT
/*
 * hakmem-bench: allocators side by side, in memory and in speed.
 *
 * Finds the peers that Debian packages, and hakmem in the build tree; measures each in fresh processes (run.c) what
 * plan.c lists; prints tables (show.c).  Progress goes to standard error, results to standard output.
 */
#include <getopt.h>
#include <libgen.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/bench.h"

#define DEFAULT_RUNS 3

/* Where the distribution puts libraries of this machine's kind. */
static const char *const lib_dirs[] = {
#if defined(__x86_64__)
	"/usr/lib/x86_64-linux-gnu",
#elif defined(__aarch64__)
	"/usr/lib/aarch64-linux-gnu",
#endif
	"/usr/lib64", "/usr/lib", "/usr/local/lib",
};

static const struct {
	const char *name;
	const char *file;
} peers[] = {
	{ "mimalloc", "libmimalloc.so.2.0" },
	{ "jemalloc", "libjemalloc.so.2" },
	{ "tcmalloc", "libtcmalloc_minimal.so.4" },
};

static struct bench_options options;
static char worker_path[PATH_MAX], daemon_path[PATH_MAX];

static void add_lib(const char *name, const char *path)
{
	struct bench_lib *lib;

	if (options.n_libs == BENCH_MAX_LIBS) {
		fprintf(stderr, "hakmem-bench: at most %d allocators\n", BENCH_MAX_LIBS);
		exit(2);
	}
	lib = &options.libs[options.n_libs++];
	snprintf(lib->name, sizeof(lib->name), "%s", name);
	lib->path = path ? strdup(path) : NULL;
}

static void add_peers(void)
{
	char path[PATH_MAX];
	size_t i, j;

	add_lib("glibc", NULL);
	for (i = 0; i < sizeof(peers) / sizeof(peers[0]); i++) {
		for (j = 0; j < sizeof(lib_dirs) / sizeof(lib_dirs[0]); j++) {
			snprintf(path, sizeof(path), "%s/%s", lib_dirs[j], peers[i].file);
			if (access(path, R_OK) == 0)
				break;
		}
		if (j < sizeof(lib_dirs) / sizeof(lib_dirs[0]))
			add_lib(peers[i].name, path);
		else
			fprintf(stderr, "hakmem-bench: no %s, %s is left out\n", peers[i].file, peers[i].name);
	}
}

/* The worker lies beside this program, the library where libtool puts it. */
static void find_own(void)
{
	char self[PATH_MAX], path[PATH_MAX + 64];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	const char *dir;

	self[n > 0 ? n : 0] = '\0';
	dir = dirname(self);
	snprintf(worker_path, sizeof(worker_path), "%.*s/worker", (int)sizeof(worker_path) - 8, dir);
	options.worker = worker_path;
	snprintf(daemon_path, sizeof(daemon_path), "%.*s/../hakmemd/hakmemd", (int)sizeof(daemon_path) - 32, dir);
	options.daemon = access(daemon_path, X_OK) == 0 ? daemon_path : NULL;
	snprintf(path, sizeof(path), "%s/../libhakmem/.libs/libhakmem.so.0", dir);
	if (access(path, R_OK) == 0)
		add_lib("hakmem", realpath(path, NULL));
	else
		fputs("hakmem-bench: libhakmem is not built, hakmem is left out\n", stderr);
}

static void add_named(const char *argument)
{
	const char *equals = strchr(argument, '=');
	char name[32], *path = equals ? realpath(equals + 1, NULL) : NULL;

	if (!equals || equals == argument || !path) {
		fprintf(stderr, "hakmem-bench: --lib %s: must be NAME=FILE, and the file must exist\n", argument);
		exit(2);
	}
	snprintf(name, sizeof(name), "%.*s", (int)(equals - argument), argument);
	add_lib(name, path);
	free(path);
}

static void keep_only(const char *list)
{
	size_t i, n = 0;

	for (i = 0; i < options.n_libs; i++)
		if (bench_listed(list, options.libs[i].name))
			options.libs[n++] = options.libs[i];
	options.n_libs = n;
	if (n == 0) {
		fprintf(stderr, "hakmem-bench: --libs %s: none of these is here\n", list);
		exit(2);
	}
}

static void list(void)
{
	size_t i, j;

	for (i = 0; i < bench_n_tables; i++) {
		printf("%-10s %s\n          ", bench_tables[i].bench, bench_tables[i].title);
		for (j = 0; j < BENCH_MAX_COLUMNS && bench_tables[i].columns[j].job; j++)
			printf("%s %s", j ? "," : "", bench_tables[i].columns[j].title);
		putchar('\n');
	}
	for (i = 0; i < options.n_libs; i++)
		printf("allocator %s: %s\n", options.libs[i].name, options.libs[i].path ? options.libs[i].path : "libc");
}

static void usage(FILE *stream)
{
	fputs("usage: hakmem-bench [OPTION...]\n"
	      "  --runs N          runs of each measurement; medians are shown (default 3)\n"
	      "  --only NAME,...   only these benchmarks; goals, or memory, speed and\n"
	      "                    calls, its parts: the table of what was aimed at\n"
	      "  --lib NAME=FILE   one more allocator; may be given again\n"
	      "  --libs NAME,...   only these allocators\n"
	      "  --json FILE       all values, for programs\n"
	      "  --plot DIR        RSS over time and the speed rows as SVG, by gnuplot\n"
	      "  --list            what there is, and exit\n"
	      "  --help            this text\n",
	      stream);
}

static const struct option long_options[] = {
	{ "runs", required_argument, NULL, 'r' }, { "only", required_argument, NULL, 'o' },
	{ "lib", required_argument, NULL, 'l' },  { "libs", required_argument, NULL, 's' },
	{ "json", required_argument, NULL, 'j' }, { "plot", required_argument, NULL, 'p' },
	{ "list", no_argument, NULL, 'i' },	  { "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

static void check_only(const char *names)
{
	char *copy = strdup(names), *rest = copy, *name;
	size_t i;

	while ((name = strsep(&rest, ",")) != NULL) {
		for (i = 0; i < bench_n_tables && strcmp(bench_tables[i].bench, name) != 0; i++)
			;
		if (i < bench_n_tables || bench_listed("goals,memory,speed,calls", name))
			continue;
		fprintf(stderr, "hakmem-bench: no benchmark \"%s\"; --list names them\n", name);
		exit(2);
	}
	free(copy);
}

static unsigned int runs(const char *argument)
{
	char *end;
	unsigned long n = strtoul(argument, &end, 10);

	if (*end || n < 1 || n > BENCH_MAX_RUNS) {
		fprintf(stderr, "hakmem-bench: --runs %s: must be 1 to %d\n", argument, BENCH_MAX_RUNS);
		exit(2);
	}
	return (unsigned int)n;
}

int main(int argc, char **argv)
{
	const char *libs = NULL;
	bool listing = false, good = true;
	int option;

	options.n_runs = DEFAULT_RUNS;
	add_peers();
	find_own();
	while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
		switch (option) {
		case 'r': options.n_runs = runs(optarg); break;
		case 'o': check_only(optarg); options.only = optarg; break;
		case 'l': add_named(optarg); break;
		case 's': libs = optarg; break;
		case 'j': options.json = optarg; break;
		case 'p': options.plot = optarg; break;
		case 'i': listing = true; break;
		case 'h': usage(stdout); return 0;
		default: usage(stderr); return 2;
		}
	}
	if (optind < argc) {
		usage(stderr);
		return 2;
	}
	if (libs)
		keep_only(libs);
	if (listing) {
		list();
		return 0;
	}
	bench_run(&options);
	bench_print(&options);
	if (options.json)
		good &= bench_write_json(&options);
	if (options.plot)
		good &= bench_plot(&options);
	return good ? 0 : 1;
}
