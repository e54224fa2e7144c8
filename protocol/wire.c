/* SPDX-License-Identifier: MIT */
/*
 * Encoding and decoding of frames: see wire.h.
 *
 * How: one table of fields per frame type, in wire order.  Encoder and decoder walk the same table, so they
 * cannot disagree.  A field that a later 1.x adds goes to the end of its table, and `n_required` stays what
 * 1.0 had.
 */
#include "protocol/wire.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#define N_ELEMENTS(array) (sizeof(array) / sizeof *(array))

struct wire_field {
	uint16_t offset; /* in struct hkp_frame */
	uint16_t bytes;  /* 4 or 8 */
};

struct wire_layout {
	uint8_t type;
	uint8_t n_fields;
	uint8_t n_required; /* fields that 1.0 had: a frame without them is malformed */
	const char *name;
	const struct wire_field *fields;
};

#define FIELD(member) {offsetof(struct hkp_frame, member), sizeof(((struct hkp_frame *)0)->member)}

static const struct wire_field wire_hello[] = {
	FIELD(hello.library_version), FIELD(hello.flags), FIELD(hello.stats_bytes)};
static const struct wire_field wire_bye[] = {FIELD(bye.reason), FIELD(bye.stay_away_sec)};
static const struct wire_field wire_welcome[] = {
	FIELD(welcome.client_id), FIELD(welcome.daemon_version), FIELD(welcome.flags), FIELD(welcome.domain)};
static const struct wire_field wire_flush[] = {FIELD(flush.level), FIELD(flush.reason),
	FIELD(flush.target_bytes), FIELD(flush.deadline_msec), FIELD(flush.rest_msec)};
static const struct wire_field wire_result[] = {FIELD(result.status), FIELD(result.level),
	FIELD(result.released_bytes), FIELD(result.usec), FIELD(result.threads_swept),
	FIELD(result.threads_pending), FIELD(result.releasable_bytes), FIELD(result.first_usec)};

#define LAYOUT(type, name, fields) {type, N_ELEMENTS(fields), N_ELEMENTS(fields), name, fields}

static const struct wire_layout wire_layouts[] = {
	LAYOUT(HKP_HELLO, "HELLO", wire_hello),
	LAYOUT(HKP_BYE, "BYE", wire_bye),
	{HKP_WELCOME, N_ELEMENTS(wire_welcome), 3, "WELCOME", wire_welcome},
	LAYOUT(HKP_FLUSH, "FLUSH", wire_flush),
	LAYOUT(HKP_RESULT, "RESULT", wire_result),
	{HKP_SURVEY, 0, 0, "SURVEY", NULL},
};

/* The structs are packed by nature: their size is the payload's, so a field that the tables lack shows here. */
_Static_assert(sizeof(struct hkp_header) == HKP_HEADER_BYTES, "the header is part of the format");
_Static_assert(sizeof(struct hkp_hello) == 16, "HELLO of 1.0");
_Static_assert(sizeof(struct hkp_bye_frame) == 8, "BYE of 1.0");
_Static_assert(sizeof(struct hkp_welcome) == 24, "WELCOME of 1.0, and domain");
_Static_assert(sizeof(struct hkp_flush) == 24, "FLUSH of 1.0");
_Static_assert(sizeof(struct hkp_result) == 48, "RESULT of 1.0");
_Static_assert(sizeof(struct hkp_frame) <= HKP_FRAME_MAX, "every frame fits the largest record");

static const struct wire_layout *wire_find(unsigned type)
{
	for (size_t i = 0; i < N_ELEMENTS(wire_layouts); i++)
		if (wire_layouts[i].type == type)
			return &wire_layouts[i];
	return NULL;
}

static size_t wire_payload_bytes(const struct wire_layout *layout, size_t n_fields)
{
	size_t bytes = 0;

	for (size_t i = 0; i < n_fields; i++)
		bytes += layout->fields[i].bytes;
	return bytes;
}

static void wire_put(uint8_t *at, uint64_t value, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		at[i] = (uint8_t)(value >> (8 * i));
}

static uint64_t wire_get(const uint8_t *at, size_t bytes)
{
	uint64_t value = 0;

	for (size_t i = 0; i < bytes; i++)
		value |= (uint64_t)at[i] << (8 * i);
	return value;
}

