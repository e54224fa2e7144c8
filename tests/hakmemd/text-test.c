/* SPDX-License-Identifier: MIT */
/* Text to values, and configuration files. */
#include "tests/hakmemd/unit.h"

#include <errno.h>

#include "hakmemd/config.h"
#include "hakmemd/text.h"
#include "hakmemd/util.h"

static void test_distance(void **state)
{
	(void)state;
	assert_int_equal(text_distance("flush", "flush"), 0);
	assert_int_equal(text_distance("flsh", "flush"), 1);
	assert_int_equal(text_distance("fulsh", "flush"), 1);
	assert_int_equal(text_distance("", "abc"), 3);
	assert_int_equal(text_distance("Mode", "mode"), 0);
}

static void test_nearest(void **state)
{
	static const char *const names[] = {"status", "stats", "flush"};

	(void)state;
	assert_string_equal(text_nearest("flsh", names, 3), "flush");
	assert_string_equal(text_nearest("stat", names, 3), "status");
	assert_null(text_nearest("xyzzy", names, 3));
}

static void test_numbers(void **state)
{
	uint64_t value;
	char text[32];

	(void)state;
	assert_int_equal(text_to_bytes("1.5M", &value), 0);
	assert_int_equal(value, 1572864);
	assert_int_equal(text_to_bytes("512KiB", &value), 0);
	assert_int_equal(value, 524288);
	assert_int_equal(text_to_bytes("-1", &value), -EINVAL);
	assert_int_equal(text_to_bytes("1Q", &value), -EINVAL);
	assert_int_equal(text_to_bytes("99999999999T", &value), -ERANGE);
	assert_int_equal(text_to_nsec("500ms", NSEC_PER_SEC, &value), 0);
	assert_int_equal(value, 500 * NSEC_PER_MSEC);
	assert_int_equal(text_to_nsec("2", NSEC_PER_SEC, &value), 0);
	assert_int_equal(value, 2 * NSEC_PER_SEC);
	assert_int_equal(text_to_nsec("2 parsec", NSEC_PER_SEC, &value), -EINVAL);
	assert_int_equal(text_to_u64("18446744073709551616", 0, UINT64_MAX, &value), -ERANGE);
	assert_int_equal(text_to_u64("12x", 0, UINT64_MAX, &value), -EINVAL);
	assert_string_equal(text_bytes(64159744, text, sizeof text), "61.2 MiB");
	assert_string_equal(text_bytes(1048575, text, sizeof text), "1.0 MiB");
	text_printable("a\nb\x1b[31m", text, sizeof text);
	assert_string_equal(text, "a?b?[31m");
}

/* Complaints, one per line, so that a test can look for them. */
static void complain(void *data, const char *line)
{
	strcat(data, line);
	strcat(data, "\n");
}

static int parse(const char *text, struct config *ret_config, char *complaints)
{
	FILE *file = fmemopen((void *)(uintptr_t)text, strlen(text), "r");
	int r;

	*complaints = '\0';
	assert_non_null(file);
	r = config_parse(file, "x.conf", complain, complaints, ret_config);
	fclose(file);
	return r;
}

static void test_config_defaults(void **state)
{
	struct config config;

	(void)state;
	config_init(&config);
	assert_int_equal(config.policy.idle_nsec, 30 * NSEC_PER_SEC);
	assert_int_equal(config.policy.enter[0].stall_usec, 70000);
	assert_int_equal(config.policy.enter[1].window_usec, 2000000);
	assert_true(config.policy.enter[2].full);
	assert_int_equal(config.mode, CONFIG_MODE_ACT);
	assert_string_equal(config.control_group, "hakmem");
}

static void test_config_values(void **state)
{
	struct config config;
	char complaints[1024];

	(void)state;
	assert_int_equal(parse("# a comment\n[Idle]\n ProcessIdleSec = 500ms \nFloorBytes=2M\n\n[Daemon]\n"
			       "Mode=observe\n[Pressure]\nLowThreshold=some 50ms/500ms\nHeadroomMedium=12.5%\n",
				 &config, complaints), 0);
	assert_int_equal(config.policy.idle_nsec, 500 * NSEC_PER_MSEC);
	assert_int_equal(config.policy.idle_floor_bytes, 2 << 20);
	assert_int_equal(config.policy.floor_bytes, 1 << 20); /* [Flush] has one of its own */
	assert_int_equal(config.mode, CONFIG_MODE_OBSERVE);
	assert_int_equal(config.policy.enter[0].window_usec, 500000);
	assert_true(config.policy.headroom_medium > 0.124 && config.policy.headroom_medium < 0.126);
}

static void test_config_wrong(void **state)
{
	static const struct {
		const char *text, *complaint;
	} wrong[] = {
		{"[Idle]\nProcesIdleSec=3\n", "x.conf:2: unknown key \"ProcesIdleSec\" in [Idle], did you mean \"ProcessIdleSec\"?"},
		{"[Idel]\nProcessIdleSec=3\n", "x.conf:1: unknown section [Idel], did you mean [Idle]?"},
		{"[Idle]\nTimeoutMs=3\n", "x.conf:2: unknown key \"TimeoutMs\" in [Idle], did you mean the one in [Flush]?"},
		{"[Idle]\nFloorBytes=lots\n", "x.conf:2: FloorBytes=lots is not understood; write it like FloorBytes=1M"},
		{"[Limits]\nClientsMax=0\n", "x.conf:2: ClientsMax=0 is out of range"},
		{"[Pressure]\nLowThreshold=3s/1s\n", "x.conf:2: LowThreshold=3s/1s is out of range"},
		{"[Pressure]\nHeadroomMedium=10\n", "x.conf:2: HeadroomMedium=10 is not understood; write it like HeadroomMedium=10%"},
		{"Mode=act\n", "x.conf:1: a key before the first [Section]"},
		{"[Daemon]\nwhat\n", "x.conf:2: neither [Section] nor Key=Value"},
		{"[Daemon]\nMode=perhaps\n", "x.conf:2: Mode=perhaps is not understood; write it like Mode=act"},
	};
	struct config config = {.timeout_nsec = 42};
	char complaints[4096];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		assert_int_equal(parse(wrong[i].text, &config, complaints), -EINVAL);
		complaints[strcspn(complaints, "\n")] = '\0';
		assert_string_equal(complaints, wrong[i].complaint);
		assert_int_equal(config.timeout_nsec, 42); /* left alone */
	}
	/* Every wrong line is named, not the first alone. */
	assert_int_equal(parse("[Idle]\nA=1\nB=2\n", &config, complaints), -EINVAL);
	assert_non_null(strstr(complaints, "x.conf:2:"));
	assert_non_null(strstr(complaints, "x.conf:3:"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_distance),
		cmocka_unit_test(test_nearest),
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_config_defaults),
		cmocka_unit_test(test_config_values),
		cmocka_unit_test(test_config_wrong),
	};

	return cmocka_run_group_tests_name("text", tests, NULL, NULL);
}
