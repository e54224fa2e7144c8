/* SPDX-License-Identifier: MIT */
/*
 * The board: the segment in which hakmemd publishes the present pressure to every process at once.
 *
 * Why: one store reaches ten thousand processes; only sleeping ones need a message.
 *
 * How: a memfd of mode 0444, sealed SHRINK|GROW|SEAL, of which clients get a read-only description with
 * WELCOME; a copy of the description is linked into the runtime directory for processes without a control
 * thread.  Every level above calm bears a CLOCK_MONOTONIC expiry that the daemon renews while the pressure
 * lasts: one that dies leaves nobody throttled.  Fields are written with release and read with acquire order;
 * epoch is written last.
 */
#ifndef HAKMEM_PROTOCOL_BOARD_H
#define HAKMEM_PROTOCOL_BOARD_H

#include <stddef.h>
#include <stdint.h>

#define HKP_BOARD_MAGIC   0x4452414f424d4b48ull /* "HKMBOARD" in memory */
#define HKP_BOARD_VERSION 1
#define HKP_BOARD_BYTES   4096
#define HKP_BOARD_SLOTS   120
#define HKP_BOARD_PROCESS_THREADS 16

enum hkp_pressure { /* pressure levels, of the host or of a domain */
	HKP_CALM = 0,
	HKP_LOW = 1,
	HKP_MEDIUM = 2,
	HKP_CRITICAL = 3,
};

/* A cgroup under pressure that holds processes; its level is the highest of its own and of those above it. */
struct hkp_board_slot {
	uint64_t domain;      /* cgroup id (inode in cgroup2), 0 = unused slot */
	uint64_t expiry_nsec; /* CLOCK_MONOTONIC: the level holds until then */
	uint64_t level;       /* enum hkp_pressure */
	uint64_t thread_budget_bytes; /* as in the head */
};

struct hkp_board {
	uint64_t magic;                /* HKP_BOARD_MAGIC */
	uint32_t version;              /* HKP_BOARD_VERSION */
	uint32_t size;                 /* HKP_BOARD_BYTES */
	uint64_t epoch;                /* counts changes */
	uint64_t level;                /* enum hkp_pressure of the host */
	uint64_t expiry_nsec;          /* CLOCK_MONOTONIC: the host's level holds until then */
	uint64_t thread_budget_bytes;  /* hot magazines of one thread may hold this much; 0 = library's default */
	uint64_t process_budget_bytes; /* cold magazines of one process may hold this much; 0 = default; in a slot
					* HKP_BOARD_PROCESS_THREADS times the thread's */
	uint64_t n_slots;              /* slots in use at the front of the array */
	struct hkp_board_slot slots[HKP_BOARD_SLOTS];
};

_Static_assert(sizeof(struct hkp_board_slot) == 32, "the slot is part of the format");
_Static_assert(offsetof(struct hkp_board, slots) == 64, "the head is part of the format");
_Static_assert(sizeof(struct hkp_board) <= HKP_BOARD_BYTES, "the board has a fixed size");

#endif
