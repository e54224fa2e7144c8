/* SPDX-License-Identifier: MIT */
/* $MEMORY_PRESSURE_WATCH, without and with a daemon. */
#include "harness.h"

#include "policy/watch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

static void watch(const char *path, const char *base64)
{
	setenv("MEMORY_PRESSURE_WATCH", path, 1);
	if (base64)
		setenv("MEMORY_PRESSURE_WRITE", base64, 1);
}

static bool flushed(void)
{
	return core.flushes > 0;
}

static int make_fifo(void)
{
	int fd;

	CHECK(mkfifo(in_runtime_dir("fifo"), 0600) == 0);
	fd = open(in_runtime_dir("fifo"), O_RDWR | O_CLOEXEC | O_NONBLOCK);
	CHECK(fd >= 0);
	return fd;
}

static bool watches_fifo(void)
{
	return fd_points_at(control_thread(), "/fifo");
}

static bool fifo_given_up(void)
{
	return thread_is_there() && !watches_fifo();
}

static void test_fifo(void)
{
	int fd = make_fifo();
	char written[8];

	watch(in_runtime_dir("fifo"), NULL);
	start();
	CHECK(wait_until(watches_fifo, 2000));
	CHECK(core.flushes == 0);
	CHECK(write(fd, "x", 1) == 1);
	CHECK(wait_until(flushed, 2000));
	CHECK(core.level == 2 && core.target_bytes == SIZE_MAX);
	for (int i = 0; i < 10; i++) { /* within the pause: discarded, not saved up */
		CHECK(write(fd, "x", 1) == 1);
		sleep_msec(5);
	}
	CHECK(core.flushes == 1);
	CHECK(read(fd, written, sizeof written) == -1 && errno == EAGAIN);
	sleep_msec(300);
	CHECK(core.flushes == 1);
	CHECK(write(fd, "x", 1) == 1);
	sleep_msec(50);
	CHECK(core.flushes == 2);
	close(fd); /* the end of the file is the end of the watch */
	CHECK(wait_until(fifo_given_up, 2000));
	CHECK(thread_is_there());
}

static void test_fifo_with_daemon(void)
{
	int fd = make_fifo(), listener = fake_listen(), conn;
	struct hkp_result result;
	char byte;

	watch(in_runtime_dir("fifo"), NULL);
	start();
	conn = fake_register(listener);
	CHECK(fake_flush(conn, 0, 1, &result));
	CHECK(write(fd, "x", 1) == 1);
	sleep_msec(100);
	CHECK(core.flushes == 1); /* the daemon decides */
	CHECK(read(fd, &byte, 1) == -1 && errno == EAGAIN);
	close(listener);
	close(conn);
	sleep_msec(50);
	CHECK(write(fd, "x", 1) == 1);
	sleep_msec(100);
	CHECK(core.flushes == 2);
}

static void test_socket(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), fd;
	char greeting[16];

	snprintf(address.sun_path, sizeof address.sun_path, "%s/watch.sock", runtime_dir);
	CHECK(bind(listener, (struct sockaddr *)&address, sizeof address) == 0 && listen(listener, 1) == 0);
	watch(address.sun_path, "aGVsbG8="); /* "hello" */
	start();
	fd = fake_accept(listener, 2000);
	CHECK(fd >= 0 && read(fd, greeting, sizeof greeting) == 5 && memcmp(greeting, "hello", 5) == 0);
	CHECK(write(fd, "x", 1) == 1);
	CHECK(wait_until(flushed, 2000));
	close(fd);
	CHECK(fake_accept(listener, 300) < 0);
	CHECK(open_fds(control_thread()) == 4);
}

static bool watches_psi(void)
{
	return fd_points_at(control_thread(), "/proc/pressure/memory");
}

static void test_psi(void)
{
	int probe = open("/proc/pressure/memory", O_RDWR | O_CLOEXEC);
	char before[32], after[32];

	if (probe < 0 || write(probe, "some 200000 2000000", 20) != 20)
		_exit(CASE_SKIP);
	watch("/proc/pressure/memory", "c29tZSAyMDAwMDAgMjAwMDAwMAA=");
	hk_control_timing.backoff_min_msec = hk_control_timing.backoff_max_msec = 60000;
	start();
	CHECK(wait_until(watches_psi, 2000));
	sleep_msec(50);
	CHECK(status_field(control_thread(), "voluntary_ctxt_switches:", before, sizeof before) == 0);
	sleep_msec(300);
	CHECK(status_field(control_thread(), "voluntary_ctxt_switches:", after, sizeof after) == 0);
	CHECK(atoi(after) - atoi(before) <= 1); /* it waits, it does not spin */
}

/* Nothing is opened, and above all nothing is written to. */
static void check_refused(const char *path, const char *base64)
{
	watch(path, base64);
	start();
	CHECK(wait_until(thread_is_there, 2000));
	sleep_msec(50);
	CHECK(open_fds(control_thread()) == 4 && core.flushes == 0);
}

static void test_device_is_refused(void)
{
	check_refused("/dev/zero", NULL); /* would be readable for ever */
}

static void test_plain_file_is_refused(void)
{
	int fd = open(in_runtime_dir("plain"), O_RDWR | O_CREAT, 0600);

	check_refused(in_runtime_dir("plain"), "aGVsbG8=");
	CHECK(lseek(fd, 0, SEEK_END) == 0);
}

static void test_dev_null_is_off(void)
{
	check_refused("/dev/null", NULL);
}

static void test_relative_path_is_refused(void)
{
	make_fifo();
	CHECK(chdir(runtime_dir) == 0);
	check_refused("fifo", NULL);
}

static void test_dotted_path_is_refused(void)
{
	char path[128];

	make_fifo();
	snprintf(path, sizeof path, "%s/../%s/fifo", runtime_dir, strrchr(runtime_dir, '/') + 1);
	check_refused(path, NULL);
}

static void test_bad_base64_is_refused(void)
{
	make_fifo();
	check_refused(in_runtime_dir("fifo"), "a*b");
}

int main(void)
{
	static const struct test_case cases[] = {
	        {"a FIFO", test_fifo, false},
	        {"with a daemon, it decides", test_fifo_with_daemon, false},
	        {"a stream socket", test_socket, false},
	        {"a PSI file", test_psi, false},
	        {"a device is refused", test_device_is_refused, false},
	        {"a plain file is refused", test_plain_file_is_refused, false},
	        {"/dev/null is off", test_dev_null_is_off, false},
	        {"a relative path is refused", test_relative_path_is_refused, false},
	        {"a path with dots is refused", test_dotted_path_is_refused, false},
	        {"bad base64 is refused", test_bad_base64_is_refused, false},
	};

	return run_cases(cases, HK_COUNT(cases));
}
