/* SPDX-License-Identifier: MIT */
/* The lowest layer: bits against a naive model, locks, lines for people, options. */
#include "tests/libhakmem/unit.h"

#include <pthread.h>
#include <unistd.h>

#include "base/bits.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/options.h"

/* ---- bits ---------------------------------------------------------------------------------------------- */

static unsigned naive_find_run(uint32_t mask, unsigned count)
{
	for (unsigned at = 0; at + count <= 32; at++) {
		unsigned n = 0;
		while (n < count && (mask >> (at + n) & 1) != 0)
			n++;
		if (n == count)
			return at;
	}
	return 32;
}

static unsigned naive_longest(uint32_t mask)
{
	unsigned best = 0, n = 0;
	for (unsigned i = 0; i < 32; i++) {
		n = (mask >> i & 1) != 0 ? n + 1 : 0;
		best = HK_MAX(best, n);
	}
	return best;
}

/* Long runs are rare in random bits; so some masks are the union or the intersection of several. */
static uint32_t some_mask(uint64_t *seed)
{
	uint32_t mask = (uint32_t)unit_random(seed);
	for (unsigned n = unit_below(seed, 4); n != 0; n--)
		mask = unit_below(seed, 3) != 0 ? mask | (uint32_t)unit_random(seed) : mask & (uint32_t)unit_random(seed);
	return mask;
}

static void runs_match_a_naive_search(void **state)
{
	uint64_t seed = 1;
	(void)state;
	for (unsigned i = 0; i < 20000; i++) {
		uint32_t mask = i == 0 ? 0 : i == 1 ? UINT32_MAX : some_mask(&seed);
		assert_int_equal(hk_longest_run32(mask), naive_longest(mask));
		for (unsigned count = 1; count <= 32; count++)
			assert_int_equal(hk_find_run32(mask, count), naive_find_run(mask, count));
	}
}

static void masks_match_a_naive_loop(void **state)
{
	(void)state;
	for (unsigned first = 0; first < 64; first++)
		for (unsigned last = first; last < 64; last++) {
			uint64_t wanted = 0;
			for (unsigned i = first; i <= last; i++)
				wanted |= (uint64_t)1 << i;
			assert_true(hk_mask64(first, last) == wanted);
			if (last < 32)
				assert_true(hk_mask32(first, last - first + 1) == (uint32_t)wanted);
		}
}

static void bitmaps_match_bytes(void **state)
{
	uint64_t seed = 2, bitmap[5] = {0};
	uint8_t model[320] = {0};
	(void)state;
	for (unsigned round = 0; round < 20000; round++) {
		unsigned first = unit_below(&seed, 320), last = first + unit_below(&seed, 320 - first);
		bool all = true, set = unit_below(&seed, 2) != 0;
		for (unsigned i = first; i <= last; i++)
			all &= model[i] != 0;
		assert_int_equal(hk_bitmap_all(bitmap, first, last), all);
		if (last - first > 100)
			continue;
		memset(model + first, set, last - first + 1);
		(set ? hk_bitmap_set : hk_bitmap_clear)(bitmap, first, last);
		for (unsigned i = 0; i < 320; i++)
			assert_int_equal(bitmap[i / 64] >> i % 64 & 1, model[i]);
	}
}

/* ---- locks --------------------------------------------------------------------------------------------- */

static struct hk_lock lock = HK_LOCK_INIT(HK_RANK_LARGE);
static unsigned long guarded;

static void *lock_many(void *arg)
{
	(void)arg;
	for (unsigned i = 0; i < 50000; i++) {
		hk_lock_take(&lock);
		unsigned long seen = guarded;
		if (i % 1000 == 0)
			usleep(1); /* long enough for the others to go to sleep */
		guarded = seen + 1;
		hk_lock_drop(&lock);
	}
	return NULL;
}

