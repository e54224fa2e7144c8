# SPDX-License-Identifier: MIT
# Not part of check: it takes some ten minutes where the machine has no KVM.
EXTRA_DIST += tests/vm/check-vm tests/vm/image tests/vm/story

.PHONY: check-vm
check-vm:
	$(top_srcdir)/tests/vm/check-vm
