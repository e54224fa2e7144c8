/* SPDX-License-Identifier: MIT */
/* The connection to hakmemd: registration, flushes, faults, the board. */
#include "harness.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>

#define BOARD_SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

static void test_registers(void)
{
	const int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL;
	int listener = fake_listen(), fd, stats;
	struct ucred peer;
	socklen_t length = sizeof peer;
	struct hkp_frame hello;
	struct hkp_stats head;
	struct stat st;

	start();
	fd = fake_accept(listener, 2000);
	CHECK(fd >= 0);
	CHECK(fake_receive(fd, &hello, &stats, 2000) == 1);
	CHECK(hello.header.type == HKP_HELLO);
	CHECK(hello.hello.stats_bytes == HKP_STATS_BYTES);
	CHECK(hello.hello.library_version == 1 << 8);
	CHECK(stats >= 0 && fstat(stats, &st) == 0 && st.st_size == HKP_STATS_BYTES);
	CHECK((fcntl(stats, F_GET_SEALS) & seals) == seals);
	CHECK(pread(stats, &head, sizeof head, 0) == sizeof head && head.magic == HKP_STATS_MAGIC);
	CHECK(getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) == 0);
	CHECK(peer.pid == getpid() && peer.uid == geteuid());
}

static void test_flush_and_survey(void)
{
	struct hkp_frame survey = {.header = {.type = HKP_SURVEY, .seq = 78}}, answer;
	struct hkp_frame flush = {.header = {.type = HKP_FLUSH, .seq = 79}};
	int listener = fake_listen(), fd, stray;
	struct hkp_result result;

	start();
	fd = fake_register(listener);
	CHECK(fake_flush(fd, 2, 77, &result));
	CHECK(core.flushes == 1 && core.level == 2 && core.target_bytes == 1u << 20 &&
	      core.budget_usec == 30000);
	CHECK(result.status == HKP_STATUS_PARTIAL && result.level == 2 && result.released_bytes == 4096);
	CHECK(result.usec == 7 && result.first_usec == 3 && result.threads_swept == 2 &&
	      result.threads_pending == 1);
	CHECK(result.releasable_bytes == 12345);

	CHECK(fake_send(fd, &survey, NULL, 0) && fake_receive(fd, &answer, &stray, 2000) == 1);
	CHECK(answer.header.type == HKP_RESULT && answer.header.seq == 78 && core.surveys == 1);
	CHECK(answer.result.releasable_bytes == 12345 && core.flushes == 1);

	/* An unknown level is the deepest; no deadline is the default one, a long one is cut. */
	flush.flush.level = 9;
	CHECK(fake_send(fd, &flush, NULL, 0) && fake_receive(fd, &answer, &stray, 2000) == 1);
	CHECK(core.level == 3 && answer.result.level == 3 && core.budget_usec == 1000000);
	flush.flush.deadline_msec = UINT32_MAX;
	CHECK(fake_send(fd, &flush, NULL, 0) && fake_receive(fd, &answer, &stray, 2000) == 1);
	CHECK(core.budget_usec == 5000000);

	/* Threads that rest: with level 0 only. */
	CHECK(core.rest_nsec == 0);
	flush.flush.rest_msec = 5000;
	CHECK(fake_send(fd, &flush, NULL, 0) && fake_receive(fd, &answer, &stray, 2000) == 1);
	CHECK(core.level == 3 && core.rest_nsec == 0);
	flush.flush.level = 0;
	CHECK(fake_send(fd, &flush, NULL, 0) && fake_receive(fd, &answer, &stray, 2000) == 1);
	CHECK(core.level == 0 && core.rest_nsec == 5000000000 && answer.result.level == 0);
}

static void test_daemon_dies_and_returns(void)
{
	int listener = fake_listen(), fd;
	struct hkp_result result;

	start();
	for (unsigned i = 0; i < 5; i++) {
		fd = fake_register(listener);
		CHECK(fake_flush(fd, 1, i, &result));
		close(fd);
		close(listener);
		sleep_msec(i % 2 ? 100 : 0); /* connection refused for a while, or not at all */
		listener = fake_listen();
	}
	fd = fake_register(listener);
	CHECK(fake_flush(fd, 1, 99, &result));
	CHECK(core.publishes == 1 && task_count() == 2);
}

