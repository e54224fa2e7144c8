/* SPDX-License-Identifier: MIT */
/* The mark that is wiped in copies: see mark.h. */
#include "os/mark.h"

#include "base/options.h"
#include "base/syscall.h"
#include "os/pages.h"

#define MARK_KCMP_VM 1 /* of linux/kcmp.h: do two processes share their memory? */

static _Atomic uint32_t mark_none = HK_MARK_OWN;
_Atomic uint32_t *_Atomic hk_mark = &mark_none;

void hk_mark_make(void)
{
	_Atomic uint32_t *none = &mark_none;
	if (HK_LIKELY(atomic_load_explicit(&hk_mark, memory_order_relaxed) != none))
		return;
	_Atomic uint32_t *mark = hk_os_map(HK_PAGE_BYTES, HK_PAGE_BYTES, "hakmem: fork");
	if (mark == NULL)
		return;
	atomic_store_explicit(mark, HK_MARK_OWN, memory_order_relaxed);
	if (!hk_os_wipe_on_fork(mark, HK_PAGE_BYTES) || !atomic_compare_exchange_strong(&hk_mark, &none, mark))
		hk_os_unmap(mark, HK_PAGE_BYTES);
}

bool hk_mark_is_copy(void)
{
	return hk_may_call() && hk_sys5(SYS_kcmp, hk_sys0(SYS_getpid), hk_sys0(SYS_getppid), MARK_KCMP_VM, 0, 0) > 0;
}