static void lock_lets_one_in_at_a_time(void **state)
{
	pthread_t threads[4];
	(void)state;
	for (unsigned i = 0; i < HK_COUNT(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, lock_many, NULL), 0);
	for (unsigned i = 0; i < HK_COUNT(threads); i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(guarded, HK_COUNT(threads) * 50000);
	assert_int_equal(atomic_load(&lock.word), 0);
}

static void take_twice(void *arg)
{
	(void)arg;
	hk_lock_take(&lock);
	hk_lock_take(&lock);
}

/* Builds that check the order say it before the thread goes to sleep. */
static void lock_taken_twice_is_said(void **state)
{
	(void)state;
#ifdef HK_DEBUG
	unit_assert_aborts(take_twice, NULL, "hakmem: lock order: rank 6 taken while rank 6 is held\n");
#else
	unit_assert_aborts(take_twice, NULL, "hakmem: deadlock: a signal handler called malloc or free, and had interrupted "
					     "one of them\n");
#endif
}

#ifdef HK_DEBUG
static void take_downwards(void *arg)
{
	static struct hk_lock upper = HK_LOCK_INIT(HK_RANK_META), lower = HK_LOCK_INIT(HK_RANK_HEAP);
	(void)arg;
	hk_lock_take(&upper);
	hk_lock_take(&lower);
}

static void drop_not_held(void *arg)
{
	static struct hk_lock free_lock = HK_LOCK_INIT(HK_RANK_SWEEP);
	(void)arg;
	hk_lock_drop(&free_lock);
}

static void lock_ranks_are_checked(void **state)
{
	(void)state;
	unit_assert_aborts(take_downwards, NULL, "hakmem: lock order: rank 5 taken while rank 7 is held\n");
	unit_assert_aborts(drop_not_held, NULL, "hakmem: lock order: rank 2 dropped while not held\n");
}
#endif

/* ---- log ----------------------------------------------------------------------------------------------- */

static const char *format(size_t size, const char *text, ...)
{
	static char buffer[300];
	va_list ap;
	memset(buffer, 'x', sizeof buffer);
	va_start(ap, text);
	size_t n = hk_log_format(buffer, size, text, ap);
	va_end(ap);
	assert_int_equal(n, strlen(buffer));
	assert_int_equal(buffer[size], 'x');
	return buffer;
}

static void log_formats_what_it_says(void **state)
{
	(void)state;
	assert_string_equal(format(64, "a%sb%uc", "-", 0u), "a-b0c");
	assert_string_equal(format(64, "%u %lu", UINT32_MAX, UINT64_MAX), "4294967295 18446744073709551615");
	assert_string_equal(format(64, "%lx %x %c%%", 0xdeadbeefUL, 0u, 'q'), "0xdeadbeef 0x0 q%");
	assert_string_equal(format(8, "%s", "longer than that"), "longer ");
	assert_string_equal(format(8, "1234567%u", 9u), "1234567");
	assert_string_equal(format(1, "x"), "");
}

static void say_too_much(void *arg)
{
	char text[1000];
	(void)arg;
	memset(text, 'y', sizeof text - 1);
	text[sizeof text - 1] = '\0';
	hk_log("%s", text);
}

static void fatal_line(void *arg)
{
	hk_fatal("bad %s", (const char *)arg);
}

static void log_lines_are_cut_and_ended(void **state)
{
	(void)state;
	assert_int_equal(unit_in_child(say_too_much, NULL), 0);
	assert_int_equal(strlen(unit_said), 255);
	assert_memory_equal(unit_said, "hakmem: yy", 10);
	assert_int_equal(unit_said[254], '\n');
	unit_assert_aborts(fatal_line, (char *)"thing", "hakmem: bad thing\n");
}

/* ---- options ------------------------------------------------------------------------------------------- */

struct option_case {
	const char *line;  /* in the environment */
	const char *said;  /* "" = nothing */
	bool secure;
};

static void read_options(void *arg)
{
	const struct option_case *option = arg;
	char *line = strdup(option->line), *envp[] = {(char *)"PATH=/bin", line, NULL};
	hk_options_init(envp, option->secure);
	memset(line, '#', strlen(line)); /* a program may overwrite its environment */
	hk_log("%u %lu %lu %u %u %s", (unsigned)hk_options.control, hk_options.control_threshold_bytes,
	       hk_options.decay_msec, (unsigned)hk_options.thp, (unsigned)hk_options.check, hk_options.runtime_dir);
}

#define DEFAULTS "hakmem: 0 4194304 10000 0 0 /run/hakmemd\n"
#define BAD(name, value)                                                                                      \
	"hakmem: option HAKMEM_" name ": bad value '" value                                                   \
	"'; the default stays (HAKMEM_HELP=1 lists what is valid)\n" DEFAULTS
#define UNKNOWN(name, nearest)                                                                                \
	"hakmem: unknown option HAKMEM_" name "; the nearest valid name is HAKMEM_" nearest "\n" DEFAULTS

static const struct option_case option_cases[] = {
	{"HAKMEM=1", DEFAULTS, false},
	{"HAKMEM_NOEQUALS", DEFAULTS, false},
	{"HAKMEM_CONTROL=inline", "hakmem: 2 4194304 10000 0 0 /run/hakmemd\n", false},
	{"HAKMEM_CONTROL=off", DEFAULTS, true},
	{"HAKMEM_CONTROL=Off", BAD("CONTROL", "Off"), false},
	{"HAKMEM_CONTROL_THRESHOLD=16M", "hakmem: 0 16777216 10000 0 0 /run/hakmemd\n", false},
	{"HAKMEM_CONTROL_THRESHOLD=0", "hakmem: 0 0 10000 0 0 /run/hakmemd\n", false},
	{"HAKMEM_CONTROL_THRESHOLD=1T", BAD("CONTROL_THRESHOLD", "1T"), false},
	{"HAKMEM_CONTROL_THRESHOLD=1KK", BAD("CONTROL_THRESHOLD", "1KK"), false},
	{"HAKMEM_CONTROL_THRESHOLD=99999999999999999999", BAD("CONTROL_THRESHOLD", "99999999999999999999"), false},
	{"HAKMEM_CONTROL_THRESHOLD=18014398509481984K", BAD("CONTROL_THRESHOLD", "18014398509481984K"), false},
	{"HAKMEM_DECAY_MSEC=250", "hakmem: 0 4194304 250 0 0 /run/hakmemd\n", false},
	{"HAKMEM_DECAY_MSEC=", BAD("DECAY_MSEC", ""), false},
	{"HAKMEM_DECAY_MSEC=-1", BAD("DECAY_MSEC", "-1"), false},
	{"HAKMEM_DECAY_MSEC=1K", BAD("DECAY_MSEC", "1K"), false},
	{"HAKMEM_DECAY_MSEC=86400001", BAD("DECAY_MSEC", "86400001"), false},
	{"HAKMEM_CHECK=1", "hakmem: 0 4194304 10000 0 1 /run/hakmemd\n", false},
	{"HAKMEM_CHECK=2", BAD("CHECK", "2"), false},
	{"HAKMEM_THP=always", "hakmem: 0 4194304 10000 2 0 /run/hakmemd\n", false},
	{"HAKMEM_RUNTIME_DIR=/a/b", "hakmem: 0 4194304 10000 0 0 /a/b\n", false},
	{"HAKMEM_RUNTIME_DIR=a/b", BAD("RUNTIME_DIR", "a/b"), false},
	{"HAKMEM_DECAY_MSECS=1", UNKNOWN("DECAY_MSECS", "DECAY_MSEC"), false},
	{"HAKMEM_CHEK=1", UNKNOWN("CHEK", "CHECK"), false},
	{"HAKMEM_RUNTIMEDIR=/x", UNKNOWN("RUNTIMEDIR", "RUNTIME_DIR"), false},
	{"HAKMEM_=1", UNKNOWN("", "THP"), false},
};

static void options_are_read_or_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < HK_COUNT(option_cases); i++) {
		struct option_case option = option_cases[i];
		assert_int_equal(unit_in_child(read_options, &option), 0);
		assert_string_equal(unit_said, option.said);
	}
}