static void test_no_daemon_then_one(void)
{
	start();
	sleep_msec(150);
	CHECK(core.publishes == 0); /* no segment for nobody */
	fake_register(fake_listen());
}

/* A daemon that hangs with a full backlog must not hold the thread up. */
static void test_full_backlog(void)
{
	int listener = fake_listen(), fds[64];
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	uint64_t begin;

	snprintf(address.sun_path, sizeof address.sun_path, "%s/%s", runtime_dir, HKP_CLIENT_SOCKET);
	CHECK(listener >= 0);
	for (size_t i = 0; i < HK_COUNT(fds); i++) {
		fds[i] = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0);
		if (connect(fds[i], (struct sockaddr *)&address, sizeof address) != 0)
			break;
	}
	start();
	CHECK(wait_until(thread_is_there, 2000));
	sleep_msec(100);
	begin = now_nsec();
	CHECK(hk_control_stop());
	CHECK(now_nsec() - begin < 1000000000u);
}

static void test_bye_stay_away(void)
{
	struct hkp_frame bye = {.header.type = HKP_BYE, .bye = {HKP_BYE_STOPPED, 1}};
	int listener = fake_listen(), fd;
	uint64_t begin;

	start();
	fd = fake_register(listener);
	begin = now_nsec();
	CHECK(fake_send(fd, &bye, NULL, 0));
	CHECK(fake_accept(listener, 400) < 0);
	/* A thread started anew keeps away as well. */
	CHECK(hk_control_stop());
	hk_control_resume();
	hk_control_poke();
	CHECK(fake_accept(listener, 400) < 0);
	CHECK(fake_accept(listener, 3000) >= 0);
	CHECK(now_nsec() - begin >= 1000000000u);
}

