/* SPDX-License-Identifier: MIT */
/*
 * A mapping moved and grown by one mremap: valgrind (3.19) takes a write to what came with it for an invalid one.
 *
 * Its do_mremap() marks the new part with the rights of `old_seg`, an entry of the table of segments which
 * am_relocate_nooverlap_client() has just written anew: it names whatever lies there now.  Here that is the page without
 * rights behind the old mapping.  No allocator takes part.
 */
#include <stddef.h>
#include <sys/mman.h>
#include <valgrind/memcheck.h>

#define MIB ((size_t)1 << 20)

static char *map(char *at, size_t bytes, int protection)
{
	int fixed = at != NULL ? MAP_FIXED : 0;
	char *map = mmap(at, bytes, protection, MAP_PRIVATE | MAP_ANONYMOUS | fixed, -1, 0);
	return map != MAP_FAILED ? map : NULL;
}

int main(void)
{
	char *room = map(NULL, 64 * MIB, PROT_NONE);
	if (room == NULL || munmap(room, 64 * MIB) != 0)
		return 2;
	char *old = map(room + 4 * MIB, 2 * MIB, PROT_READ | PROT_WRITE);
	char *wall = map(room + 6 * MIB, 4096, PROT_NONE), *to = map(room + 16 * MIB, 8 * MIB, PROT_NONE);
	if (old == NULL || wall == NULL || to == NULL ||
	    mremap(old, 2 * MIB, 8 * MIB, MREMAP_MAYMOVE | MREMAP_FIXED, to) != to)
		return 2;
	to[2 * MIB - 1] = 1; /* the end of what was moved */
	to[2 * MIB] = 1;     /* the beginning of what came with it */
	return VALGRIND_COUNT_ERRORS == 1 ? 0 : 1;
}
