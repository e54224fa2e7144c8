/* SPDX-License-Identifier: MIT */
#include "harness.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>

char runtime_dir[64];

/* ---- cases ---- */

const char *in_runtime_dir(const char *name)
{
	static char path[128];

	snprintf(path, sizeof path, "%s/%s", runtime_dir, name);
	return path;
}

static void remove_runtime_dir(void)
{
	static const char *const names[] = {"client.sock", "board", "fifo", "watch.sock", "plain"};

	for (size_t i = 0; i < HK_COUNT(names); i++)
		unlink(in_runtime_dir(names[i]));
	rmdir(runtime_dir);
}

pid_t fork_program(void)
{
	pid_t pid = fork();

	if (pid == 0)
		prctl(PR_SET_PDEATHSIG, SIGKILL);
	return pid;
}

static int run_case(const struct test_case *test)
{
	int status = 0;
	pid_t pid;

	if (test->needs_root && geteuid() != 0)
		return CASE_SKIP;
	strcpy(runtime_dir, "/tmp/hakmem-control-XXXXXX");
	if (!mkdtemp(runtime_dir))
		return 1;
	chmod(runtime_dir, 0755);
	fflush(stdout);
	pid = fork_program();
	if (pid == 0) {
		hk_options.runtime_dir = runtime_dir;
		hk_options.control = HK_CONTROL_THREAD; /* the harness may itself run under a filter */
		hk_control_timing = (struct hk_control_timing){
		        .backoff_min_msec = 40, .backoff_max_msec = 160, .watch_pause_msec = 300};
		alarm(20);
		test->run();
		fflush(stdout);
		_exit(0);
	}
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		continue;
	remove_runtime_dir();
	if (WIFSIGNALED(status))
		printf("# killed by signal %d\n", WTERMSIG(status));
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

int run_cases(const struct test_case *cases, size_t n)
{
	int failed = 0;

	printf("1..%zu\n", n);
	for (size_t i = 0; i < n; i++) {
		int status = run_case(&cases[i]);

		failed += status != 0 && status != CASE_SKIP;
		printf("%s %zu - %s%s\n", status == 0 || status == CASE_SKIP ? "ok" : "not ok", i + 1,
		       cases[i].name, status == CASE_SKIP ? " # SKIP not possible here" : "");
	}
	return failed > 0;
}

/* ---- watching the process ---- */

uint64_t now_nsec(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

void sleep_msec(unsigned msec)
{
	struct timespec ts = {msec / 1000, (long)(msec % 1000) * 1000000};

	while (nanosleep(&ts, &ts) != 0)
		continue;
}

int task_count(void)
{
	DIR *dir = opendir("/proc/self/task");
	int n = 0;

	for (struct dirent *entry; (entry = readdir(dir));)
		n += entry->d_name[0] != '.';
	closedir(dir);
	return n;
}

int control_thread(void)
{
	DIR *dir = opendir("/proc/self/task");
	char name[32];
	int tid = 0;

	for (struct dirent *entry; !tid && (entry = readdir(dir));)
		if (atoi(entry->d_name) > 0 &&
		    status_field(atoi(entry->d_name), "Name:", name, sizeof name) == 0 &&
		    strcmp(name, "hakmem") == 0)
			tid = atoi(entry->d_name);
	closedir(dir);
	return tid;
}

int status_field(int tid, const char *field, char *ret, size_t size)
{
	char path[64], line[256];
	int found = -1;
	FILE *file;

	snprintf(path, sizeof path, "/proc/self/task/%d/status", tid);
	file = fopen(path, "re");
	while (file && found < 0 && fgets(line, sizeof line, file))
		if (strncmp(line, field, strlen(field)) == 0) {
			snprintf(ret, size, "%s", line + strlen(field) + strspn(line + strlen(field), " \t"));
			ret[strcspn(ret, "\n")] = '\0';
			found = 0;
		}
	if (file)
		fclose(file);
	return found;
}

static int scan_fds(int tid, const char *target, bool *ret_found)
{
	char path[64], link[256];
	ssize_t length;
	int n = 0;
	DIR *dir;

	snprintf(path, sizeof path, "/proc/self/task/%d/fd", tid);
	dir = opendir(path);
	for (struct dirent *entry; dir && (entry = readdir(dir));) {
		if (entry->d_name[0] == '.')
			continue;
		n++;
		length = readlinkat(dirfd(dir), entry->d_name, link, sizeof link - 1);
		link[length > 0 ? length : 0] = '\0';
		if (target && strstr(link, target))
			*ret_found = true;
	}
	if (dir)
		closedir(dir);
	return n;
}

int open_fds(int tid)
{
	return scan_fds(tid, NULL, NULL);
}

bool fd_points_at(int tid, const char *target)
{
	bool found = false;

	scan_fds(tid, target, &found);
	return found;
}

void start(void)
{
	hk_control_init(environ);
	hk_control_poke();
}

bool wait_until(bool (*condition)(void), unsigned msec)
{
	uint64_t end = now_nsec() + msec * 1000000ull;

	while (!condition()) {
		if (now_nsec() > end)
			return false;
		sleep_msec(1);
	}
	return true;
}

bool thread_is_there(void)
{
	return control_thread() != 0;
}

bool thread_is_gone(void)
{
	return task_count() == 1;
}

/* ---- hakmemd's stand-in ---- */

int fake_listen(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof address.sun_path, "%s/%s", runtime_dir, HKP_CLIENT_SOCKET);
	unlink(address.sun_path);
	CHECK(fd >= 0);
	CHECK(bind(fd, (struct sockaddr *)&address, sizeof address) == 0);
	CHECK(chmod(address.sun_path, 0666) == 0);
	CHECK(listen(fd, 8) == 0);
	return fd;
}

static bool readable(int fd, int msec)
{
	struct pollfd poller = {.fd = fd, .events = POLLIN};
	int n;

	do
		n = poll(&poller, 1, msec);
	while (n < 0 && errno == EINTR);
	return n > 0;
}

int fake_accept(int listener, int msec)
{
	return readable(listener, msec) ? accept4(listener, NULL, NULL, SOCK_CLOEXEC) : -1;
}

int fake_board(unsigned level, unsigned msec, unsigned seals)
{
	struct hkp_board board = {
	        .magic = HKP_BOARD_MAGIC, .version = HKP_BOARD_VERSION, .size = HKP_BOARD_BYTES};
	int fd = memfd_create("board", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	board.level = level;
	board.expiry_nsec = now_nsec() + msec * 1000000ull;
	board.thread_budget_bytes = 1000 + level;
	board.process_budget_bytes = 2000 + level;
	CHECK(fd >= 0 && ftruncate(fd, HKP_BOARD_BYTES) == 0);
	CHECK(pwrite(fd, &board, sizeof board, 0) == sizeof board);
	CHECK(seals == 0 || fcntl(fd, F_ADD_SEALS, seals) == 0);
	return fd;
}

bool fake_send_raw(int fd, const void *bytes, size_t length, const int *fds, size_t n_fds)
{
	struct iovec iov = {(void *)(uintptr_t)bytes, length};
	union {
		char bytes[CMSG_SPACE(sizeof(int) * 64)];
		struct cmsghdr header;
	} control = {{0}};
	struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};

	if (n_fds > 0) {
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(sizeof(int) * n_fds);
		memcpy(CMSG_DATA(&control.header), fds, sizeof(int) * n_fds);
		message.msg_control = &control;
		message.msg_controllen = CMSG_SPACE(sizeof(int) * n_fds);
	}
	return sendmsg(fd, &message, MSG_NOSIGNAL) == (ssize_t)length;
}

bool fake_send(int fd, const struct hkp_frame *frame, const int *fds, size_t n_fds)
{
	unsigned char buffer[HKP_FRAME_MAX];
	int length = hkp_encode(frame, buffer, sizeof buffer);

	return length > 0 && fake_send_raw(fd, buffer, (size_t)length, fds, n_fds);
}

int fake_receive(int fd, struct hkp_frame *ret, int *ret_fd, int msec)
{
	unsigned char buffer[HKP_FRAME_MAX];
	struct iovec iov = {buffer, sizeof buffer};
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr header;
	} control = {{0}};
	struct msghdr message = {
	        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
	ssize_t n;

	*ret_fd = -1;
	if (!readable(fd, msec))
		return 0;
	n = recvmsg(fd, &message, MSG_CMSG_CLOEXEC);
	if (n <= 0 || (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)))
		return -1;
	if (message.msg_controllen > 0)
		memcpy(ret_fd, CMSG_DATA(&control.header), sizeof *ret_fd);
	return hkp_decode(buffer, (size_t)n, ret) == 0 ? 1 : -1;
}

int fake_register(int listener)
{
	struct hkp_frame welcome = {.header.type = HKP_WELCOME, .welcome.client_id = 1}, hello;
	int board = fake_board(HKP_CALM, 0, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
	int fd = fake_accept(listener, 5000);
	int stats = -1;

	CHECK(fd >= 0);
	CHECK(fake_receive(fd, &hello, &stats, 2000) == 1);
	CHECK(hello.header.type == HKP_HELLO && stats >= 0);
	CHECK(fake_send(fd, &welcome, &board, 1));
	close(board);
	close(stats);
	return fd;
}

bool fake_flush(int fd, unsigned level, uint32_t seq, struct hkp_result *ret)
{
	struct hkp_frame flush = {.header = {.type = HKP_FLUSH, .seq = seq}}, answer;
	int stray;

	flush.flush = (struct hkp_flush){
	        .level = level, .reason = HKP_REASON_REQUEST, .target_bytes = 1u << 20, .deadline_msec = 30};
	if (!fake_send(fd, &flush, NULL, 0) || fake_receive(fd, &answer, &stray, 5000) != 1)
		return false;
	*ret = answer.result;
	return answer.header.type == HKP_RESULT && answer.header.seq == seq && stray == -1;
}
