/* SPDX-License-Identifier: MIT */
/*
 * faults: every system call that the library makes fails, at each place where it stands.
 *
 * How: the core is built with a say at each call (base/syscall.h).  A scenario runs once and notes the places it
 * comes to and how often.  Then it runs again in a process of its own for each place and each of the first occasions
 * (FAULTS_OCCASIONS: that many), at which the call fails as the kernel would have it fail; and once more with that
 * place failing for ever.
 * After each run: no crash, no block damaged, the books in order, no descriptor gone or left, nothing said that does not
 * begin with the library's name; the heap gives back what it held; and if only one call failed, no allocation did, and
 * the daemon has the process again.
 *
 * faults [-v]: -v names each place.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/counters.h"
#include "base/options.h"
#include "base/syscall.h"
#include "front/front.h"
#include "policy/control.h"
#include "policy/flush.h"
#include "policy/stats.h"
#include "tests/api/tap.h"
#include "tests/control/harness.h"

#define MIB        ((size_t)1 << 20)
#define PLACES_MAX 160
#define FOR_EVER   0

/* ---- places, shared by the runner and the processes that run a scenario ---- */

struct place {
	const char *file; /* of the same program in every process */
	int line;
	long nr;
	_Atomic unsigned n; /* how often it was come to in this run */
};

static struct shared {
	_Atomic int lock;
	unsigned n_places;
	struct place places[PLACES_MAX];
	/* the run at hand */
	int place;           /* -1 = none fails */
	unsigned occasion;   /* or FOR_EVER */
	_Atomic unsigned n_failed;
	unsigned n_null;     /* allocations that failed */
	unsigned reconnects;
	size_t resident[2];  /* after the first and the second round */
	char why[200];
} *shared;

/* What the kernel may say. */
static const struct {
	long nr;
	int error;
} errors[] = {
	{SYS_mmap, ENOMEM},        {SYS_munmap, ENOMEM},    {SYS_madvise, ENOMEM},   {SYS_mremap, ENOMEM},
	{SYS_mprotect, ENOMEM},    {SYS_membarrier, EPERM}, {SYS_memfd_create, EMFILE}, {SYS_ftruncate, ENOMEM},
	{SYS_fcntl, EPERM},        {SYS_socket, EMFILE},    {SYS_connect, ECONNREFUSED}, {SYS_sendmsg, EPIPE},
	{SYS_recvmsg, ECONNRESET}, {SYS_clone, EAGAIN},     {SYS_close_range, ENOSYS}, {SYS_openat, EMFILE},
	{SYS_signalfd4, EMFILE},   {SYS_ppoll, ENOMEM},     {SYS_read, EIO},         {SYS_nanosleep, EINTR},
	{SYS_clock_nanosleep, EINTR}, {SYS_prctl, EINVAL},  {SYS_process_vm_readv, EPERM}, {SYS_getrandom, EAGAIN},
	{SYS_capget, EPERM},       {SYS_capset, EPERM},     {SYS_getsockopt, ENOBUFS}, {SYS_newfstatat, EACCES},
	{SYS_fstat, EIO},          {SYS_fstatfs, EIO},      {SYS_pread64, EIO},      {SYS_rt_sigprocmask, EFAULT},
	{SYS_write, EIO},          {SYS_tgkill, EAGAIN},    {SYS_process_madvise, EBADF},
}; /* the others (getpid, futex, exit, ...) do not fail, and close closes whatever it says */

static int error_of(long nr)
{
	for (size_t i = 0; i < HK_COUNT(errors); i++)
		if (errors[i].nr == nr)
			return errors[i].error;
	return 0;
}

static struct place *place_of(long nr, const char *file, int line)
{
	unsigned i = 0;
	while (atomic_exchange_explicit(&shared->lock, 1, memory_order_acquire) != 0)
		continue;
	while (i < shared->n_places && (shared->places[i].line != line || shared->places[i].file != file ||
	                                shared->places[i].nr != nr))
		i++;
	if (i == shared->n_places && i < PLACES_MAX) {
		shared->places[i].file = file;
		shared->places[i].line = line;
		shared->places[i].nr = nr;
		shared->n_places++;
	}
	atomic_store_explicit(&shared->lock, 0, memory_order_release);
	return &shared->places[HK_MIN(i, PLACES_MAX - 1u)];
}

