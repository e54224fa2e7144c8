/* SPDX-License-Identifier: MIT */
/* hkp_encode and hkp_decode for tests that run without protocol/wire.c; little-endian machines only. */
#include "protocol/wire.h"

#include <errno.h>
#include <string.h>

static size_t stub_payload(unsigned type)
{
	switch (type) {
	case HKP_HELLO:
		return sizeof(struct hkp_hello);
	case HKP_BYE:
		return sizeof(struct hkp_bye_frame);
	case HKP_WELCOME:
		return sizeof(struct hkp_welcome);
	case HKP_FLUSH:
		return sizeof(struct hkp_flush);
	case HKP_RESULT:
		return sizeof(struct hkp_result);
	default:
		return 0;
	}
}

int hkp_encode(const struct hkp_frame *frame, void *buffer, size_t size)
{
	struct hkp_frame copy = *frame;
	size_t length = HKP_HEADER_BYTES + stub_payload(frame->header.type);

	if (length > size)
		return -EMSGSIZE;
	copy.header.magic = HKP_WIRE_MAGIC;
	copy.header.major = HKP_WIRE_MAJOR;
	copy.header.length = (uint16_t)length;
	memcpy(buffer, &copy, length);
	return (int)length;
}

int hkp_decode(const void *buffer, size_t length, struct hkp_frame *ret_frame)
{
	memset(ret_frame, 0, sizeof *ret_frame);
	if (length < HKP_HEADER_BYTES)
		return -EBADMSG;
	memcpy(ret_frame, buffer, length < sizeof *ret_frame ? length : sizeof *ret_frame);
	if (ret_frame->header.magic != HKP_WIRE_MAGIC || ret_frame->header.length != length)
		return -EBADMSG;
	if (ret_frame->header.major != HKP_WIRE_MAJOR)
		return -EPROTONOSUPPORT;
	return length < HKP_HEADER_BYTES + stub_payload(ret_frame->header.type) ? -EBADMSG : 0;
}
