// SPDX-License-Identifier: MIT
/*
 * plan: which jobs are run and where their figures stand.  The only list of benchmarks there is.
 */
#include <string.h>

#include "bench/bench.h"

#define BATTLE(key, floor_bytes)                                                                             \
	{ "battle 100000 fifo", key, "100K", 100000 * (floor_bytes) / 1048576.0, NULL },                     \
	{ "battle 500000 fifo", key, "500K", 500000 * (floor_bytes) / 1048576.0, NULL },                     \
	{ "battle 1000000 fifo", key, "1M", 1000000 * (floor_bytes) / 1048576.0, NULL },                     \
	{ "battle 2000000 fifo", key, "2M", 2000000 * (floor_bytes) / 1048576.0, NULL },                     \
	{ "battle 5000000 fifo", key, "5M", 5000000 * (floor_bytes) / 1048576.0, NULL }

#define BATTLE_RANDOM(key, floor_bytes)                                                                      \
	{ "battle 100000 random", key, "100K", 100000 * (floor_bytes) / 1048576.0, NULL },                   \
	{ "battle 500000 random", key, "500K", 500000 * (floor_bytes) / 1048576.0, NULL },                   \
	{ "battle 1000000 random", key, "1M", 1000000 * (floor_bytes) / 1048576.0, NULL },                   \
	{ "battle 2000000 random", key, "2M", 2000000 * (floor_bytes) / 1048576.0, NULL },                   \
	{ "battle 5000000 random", key, "5M", 5000000 * (floor_bytes) / 1048576.0, NULL }

#define COLUMN(job, key, title) { job, key, title, 0, NULL }
#define MICRO(row) { "micro " row, "ns", row, 0, NULL }

#define LOAD(name, title_, floor_mib, after_mib)                                                             \
	{                                                                                                    \
		name, title_, 2,                                                                             \
		{                                                                                            \
			COLUMN("load " name, "start", "start"),                                              \
			{ "load " name, "peak_above", "peak", floor_mib, NULL },                             \
			COLUMN("load " name, "ratio", "peak/data"),                                          \
			{ "load " name, "freed_above", "freed", after_mib, NULL },                           \
			{ "load " name, "flushed_above", "flushed", after_mib, NULL },                       \
			COLUMN("load " name, "flush_ms", "flush ms"),                                        \
			COLUMN("load " name, "alloc_ns", "alloc ns"),                                        \
			COLUMN("load " name, "free_ns", "free ns"),                                          \
		},                                                                                           \
	}

#define THREADS(how, title_)                                                                                 \
	{                                                                                                    \
		"threads", title_, 1,                                                                        \
		{                                                                                            \
			COLUMN("threads " how, "peak", "peak"),                                              \
			COLUMN("threads " how, "freed", "freed"),                                            \
			COLUMN("threads " how, "idle", "idle 2 s"),                                          \
			COLUMN("threads " how, "flushed", "main flush"),                                     \
			COLUMN("threads " how, "own", "own flush"),                                          \
			COLUMN("threads " how, "ended", "ended"),                                            \
			COLUMN("threads " how, "alloc_ns", "alloc ns"),                                      \
			COLUMN("threads " how, "free_ns", "free ns"),                                        \
		},                                                                                           \
	}

#define LATENCY(job, what, title_)                                                                           \
	{                                                                                                    \
		"latency", title_, 0,                                                                        \
		{                                                                                            \
			COLUMN(job, what "_p50", "p50"),                                                     \
			COLUMN(job, what "_p99", "p99"),                                                     \
			COLUMN(job, what "_p9999", "p99.99"),                                                \
			COLUMN(job, what "_max", "max"),                                                     \
		},                                                                                           \
	}

#define HELD(window, title_)                                                                                 \
	{                                                                                                    \
		"busy", title_, 2,                                                                           \
		{                                                                                            \
			COLUMN("busy", window "_over_1us", "> 1 us"),                                        \
			COLUMN("busy", window "_over_10us", "> 10 us"),                                      \
			COLUMN("busy", window "_over_100us", "> 100 us"),                                    \
			COLUMN("busy", window "_over_1ms", "> 1 ms"),                                        \
			COLUMN("busy", window "_max", "max, ms"),                                            \
			COLUMN("busy", window "_cpu_max", "CPU max, ms"),                                    \
		},                                                                                           \
	}

