/* SPDX-License-Identifier: MIT */
/* The configuration: a file is taken whole, within its limits, or not at all and with a complaint. */
#include "hakmemd/config.h"

#include "tests/fuzz/fuzz.h"

static void fuzz_complain(void *data, const char *line)
{
	FUZZ_HOLDS(!strncmp(line, "fuzz:", 5));
	for (; *line; line++)
		FUZZ_HOLDS(*line >= ' ' && *line <= '~');
	++*(unsigned *)data;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct config before, config;
	unsigned n_complaints = 0;
	FILE *file;
	int r;

	if (!size)
		return 0;
	file = fmemopen((void *)(uintptr_t)data, size, "r");
	FUZZ_HOLDS(file);
	config_init(&before);
	config = before;
	r = config_parse(file, "fuzz", fuzz_complain, &n_complaints, &config);
	fclose(file);
	FUZZ_HOLDS((r < 0) == (n_complaints > 0));
	FUZZ_HOLDS(r == 0 || memcmp(&config, &before, sizeof config) == 0);
	FUZZ_HOLDS(config.clients_max >= 1 && config.control_max <= 4096 && config.mode <= CONFIG_MODE_OBSERVE);
	FUZZ_HOLDS(config.policy.headroom_medium >= 0 && config.policy.headroom_medium <= 1);
	for (size_t i = 0; i < sizeof config.policy.enter / sizeof *config.policy.enter; i++)
		FUZZ_HOLDS(config.policy.enter[i].stall_usec >= 1 &&
			config.policy.enter[i].stall_usec <= config.policy.enter[i].window_usec);
	return 0;
}
