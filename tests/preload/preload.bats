#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# preload: the ways in which a preloaded allocator breaks programs; docs/preload.md has the table, a row each.
#
# PRELOAD_FORKS=10000 lengthens row 8, PRELOAD_THREADS row 19; PRELOAD_CHANGE_SYSCTL=1 lets row 20 change a setting of
# the machine for a moment.

setup() {
	[ -r "$HKTEST_LIB" ] || { echo "no library $HKTEST_LIB"; return 1; }
	export HAKMEM_RUNTIME_DIR="$BATS_TEST_TMPDIR/run" # no daemon there
	bin=$top_builddir/tests/preload
	cd "$BATS_TEST_TMPDIR"
}

preloaded() {
	run env LD_PRELOAD="$HKTEST_LIB" "$@"
	echo "$output"
}

# good PROGRAM CASE: the case ends with 0; 77 says why it cannot run here.
good() {
	preloaded "$bin/$1" "$2"
	[ "$status" -ne 77 ] || skip "$output"
	[ "$status" -eq 0 ]
}

need() {
	type -P "$1" >/dev/null || skip "no $1"
}

# build FILE [OPTION...]: a small program from standard input.
build() {
	local file=$1
	shift
	need "${CC:-cc}"
	"${CC:-cc}" -x c -o "$file" - -x none "$@"
}

@test "row 1: another preloaded library takes mmap, munmap and madvise, and allocates in its constructor" {
	run env LD_PRELOAD="$HKTEST_LIB:$bin/.libs/meddler.so" "$bin/limits" meddled
	echo "$output"
	[ "$status" -eq 0 ]
}

@test "row 2: the environment is read once; options hold when the program overwrites it" {
	preloaded perl -e '$0 = "x" x 500; $ENV{HAKMEM_CHECK} = 1; my @a = map { "y" x $_ } 1 .. 5000; print scalar @a'
	[ "$output" = 5000 ]
}

@test "row 3: the library can be loaded late, and again: static TLS suffices, and it stays" {
	build late -ldl <<-'END'
		#include <dlfcn.h>
		#include <stdio.h>
		int main(int argc, char **argv)
		{
			for (int i = 0; i < 100 && argc == 2; i++) {
				void *lib = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
				void *(*own_malloc)(unsigned long) = lib ? (void *(*)(unsigned long))dlsym(lib, "malloc") : 0;
				void (*own_free)(void *) = lib ? (void (*)(void *))dlsym(lib, "free") : 0;
				if (!lib || !own_malloc || !own_free)
					return puts(dlerror()), 1;
				void *p = own_malloc(100);
				dlclose(lib);
				own_free(p);
			}
			return 0;
		}
	END
	run ./late "$HKTEST_LIB"
	echo "$output"
	[ "$status" -eq 0 ]
}

@test "row 5: a block of another namespace's malloc is refused, not mixed up" {
	build other -ldl <<-'END'
		#define _GNU_SOURCE
		#include <dlfcn.h>
		#include <stdio.h>
		#include <stdlib.h>
		int main(void)
		{
			void *libc = dlmopen(LM_ID_NEWLM, "libc.so.6", RTLD_NOW);
			char *(*other_strdup)(const char *) = libc ? (char *(*)(const char *))dlsym(libc, "strdup") : 0;
			void (*other_free)(void *) = libc ? (void (*)(void *))dlsym(libc, "free") : 0;
			if (!other_strdup || !other_free)
				return 3;
			other_free(other_strdup("each to its own"));
			free(other_strdup("and not across"));
			return 0;
		}
	END
	preloaded ./other
	[ "$status" -eq 134 ]
	[[ "$output" == *"hakmem: free(): invalid pointer 0x"*": not allocated by hakmem"* ]]
}

@test "row 7: errno is the program's, whatever the library does" {
	good signals errno
}

@test "row 8: fork in a process whose threads never stop; the child flushes and allocates" {
	good process fork-storm
	[[ "$output" == *" forks" ]]
}

@test "row 8: a child made past fork's handlers is put in order" {
	good process bare-fork
}

@test "row 9: a child on its parent's memory starts nothing and breaks nothing" {
	good process clone-vm
}

