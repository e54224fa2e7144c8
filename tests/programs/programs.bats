#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# programs: real programs print the same and end the same with the library preloaded as without.
#
# Each runs twice; standard output, standard error and exit status are compared.  That the library is really in the
# process is tested first, since a library that is not loaded changes nothing either.

top="$BATS_TEST_DIRNAME/../.."

setup() {
	[ -r "$HKTEST_LIB" ] || { echo "no library $HKTEST_LIB"; return 1; }
	export HAKMEM_RUNTIME_DIR="$BATS_TEST_TMPDIR/run" # no daemon there
	cd "$BATS_TEST_TMPDIR"
}

need() {
	for program in "$@"; do
		type -P "$program" >/dev/null || skip "no $program"
	done
}

# The preload goes to the command alone, not to bats.
preloaded() {
	LD_PRELOAD="$HKTEST_LIB" "$@"
}

# same COMMAND [ARGUMENT...]: with and without, the same outcome, and something to compare.
same() {
	local plain=0 with=0

	"$@" >plain.out 2>plain.err </dev/null || plain=$?
	preloaded "$@" >with.out 2>with.err </dev/null || with=$?
	echo "exit status $plain without, $with with the library"
	diff plain.out with.out | head -20
	diff plain.err with.err | head -20
	[ "$plain" -eq "$with" ]
	cmp plain.out with.out
	cmp plain.err with.err
	[ -s plain.out ] || [ -s plain.err ] || [ "$plain" -eq 0 ]
}

@test "the library is mapped into a preloaded program" {
	run preloaded grep -c "$(basename "$(readlink -f "$HKTEST_LIB")")" /proc/self/maps
	echo "$output"
	[ "$status" -eq 0 ]
	[ "$output" -ge 2 ]
}

@test "python3: a json round trip" {
	need python3
	# Without -S and the like: as people start it.  A version manager's shim would run bash first.
	python=$(python3 -c 'import sys; print(sys.executable)')
	same "$python" -c "import json, hashlib
s = json.dumps(json.loads(json.dumps([{'a': list(range(50))} for _ in range(20000)])))
print(len(s), hashlib.sha256(s.encode()).hexdigest())"
}

@test "python3: threads" {
	need python3
	python=$(python3 -c 'import sys; print(sys.executable)')
	same "$python" -c "import threading
def work(n, out): out[n] = sum(len(str(i) * (i % 50)) for i in range(20000))
out = {}
threads = [threading.Thread(target=work, args=(n, out)) for n in range(8)]
[t.start() for t in threads]; [t.join() for t in threads]
print(sorted(out.items()))"
}

@test "gcc: one of the project's own files" {
	need gcc
	for way in plain with; do
		preload=
		[ $way = with ] && preload=$HKTEST_LIB
		LD_PRELOAD="$preload" gcc -std=gnu11 -D_GNU_SOURCE -O1 -I"$top" -c "$top/tests/api/model.c" -o $way.o
	done
	cmp plain.o with.o
}

@test "git: log of a repository" {
	need git
	git init -q repository
	for i in $(seq 20); do
		seq $((i * 100)) >repository/file
		git -C repository add file
		git -C repository -c user.name=a -c user.email=a@b -c commit.gpgsign=false commit -q -m "change $i" \
			--date "2024-01-01T00:00:$((i + 10))"
	done
	same git -C repository log --stat -p
	[ "$(grep -c ^commit plain.out)" -eq 20 ]
	same git -C repository fsck --full
}

@test "sqlite3: 100,000 rows" {
	need sqlite3
	same sqlite3 :memory: "create table t(a integer primary key, b text);
with recursive n(i) as (select 1 union all select i + 1 from n where i < 100000)
insert into t select i, hex(i * 7919) || ' row ' || i from n;
create index b on t(b);
select count(*), sum(a), max(b), sum(length(b)) from t;
select * from t where b like 'f%' order by b limit 5;"
	grep -q ^100000 plain.out
}

@test "perl: hashes and strings" {
	need perl
	same perl -e 'my %h; $h{$_ % 5003} .= "x$_," for 1..200000; my $n = 0; $n += length for values %h;
my @s = sort { $a cmp $b } map { "k" . $_ * 7919 % 100003 } 1..50000; print "$n $s[0] $s[-1] ", scalar(keys %h), "\n"'
}

@test "bash: arrays, substitutions, subshells" {
	same bash -c 'declare -A a; for i in {1..20000}; do a[k$((i % 997))]+=$i; done
s=0; for k in "${!a[@]}"; do s=$((s + ${#a[$k]})); done; echo "$s ${#a[@]}"
echo "$(for i in 1 2 3; do (echo "sub $i" | tr a-z A-Z); done)"; exit 3'
	[ -s plain.out ]
}

@test "ls, grep, tar, sort, awk, sed" {
	same ls -laR --full-time /usr/share/doc/bash /usr/include
	same grep -rn define /usr/include/linux/if.h /usr/include/stdlib.h /usr/include/stdio.h
	seq 200000 -1 1 >numbers
	same sort -n numbers
	same sort -R --random-source=numbers numbers
	same sort --parallel=4 -S 1M numbers
	same awk '{ a[$1 % 1000] = a[$1 % 1000] $1 } END { for (i = 0; i < 1000; i++) n += length(a[i]); print n }' numbers
	same sed -n 's/9\(.*\)/\1-/p' numbers
	same tar -C /usr/include -cf - linux --sort=name --mtime=@0 --owner=0 --group=0
	[ -s plain.out ]
}

@test "ls: a wrong option ends the same" {
	same ls --no-such-option
}

# Debian's redis-tools carries the server's binary under another name: the name decides what it is.
redis() {
	preload=$1
	LD_PRELOAD="$preload" bash -c 'exec -a redis-server "$0" "$@"' "$(type -P redis-check-rdb)" --port 0 \
		--unixsocket "$PWD/redis.sock" --save '' --appendonly no --enable-debug-command local --daemonize no --dir "$PWD" >redis.log 2>&1 3>&- &
	server=$!
	for _ in $(seq 100); do
		[ -S redis.sock ] && redis-cli -s redis.sock ping >/dev/null 2>&1 && return 0
		sleep 0.05
	done
	cat redis.log
	return 1
}

redis_session() {
	LD_PRELOAD="$1" redis-cli -s redis.sock debug populate 50000 key 100
	{
		for i in $(seq 2000); do
			echo "set s$i $(printf "%0$((i % 300 + 1))d" "$i")"
			echo "rpush list$((i % 10)) $i"
			echo "hset hash$((i % 7)) f$i v$i"
			echo "zadd zset$((i % 3)) $i m$i"
		done
		echo "lrange list3 0 -1"
		echo "hlen hash2"
		echo "zrange zset1 0 -1 withscores"
		echo "dbsize"
		echo "flushall"
		echo "dbsize"
	} | LD_PRELOAD="$1" redis-cli -s redis.sock
}

stop_redis() {
	redis-cli -s redis.sock shutdown nosave >/dev/null 2>&1
	wait "$server"
}

@test "redis: the same answers" {
	need redis-check-rdb redis-cli
	redis ''
	redis_session '' >plain.out
	stop_redis
	redis "$HKTEST_LIB"
	grep -q "$(basename "$(readlink -f "$HKTEST_LIB")")" /proc/$server/maps
	redis_session "$HKTEST_LIB" >with.out
	stop_redis
	diff plain.out with.out | head
	cmp plain.out with.out
	[ "$(wc -l <plain.out)" -gt 8000 ]
}
