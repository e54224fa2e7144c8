/* SPDX-License-Identifier: MIT */
/* Encoding and decoding of frames: see wire.h. */
#include "protocol/wire.h"

const char *hkp_level_name(unsigned level)
{
	static const char *const names[] = {"cold", "caches", "pages", "everything"};
	return level < sizeof names / sizeof *names ? names[level] : "unknown";
}
