/* SPDX-License-Identifier: MIT */
/*
 * A mark that a copy of the process does not have, for copies of which nobody is told (_Fork, bare system calls).
 *
 * It is a page of its own, which the kernel hands to a child wiped.  A small process with one thread needs none: nobody
 * holds a lock as it is copied, its figures are private, and it has no control thread.  So the page comes with the
 * second thread or the control thread, whichever is first.
 */
#ifndef HK_OS_MARK_H
#define HK_OS_MARK_H

#include "base/attr.h"

#include <stdatomic.h>

enum { HK_MARK_COPY = 0, HK_MARK_OWN = 1, HK_MARK_REPAIR = 2 };

/* HK_MARK_OWN, except in a copy that has not been put in order yet. */
extern _Atomic uint32_t *_Atomic hk_mark;

/* Make it, unless it is there; without memory, or where the kernel wipes nothing, there is none.  Under no lock. */
void hk_mark_make(void);

/* Is this process a copy of its parent, and not a child on its memory (vfork's)?  Asks the kernel; false in doubt. */
bool hk_mark_is_copy(void);

#endif
