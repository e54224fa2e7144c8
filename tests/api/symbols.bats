#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# symbols: what the library exports, seen by nm.
#
# A function of the family that is missing is served by libc, and a block of one allocator reaches the other's
# free.  A symbol too many may take the place of a program's own.

family="malloc free calloc realloc reallocarray memalign posix_memalign aligned_alloc valloc pvalloc
malloc_usable_size malloc_trim mallinfo mallinfo2 malloc_stats malloc_info free_sized free_aligned_sized"

# Older names that libc still has: where they are not the library's, libc speaks about a heap that nobody uses.
older="mallinfo mallopt cfree"

# Interposed so that the control thread, which libc does not know, is stopped before credentials or namespaces change.
identity="setuid setgid seteuid setegid setreuid setregid setresuid setresgid setgroups initgroups unshare setns prctl"

setup() {
	[ -r "$HKTEST_LIB" ] || { echo "no library $HKTEST_LIB"; return 1; }
	exported=$(nm -D --defined-only "$HKTEST_LIB" | awk '{ sub(/@.*/, "", $3); print $3 }' | sort -u)
}

@test "the whole family is exported" {
	missing=
	for name in $family; do
		grep -qx "$name" <<<"$exported" || missing="$missing $name"
	done
	echo "missing:$missing"
	[ -z "$missing" ]
}

@test "hakmem.h's functions are exported" {
	missing=
	for name in $(sed -n 's/^[a-z].*[ *]\(hak_[a-z_]*\)(.*/\1/p' "$BATS_TEST_DIRNAME/../../libhakmem/hakmem.h"); do
		n=$((n + 1))
		grep -qx "$name" <<<"$exported" || missing="$missing $name"
	done
	echo "$n functions in the header, missing:$missing"
	[ "$n" -ge 4 ]
	[ -z "$missing" ]
}

@test "nothing else is exported" {
	extra=
	for name in $exported; do
		case " $(echo $family $older $identity) " in
		*" $name "*) continue ;;
		esac
		case $name in
		hak_*) ;;
		*) extra="$extra $name" ;;
		esac
	done
	echo "extra:$extra"
	[ -n "$exported" ]
	[ -z "$extra" ]
}

@test "no version node stands on malloc: it would switch interposition off" {
	run bash -c "nm -D --defined-only --with-symbol-versions '$HKTEST_LIB' | grep -E ' (malloc|free)(@|\$)'"
	echo "$output"
	[ "${#lines[@]}" -eq 2 ]
	[[ "$output" != *@* ]]
}

@test "the library's thread-local storage is small and needs no allocation (initial-exec)" {
	run readelf -lW "$HKTEST_LIB"
	size=$(awk '$1 == "TLS" { print $6 }' <<<"$output")
	echo "TLS segment: $size bytes"
	[ -n "$size" ]
	[ $((size)) -le 1024 ]
	run bash -c "readelf -rW '$HKTEST_LIB' | grep -E 'DTPMOD|TLSDESC|__tls_get_addr'"
	echo "$output"
	[ -z "$output" ]
}