static void option_paths_have_a_limit(void **state)
{
	char line[200] = "HAKMEM_RUNTIME_DIR=/";
	struct option_case option = {.line = line};
	(void)state;
	size_t before = strlen("HAKMEM_RUNTIME_DIR=");
	memset(line + before + 1, 'p', 89);
	assert_int_equal(unit_in_child(read_options, &option), 0);
	assert_non_null(strstr(unit_said, "0 0 /ppp"));
	line[before + 90] = 'p';
	assert_int_equal(unit_in_child(read_options, &option), 0);
	assert_non_null(strstr(unit_said, "bad value '/ppp"));
	assert_non_null(strstr(unit_said, DEFAULTS));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(runs_match_a_naive_search),
		cmocka_unit_test(masks_match_a_naive_loop),
		cmocka_unit_test(bitmaps_match_bytes),
		cmocka_unit_test(lock_lets_one_in_at_a_time),
		cmocka_unit_test(lock_taken_twice_is_said),
#ifdef HK_DEBUG
		cmocka_unit_test(lock_ranks_are_checked),
#endif
		cmocka_unit_test(log_formats_what_it_says),
		cmocka_unit_test(log_lines_are_cut_and_ended),
		cmocka_unit_test(options_are_read_or_refused),
		cmocka_unit_test(option_paths_have_a_limit),
	};
	return cmocka_run_group_tests_name("base", tests, NULL, NULL);
}