@test "row 10: with raised privileges (AT_SECURE) no option and no pressure file is read" {
	[ "$(id -u)" = 0 ] || skip "needs root"
	need setpriv
	dir=$(mktemp -d /tmp/hakmem-preload-XXXXXX)
	chmod 755 "$dir"
	cp "$HKTEST_LIB" "$dir/libhakmem.so.0"
	build "$dir/secure" "$dir/libhakmem.so.0" "-Wl,-rpath,$dir" <<-'END'
		#include <malloc.h>
		#include <stdio.h>
		#include <stdlib.h>
		#include <sys/auxv.h>
		int main(void)
		{
			void *p = malloc(120);
			printf("AT_SECURE=%lu usable=%zu\n", getauxval(AT_SECURE), malloc_usable_size(p));
			free(p);
			return 0;
		}
	END
	run env HAKMEM_CHECK=1 HAKMEM_HELP=1 "$dir/secure"
	echo "$output"
	[[ "$output" == *"hakmem: HAKMEM_CHECK"*"AT_SECURE=0 usable=120"* ]]
	chmod 4755 "$dir/secure"
	run setpriv --reuid=65534 --regid=65534 --clear-groups env HAKMEM_CHECK=1 HAKMEM_HELP=1 "$dir/secure"
	echo "$output"
	rm -rf "$dir"
	[ "$output" = "AT_SECURE=1 usable=128" ]
}

@test "row 11: unshare works while the control thread runs" {
	good process unshare
}

@test "row 11: setns into a user namespace works while the control thread runs" {
	good process setns
}

@test "row 11: setuid reaches every thread, and the program cannot come back" {
	good process setuid
}

@test "row 12: a signal to the process reaches its own threads at once" {
	good signals delivery
}

@test "row 13: under strict seccomp the magazines serve without a system call" {
	good limits seccomp-strict
}

@test "row 13: a filter that kills meets only calls for memory" {
	good limits seccomp-filter
}

@test "row 14: closefrom leaves the library and the program's new descriptors alone" {
	good process closefrom
}

@test "row 14: close_range, past libc" {
	good process close-range
}

@test "row 14: close of every number" {
	good process close-each
}

@test "row 14: a daemon goes into the background and closes everything" {
	good process daemonize
}

@test "row 15: after exec nothing of the program before is left" {
	good process exec
}

@test "row 17: in a chroot with nothing in it" {
	good process chroot
}

@test "row 18: handlers that allocate at 1 kHz, outside of malloc" {
	good signals handlers-outside
}

@test "row 18: handlers that interrupt malloc and allocate are found with HAKMEM_CHECK=1" {
	HAKMEM_CHECK=1 preloaded "$bin/signals" handlers
	[ "$status" -eq 134 ]
	[ "${lines[0]}" = "hakmem: a signal handler called malloc or free, and had interrupted one of them" ]
}

@test "row 18: without it such a program goes on, or ends with a line; it never hangs" {
	preloaded timeout 60 "$bin/signals" handlers
	[ "$status" -eq 0 ] || { [ "$status" -eq 134 ] && [[ "$output" == *"hakmem: "* ]]; }
}

@test "row 19: ten thousand short threads leave nothing" {
	good process thread-storm
}

@test "row 19: main calls pthread_exit, and the process ends with its last thread" {
	good process main-exits
}

@test "row 20: RLIMIT_AS" {
	good limits rlimit-as
}

@test "row 20: RLIMIT_DATA" {
	good limits rlimit-data
}

@test "row 20: no descriptor may be opened (RLIMIT_NOFILE)" {
	good limits rlimit-nofile
}

@test "row 20: no thread may be made (RLIMIT_NPROC)" {
	good limits rlimit-nproc
}

@test "row 20: all memory is locked (mlockall)" {
	good limits memlock
}

@test "row 20: vm.overcommit_memory=2" {
	good limits overcommit
}

@test "row 20: a flush in a cgroup at its limit" {
	good limits cgroup
}

@test "row 21: a partly filled SuperSlab never becomes a huge page" {
	good limits thp
}

@test "row 22: what went back is gone at once (LazyFree is 0)" {
	good limits lazyfree
}

@test "row 25: with HAKMEM_CHECK=1 a program that does nothing wrong goes on, threads, forks and flushes included" {
	HAKMEM_CHECK=1 preloaded "$top_builddir/tests/api/model.preload" --seed 9 --ops 200000 --threads 4 --blocks 500 --flush --fork
	[ "$status" -eq 0 ]
	[[ "$output" == *good* ]]
}