/* Nobody knocks while the daemon is stopped on purpose, not even a process that it never knew. */
static void test_stopped(void)
{
	int listener = fake_listen(), fd = open(in_runtime_dir("stopped"), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

	CHECK(fd >= 0);
	start();
	CHECK(fake_accept(listener, 600) < 0);
	CHECK(unlink(in_runtime_dir("stopped")) == 0);
	CHECK(fake_accept(listener, 3000) >= 0);
}

/* However long the daemon was missing before: once it was there, the delays begin again from the shortest. */
static void test_bye_restart_returns_at_once(void)
{
	struct hkp_frame bye = {.header.type = HKP_BYE, .bye = {HKP_BYE_RESTART, 0}};
	int listener, fd;

	hk_control_timing.backoff_max_msec = 60000;
	start();
	sleep_msec(500);
	listener = fake_listen();
	fd = fake_register(listener);
	CHECK(fake_send(fd, &bye, NULL, 0));
	CHECK(fake_accept(listener, 100) >= 0);
}

/* The daemon that says QUOTA is asked again after the longest delay, not the shortest. */
static void test_bye_quota(void)
{
	struct hkp_frame bye = {.header.type = HKP_BYE, .bye = {HKP_BYE_QUOTA, 0}};
	int listener = fake_listen(), fd;

	hk_control_timing.backoff_max_msec = 2000;
	start();
	fd = fake_register(listener);
	CHECK(fake_send(fd, &bye, NULL, 0));
	CHECK(fake_accept(listener, 800) < 0);
	CHECK(fake_accept(listener, 3000) >= 0);
}

/* The frame that `spoil` made is answered by the end of the connection, and then by a new one. */
static void check_dropped(int *fd, int listener, const void *bytes, size_t length, int n_fds)
{
	int fds[32], stray, got;
	struct hkp_frame frame;

	for (int i = 0; i < n_fds; i++)
		fds[i] = STDIN_FILENO;
	CHECK(fake_send_raw(*fd, bytes, length, fds, (size_t)n_fds));
	got = fake_receive(*fd, &frame, &stray, 2000);
	CHECK(got == -1); /* not a RESULT, and not silence */
	close(*fd);
	*fd = fake_register(listener);
}

static void test_malformed(void)
{
	struct hkp_frame flush = {.header = {.type = HKP_FLUSH, .seq = 5}};
	unsigned char good[HKP_FRAME_MAX], bad[1024] = {0};
	int listener = fake_listen(), fd, length, before;
	struct hkp_result result;

	length = hkp_encode(&flush, good, sizeof good);
	CHECK(length > 0);
	start();
	fd = fake_register(listener);
	CHECK(fake_flush(fd, 0, 1, &result));
	before = open_fds(control_thread());

	memcpy(bad, good, (size_t)length);
	bad[0] ^= 1;
	check_dropped(&fd, listener, bad, (size_t)length, 0);      /* magic */
	check_dropped(&fd, listener, good, (size_t)length - 1, 0); /* shorter than it says */
	check_dropped(&fd, listener, good, 3, 0);                  /* not even a header */
	memcpy(bad, good, (size_t)length);
	bad[4] = 9;
	check_dropped(&fd, listener, bad, (size_t)length, 0); /* another major version */
	memcpy(bad, good, (size_t)length);
	check_dropped(&fd, listener, bad, sizeof bad, 0);       /* longer than any frame */
	check_dropped(&fd, listener, good, (size_t)length, 20); /* more descriptors than there is room for */
	CHECK(core.flushes == 1);
	CHECK(fake_flush(fd, 0, 2, &result));
	CHECK(open_fds(control_thread()) == before);
}

static void test_stray_descriptors(void)
{
	struct hkp_frame flush = {.header = {.type = HKP_FLUSH, .seq = 5}}, answer;
	int listener = fake_listen(), fd, before, stray, fds[3] = {0, 0, 0};
	struct hkp_result result;

	start();
	fd = fake_register(listener);
	CHECK(fake_flush(fd, 0, 1, &result));
	before = open_fds(control_thread());
	for (int i = 0; i < 20; i++) {
		CHECK(fake_send(fd, &flush, fds, 3));
		CHECK(fake_receive(fd, &answer, &stray, 2000) == 1 && answer.header.type == HKP_RESULT);
	}
	CHECK(fake_flush(fd, 0, 2, &result)); /* those of the frame before are closed by now */
	CHECK(open_fds(control_thread()) == before);
}

static void test_unknown_type_is_ignored(void)
{
	struct hkp_header header = {HKP_WIRE_MAGIC, HKP_WIRE_MAJOR, 99, sizeof header, 1, 0};
	int listener = fake_listen(), fd;
	struct hkp_result result;

	start();
	fd = fake_register(listener);
	CHECK(fake_send_raw(fd, &header, sizeof header, NULL, 0));
	CHECK(fake_flush(fd, 1, 2, &result));
}

/* Listen as `uid`: credentials are those of the moment of listen(). */
static int listen_as(uid_t uid)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof address.sun_path, "%s/%s", runtime_dir, HKP_CLIENT_SOCKET);
	unlink(address.sun_path);
	CHECK(bind(fd, (struct sockaddr *)&address, sizeof address) == 0);
	CHECK(syscall(SYS_setresuid, -1, uid, -1) == 0);
	CHECK(listen(fd, 8) == 0);
	CHECK(syscall(SYS_setresuid, -1, 0, -1) == 0);
	return fd;
}

static void test_peer_must_be_trusted(void)
{
	int listener = listen_as(1234), fd, stray;
	struct hkp_frame frame;

	start();
	fd = fake_accept(listener, 2000);
	CHECK(fd >= 0 && fake_receive(fd, &frame, &stray, 2000) == -1 && stray == -1);
	CHECK(core.publishes == 0);
	/* The owner of the directory would do, but not while others can write to it. */
	CHECK(chmod(runtime_dir, 0777) == 0 && chown(runtime_dir, 1234, 0) == 0);
	for (int i = 0; i < 3; i++) {
		fd = fake_accept(listener, 2000);
		CHECK(fd >= 0 && fake_receive(fd, &frame, &stray, 2000) == -1 && stray == -1);
		close(fd);
	}
	CHECK(chmod(runtime_dir, 0755) == 0);
	do /* an attempt made before the chmod may still be queued */
		fd = fake_accept(listener, 2000);
	while (fd >= 0 && fake_receive(fd, &frame, &stray, 2000) == -1);
	CHECK(fd >= 0 && stray >= 0 && frame.header.type == HKP_HELLO);
}

/* ---- the board ---- */

static unsigned level_now(void)
{
	return hk_board_level(now_nsec());
}

static bool board_is_critical(void)
{
	return level_now() == HKP_CRITICAL;
}

static void welcome_with(int fd, int board)
{
	struct hkp_frame welcome = {.header.type = HKP_WELCOME};
	struct hkp_result result;

	CHECK(fake_send(fd, &welcome, &board, board >= 0));
	CHECK(fake_flush(fd, 0, 1, &result)); /* it has been dealt with */
}

