/* SPDX-License-Identifier: MIT */
/*
 * Loans: a size class that is hardly used has its blocks from a larger one, instead of a slab of its own.
 *
 * Why: the first block of a class costs an OS page, and blocks that it keeps cached are of no use to other
 * sizes.  A program that has a few blocks each of a hundred sizes would pay that a hundred times.
 *
 * How: the largest class of each power of two lends to the others.  A block that was lent is one of the lender's in
 * every respect: it is freed to it, measured as its own, and flushed with it.  So nothing but malloc's slow path knows
 * of loans, and a class borrows only while it has no slab.  It gets one as soon as it asks often (loans take the
 * slow path) or for much new memory in a short time (blocks too large for it waste memory), or as the lender has
 * more than two.
 */
#ifndef HK_CACHES_LOAN_H
#define HK_CACHES_LOAN_H

#include "caches/cold.h"

/* The class that would lend to this one; itself where none does. */
static inline unsigned hk_loan_lender(unsigned class_idx)
{
	if (class_idx < 64)
		return class_idx < 4 ? 3 : (2u << (63 - hk_clz64(class_idx))) - 1;
	return class_idx < HK_CLASSES ? class_idx | 7 : class_idx;
}

/* Has the class nothing of its own, and its lender not much either? */
static inline bool hk_loan_open(unsigned class_idx)
{
	unsigned lender = hk_loan_lender(class_idx);
	return lender != class_idx && HK_HINT(hk_classes[class_idx].slabs.n_slabs) == 0 &&
	       HK_HINT(hk_classes[lender].slabs.n_slabs) <= 2 && !hk_divided(&hk_classes[class_idx].slabs) &&
	       !hk_divided(&hk_classes[lender].slabs);
}

/*
 * Counts a request for a class whose magazine is empty, and says where to serve it from: the lender, or the class
 * itself.  Under no lock; threads that ask at the same time may miscount.
 */
unsigned hk_loan_from(unsigned class_idx);

/* The lender's magazine was empty too, and what it was filled with came from its slabs. */
void hk_loan_was_new(unsigned class_idx);

#endif