/* Called by the control thread as well: no libc, no errno. */
bool hk_fault(long nr, const char *file, int line, long *ret_result)
{
	int error = error_of(nr);
	if (error == 0 || shared == NULL)
		return false;
	struct place *place = place_of(nr, file, line);
	unsigned n = atomic_fetch_add(&place->n, 1) + 1;
	if (place - shared->places != shared->place || (shared->occasion != FOR_EVER && n != shared->occasion))
		return false;
	atomic_fetch_add(&shared->n_failed, 1);
	*ret_result = -error;
	return true;
}

/* ---- scenarios ---- */

#define NEED(good)                                                                                            \
	do {                                                                                                  \
		if (!(good)) {                                                                                \
			snprintf(shared->why, sizeof shared->why, "line %d: %s", __LINE__, #good);            \
			_exit(1);                                                                             \
		}                                                                                             \
	} while (0)

struct block {
	size_t bytes, key;
};

/* Blocks that know themselves at both ends; NULL is counted. */
static struct block *block_new(size_t bytes, size_t alignment)
{
	struct block *block = alignment > 1 ? hk_memalign(alignment, bytes) : hk_malloc(bytes);
	if (block == NULL) {
		NEED(errno == ENOMEM);
		shared->n_null++;
		return NULL;
	}
	memset(block, 0x3c, bytes);
	block->bytes = bytes;
	block->key = (size_t)block ^ bytes;
	return block;
}

static void block_check(const struct block *block, size_t bytes)
{
	NEED(block->bytes == bytes && ((const char *)block)[bytes - 1] == 0x3c);
}

static void block_end(struct block *block)
{
	if (block == NULL)
		return;
	NEED(block->key == ((size_t)block ^ block->bytes));
	block_check(block, block->bytes);
	hk_free(block);
}

static const size_t sizes[] = {24, 100, 700, 1500, 9000, 40000, 100000, 700000, 3 * MIB};

/* Each pool, growth in place and by moving, and what a thread leaves. */
static void heap_round(unsigned n)
{
	enum { N = 400 };
	static struct block *blocks[N];
	for (unsigned i = 0; i < N; i++)
		blocks[i] = block_new(sizes[i % (i % 10 == 0 ? HK_COUNT(sizes) : 5)] + n, i % 37 == 5 ? 4096 : 1);
	for (unsigned i = 0; i < N; i += 20) {
		struct block *block = blocks[i];
		size_t bytes = block != NULL ? block->bytes : 0;
		struct block *moved = block != NULL ? hk_realloc(block, bytes * 2 + 16) : NULL;
		if (moved != NULL) {
			NEED(moved->bytes == bytes && ((char *)moved)[bytes - 1] == 0x3c);
			moved->key = (size_t)moved ^ bytes;
			blocks[i] = moved;
		}
	}
	for (unsigned i = 0; i < N; i++)
		if (i % 7 != 0)
			block_end(blocks[i]), blocks[i] = NULL;
	hk_flush_run(n % 4, HAK_TARGET_ALL, UINT64_MAX, NULL);
	for (unsigned i = 0; i < N; i += 7)
		block_end(blocks[i]);
	block_end(block_new(5 * MIB, 4 * MIB));
}

static void *heap_thread(void *arg)
{
	struct block *blocks[300];
	for (size_t i = 0; i < HK_COUNT(blocks); i++)
		blocks[i] = block_new(50 + i, 1);
	hk_flush_run(HAK_LEVEL_PAGES, HAK_TARGET_ALL, UINT64_MAX, NULL);
	for (size_t i = 0; i < HK_COUNT(blocks); i++)
		block_end(blocks[i]);
	return arg;
}

static size_t resident(void)
{
	unsigned long kib = 0;
	char text[4096];
	int fd = open("/proc/self/smaps_rollup", O_RDONLY | O_CLOEXEC);
	ssize_t n = read(fd, text, sizeof text - 1);
	close(fd);
	text[n > 0 ? n : 0] = '\0';
	const char *rss = strstr(text, "\nRss:");
	NEED(rss != NULL && sscanf(rss, "\nRss: %lu kB", &kib) == 1);
	return kib * 1024;
}

static void heap_whole(void)
{
	hk_flush_run(HAK_LEVEL_EVERYTHING, HAK_TARGET_ALL, UINT64_MAX, NULL);
	NEED(hk_stats_audit());
	NEED(hk_stats()->large_bytes == 0 && hk_stats()->mid_bytes == 0);
}

static void heap_scenario(void)
{
	uint64_t next;
	for (unsigned round = 0; round < 2; round++) {
		for (unsigned n = 0; n < 5; n++) {
			pthread_t thread;
			NEED(pthread_create(&thread, NULL, heap_thread, NULL) == 0);
			heap_round(n);
			NEED(pthread_join(thread, NULL) == 0);
			hk_decay_run(UINT64_MAX / 2, &next);
			hk_stats_survey();
		}
		pid_t pid = round == 0 ? fork() : (pid_t)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);
		if (pid == 0) {
			heap_round(1);
			_exit(0);
		}
		int status = 0;
		NEED(waitpid(pid, &status, 0) == pid && status == 0);
		heap_whole();
		shared->resident[round] = resident();
	}
}