static void test_board(void)
{
	int listener = fake_listen(), fd, board = fake_board(HKP_MEDIUM, 60000, BOARD_SEALS);
	uint64_t calm = 0;

	CHECK(level_now() == HKP_CALM && hk_board_thread_budget(now_nsec()) == 0);
	start();
	fd = fake_register(listener);
	welcome_with(fd, board);
	CHECK(level_now() == HKP_MEDIUM);
	CHECK(hk_board_thread_budget(now_nsec()) == 1002 && hk_board_process_budget(now_nsec()) == 2002);
	CHECK(hk_board_level(now_nsec() + 61000000000u) == HKP_CALM); /* expired */
	CHECK(hk_board_thread_budget(now_nsec() + 61000000000u) == 0);
	CHECK(pwrite(board, &calm, sizeof calm, offsetof(struct hkp_board, level)) == sizeof calm);
	CHECK(level_now() == HKP_CALM); /* one store reaches us */
	calm = 1000;
	CHECK(pwrite(board, &calm, sizeof calm, offsetof(struct hkp_board, level)) == sizeof calm);
	CHECK(level_now() == HKP_CRITICAL);
	/* The next daemon's board takes the place of this one's. */
	welcome_with(fd, fake_board(HKP_LOW, 60000, BOARD_SEALS));
	CHECK(level_now() == HKP_LOW);
}

static void put(int board, size_t offset, uint64_t value)
{
	CHECK(pwrite(board, &value, sizeof value, (off_t)offset) == sizeof value);
}

static void welcome_domain(int fd, uint64_t domain)
{
	struct hkp_frame welcome = {.header.type = HKP_WELCOME, .welcome.domain = domain};
	struct hkp_result result;

	CHECK(fake_send(fd, &welcome, NULL, 0));
	CHECK(fake_flush(fd, 0, 1, &result));
}

/* A process goes by the slot of its own domain, beside the host's level; WELCOME without a board only moves it. */
static void test_board_of_the_domain(void)
{
	int listener = fake_listen(), fd, board = fake_board(HKP_LOW, 60000, BOARD_SEALS);
	size_t slot = offsetof(struct hkp_board, slots[1]);

	put(board, offsetof(struct hkp_board, n_slots), 2);
	put(board, offsetof(struct hkp_board, slots[0]) + offsetof(struct hkp_board_slot, domain), 71);
	put(board, slot + offsetof(struct hkp_board_slot, domain), 72);
	put(board, slot + offsetof(struct hkp_board_slot, level), HKP_CRITICAL);
	put(board, slot + offsetof(struct hkp_board_slot, thread_budget_bytes), 500);
	put(board, slot + offsetof(struct hkp_board_slot, expiry_nsec), now_nsec() + 30000000000u);
	start();
	fd = fake_register(listener);
	welcome_with(fd, board);
	CHECK(level_now() == HKP_LOW && hk_board_thread_budget(now_nsec()) == 1001);
	welcome_domain(fd, 72);
	CHECK(level_now() == HKP_CRITICAL && hk_board_thread_budget(now_nsec()) == 500);
	CHECK(hk_board_process_budget(now_nsec()) == 1 + 2000); /* the tighter of the host's and 16 times the thread's */
	CHECK(hk_board_level(now_nsec() + 31000000000u) == HKP_LOW); /* the slot expires by itself */
	put(board, offsetof(struct hkp_board, expiry_nsec), 0);
	CHECK(hk_board_thread_budget(now_nsec()) == 500 && hk_board_process_budget(now_nsec()) == 8000);
	welcome_domain(fd, 71);
	CHECK(level_now() == HKP_CALM && hk_board_thread_budget(now_nsec()) == 0);
	welcome_domain(fd, 73); /* has no slot */
	CHECK(level_now() == HKP_CALM);
}

