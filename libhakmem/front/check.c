/* SPDX-License-Identifier: MIT */
/*
 * Blocks under observation: see check.h.
 *
 * A table outside the heap, which no overflow reaches, knows each block by its address: how many bytes were asked
 * for, and whether it was freed.
 *  - Canary: a block is at least CHECK_CANARY bytes larger than what was asked for; the bytes behind (up to
 *    CHECK_SLACK of them) hold a pattern that depends on their address, looked at when the block is freed or
 *    resized, and at exit.  malloc_usable_size() says what was asked for, so nobody may touch them.
 *  - Fill: fresh blocks hold CHECK_FRESH, freed ones CHECK_FREED, as far as CHECK_FILL.
 *  - Quarantine: a freed block keeps its memory until CHECK_HELD others, or CHECK_HELD_BYTES, were freed after it.
 *    A second free until then is certain to be found, and so is a write when the block leaves, and at exit.
 *    Blocks over CHECK_HELD_ONE leave at once.
 *  - A signal handler that interrupted one of these functions and calls one is found as it enters.
 *
 * What was allocated before the constructor read the options is in no table: such blocks are served, without
 * canary.  Beyond the quarantine a second free reaches the slab's bitmap, which knows unless the block is
 * somebody's again.
 *
 * Locking: check_lock guards table and quarantine.  It is the first in rank; no system call and no other lock
 * happens under it, but page faults of the table do: this mode is for finding faults, not for memory pressure.
 */
#include "front/check.h"

#include "base/bits.h"
#include "base/log.h"
#include "base/options.h"
#include "caches/cold.h"
#include "front/front.h"
#include "os/pages.h"

#include <errno.h>
#include <string.h>

#define CHECK_CANARY     16u
#define CHECK_SLACK      64u
#define CHECK_FRESH      0xa5
#define CHECK_FREED      0xdd
#define CHECK_FILL       (16u << 10)
#define CHECK_HELD       4096u
#define CHECK_HELD_BYTES ((size_t)16 << 20)
#define CHECK_HELD_ONE   ((size_t)1 << 20)
#define CHECK_SLOTS_MIN  4096u

enum check_state { CHECK_LIVE, CHECK_LEAVING, CHECK_HELD_BACK };

struct check_entry {
	uintptr_t address; /* 0 = an empty slot */
	size_t bytes : 62; /* as asked for */
	size_t state : 2;  /* enum check_state */
};

struct check_table {
	struct check_entry *slots;
	size_t n_slots; /* a power of two, or 0 */
	size_t n;
};

static struct hk_lock check_lock = HK_LOCK_INIT(HK_RANK_CHECK);
static struct check_table check_table;              /* guarded by check_lock, like all below */
static void *check_held[CHECK_HELD] HK_PLACE_LAST;  /* a ring */
static size_t check_first, check_n_held, check_held_bytes;

static HK_TLS uint8_t check_inside; /* this thread is in one of the functions below */

HK_USUAL struct hk_lock *hk_check_lock(void)
{
	return &check_lock;
}

static void check_enter(void)
{
	if (check_inside != 0)
		hk_fatal("a signal handler called malloc or free, and had interrupted one of them");
	check_inside = 1;
	atomic_signal_fence(memory_order_seq_cst);
}

static void check_leave(void)
{
	atomic_signal_fence(memory_order_seq_cst);
	check_inside = 0;
}

/* ---- the table, under the lock ------------------------------------------------------------------------- */

static size_t check_home(const struct check_table *table, uintptr_t address)
{
	return (size_t)((address >> 4) * 0x9e3779b97f4a7c15ull >> 20) & (table->n_slots - 1);
}

/* The slot of `address`, or the empty one where it would be; the table is never full. */
static struct check_entry *check_slot(const struct check_table *table, uintptr_t address)
{
	size_t i = check_home(table, address);
	while (table->slots[i].address != 0 && table->slots[i].address != address)
		i = (i + 1) & (table->n_slots - 1);
	return &table->slots[i];
}

static struct check_entry *check_find(const void *pointer)
{
	if (check_table.n_slots == 0)
		return NULL;
	struct check_entry *entry = check_slot(&check_table, (uintptr_t)pointer);
	return entry->address != 0 ? entry : NULL;
}

/* Take an entry out; those behind it that hashed to before it move up, so that no search ends too early. */
static void check_remove(struct check_entry *entry)
{
	const size_t mask = check_table.n_slots - 1;
	size_t hole = (size_t)(entry - check_table.slots);
	for (size_t i = (hole + 1) & mask; check_table.slots[i].address != 0; i = (i + 1) & mask) {
		size_t home = check_home(&check_table, check_table.slots[i].address);
		if (((i - home) & mask) < ((i - hole) & mask))
			continue;
		check_table.slots[hole] = check_table.slots[i];
		hole = i;
	}
	check_table.slots[hole].address = 0;
	check_table.n--;
}

