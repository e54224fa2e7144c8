# SPDX-License-Identifier: MIT
# Not part of check: a real boot takes some ten minutes where the machine has no KVM.
EXTRA_DIST += tests/vm/check-chroot tests/vm/check-vm tests/vm/image tests/vm/lib.sh tests/vm/story

.PHONY: check-chroot check-vm
check-chroot check-vm:
	$(top_srcdir)/tests/vm/$@
