/* SPDX-License-Identifier: MIT */
/* Frames: golden bytes, growth, and everything that must be refused. */
#include <config.h>

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* cmocka wants the four above before it */
#include <cmocka.h>

#include "protocol/wire.h"

#define N(array) (sizeof(array) / sizeof *(array))

/* Golden frames: they change only with a major version. */
static const struct golden {
	struct hkp_frame frame;
	const char *hex;
} golden[] = {
	{{.header = {.type = HKP_HELLO, .seq = 0},
		 .hello = {.library_version = 0x00010203, .flags = 0, .stats_bytes = 8192}},
		"484b4d31" "01" "0a" "2000" "00000000" "00000000" "03020100" "00000000" "0020000000000000"},
	{{.header = {.type = HKP_BYE, .seq = 7}, .bye = {.reason = HKP_BYE_STOPPED, .stay_away_sec = 300}},
		"484b4d31" "01" "0b" "1800" "07000000" "00000000" "02000000" "2c010000"},
	{{.header = {.type = HKP_WELCOME},
		 .welcome = {.client_id = 0x1122334455667788, .daemon_version = 0x100, .flags = 0, .domain = 0x3039}},
		"484b4d31" "01" "14" "2800" "00000000" "00000000" "8877665544332211" "00010000" "00000000"
		"3930000000000000"},
	{{.header = {.type = HKP_FLUSH, .seq = 0x01020304},
		 .flush = {.level = 2, .reason = HKP_REASON_IDLE, .target_bytes = UINT64_MAX, .deadline_msec = 1500}},
		"484b4d31" "01" "1e" "2800" "04030201" "00000000" "02000000" "02000000" "ffffffffffffffff"
		"dc050000" "00000000"},
	{{.header = {.type = HKP_RESULT, .seq = 0x01020304},
		 .result = {.status = HKP_STATUS_PARTIAL,
			 .level = 2,
			 .released_bytes = 0x4000000,
			 .usec = 3100,
			 .threads_swept = 8,
			 .threads_pending = 1,
			 .releasable_bytes = 4096,
			 .first_usec = 70}},
		"484b4d31" "01" "1f" "4000" "04030201" "00000000" "01000000" "02000000" "0000000400000000"
		"1c0c000000000000" "08000000" "01000000" "0010000000000000" "4600000000000000"},
	{{.header = {.type = HKP_SURVEY, .seq = 9}}, "484b4d31" "01" "20" "1000" "09000000" "00000000"},
};

static size_t from_hex(const char *hex, uint8_t *bytes)
{
	size_t n = strlen(hex) / 2;
	unsigned byte;

	for (size_t i = 0; i < n; i++) {
		assert_int_equal(sscanf(hex + 2 * i, "%2x", &byte), 1);
		bytes[i] = (uint8_t)byte;
	}
	return n;
}

static void test_golden(void **state)
{
	uint8_t wanted[HKP_FRAME_MAX], made[HKP_FRAME_MAX];
	struct hkp_frame back;

	(void)state;
	for (size_t i = 0; i < N(golden); i++) {
		size_t length = from_hex(golden[i].hex, wanted);

		assert_int_equal(hkp_encode(&golden[i].frame, made, sizeof made), length);
		assert_memory_equal(made, wanted, length);
		assert_int_equal(hkp_decode(wanted, length, &back), 0);
		assert_int_equal(back.header.type, golden[i].frame.header.type);
		assert_int_equal(back.header.seq, golden[i].frame.header.seq);
		assert_memory_equal(&back.hello, &golden[i].frame.hello, sizeof back - sizeof back.header);
	}
}

/* Bytes at the end of a frame that 1.0 did not have: a record without them is whole. */
static size_t n_later(const struct golden *frame)
{
	return frame->frame.header.type == HKP_WELCOME ? sizeof(uint64_t) : 0;
}

