/* SPDX-License-Identifier: MIT */
/*
 * The client's side of the board: verify, map, read.
 *
 * Why: the board comes from another process.  What is mapped must not be able to shrink under a reader
 * (SIGBUS inside malloc), and what is read must stop to matter when the daemon that wrote it is gone.
 *
 * How: a board that came over the socket is a memfd sealed SHRINK|GROW; one from the runtime directory is a
 * regular file owned by root, by us, or by the owner of the directory.  Head and size are checked with pread
 * before anything is mapped.  Every value above calm holds only until its expiry.
 *
 * Invariants: once mapped, the address stays mapped for the life of the process, because readers take no
 * lock. A later board is mapped over the earlier one in one step (MAP_FIXED), so that a reader sees one or
 * the other.
 *
 * Locking: board_mapped is written by one thread at a time (see board.h) and read by all.
 */
#include "policy/board.h"

#include "base/syscall.h"
#include "protocol/board.h"
#include "protocol/wire.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#define BOARD_PATH_MAX 512 /* longer runtime directories do not fit a socket address either */

static _Atomic(const struct hkp_board *)
        board_mapped; /* NULL until there is one; release, partner of board_get */

static _Atomic uint64_t board_domain; /* our cgroup's id; a reader that sees the old one is told of that once more */

static const struct hkp_board *board_get(void)
{
	return atomic_load_explicit(&board_mapped, memory_order_acquire);
}

HK_USUAL bool hk_board_present(void)
{
	return atomic_load_explicit(&board_mapped, memory_order_relaxed) != NULL;
}

/* A regular file of at least the board's size, with the board's head. */
static bool board_verify(int fd, struct stat *ret_stat)
{
	struct hkp_board head;
	size_t length = offsetof(struct hkp_board, slots);

	if (hk_sys2(SYS_fstat, fd, ret_stat) != 0)
		return false;
	if (!S_ISREG(ret_stat->st_mode) || ret_stat->st_size < HKP_BOARD_BYTES)
		return false;
	if (hk_sys4(SYS_pread64, fd, &head, length, 0) != (long)length)
		return false;
	return head.magic == HKP_BOARD_MAGIC && head.version == HKP_BOARD_VERSION &&
	       head.size >= HKP_BOARD_BYTES;
}

static bool board_map(int fd)
{
	const struct hkp_board *old = board_get();
	long flags = MAP_SHARED | (old ? MAP_FIXED : 0);
	long place = hk_sys6(SYS_mmap, (long)old, HKP_BOARD_BYTES, PROT_READ, flags, fd, 0);

	if (place < 0 && place > -4096)
		return false;
	atomic_store_explicit(&board_mapped, (const struct hkp_board *)place, memory_order_release);
	return true;
}

bool hk_board_adopt(int fd)
{
	long seals = hk_sys2(SYS_fcntl, fd, F_GET_SEALS);
	struct statfs fs;
	struct stat st;

	if (seals < 0 || (seals & (F_SEAL_SHRINK | F_SEAL_GROW)) != (F_SEAL_SHRINK | F_SEAL_GROW))
		return false;
	/* A hugetlb memfd bears seals too, but a fault in it can fail for want of a huge page. */
	if (hk_sys2(SYS_fstatfs, fd, &fs) != 0 || fs.f_type != TMPFS_MAGIC)
		return false;
	return board_verify(fd, &st) && board_map(fd);
}

static bool board_owner_trusted(uid_t owner, const char *runtime_dir)
{
	struct stat dir;

	if (owner == 0 || (long)owner == hk_sys0(SYS_geteuid))
		return true;
	if (hk_sys4(SYS_newfstatat, AT_FDCWD, runtime_dir, &dir, 0) != 0)
		return false;
	return dir.st_uid == owner && !(dir.st_mode & (S_IWGRP | S_IWOTH));
}

/*
 * This runs in the program's descriptor table.  If the program closed our descriptor meanwhile and the number
 * is somebody else's by now, it is not ours to close.
 */
static void board_close_own(int fd, const struct stat *own)
{
	struct stat st;

	if (hk_sys2(SYS_fstat, fd, &st) == 0 && st.st_dev == own->st_dev && st.st_ino == own->st_ino)
		hk_sys1(SYS_close, fd);
}

