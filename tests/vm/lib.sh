# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# What check-vm, check-chroot and image share.  Sourced.
# shellcheck disable=SC2034,SC2154 # for, and from, those that source it

# The bases are made once, and kept here.
cache=${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/hakmem

debian_suite=bookworm
# systemd, a service to work with, and what the packages depend on.
debian_packages=systemd,systemd-sysv,redis-server,libevent-core-2.1-7,libjansson4

# Where this machine gets Debian from is where a base gets it from.
debian_mirror() {
	local mirror
	# shellcheck disable=SC2016 # apt's own placeholders
	mirror=$(apt-get indextargets --format '$(REPO_URI) $(CODENAME) $(ORIGIN)' 'Created-By: Packages' 2>/dev/null |
		awk -v suite=$debian_suite '$2 == suite && $3 == "Debian" { print $1; exit }')
	echo "${mirror:-http://deb.debian.org/debian}"
}

skip() {
	echo "${0##*/}: $*"
	echo "0 passed, 0 failed, 1 skipped"
	exit 77
}

fail() {
	echo "${0##*/}: $*"
	echo "0 passed, 1 failed"
	exit 1
}

# build_debs DIR VERSION: the packages, with $work for the log; an empty version is the one they have.
build_debs() {
	echo "building the packages${2:+ of a later version}"
	build-aux/debs "$1" "$2" >"$work/debs.log" 2>&1 || { tail -n 30 "$work/debs.log"; fail "no packages"; }
}