@test "row 26: valgrind watches a preloaded program once it is told the library's name" {
	need valgrind
	build leak <<-'END'
		#include <stdlib.h>
		int main(void)
		{
			char *p = malloc(40);
			p[40] = 1;
			free(p);
			return 0;
		}
	END
	preloaded valgrind -q --error-exitcode=9 '--soname-synonyms=somalloc=libhakmem*' ./leak
	[ "$status" -eq 9 ]
	[[ "$output" == *"Invalid write of size 1"* ]]
}

@test "a small process has eight pages of its own more than without the library, at most" {
	build small <<-'END'
		#include <fcntl.h>
		#include <stdio.h>
		#include <stdlib.h>
		#include <string.h>
		#include <unistd.h>
		int main(void)
		{
			char text[4096] = "";
			int fd = open("/proc/self/smaps_rollup", O_RDONLY);
			char *volatile block = malloc(100);
			*block = 1;
			return read(fd, text, sizeof text - 1) > 0 ? atoi(strstr(text, "Anonymous:") + 10) / 4 : 0;
		}
	END
	[ "$(getconf PAGESIZE)" = 4096 ] || skip "larger pages"
	local i with without most=0 least=255
	for i in 1 2 3 4 5; do # the pages of the stack depend on where it begins
		without=0 with=0
		./small || without=$?
		LD_PRELOAD=$HKTEST_LIB ./small || with=$?
		most=$((with > most ? with : most))
		least=$((without < least ? without : least))
	done
	echo "$most pages with it, $least without"
	# six, one that the stack may need, and one where the kernel draws more than 28 bits for the addresses of mappings
	[ "$least" -gt 0 ] && [ $((most - least)) -le 8 ]
}

@test "a small process has the usual text of the library in memory, and not the seldom one" {
	readelf -SW "$HKTEST_LIB" | grep -q ' \.text\.seldom ' || skip "the linker did not sort it"
	LD_PRELOAD=$HKTEST_LIB cat /proc/self/smaps > alone
	cat > smaps.h <<-'END'
		#include <fcntl.h>
		#include <stdlib.h>
		#include <unistd.h>
		static int copy_smaps(const char *name)
		{
			char part[4096];
			ssize_t n;
			int from = open("/proc/self/smaps", O_RDONLY), to = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0666);
			while ((n = read(from, part, sizeof part)) > 0)
				if (write(to, part, n) != n)
					return -1;
			return n;
		}
	END
	# nor one that forks, nor its child
	build forks -I. <<-'END'
		#include "smaps.h"
		#include <sys/wait.h>
		int main(void)
		{
			void *block = malloc(1000);
			pid_t pid = fork();
			int copied = copy_smaps(pid == 0 ? "child" : "parent");
			free(block);
			return copied != 0 || (pid != 0 && wait(NULL) != pid);
		}
	END
	preloaded ./forks
	[ "$status" -eq 0 ]
	# nor one with threads and blocks of many sizes, and little memory in them
	build threads -I. -pthread <<-'END'
		#include "smaps.h"
		#include <pthread.h>
		static void *work(void *arg)
		{
			void *blocks[1000];
			for (int round = 0; round < 20; round++) {
				for (int i = 0; i < 1000; i++)
					blocks[i] = malloc(16 + i % 600);
				for (int i = 0; i < 1000; i++)
					free(blocks[i]);
			}
			return arg;
		}
		int main(void)
		{
			pthread_t thread;
			work(NULL);
			if (pthread_create(&thread, NULL, work, NULL) != 0 || pthread_join(thread, NULL) != 0)
				return 1;
			return copy_smaps("threaded") != 0;
		}
	END
	preloaded ./threads
	[ "$status" -eq 0 ]
	for who in alone parent child threaded; do
		# of each mapping of text, in the order of addresses: KiB in memory
		run awk '/^[0-9a-f]+-/ { text = $2 ~ /x/ && /libhakmem/ } text && /^Rss:/ { print $2 }' $who
		echo "$who: ${lines[*]}"
		[ "$status" -eq 0 ] && [ "${#lines[@]}" -eq 2 ]
		[ "${lines[0]}" -gt 0 ]
		[ "${lines[1]}" -eq 0 ]
	done
}

@test "row 27: a static program is not ours, and runs" {
	build static -static <<-'END'
		#include <stdio.h>
		#include <stdlib.h>
		#include <string.h>
		int main(void)
		{
			char line[4096];
			FILE *maps = fopen("/proc/self/maps", "r");
			free(malloc(1000));
			while (maps && fgets(line, sizeof line, maps))
				if (strstr(line, "hakmem"))
					return 1;
			return 0;
		}
	END
	preloaded ./static
	[ "$status" -eq 0 ]
}
