/* SPDX-License-Identifier: MIT */
/*
 * The system calls of libhakmem, by the names that seccomp filters use.
 *
 * Why: a filter may kill a process for a call that it does not know, so whoever has a service run on the
 * library compares the service's filter with this list first.  tests/syscalls compares it with the source.
 */
#ifndef HAKMEM_PROTOCOL_SYSCALLS_H
#define HAKMEM_PROTOCOL_SYSCALLS_H

/* X(name): made in the ordinary course. */
#define HKP_SYSCALLS(X)                                                                               \
	X(capget) X(clock_gettime) X(clock_nanosleep) X(clone) X(close) X(close_range) X(connect)     \
	X(exit) X(exit_group) X(fcntl) X(fstat) X(fstatfs) X(ftruncate) X(futex) X(geteuid)           \
	X(getpid) X(getrandom) X(getsockopt) X(gettid) X(kill) X(madvise) X(membarrier)               \
	X(memfd_create) X(mmap) X(mprotect) X(mremap) X(munmap) X(nanosleep) X(newfstatat)            \
	X(openat) X(ppoll) X(prctl) X(pread64) X(process_madvise) X(process_vm_readv) X(read)         \
	X(recvmsg) X(rt_sigprocmask) X(sendmsg) X(signalfd4) X(socket) X(tgkill) X(write)

/*
 * X(name): a filter may forbid these.  capset: only where there are capabilities to give up.  getppid, kcmp: only in a
 * copy of a small process that no fork handler saw, and in a vfork child that allocates.  pidfd_*: only on the way to
 * abort, to say why.
 */
#define HKP_SYSCALLS_RARE(X) X(capset) X(getppid) X(kcmp) X(pidfd_getfd) X(pidfd_open)

#endif
