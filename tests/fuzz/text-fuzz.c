/* SPDX-License-Identifier: MIT */
/* Words and numbers of people. */
#include "hakmemd/text.h"

#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const names[] = {"config", "runtime-dir", "mode", "record", "help", "version"};
	char *text = fuzz_text(data, size), shown[32];
	uint64_t value = 5;

	if (text_to_u64(text, 3, 1000, &value) < 0)
		FUZZ_HOLDS(value == 5);
	FUZZ_HOLDS(value >= 3 && value <= 1000);
	(void)text_to_bytes(text, &value);
	FUZZ_HOLDS(strlen(text_bytes(value, shown, sizeof shown)) >= 3);
	if (text_to_nsec(text, 1000, &value) == 0)
		FUZZ_HOLDS(strlen(text_duration((double)value, shown, sizeof shown)) >= 3);
	(void)text_nearest(text, names, sizeof names / sizeof *names);
	text_printable(text, shown, sizeof shown);
	for (const char *c = shown; *c; c++)
		FUZZ_HOLDS(*c >= ' ' && *c <= '~');
	free(text);
	return 0;
}
