# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# A daemon to be tested through its sockets: sourced by scripts that speak TAP.  Everything happens in a private
# directory, and every process started is ended.
#
# The host's pressure is fed through files (ProcRoot=), so nothing here depends on the machine's own.

build=${top_builddir:-$PWD}
hakmemd=$build/hakmemd/hakmemd
hakmemctl=$build/hakmemctl/hakmemctl
fake=$build/tests/hakmemd/fake-client
base=$(mktemp -d "${TMPDIR:-/tmp}/hakmemd-test.XXXXXX") || exit 99
chmod 755 "$base"
dir=$base/run
pids=()
n=0

cleanup() {
	for pid in "${pids[@]}"; do
		kill "$pid" 2>/dev/null
	done
	wait 2>/dev/null
	rm -rf "$base"
}
trap cleanup EXIT
trap 'exit 99' INT TERM

# result RC NAME: one TAP line.
result() {
	n=$((n + 1))
	if [ "$1" = 0 ]; then
		echo "ok $n - $2"
	else
		echo "not ok $n - $2"
		sed 's/^/#   daemon: /' "$base/log" | tail -15
	fi
}

skip() {
	n=$((n + 1))
	echo "ok $n - $1 # SKIP $2"
}

# check NAME COMMAND...: ok when the command succeeds.
check() {
	local name=$1
	shift
	"$@" >"$base/out" 2>&1
	local rc=$?
	[ $rc = 0 ] || sed 's/^/#   /' "$base/out" | head -20
	result $rc "$name"
}

# code WANTED COMMAND...: succeeds when the command exits with the code wanted.
code() {
	local wanted=$1 rc
	shift
	"$@"
	rc=$?
	[ $rc = "$wanted" ] || { echo "exit code $rc, wanted $wanted"; return 1; }
}

# until_ok SECONDS COMMAND...: try again until it succeeds.
until_ok() {
	local end=$(($(date +%s%N) + $1 * 1000000000))
	shift
	while ! "$@"; do
		[ "$(date +%s%N)" -lt $end ] || { echo "never: $*"; return 1; }
		sleep 0.05
	done
}

has() { grep -q -- "$1" "$2"; }
lacks() { ! grep -q -- "$1" "$2"; }
ctl() { "$hakmemctl" --runtime-dir "$dir" "$@"; }

# json FIELD COMMAND...: the first integer or string of that name in the output.
json() {
	local field=$1
	shift
	"$@" | sed -n "s/^ *\"$field\": \"\\{0,1\\}\\([^\",]*\\)\"\\{0,1\\},\\{0,1\\}$/\\1/p" | head -1
}

# PSI's counter of stalled microseconds, MemAvailable in percent, and the host's count of direct reclaims.
host() {
	printf 'some avg10=0.00 avg60=0.00 avg300=0.00 total=%s\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n' \
		"$1" >"$base/proc/pressure/memory.new"
	mv "$base/proc/pressure/memory.new" "$base/proc/pressure/memory"
	printf 'MemTotal: 1000000 kB\nMemFree: 1 kB\nMemAvailable: %s0000 kB\n' "$2" >"$base/proc/meminfo"
	printf 'nr_free_pages 1\nallocstall_normal %s\npgscan_direct 0\npgscan_direct_throttle 77\n' "$3" >"$base/proc/vmstat"
}

# config IDLE_SEC [LINE...]: write the configuration.
config() {
	local idle=$1
	shift
	{
		printf '[Daemon]\nProcRoot=%s/proc\nCgroupRoot=%s/nocgroup\nStayAwaySec=3\nControlGroup=\n' "$base" "$base"
		printf '[Pressure]\nPollSec=0.2\nLowThreshold=70ms/1s\nDownDelaySec=1\n'
		printf '[Flush]\nRoundIntervalSec=0.3\nTimeoutMs=500\nClientIntervalSec=0.5\n'
		printf '[Idle]\nProcessIdleSec=%s\n' "$idle"
		printf '%s\n' "$@"
	} >"$base/conf"
}

start_daemon() {
	"$hakmemd" --config "$base/conf" --runtime-dir "$dir" "$@" 2>>"$base/log" &
	daemon=$!
	pids+=("$daemon")
	until_ok 5 ctl status >/dev/null 2>&1
}

stop_daemon() {
	kill -TERM "$daemon"
	wait "$daemon"
}

# start_client NAME ARGUMENT...: its lines go to a file of that name.
start_client() {
	local name=$1
	shift
	"$fake" --dir "$dir" "$@" >"$base/$name" 2>&1 &
	client=$!
	pids+=("$client")
	until_ok 5 has welcome "$base/$name"
}

mkdir -p "$base/proc/pressure" "$base/nocgroup"
: >"$base/log"
host 0 80 0
