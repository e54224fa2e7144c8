/* SPDX-License-Identifier: MIT */
/* Who borrows, and for how long: see loan.h. */
#include "caches/loan.h"

#include "base/counters.h"

/* What a class may borrow in one of these spans of time before it gets a slab: so often that the slow path of loans is a
 * thousandth of a CPU, and so little that a page of its own would not be full. */
#define LOAN_SPAN_SHIFT 24 /* 2^24 ns, 17 ms */
#define LOAN_MOST       1024u
#define LOAN_MOST_NEW   8u /* times that a lender was asked for new memory; each time one block or a few small ones */

/* Where the span is over, counting begins anew.  The clock is read for one request in so many, and before one is refused. */
#define LOAN_LOOK 16u

static void loan_look(struct hk_loan *loan)
{
	uint32_t span = (uint32_t)(hk_clock_coarse_nsec() >> LOAN_SPAN_SHIFT);
	if (HK_HINT(loan->span) == span)
		return;
	HK_HINT_SET(loan->span, span);
	HK_HINT_SET(loan->n, 0);
	HK_HINT_SET(loan->n_new, 0);
}

static bool loan_over(const struct hk_loan *loan)
{
	return HK_HINT(loan->n) >= LOAN_MOST || HK_HINT(loan->n_new) >= LOAN_MOST_NEW;
}

unsigned hk_loan_from(unsigned class_idx)
{
	if (HK_LIKELY(!hk_loan_open(class_idx)))
		return class_idx;
	struct hk_loan *loan = &hk_classes[class_idx].loan;
	if (HK_HINT(loan->n) % LOAN_LOOK == 0 || loan_over(loan))
		loan_look(loan);
	if (loan_over(loan))
		return class_idx;
	HK_HINT_SET(loan->n, (uint16_t)(HK_HINT(loan->n) + 1));
	return hk_loan_lender(class_idx);
}

void hk_loan_was_new(unsigned class_idx)
{
	struct hk_loan *loan = &hk_classes[class_idx].loan;
	HK_HINT_SET(loan->n_new, (uint16_t)(HK_HINT(loan->n_new) + 1));
}