static uint64_t wire_load(const struct hkp_frame *frame, struct wire_field field)
{
	const char *at = (const char *)frame + field.offset;
	uint64_t wide;
	uint32_t narrow;

	if (field.bytes == sizeof wide) {
		memcpy(&wide, at, sizeof wide);
		return wide;
	}
	memcpy(&narrow, at, sizeof narrow);
	return narrow;
}

static void wire_store(struct hkp_frame *frame, struct wire_field field, uint64_t value)
{
	char *at = (char *)frame + field.offset;
	uint32_t narrow = (uint32_t)value;

	if (field.bytes == sizeof value)
		memcpy(at, &value, sizeof value);
	else
		memcpy(at, &narrow, sizeof narrow);
}

int hkp_encode(const struct hkp_frame *frame, void *buffer, size_t size)
{
	const struct wire_layout *layout = wire_find(frame->header.type);
	uint8_t *bytes = buffer, *at;
	size_t length;

	if (!layout)
		return -EINVAL;
	length = HKP_HEADER_BYTES + wire_payload_bytes(layout, layout->n_fields);
	if (length > size)
		return -EMSGSIZE;
	wire_put(bytes, HKP_WIRE_MAGIC, 4);
	wire_put(bytes + 4, HKP_WIRE_MAJOR, 1);
	wire_put(bytes + 5, layout->type, 1);
	wire_put(bytes + 6, length, 2);
	wire_put(bytes + 8, frame->header.seq, 4);
	wire_put(bytes + 12, frame->header.flags, 4);
	at = bytes + HKP_HEADER_BYTES;
	for (size_t i = 0; i < layout->n_fields; i++) {
		wire_put(at, wire_load(frame, layout->fields[i]), layout->fields[i].bytes);
		at += layout->fields[i].bytes;
	}
	return (int)length;
}

static int wire_decode_header(const uint8_t *bytes, size_t length, struct hkp_header *ret)
{
	if (length < HKP_HEADER_BYTES || length > HKP_FRAME_MAX)
		return -EBADMSG;
	ret->magic = (uint32_t)wire_get(bytes, 4);
	ret->major = bytes[4];
	ret->type = bytes[5];
	ret->length = (uint16_t)wire_get(bytes + 6, 2);
	ret->seq = (uint32_t)wire_get(bytes + 8, 4);
	ret->flags = (uint32_t)wire_get(bytes + 12, 4);
	if (ret->magic != HKP_WIRE_MAGIC)
		return -EBADMSG;
	if (ret->major != HKP_WIRE_MAJOR)
		return -EPROTONOSUPPORT;
	return ret->length == length ? 0 : -EBADMSG;
}

int hkp_decode(const void *buffer, size_t length, struct hkp_frame *ret_frame)
{
	const uint8_t *bytes = buffer;
	const struct wire_layout *layout;
	size_t at = HKP_HEADER_BYTES;
	int r;

	memset(ret_frame, 0, sizeof *ret_frame);
	r = wire_decode_header(bytes, length, &ret_frame->header);
	if (r < 0)
		return r;
	layout = wire_find(ret_frame->header.type);
	if (!layout)
		return 0;
	if (length - at < wire_payload_bytes(layout, layout->n_required))
		return -EBADMSG;
	for (size_t i = 0; i < layout->n_fields && at < length; i++) {
		if (length - at < layout->fields[i].bytes)
			return -EBADMSG;
		wire_store(ret_frame, layout->fields[i], wire_get(bytes + at, layout->fields[i].bytes));
		at += layout->fields[i].bytes;
	}
	return 0;
}

const char *hkp_type_name(unsigned type)
{
	const struct wire_layout *layout = wire_find(type);

	return layout ? layout->name : "unknown";
}

static const char *wire_name(const char *const *names, size_t n_names, unsigned index)
{
	return index < n_names && names[index] ? names[index] : "unknown";
}

const char *hkp_status_name(unsigned status)
{
	static const char *const names[] = {"ok", "partial", "error"};
	return wire_name(names, N_ELEMENTS(names), status);
}

const char *hkp_reason_name(unsigned reason)
{
	static const char *const names[] = {
		[HKP_REASON_REQUEST] = "request", [HKP_REASON_IDLE] = "idle", [HKP_REASON_PRESSURE] = "pressure"};
	return wire_name(names, N_ELEMENTS(names), reason);
}

const char *hkp_level_name(unsigned level)
{
	static const char *const names[] = {"cold", "caches", "pages", "everything"};
	return wire_name(names, N_ELEMENTS(names), level);
}