/* ---- the control thread, against hakmemd's stand-in ---- */

static void make_pokes(void)
{
	for (unsigned i = 0; i < 20; i++)
		block_end(block_new(300000, 1));
}

/* Register and answer a flush; tries again, as the library does.  False where it gave the thread up, as it may where
 * it cannot have a descriptor table or a signalfd, and where one call fails for ever. */
static bool flushed(int listener, bool must)
{
	struct hkp_frame welcome = {.header.type = HKP_WELCOME, .welcome.client_id = 1}, hello;
	struct hkp_result result;
	for (unsigned attempt = 0; attempt < (must ? 40u : 5u) && hk_control_phase != HK_CONTROL_PHASE_IDLE; attempt++) {
		int stats = -1, fd, board;
		make_pokes();
		if ((fd = fake_accept(listener, 100)) < 0)
			continue;
		shared->reconnects++;
		board = fake_board(HKP_CALM, 0, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
		bool good = fake_receive(fd, &hello, &stats, 300) == 1 && hello.header.type == HKP_HELLO && stats >= 0 &&
		            fake_send(fd, &welcome, &board, 1) && fake_flush(fd, 2, 7, &result);
		close(board);
		if (stats >= 0)
			close(stats);
		if (good) {
			close(fd);
			return true;
		}
		close(fd);
	}
	if (must)
		NEED(hk_control_phase == HK_CONTROL_PHASE_IDLE); /* inline from now on */
	return false;
}

static void control_scenario(void)
{
	bool must = shared->place < 0 || shared->occasion != FOR_EVER;
	hk_options.runtime_dir = runtime_dir;
	hk_options.control = HK_CONTROL_THREAD;
	hk_options.control_threshold_bytes = 0;
	hk_control_timing.backoff_min_msec = 10;
	hk_control_timing.backoff_max_msec = 40;
	hk_control_timing.restart_msec = 1;
	int listener = fake_listen(), before = open_fds(0);
	hk_control_init(environ);
	make_pokes();
	bool there = flushed(listener, must);
	if (there)
		there = flushed(listener, must); /* the connection was closed: it comes again */
	NEED(setgroups(0, NULL) == 0 || errno == EPERM); /* stops the thread, and lets it start again */
	if (there)
		flushed(listener, must);
	NEED(open_fds(0) == before);
	heap_whole();
}

/* ---- running them ---- */

struct scenario {
	const char *name;
	void (*run)(void);
	unsigned n_occasions, least_places;
};

static char said[1000];

/* One run in a process of its own; its wait status. */
static int run(const struct scenario *scenario, int place, unsigned occasion)
{
	int status = -1, fds[2];
	for (unsigned i = 0; i < shared->n_places; i++)
		shared->places[i].n = 0;
	shared->place = place;
	shared->occasion = occasion;
	shared->n_failed = shared->n_null = shared->reconnects = 0;
	shared->why[0] = '\0';
	if (pipe(fds) != 0)
		return -1;
	pid_t pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(fds[1], 2);
		close(fds[0]);
		close(fds[1]);
		alarm(30);
		scenario->run();
		_exit(0);
	}
	close(fds[1]);
	size_t n = 0;
	for (ssize_t got; n < sizeof said - 1 && (got = read(fds[0], said + n, sizeof said - 1 - n)) > 0;)
		n += (size_t)got;
	said[n] = '\0';
	close(fds[0]);
	waitpid(pid, &status, 0);
	return status;
}