const struct bench_table bench_tables[] = {
	{ "battle", "battle: N x 16 B, RSS at the peak, MiB in all", 1, { BATTLE("peak", 24) } },
	{ "battle", "battle: RSS at the peak, MiB above the start of main", 2, { BATTLE("peak_above", 24) } },
	{ "battle", "battle: RSS after freeing all in order, MiB in all", 1, { BATTLE("freed", 8) } },
	{ "battle", "battle: RSS after flushing (freed in order), MiB in all", 1, { BATTLE("flushed", 8) } },
	{ "battle", "battle: RSS after flushing (freed in order), MiB above the start", 2,
	  { BATTLE("flushed_above", 8) } },
	{ "battle", "battle: RSS after flushing (freed at random), MiB above the start", 2,
	  { BATTLE_RANDOM("flushed_above", 8) } },
	{ "battle", "battle: allocate and touch, ns", 1, { BATTLE("alloc_ns", 0) } },
	{ "battle", "battle: free in order, ns", 1, { BATTLE("free_ns", 0) } },
	{ "battle", "battle: free at random, ns", 1, { BATTLE_RANDOM("free_ns", 0) } },
	{ "battle", "battle: allocate and touch again after the flush, ns", 1, { BATTLE_RANDOM("again_ns", 0) } },
	{ "battle", "battle: flush, ms", 2, { BATTLE("flush_ms", 0) } },
	LOAD("phantom", "phantom: 2M x 16 B, each 1,000th kept; MiB above the start", 45.78, 15.26),
	{ "micro", "micro: ns per operation", 1,
	  { MICRO("pair16"), MICRO("pair1024"), MICRO("pair32k"), MICRO("lifo16"), MICRO("fifo16"), MICRO("lifo64"),
	    MICRO("fifo64"), MICRO("lifo1024"), MICRO("fifo1024"), MICRO("ring10000") } },
	{ "micro", "micro: ns per operation (realloc, regrow: a step; prodcons: a block; mt2: of each thread)", 1,
	  { MICRO("realloc"), MICRO("regrow"), MICRO("wset"), MICRO("prodcons"), MICRO("mt2"),
	    COLUMN("battle 5000000 random 4k", "alloc_ns", "touch 5M"),
	    COLUMN("battle 5000000 random 4k", "free_ns", "random 5M") } },
	LOAD("mixed", "mixed: 1M x 8..1024 B; MiB above the start", 499.71, 7.63),
	LOAD("realistic", "realistic: 500K, 80 % to 128 B, 15 % to 1 KiB, 5 % to 32 KiB; MiB above the start", 477.3, 3.81),
	{ "churn", "churn: 300K slots, sizes shift through 20 phases, then 90 % freed; MiB in all", 1,
	  { COLUMN("churn", "max", "VmHWM"), COLUMN("churn", "end", "end"), COLUMN("churn", "freed", "freed"),
	    COLUMN("churn", "flushed", "flushed"), COLUMN("churn", "ns", "ns") } },
	THREADS("own", "threads: 8 x 500K x 16..64 B, each frees its own; MiB above the start"),
	THREADS("xthread", "xthread: the same, the main thread frees all; MiB above the start"),
	{ "fixed", "fixed: private KiB of a trivial process, and of an idle thread that once worked", 1,
	  { COLUMN("trivial", "private_kib", "at main"), COLUMN("trivial", "private_one_kib", "one malloc"),
	    { "idle 8 work", "per_thread_kib", "thread of 8", 0, "idle 8 nowork" },
	    { "idle 64 work", "per_thread_kib", "thread of 64", 0, "idle 64 nowork" },
	    { "idle 64 work", "flushed_per_thread_kib", "of 64, flushed", 0, "idle 64 nowork" } } },
	{ "rest", "rest: all freed and the program quiet for 6 s, without and with hakmemd; MiB above the start", 1,
	  { COLUMN("rest 5000000", "rested_above", "5M x 16 B"),
	    COLUMN("hakmemd rest 5000000", "rested_above", "+ hakmemd"),
	    COLUMN("threads own 6", "idle", "8 threads"),
	    COLUMN("hakmemd threads own 6", "idle", "+ hakmemd"),
	    COLUMN("threads xthread 6", "idle", "xthread"),
	    COLUMN("hakmemd threads xthread 6", "idle", "+ hakmemd") } },
	{ "redis", "redis: 750K x 200 B set and read, all dropped, quiet for 6 s; MiB in all, ns of its CPU per command", 1,
	  { COLUMN("redis 6", "empty", "empty"), COLUMN("redis 6", "full", "full"), COLUMN("redis 6", "dropped", "dropped"),
	    COLUMN("redis 6", "idle", "idle"), COLUMN("hakmemd redis 6", "idle", "+ hakmemd"),
	    COLUMN("redis 6", "cpu_ns", "CPU ns") } },
	{ "steady", "steady: two threads, a load that does not change, traced for 10 s; per second", 1,
	  { COLUMN("steady 10", "memory_calls", "madvise+munmap+mmap"), COLUMN("steady 10", "all_calls", "all calls") } },
	{ "waves", "waves: all threads allocate and free more of one size than they cache; ns for both, waits per million", 1,
	  { COLUMN("waves 3 2", "ns", "2 threads"), COLUMN("waves 3 2", "waits", "waits"),
	    COLUMN("waves 3 8", "ns", "8 threads"), COLUMN("waves 3 8", "waits", "waits"),
	    COLUMN("waves 3 64", "ns", "64 threads"), COLUMN("waves 3 64", "waits", "waits"),
	    COLUMN("waves 3 64", "mib", "MiB") } },
	{ "attached", "attached: a program of one thread beside its allocator's, ns", 1,
	  { COLUMN("HAKMEM_CONTROL=off attached", "putc_ns", "putc"),
	    COLUMN("hakmemd attached", "putc_ns", "+ hakmemd"),
	    COLUMN("HAKMEM_CONTROL=off attached", "shared_ns", "shared_ptr"),
	    COLUMN("hakmemd attached", "shared_ns", "+ hakmemd"),
	    COLUMN("HAKMEM_CONTROL=off attached", "setuid_usec", "setuid, us"),
	    COLUMN("hakmemd attached", "setuid_usec", "+ hakmemd"),
	    COLUMN("hakmemd attached", "first_setuid_usec", "the first") } },
	LATENCY("latency 1", "timer", "latency: the timer's own, one thread, ns"),
	LATENCY("latency 1", "noop", "latency: a call that does nothing, one thread, ns"),
	LATENCY("latency 1", "malloc", "latency: malloc, one thread, ns"),
	LATENCY("latency 1", "free", "latency: free, one thread, ns"),
	LATENCY("latency 2", "timer", "latency: the timer's own, two threads, ns"),
	LATENCY("latency 2", "noop", "latency: a call that does nothing, two threads, ns"),
	LATENCY("latency 2", "malloc", "latency: malloc, two threads, ns"),
	LATENCY("latency 2", "free", "latency: free, two threads, ns"),
	{ "busy", "busy: a flush while 4 threads never stop; MiB above the start; kept = (after-live)/(before-live)", 1,
	  { COLUMN("busy", "before", "before"), COLUMN("busy", "after", "after"), COLUMN("busy", "live", "live"),
	    COLUMN("busy", "kept", "kept, %"), COLUMN("busy", "kept_stopped", "stopped, %"),
	    COLUMN("busy", "flush_ms", "flush ms") } },
	HELD("control", "busy: malloc and free held up (lock wait, work, faults), without a flush; calls in a million"),
	HELD("flush", "busy: the same in the 100 ms from the beginning of a flush"),
};
const size_t bench_n_tables = sizeof(bench_tables) / sizeof(bench_tables[0]);

bool bench_listed(const char *list, const char *name)
{
	size_t length = strlen(name);
	const char *at = list;

	while ((at = strstr(at, name)) != NULL) {
		if ((at == list || at[-1] == ',') && (at[length] == '\0' || at[length] == ','))
			return true;
		at += length;
	}
	return false;
}

bool bench_wanted(const struct bench_options *options, const char *bench)
{
	return !options->only || bench_listed(options->only, bench);
}

bool bench_is_hakmem(const struct bench_lib *lib)
{
	return strcmp(lib->name, "hakmem") == 0;
}