static void test_board_refused(void)
{
	int listener = fake_listen(), fd, plain, zero = 0, small;
	int bad_magic = fake_board(HKP_CRITICAL, 60000, 0);

	start();
	fd = fake_register(listener);
	welcome_with(fd, fake_board(HKP_CRITICAL, 60000, 0)); /* could shrink under us */
	CHECK(level_now() == HKP_CALM);
	welcome_with(fd, fake_board(HKP_CRITICAL, 60000, F_SEAL_GROW));
	CHECK(level_now() == HKP_CALM);
	CHECK(pwrite(bad_magic, &zero, 4, 0) == 4 && fcntl(bad_magic, F_ADD_SEALS, BOARD_SEALS) == 0);
	welcome_with(fd, bad_magic);
	CHECK(level_now() == HKP_CALM);
	small = memfd_create("small", MFD_ALLOW_SEALING);
	CHECK(ftruncate(small, 100) == 0 && fcntl(small, F_ADD_SEALS, BOARD_SEALS) == 0);
	welcome_with(fd, small);
	plain = open(in_runtime_dir("plain"), O_RDWR | O_CREAT, 0644);
	CHECK(plain >= 0 && ftruncate(plain, HKP_BOARD_BYTES) == 0);
	welcome_with(fd, plain);
	welcome_with(fd, STDIN_FILENO);
	welcome_with(fd, -1); /* none at all */
	CHECK(level_now() == HKP_CALM);
	welcome_with(fd, fake_board(HKP_CRITICAL, 60000, BOARD_SEALS)); /* and a good one after all that */
	CHECK(level_now() == HKP_CRITICAL);
}

static void copy_board(int mode)
{
	char bytes[HKP_BOARD_BYTES];
	int board = fake_board(HKP_CRITICAL, 60000, 0), fd;

	CHECK(pread(board, bytes, sizeof bytes, 0) == sizeof bytes);
	fd = open(in_runtime_dir(HKP_BOARD_FILE), O_WRONLY | O_CREAT | O_TRUNC, mode);
	CHECK(fd >= 0 && write(fd, bytes, sizeof bytes) == sizeof bytes);
	close(fd);
	close(board);
}

static void test_inline(void)
{
	int before = open_fds(getpid());

	copy_board(0444);
	hk_options.control = HK_CONTROL_INLINE;
	hk_control_init(environ);
	CHECK(level_now() == HKP_CALM); /* not before the heap is worth it */
	hk_control_poke();
	CHECK(board_is_critical());
	CHECK(task_count() == 1 && open_fds(getpid()) == before);
	CHECK(hk_control_phase == HK_CONTROL_PHASE_IDLE);
}

static void test_inline_symlink(void)
{
	char plain[128];

	copy_board(0444);
	snprintf(plain, sizeof plain, "%s/plain", runtime_dir);
	CHECK(rename(in_runtime_dir(HKP_BOARD_FILE), plain) == 0);
	CHECK(symlink("plain", in_runtime_dir(HKP_BOARD_FILE)) == 0);
	hk_options.control = HK_CONTROL_INLINE;
	start();
	CHECK(level_now() == HKP_CALM);
}

static void test_inline_owner(void)
{
	copy_board(0444);
	CHECK(chown(in_runtime_dir(HKP_BOARD_FILE), 1234, 0) == 0);
	hk_options.control = HK_CONTROL_INLINE;
	start();
	CHECK(level_now() == HKP_CALM);
	CHECK(chown(runtime_dir, 1234, 0) == 0);
	hk_control_init(environ);
	hk_control_poke();
	CHECK(board_is_critical());
}

/* ---- a program that closes all its descriptors ---- */

struct shared {
	_Atomic int ready, go, good;
};

static void closing_program(struct shared *shared)
{
	int first, second;
	char text[8] = "";

	start();
	while (!shared->go)
		sleep_msec(1);
	CHECK(close_range(0, ~0u, 0) == 0);
	first = memfd_create("first", 0);
	second = memfd_create("second", 0);
	shared->ready = 1;
	while (shared->go == 1)
		sleep_msec(1);
	shared->good = first == 0 && second == 1 && pwrite(first, "mine", 5, 0) == 5 &&
	               pread(first, text, sizeof text, 0) == 5 && lseek(second, 0, SEEK_END) == 0 &&
	               strcmp(text, "mine") == 0;
	for (;;)
		pause();
}