static bool lines_are_ours(void)
{
	for (const char *line = said; *line != '\0';) {
		const char *end = strchr(line, '\n');
		if (strncmp(line, "hakmem: ", 8) != 0 || end == NULL)
			return false;
		line = end + 1;
	}
	return true;
}

static bool check_run(const struct scenario *scenario, int place, unsigned occasion, struct tap_tally *tally)
{
	const struct place *at = &shared->places[place];
	int status = run(scenario, place, occasion);
	const char *file = strstr(at->file, "libhakmem/");
	if (shared->n_failed == 0)
		return false; /* the run did not come there this time: threads take turns */
	return tap_tally(tally, status == 0 && lines_are_ours() && (occasion == FOR_EVER || shared->n_null == 0),
	                 "%s, %s:%d, call %ld fails %s %u: status 0x%x, %u allocations failed, %s; said: %s",
	                 scenario->name, file != NULL ? file : at->file, at->line, at->nr,
	                 occasion == FOR_EVER ? "always" : "at time", occasion, (unsigned)status, shared->n_null,
	                 shared->why, said),
	       true;
}

static void check_scenario(const struct scenario *scenario, bool verbose)
{
	const char *text = getenv("FAULTS_OCCASIONS");
	unsigned most = text != NULL ? (unsigned)atoi(text) : scenario->n_occasions;
	unsigned counts[PLACES_MAX] = {0}, n_tried = 0, n_places = 0;
	struct tap_tally tally = {0, 0};
	shared->n_places = 0;
	if (!tap_ok(run(scenario, -1, 1) == 0, "%s without a fault %s%s", scenario->name, shared->why, said))
		return;
	size_t base = shared->resident[1];
	for (unsigned i = 0; i < shared->n_places; i++)
		counts[i] = shared->places[i].n;
	for (int i = 0; i < (int)shared->n_places; i++) {
		bool any = false;
		/* places that only another fault leads to have no count: all that can be said is that they were passed */
		for (unsigned k = FOR_EVER; k <= HK_MIN(most, counts[i]); k++) {
			if (counts[i] == 0 || !check_run(scenario, i, k, &tally))
				continue;
			any = true;
			n_tried++;
			/* what could not be given back for ever stays; after one refusal nothing may */
			if (base != 0 && k != FOR_EVER)
				tap_tally(&tally, shared->resident[1] < base + MIB, "%s, line %d: %zu KiB stay, %zu without",
				          scenario->name, shared->places[i].line, shared->resident[1] / 1024, base / 1024);
		}
		n_places += any;
		if (verbose)
			printf("# %s:%d call %ld, come to %u times%s\n", shared->places[i].file, shared->places[i].line,
			       shared->places[i].nr, counts[i], any ? "" : ": not tried");
	}
	tap_tally_ok(&tally, scenario->name);
	tap_ok(n_places >= scenario->least_places, "%s: %u places were tried, %u faults", scenario->name, n_places, n_tried);
}

int main(int argc, char **argv)
{
	static const struct scenario scenarios[] = {
		{"heap", heap_scenario, 8, 10},
		{"control", control_scenario, 2, 34},
	};
	bool verbose = argc > 1 && strcmp(argv[1], "-v") == 0;
	shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	strcpy(runtime_dir, "/tmp/hakmem-faults-XXXXXX");
	if (shared == MAP_FAILED || mkdtemp(runtime_dir) == NULL)
		return 99;
	chmod(runtime_dir, 0755);
	shared->place = -1;
	hk_options.control_threshold_bytes = SIZE_MAX; /* a control thread is there only where a scenario wants it */
	for (size_t i = 0; i < HK_COUNT(scenarios); i++)
		check_scenario(&scenarios[i], verbose);
	unlink(in_runtime_dir(HKP_CLIENT_SOCKET));
	rmdir(runtime_dir);
	return tap_done();
}
