/* SPDX-License-Identifier: MIT */
/*
 * $MEMORY_PRESSURE_WATCH and $MEMORY_PRESSURE_WRITE: the first piece of the input is the one, the second the other.
 *
 * The path is given as /dev/null by most of the corpus, which means: do not watch.  It is never opened here.
 */
#include "policy/watch.h"

#include <stdio.h>

#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = fuzz_text(data, size), **environment = fuzz_environment(text, size);
	char *watch = NULL, *written = NULL, *named[3] = {0};

	FUZZ_HOLDS(asprintf(&watch, "MEMORY_PRESSURE_WATCH=%s", environment[0]) > 0);
	FUZZ_HOLDS(asprintf(&written, "MEMORY_PRESSURE_WRITE=%s", environment[1] ? environment[1] : "") > 0);
	named[0] = watch;
	named[1] = written;
	hk_watch_init(named);
	hk_watch_init(environment);
	free(watch);
	free(written);
	free(environment);
	free(text);
	return 0;
}
