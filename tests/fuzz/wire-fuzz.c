/* SPDX-License-Identifier: MIT */
/* Frames: what decodes encodes, and decodes to the same again; names are there for every number. */
#include "protocol/wire.h"

#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct hkp_frame frame, again;
	uint8_t bytes[HKP_FRAME_MAX];
	int length;

	if (hkp_decode(data, size, &frame) < 0)
		return 0;
	FUZZ_HOLDS(size >= HKP_HEADER_BYTES && size <= HKP_FRAME_MAX && frame.header.length == size);
	FUZZ_HOLDS(hkp_type_name(frame.header.type) && hkp_status_name(frame.result.status) &&
		hkp_reason_name(frame.flush.reason) && hkp_level_name(frame.flush.level));
	length = hkp_encode(&frame, bytes, sizeof bytes);
	if (length < 0)
		return 0; /* a type of a later 1.x */
	FUZZ_HOLDS(hkp_decode(bytes, (size_t)length, &again) == 0);
	again.header.length = frame.header.length; /* a longer one of a later 1.x */
	FUZZ_HOLDS(memcmp(&frame, &again, sizeof frame) == 0);
	return 0;
}
