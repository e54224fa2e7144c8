// SPDX-License-Identifier: MIT
/*
 * filter: a program that gives itself a seccomp filter, as sshd's child does before login, goes on allocating.
 *
 * The filter lets pass what sshd's does and of that only what an allocator may need, and kills for all else.
 */
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "block.h"
#include "family.h"
#include "tap.h"

#define PASS(name)                                                                                           \
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_##name, 0, 1), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)

static void give_filter(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		PASS(brk), PASS(clock_gettime), PASS(exit), PASS(exit_group), PASS(futex), PASS(getpid), PASS(getrandom),
		PASS(madvise), PASS(mmap), PASS(mremap), PASS(munmap), PASS(read), PASS(rt_sigprocmask), PASS(write),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
	};
	struct sock_fprog program = { sizeof(code) / sizeof(code[0]), code };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
		_exit(77);
}

/* Blocks of every kind, enough for new SuperSlabs, and all of it back. */
static void allocate(void)
{
	enum { N = 20000 };
	static void *blocks[N];

	for (int round = 0; round < 3; round++) {
		for (size_t i = 0; i < N; i++) {
			size_t size = i % 100 ? i * 37 % 2000 : i * 200 % (3 * MIB);

			blocks[i] = block_hide(malloc(size + 1));
			if (!blocks[i])
				_exit(1);
			memset(blocks[i], 1, size + 1);
		}
		for (size_t i = 0; i < N; i++)
			free(block_hide(realloc(blocks[i], i % 7 ? 10 : 100000)));
	}
}

static int in_child(void (*work)(void))
{
	int status = -1;
	pid_t pid = fork();

	if (pid == 0) {
		give_filter();
		work();
		_exit(0);
	}
	return pid > 0 && waitpid(pid, &status, 0) == pid ? status : -1;
}

static void trim(void)
{
	allocate();
	malloc_trim(0);
}

int main(void)
{
	int status;

	allocate();
	status = in_child(allocate);
	tap_ok(WIFEXITED(status) && WEXITSTATUS(status) == 0, "malloc and free under a filter that kills: status %#x",
	       (unsigned)status);
	status = in_child(trim);
	tap_ok(WIFEXITED(status) && WEXITSTATUS(status) == 0, "malloc_trim: status %#x", (unsigned)status);
	return tap_done();
}