bool hk_board_open(const char *runtime_dir)
{
	static const char name[] = "/" HKP_BOARD_FILE;
	char path[BOARD_PATH_MAX];
	size_t length = strlen(runtime_dir);
	struct stat st = {0};
	bool good;
	int fd;

	if (length + sizeof name > sizeof path)
		return false;
	memcpy(path, runtime_dir, length);
	memcpy(path + length, name, sizeof name);
	/* O_NONBLOCK: a FIFO of that name must not hold us up. */
	fd = (int)hk_sys4(SYS_openat, AT_FDCWD, path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, 0);
	if (fd < 0)
		return false;
	good = board_verify(fd, &st) && board_owner_trusted(st.st_uid, runtime_dir) && board_map(fd);
	board_close_own(fd, &st);
	return good;
}

void hk_board_set_domain(uint64_t domain)
{
	atomic_store_explicit(&board_domain, domain, memory_order_relaxed);
}

/* What a place on the board says; all zero once it has expired. */
struct board_word {
	uint64_t level;
	uint64_t thread_budget_bytes;
	uint64_t process_budget_bytes;
};

static struct board_word board_host(const struct hkp_board *board, uint64_t now_nsec)
{
	if (now_nsec >= __atomic_load_n(&board->expiry_nsec, __ATOMIC_ACQUIRE))
		return (struct board_word){0};
	return (struct board_word){
	        .level = __atomic_load_n(&board->level, __ATOMIC_ACQUIRE),
	        .thread_budget_bytes = __atomic_load_n(&board->thread_budget_bytes, __ATOMIC_ACQUIRE),
	        .process_budget_bytes = __atomic_load_n(&board->process_budget_bytes, __ATOMIC_ACQUIRE),
	};
}

/* The daemon may give a slot to another domain while we read it: then what was read is not ours. */
static struct board_word board_slot(const struct hkp_board_slot *slot, uint64_t domain, uint64_t now_nsec)
{
	struct board_word word = {
	        .level = __atomic_load_n(&slot->level, __ATOMIC_ACQUIRE),
	        .thread_budget_bytes = __atomic_load_n(&slot->thread_budget_bytes, __ATOMIC_ACQUIRE),
	};

	word.process_budget_bytes = word.thread_budget_bytes * HKP_BOARD_PROCESS_THREADS;
	if (now_nsec >= __atomic_load_n(&slot->expiry_nsec, __ATOMIC_ACQUIRE) ||
	    __atomic_load_n(&slot->domain, __ATOMIC_ACQUIRE) != domain)
		return (struct board_word){0};
	return word;
}

static struct board_word board_own(const struct hkp_board *board, uint64_t now_nsec)
{
	uint64_t domain = atomic_load_explicit(&board_domain, memory_order_relaxed);
	uint64_t n_slots = __atomic_load_n(&board->n_slots, __ATOMIC_ACQUIRE);

	for (uint64_t i = 0; domain != 0 && i < n_slots && i < HKP_BOARD_SLOTS; i++)
		if (__atomic_load_n(&board->slots[i].domain, __ATOMIC_ACQUIRE) == domain)
			return board_slot(&board->slots[i], domain, now_nsec);
	return (struct board_word){0};
}

/* The lower of two budgets, of which 0 is none. */
static uint64_t board_tighter(uint64_t a, uint64_t b)
{
	if (a == 0 || b == 0)
		return a + b;
	return HK_MIN(a, b);
}

static struct board_word board_read(uint64_t now_nsec)
{
	const struct hkp_board *board = board_get();
	struct board_word host, own;

	if (board == NULL)
		return (struct board_word){0};
	host = board_host(board, now_nsec);
	own = board_own(board, now_nsec);
	return (struct board_word){
	        .level = HK_MAX(host.level, own.level),
	        .thread_budget_bytes = board_tighter(host.thread_budget_bytes, own.thread_budget_bytes),
	        .process_budget_bytes = board_tighter(host.process_budget_bytes, own.process_budget_bytes),
	};
}

unsigned hk_board_level(uint64_t now_nsec)
{
	uint64_t level = board_read(now_nsec).level;

	return level > HKP_CRITICAL ? HKP_CRITICAL : (unsigned)level;
}

uint64_t hk_board_thread_budget(uint64_t now_nsec)
{
	return board_read(now_nsec).thread_budget_bytes;
}

uint64_t hk_board_process_budget(uint64_t now_nsec)
{
	return board_read(now_nsec).process_budget_bytes;
}