static bool check_has_room(void)
{
	return check_table.n + 1 <= check_table.n_slots - check_table.n_slots / 4;
}

/* Move all entries into `larger`; returns the old slots. */
static struct check_table check_rehash(struct check_table larger)
{
	struct check_table old = check_table;
	for (size_t i = 0; i < old.n_slots; i++)
		if (old.slots[i].address != 0)
			*check_slot(&larger, old.slots[i].address) = old.slots[i];
	larger.n = old.n;
	check_table = larger;
	return old;
}

static void check_unmap(struct check_table table)
{
	if (table.n_slots != 0)
		hk_os_unmap(table.slots, table.n_slots * sizeof *table.slots);
}

/* Enter a block; false without memory. */
static bool check_insert(const void *block, size_t bytes)
{
	for (;;) {
		hk_lock_take(&check_lock);
		bool room = check_has_room();
		size_t n_slots = HK_MAX(check_table.n_slots * 2, CHECK_SLOTS_MIN);
		if (room) {
			struct check_entry *entry = check_slot(&check_table, (uintptr_t)block);
			check_table.n += entry->address == 0;
			*entry = (struct check_entry){.address = (uintptr_t)block, .bytes = bytes, .state = CHECK_LIVE};
		}
		hk_lock_drop(&check_lock);
		if (room)
			return true;
		struct check_table larger = {.n_slots = n_slots};
		larger.slots = hk_os_map(n_slots * sizeof *larger.slots, HK_PAGE_BYTES, "hakmem: check");
		if (larger.slots == NULL)
			return false;
		hk_lock_take(&check_lock);
		if (check_table.n_slots < n_slots)
			larger = check_rehash(larger);
		hk_lock_drop(&check_lock);
		check_unmap(larger);
	}
}

/* ---- patterns ------------------------------------------------------------------------------------------ */

/* Never zero: a string's end is what is most often written too far. */
static unsigned char check_canary(const unsigned char *at)
{
	return (unsigned char)((uintptr_t)at * 37 >> 4 | 0x81);
}

/* The first byte behind the canary of a block. */
static unsigned char *check_canary_end(const void *block, size_t bytes)
{
	size_t slack = hk_front_usable("free", block) - bytes;
	return (unsigned char *)(uintptr_t)block + bytes + HK_MIN(slack, CHECK_SLACK);
}

static void check_canary_write(void *block, size_t bytes)
{
	unsigned char *end = check_canary_end(block, bytes);
	for (unsigned char *at = (unsigned char *)block + bytes; at < end; at++)
		*at = check_canary(at);
}

static bool check_canary_whole(const void *block, size_t bytes)
{
	const unsigned char *end = check_canary_end(block, bytes);
	for (const unsigned char *at = (const unsigned char *)block + bytes; at < end; at++)
		if (*at != check_canary(at))
			return false;
	return true;
}

static bool check_freed_whole(const unsigned char *block, size_t bytes)
{
	size_t n = HK_MIN(bytes, CHECK_FILL);
	return n == 0 || (block[0] == CHECK_FREED && memcmp(block, block + 1, n - 1) == 0);
}

static HK_COLD void check_say_overflow(const void *block, size_t bytes)
{
	hk_fatal("the block of %lu bytes at %lx was written beyond its end", (unsigned long)bytes, (unsigned long)block);
}

static HK_COLD void check_say_use(const void *block, size_t bytes)
{
	hk_fatal("the block of %lu bytes at %lx was written after it was freed", (unsigned long)bytes,
		 (unsigned long)block);
}

/* ---- quarantine ---------------------------------------------------------------------------------------- */

/* Under the lock: the block that has been held longest leaves, if there are more than allowed; NULL where not. */
static void *check_release(bool all, size_t *ret_bytes)
{
	if (check_n_held == 0 || (!all && check_n_held < CHECK_HELD && check_held_bytes <= CHECK_HELD_BYTES))
		return NULL;
	void *block = check_held[check_first];
	check_first = (check_first + 1) % CHECK_HELD;
	check_n_held--;
	struct check_entry *entry = check_find(block);
	*ret_bytes = entry->bytes;
	check_held_bytes -= entry->bytes;
	check_remove(entry);
	return block;
}