/* Every shorter record of every frame is refused, also where its length field agrees; reads stay inside. */
static void test_truncated(void **state)
{
	uint8_t bytes[HKP_FRAME_MAX];
	struct hkp_frame back;

	(void)state;
	for (size_t i = 0; i < N(golden); i++) {
		size_t length = from_hex(golden[i].hex, bytes);

		for (size_t cut = 0; cut < length; cut++) {
			uint8_t *exact = malloc(cut ? cut : 1); /* so that a sanitizer sees a read beyond */

			memcpy(exact, bytes, cut);
			assert_int_equal(hkp_decode(exact, cut, &back), -EBADMSG);
			if (cut >= 8) {
				exact[6] = (uint8_t)cut;
				assert_int_equal(hkp_decode(exact, cut, &back),
					cut == length - n_later(&golden[i]) ? 0 : -EBADMSG);
			}
			free(exact);
		}
	}
}

static void test_wrong_header(void **state)
{
	uint8_t bytes[HKP_FRAME_MAX + 1] = {0};
	struct hkp_frame back;
	size_t length = from_hex(golden[3].hex, bytes);

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		bytes[i] ^= 1;
		assert_int_equal(hkp_decode(bytes, length, &back), -EBADMSG);
		bytes[i] ^= 1;
	}
	bytes[4] = 2;
	assert_int_equal(hkp_decode(bytes, length, &back), -EPROTONOSUPPORT);
	bytes[4] = 1;
	bytes[6]++;
	assert_int_equal(hkp_decode(bytes, length, &back), -EBADMSG);
	bytes[6]--;
	assert_int_equal(hkp_decode(bytes, length, &back), 0);
	bytes[6] = 1;
	bytes[7] = 1; /* 257 */
	assert_int_equal(hkp_decode(bytes, HKP_FRAME_MAX + 1, &back), -EBADMSG);
}

/* A later 1.x: more at the end is ignored, an unknown type comes through as a header. */
static void test_growth(void **state)
{
	uint8_t bytes[HKP_FRAME_MAX] = {0};
	struct hkp_frame back;
	size_t length = from_hex(golden[3].hex, bytes);

	(void)state;
	memset(bytes + length, 0xee, 8);
	bytes[6] = (uint8_t)(length + 8);
	assert_int_equal(hkp_decode(bytes, length + 8, &back), 0);
	assert_memory_equal(&back.flush, &golden[3].frame.flush, sizeof back.flush);
	bytes[5] = 99;
	assert_int_equal(hkp_decode(bytes, length + 8, &back), 0);
	assert_int_equal(back.header.type, 99);
	assert_int_equal(back.flush.level, 0);
}

static void test_encode_refuses(void **state)
{
	struct hkp_frame frame = {.header = {.type = 99}};
	uint8_t bytes[HKP_FRAME_MAX];

	(void)state;
	assert_int_equal(hkp_encode(&frame, bytes, sizeof bytes), -EINVAL);
	frame.header.type = HKP_RESULT;
	assert_int_equal(hkp_encode(&frame, bytes, 63), -EMSGSIZE);
	assert_int_equal(hkp_encode(&frame, bytes, 64), 64);
}

static void test_names(void **state)
{
	(void)state;
	assert_string_equal(hkp_type_name(HKP_FLUSH), "FLUSH");
	assert_string_equal(hkp_type_name(0), "unknown");
	assert_string_equal(hkp_status_name(HKP_STATUS_PARTIAL), "partial");
	assert_string_equal(hkp_status_name(77), "unknown");
	assert_string_equal(hkp_reason_name(HKP_REASON_PRESSURE), "pressure");
	assert_string_equal(hkp_reason_name(0), "unknown");
	assert_string_equal(hkp_level_name(3), "everything");
	assert_string_equal(hkp_level_name(4), "unknown");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_golden),
		cmocka_unit_test(test_truncated),
		cmocka_unit_test(test_wrong_header),
		cmocka_unit_test(test_growth),
		cmocka_unit_test(test_encode_refuses),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests_name("wire", tests, NULL, NULL);
}