static void test_program_closes_everything(void)
{
	struct shared *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int listener = fake_listen(), fd, status;
	struct hkp_result result;
	pid_t pid = fork_program();

	if (pid == 0)
		closing_program(shared);
	fd = fake_register(listener);
	shared->go = 1;
	while (!shared->ready)
		sleep_msec(1);
	for (unsigned i = 0; i < 10; i++)
		CHECK(fake_flush(fd, 1, i, &result));
	shared->go = 2;
	for (int i = 0; i < 1000 && !shared->good; i++)
		sleep_msec(1);
	CHECK(shared->good);
	/* The process may end at any moment; the connection with it. */
	CHECK(kill(pid, SIGKILL) == 0 && waitpid(pid, &status, 0) == pid);
	CHECK(!fake_flush(fd, 1, 1, &result));
}

static int compare_u64(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void test_latency(void)
{
	int listener = fake_listen(), fd;
	uint64_t nsec[300], begin;
	struct hkp_result result;

	start();
	fd = fake_register(listener);
	for (unsigned i = 0; i < HK_COUNT(nsec); i++) {
		sleep_msec(1); /* so that it sleeps */
		begin = now_nsec();
		CHECK(fake_flush(fd, 1, i, &result));
		nsec[i] = now_nsec() - begin;
	}
	qsort(nsec, HK_COUNT(nsec), sizeof *nsec, compare_u64);
	printf("# FLUSH -> RESULT: median %lu us, p99 %lu us\n", (unsigned long)nsec[150] / 1000,
	       (unsigned long)nsec[297] / 1000);
	CHECK(nsec[150] < 10000000);
}

/* Connected and nothing to do: not one wake-up. */
static void test_sleeps(void)
{
	int listener = fake_listen(), fd;
	char before[32], after[32];
	struct hkp_result result;

	start();
	fd = fake_register(listener);
	CHECK(fake_flush(fd, 1, 1, &result));
	sleep_msec(50);
	CHECK(status_field(control_thread(), "voluntary_ctxt_switches:", before, sizeof before) == 0);
	sleep_msec(1000);
	CHECK(status_field(control_thread(), "voluntary_ctxt_switches:", after, sizeof after) == 0);
	CHECK(strcmp(before, after) == 0);
}

/* Without a daemon the attempts become rare: of 40 ms doubling to 60 s, at most six in the first second. */
static void test_backs_off(void)
{
	char before[32], after[32];

	hk_control_timing.backoff_max_msec = 60000;
	start();
	CHECK(wait_until(thread_is_there, 2000));
	CHECK(status_field(control_thread(), "voluntary_ctxt_switches:", before, sizeof before) == 0);
	sleep_msec(1000);
	CHECK(status_field(control_thread(), "voluntary_ctxt_switches:", after, sizeof after) == 0);
	printf("# woke up %d times in the first second\n", atoi(after) - atoi(before));
	CHECK(atoi(after) - atoi(before) >= 2 && atoi(after) - atoi(before) <= 10);
}

int main(void)
{
	static const struct test_case cases[] = {
	        {"registers with a sealed stats segment", test_registers, false},
	        {"FLUSH and SURVEY are answered", test_flush_and_survey, false},
	        {"the daemon dies and returns", test_daemon_dies_and_returns, false},
	        {"no daemon at first", test_no_daemon_then_one, false},
	        {"a daemon that hangs does not hold the thread up", test_full_backlog, false},
	        {"BYE: stays away as long as told", test_bye_stay_away, false},
	        {"a daemon that was stopped on purpose is not called upon", test_stopped, false},
	        {"BYE: returns at once after a restart", test_bye_restart_returns_at_once, false},
	        {"BYE: a full daemon is asked again late", test_bye_quota, false},
	        {"malformed frames end the connection", test_malformed, false},
	        {"stray descriptors are closed", test_stray_descriptors, false},
	        {"unknown types are ignored", test_unknown_type_is_ignored, false},
	        {"the daemon's uid must be trusted", test_peer_must_be_trusted, true},
	        {"the board is read, expires and is replaced", test_board, false},
	        {"the board's slot of the own domain", test_board_of_the_domain, false},
	        {"a bad board is refused", test_board_refused, false},
	        {"inline: the board file, no thread, no descriptor", test_inline, false},
	        {"inline: no symlink", test_inline_symlink, false},
	        {"inline: the file's owner must be trusted", test_inline_owner, true},
	        {"a program that closes all descriptors", test_program_closes_everything, false},
	        {"latency of a flush", test_latency, false},
	        {"no wake-up while nothing happens", test_sleeps, false},
	        {"attempts to connect become rare", test_backs_off, false},
	};

	return run_cases(cases, HK_COUNT(cases));
}