/* Under no lock: let blocks go until no more are held than allowed, or none.  True if any went. */
static bool check_drain(bool all)
{
	for (bool any = false;; any = true) {
		size_t bytes = 0;
		hk_lock_take(&check_lock);
		void *block = check_release(all, &bytes);
		hk_lock_drop(&check_lock);
		if (block == NULL)
			return any;
		if (!check_freed_whole(block, bytes))
			check_say_use(block, bytes);
		hk_front_free("free", block);
	}
}

/* A block that no one else can free any more goes into the quarantine, or home if it is too large for that. */
static void check_hold(void *block, size_t bytes)
{
	bool hold = bytes <= CHECK_HELD_ONE;
	if (hold)
		memset(block, CHECK_FREED, HK_MIN(bytes, CHECK_FILL));
	check_drain(false);
	hk_lock_take(&check_lock);
	struct check_entry *entry = check_find(block);
	hold &= check_n_held < CHECK_HELD; /* others may have been faster */
	if (hold) {
		entry->state = CHECK_HELD_BACK;
		check_held[(check_first + check_n_held++) % CHECK_HELD] = block;
		check_held_bytes += bytes;
	} else {
		check_remove(entry);
	}
	hk_lock_drop(&check_lock);
	if (!hold)
		hk_front_free("free", block);
}

/* ---- the functions ------------------------------------------------------------------------------------- */

void *hk_check_new(size_t bytes, size_t alignment, bool *ret_zero)
{
	bool zero = false;
	check_enter();
	void *block = hk_front_new(bytes + CHECK_CANARY, alignment, &zero);
	if (block == NULL && check_drain(true))
		block = hk_front_new(bytes + CHECK_CANARY, alignment, &zero);
	if (block != NULL) {
		if (!zero || bytes <= CHECK_FILL) {
			memset(block, CHECK_FRESH, HK_MIN(bytes, CHECK_FILL));
			zero = false;
		}
		check_canary_write(block, bytes);
		if (!check_insert(block, bytes)) {
			hk_front_free("free", block);
			block = NULL;
		}
	}
	check_leave();
	if (block == NULL)
		errno = ENOMEM;
	if (ret_zero != NULL)
		*ret_zero = zero;
	return block;
}

/* How a pointer stands: its bytes and whether it is in the table.  A freed block ends the process. */
static bool check_look(const char *function, const void *pointer, size_t *ret_bytes, bool leave)
{
	hk_lock_take(&check_lock);
	struct check_entry *entry = check_find(pointer);
	bool freed = entry != NULL && entry->state != CHECK_LIVE;
	if (entry != NULL && !freed) {
		*ret_bytes = entry->bytes;
		if (leave)
			entry->state = CHECK_LEAVING;
	}
	hk_lock_drop(&check_lock);
	if (freed)
		hk_misuse(function, pointer, HK_MISUSE_DOUBLE);
	if (entry == NULL)
		return false;
	if (!check_canary_whole(pointer, *ret_bytes))
		check_say_overflow(pointer, *ret_bytes);
	return true;
}

void hk_check_free(const char *function, void *pointer)
{
	size_t bytes;
	check_enter();
	if (check_look(function, pointer, &bytes, true))
		check_hold(pointer, bytes);
	else
		hk_front_free(function, pointer);
	check_leave();
}

size_t hk_check_usable(const char *function, const void *pointer)
{
	size_t bytes;
	check_enter();
	if (!check_look(function, pointer, &bytes, false))
		bytes = hk_front_usable(function, pointer);
	check_leave();
	return bytes;
}

void *hk_check_realloc(void *pointer, size_t bytes)
{
	size_t old_bytes = hk_check_usable("realloc", pointer);
	void *block = NULL;
	if (bytes != 0 && (block = hk_malloc(bytes)) == NULL)
		return NULL;
	if (block != NULL)
		memcpy(block, pointer, HK_MIN(old_bytes, bytes));
	hk_check_free("realloc", pointer);
	return block;
}

/* At exit: blocks that nobody freed, and those that are held. */
__attribute__((destructor)) static void check_all(void)
{
	struct check_entry bad = {0};
	if (!hk_options.check)
		return;
	hk_lock_take(&check_lock);
	for (size_t i = 0; i < check_table.n_slots && bad.address == 0; i++) {
		struct check_entry entry = check_table.slots[i];
		const void *block = (const void *)entry.address;
		if (block != NULL && (entry.state == CHECK_LIVE ? !check_canary_whole(block, entry.bytes) :
				      entry.state == CHECK_HELD_BACK && !check_freed_whole(block, entry.bytes)))
			bad = entry;
	}
	hk_lock_drop(&check_lock);
	if (bad.address != 0 && bad.state == CHECK_LIVE)
		check_say_overflow((const void *)bad.address, bad.bytes);
	if (bad.address != 0)
		check_say_use((const void *)bad.address, bad.bytes);
}
