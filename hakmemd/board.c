/* SPDX-License-Identifier: MIT */
/* The daemon's side of the board: see board.h. */
#include <config.h>

#include "hakmemd/board.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "hakmemd/util.h"

static void board_store(uint64_t *to, uint64_t value)
{
	__atomic_store_n(to, value, __ATOMIC_RELEASE); /* readers acquire; epoch is stored last */
}

static int board_map(int fd, struct hkp_board **ret_map)
{
	void *map = mmap(NULL, HKP_BOARD_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (map == MAP_FAILED)
		return -errno;
	*ret_map = map;
	(*ret_map)->version = HKP_BOARD_VERSION;
	(*ret_map)->size = HKP_BOARD_BYTES;
	board_store(&(*ret_map)->magic, HKP_BOARD_MAGIC);
	return 0;
}

static int board_make_memory(struct board *board)
{
	CLEANUP_FD int fd = memfd_create("hakmem-board", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	char path[64];
	int r;

	if (fd < 0)
		return -errno;
	if (ftruncate(fd, HKP_BOARD_BYTES) < 0 || fchmod(fd, 0444) < 0)
		return -errno;
	r = board_map(fd, &board->memory);
	if (r < 0)
		return r;
	if (fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
		return -errno;
	/* A second description, which cannot be made writable again without passing the mode above. */
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	board->read_fd = open(path, O_RDONLY | O_CLOEXEC);
	return board->read_fd < 0 ? -errno : 0;
}

/* Made under another name first, so that a reader never finds half a board. */
static int board_make_file(struct board *board, const char *runtime_dir)
{
	char path[PATH_MAX], fresh[PATH_MAX + 8];
	CLEANUP_FD int fd = -1;
	int r;

	if (snprintf(path, sizeof path, "%s/" HKP_BOARD_FILE, runtime_dir) >= (int)sizeof path)
		return -ENAMETOOLONG;
	snprintf(fresh, sizeof fresh, "%s.new", path);
	if (unlink(fresh) < 0 && errno != ENOENT)
		return -errno;
	fd = open(fresh, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0444);
	if (fd < 0)
		return -errno;
	if (fchmod(fd, 0444) < 0 || posix_fallocate(fd, 0, HKP_BOARD_BYTES) != 0)
		r = errno ? -errno : -ENOSPC;
	else
		r = board_map(fd, &board->file);
	if (r >= 0 && rename(fresh, path) < 0)
		r = -errno;
	if (r < 0)
		unlink(fresh);
	else
		strcpy(board->path, path);
	return r;
}

int board_init(struct board *board, const char *runtime_dir)
{
	int r;

	*board = (struct board){.read_fd = -1};
	r = board_make_memory(board);
	return r < 0 ? r : board_make_file(board, runtime_dir);
}

static void board_write(struct hkp_board *to, const struct hkp_board *levels)
{
	for (uint64_t i = 0; i < levels->n_slots; i++) {
		board_store(&to->slots[i].domain, levels->slots[i].domain);
		board_store(&to->slots[i].level, levels->slots[i].level);
		board_store(&to->slots[i].thread_budget_bytes, levels->slots[i].thread_budget_bytes);
		board_store(&to->slots[i].expiry_nsec, levels->slots[i].expiry_nsec);
	}
	for (uint64_t i = levels->n_slots; i < to->n_slots; i++) {
		board_store(&to->slots[i].level, HKP_CALM);
		board_store(&to->slots[i].domain, 0);
	}
	board_store(&to->n_slots, levels->n_slots);
	board_store(&to->thread_budget_bytes, levels->thread_budget_bytes);
	board_store(&to->process_budget_bytes, levels->process_budget_bytes);
	board_store(&to->expiry_nsec, levels->expiry_nsec);
	board_store(&to->level, levels->level);
	board_store(&to->epoch, to->epoch + 1);
}

void board_publish(struct board *board, const struct hkp_board *levels)
{
	if (board->memory)
		board_write(board->memory, levels);
	if (board->file)
		board_write(board->file, levels);
}

void board_deinit(struct board *board)
{
	board_publish(board, &(struct hkp_board){.level = HKP_CALM});
	if (board->memory)
		munmap(board->memory, HKP_BOARD_BYTES);
	if (board->file)
		munmap(board->file, HKP_BOARD_BYTES);
	if (*board->path)
		unlink(board->path);
	util_close(&board->read_fd);
	*board = (struct board){.read_fd = -1};
}
