/* SPDX-License-Identifier: MIT */
/*
 * Told to valgrind: what a block gets with its move by mremap may be used.  Preloaded where the library runs under it.
 *
 * Valgrind (3.19) loses that, as move.c shows without the library.  A suppression would have to name all who write to
 * large blocks, and hide what they do wrong elsewhere; so the one function that moves is wrapped, in the unit tests'
 * programs and in the library, and the bytes the kernel gave are told, no more.
 */
#include <stdbool.h>
#include <stddef.h>
#include <valgrind/memcheck.h>

static bool remap_tell(OrigFn move, void *address, size_t old_bytes, char *target, size_t new_bytes, const char *name)
{
	unsigned long ret;
	CALL_FN_W_5W(ret, move, address, old_bytes, target, new_bytes, name);
	bool moved = (ret & 1) != 0;
	if (moved && new_bytes > old_bytes)
		VALGRIND_MAKE_MEM_DEFINED(target + old_bytes, new_bytes - old_bytes);
	return moved;
}

#define WRAP(soname)                                                                                                   \
	bool I_WRAP_SONAME_FNNAME_ZU(soname, hk_os_move)(void *address, size_t old_bytes, char *target,                \
							 size_t new_bytes, const char *name);                          \
	bool I_WRAP_SONAME_FNNAME_ZU(soname, hk_os_move)(void *address, size_t old_bytes, char *target,                \
							 size_t new_bytes, const char *name)                           \
	{                                                                                                              \
		OrigFn move;                                                                                           \
		VALGRIND_GET_ORIG_FN(move);                                                                            \
		return remap_tell(move, address, old_bytes, target, new_bytes, name);                                  \
	}

WRAP(NONE) /* a program with the core linked into it */
WRAP(libhakmemZdsoZd0)
