/* SPDX-License-Identifier: MIT */
/* The library's options: any environment leaves each of them within its limits. */
#include "base/options.h"

#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = fuzz_text(data, size), **environment = fuzz_environment(text, size);

	hk_options_init(environment, true); /* a privileged process reads nothing */
	hk_options_init(environment, false);
	FUZZ_HOLDS(hk_options.control <= HK_CONTROL_OFF && hk_options.thp <= HK_THP_ALWAYS);
	FUZZ_HOLDS(hk_options.runtime_dir[0] == '/' && strlen(hk_options.runtime_dir) <= 90);
	FUZZ_HOLDS(hk_options.decay_msec <= 86400000 && hk_options.control_threshold_bytes <= SIZE_MAX / 2);
	hk_options.help = false;
	free(environment);
	free(text);
	return 0;
}
