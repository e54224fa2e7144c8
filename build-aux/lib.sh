# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# What ./quickstart and ./runtests share: installing packages and building.  Sourced in the top folder.

top=$PWD
build=$top/build     # everything made stands below it
stage=$build/stage   # `make install` goes here
prefix=/usr/local    # in the stage

lib=$stage$prefix/lib/libhakmem.so.0
hakmemd=$stage$prefix/sbin/hakmemd
hakmemctl=$stage$prefix/bin/hakmemctl
export lib hakmemd hakmemctl

say() { printf '%s\n' "$*" >&2; }
die() { say "${0##*/}: $*"; exit 1; }

# packages_missing LIST: the lines of it whose package is not installed.
packages_missing() {
	local name what
	while read -r name what; do
		case $name in '' | '#'*) continue ;; esac
		[ "$(dpkg-query -W -f '${db:Status-Status}' "$name" 2>/dev/null)" = installed ] ||
			printf '%-16s %s\n' "$name" "$what"
	done <"$1"
}

# packages_install yes|no [LIST]: shows what is missing, then installs it, or dies where that is not wanted.
packages_install() {
	local list=${2:-build-aux/packages} missing names root=()
	command -v apt-get >/dev/null ||
		{ say "no apt-get here: the packages in $list have to be there already"; return; }
	missing=$(packages_missing "$list")
	[ -n "$missing" ] || { say "Debian packages: all there"; return; }
	say "Debian packages to install (no service is started, enabled or left behind):"
	say "$missing"
	[ "$1" = yes ] || die "they are missing, and --no-install was given"
	if [ "$(id -u)" != 0 ]; then
		command -v sudo >/dev/null || die "installing them needs root or sudo"
		root=(sudo)
	fi
	mapfile -t names < <(awk '{ print $1 }' <<<"$missing")
	apt_get() {
		"${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=120 "$@" >&2
	}
	# A fresh machine has no package lists, an old one has stale ones: only then is an update needed.
	apt_get install -y --no-install-recommends "${names[@]}" 2>/dev/null || {
		apt_get update
		apt_get install -y --no-install-recommends "${names[@]}"
	} || die "apt-get failed"
}

# logged LOG COMMAND...: runs it with its output in LOG, and shows the end of that where it fails.
logged() {
	local log=$1
	shift
	"$@" >"$log" 2>&1 || { tail -n 40 "$log" >&2; die "failed: $* (all of it: ${log#"$top"/})"; }
}

# Builds in build/ and installs into build/stage.
build_all() {
	mkdir -p "$build"
	say "building in build/"
	[ -f Makefile.in ] || logged "$build/autoreconf.log" autoreconf -fi
	[ -f "$build/Makefile" ] ||
		(cd "$build" && logged "$build/configure.log" ../configure --prefix="$prefix")
	logged "$build/make.log" make -C "$build" -j"$(nproc)"
	logged "$build/install.log" make -C "$build" install DESTDIR="$stage"
}
