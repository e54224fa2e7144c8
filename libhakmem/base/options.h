/* SPDX-License-Identifier: MIT */
/*
 * The options: one table, read once from the environment, before threads.
 *
 * An option is an environment variable HAKMEM_<NAME>.  A process that runs with raised privileges (AT_SECURE)
 * reads none of them.  HAKMEM_HELP=1 prints the table and goes on.
 */
#ifndef HK_BASE_OPTIONS_H
#define HK_BASE_OPTIONS_H

#include "base/attr.h"
#include "protocol/wire.h"

#include <stdatomic.h>

enum hk_control_mode { HK_CONTROL_AUTO, HK_CONTROL_THREAD, HK_CONTROL_INLINE, HK_CONTROL_OFF };
enum hk_thp_mode { HK_THP_AUTO, HK_THP_NEVER, HK_THP_ALWAYS };

/* X(field, NAME, type, default, min, max, help); an enum's words stand in its type's list in options.c. */
#define HK_OPTIONS(X)                                                                                         \
	X(control, CONTROL, control, HK_CONTROL_AUTO, 0, 0,                                                   \
	  "how hakmemd reaches this process: a thread, inline on slow paths, or off; auto is thread, "        \
	  "or off under a seccomp filter")                                                                    \
	X(runtime_dir, RUNTIME_DIR, path, HKP_RUNTIME_DIR, 0, 0, "directory of hakmemd's sockets")                          \
	X(control_threshold_bytes, CONTROL_THRESHOLD, size, 4u << 20, 0, SIZE_MAX / 2,                        \
	  "heap in memory at which the process registers with hakmemd")                                            \
	X(decay_msec, DECAY_MSEC, number, 10000, 0, 86400000,                                                 \
	  "unused empty SuperSlabs and cached large blocks go back within about this time")                   \
	X(thp, THP, thp, HK_THP_AUTO, 0, 0,                                                                   \
	  "transparent huge pages for the heap; auto never lets a partly filled SuperSlab cost 2 MiB")        \
	X(check, CHECK, bool, 0, 0, 1, "find misuse of blocks: double free at once, overflow and use after free soon; slow")    \
	X(help, HELP, bool, 0, 0, 1, "print this table to standard error at start")

struct hk_options {
	enum hk_control_mode control;
	const char *runtime_dir; /* never NULL; absolute; a copy: programs overwrite their environment */
	uint64_t control_threshold_bytes;
	uint64_t decay_msec;
	enum hk_thp_mode thp;
	bool check;
	bool help;
};

/* Written by the constructor alone; defaults hold before it. */
extern struct hk_options hk_options;

/*
 * Set before the program gives itself a seccomp filter with prctl(), by front/identity.c, unless HAKMEM_CONTROL=thread says
 * that filters permit our calls.  From then on a call that can be left out is, for the filter may kill for it; but not by
 * the control thread, which was there before and stays without.
 */
extern _Atomic bool hk_filtered;
extern HK_TLS bool hk_is_control;

static inline bool hk_may_call(void)
{
	return !atomic_load_explicit(&hk_filtered, memory_order_relaxed) || hk_is_control;
}

/* Read the options from `envp`.  Unknown names and bad values get a line each and change nothing. */
void hk_options_init(char *const envp[], bool secure);

#endif
