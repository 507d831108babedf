#!/bin/sh
# What the collector costs: CPU and bytes of trace for each event of real programs in `all`, what part
# of a CPU its snapshots use, its CPU beside a program that does nothing, and what a short program's
# life takes longer in a traced tree. Usage: bench/collector.sh BUILD [ROUNDS], after BUILD/bench's
# snapshot and startup. gcc, sqlite3, redis and python3 are used where they are.
build=$(realpath "$1")
rounds=${2:-3}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

median() { # COLUMN FILE
	sort -n -k "$1,$1" "$2" | awk -v column="$1" '{ value[NR] = $column } END { print value[int((NR + 1) / 2)] }'
}

# A line of the dump is a record: an event, but for a few hundred. Snapshots are wanted by time and
# size, not by events, and stand in a column of their own. The last record says what the collector
# needed.
figures() { # TRACE
	"$build/vmtrace" dump --format json "$1" | awk -v disk="$(du -B1 "$1" | cut -f 1)" '
		match($0, /"cpu_ns":[0-9]+/) { snapshots += substr($0, RSTART + 9, RLENGTH - 9) }
		match($0, /"collector_cpu_ns":[0-9]+/) { cpu = substr($0, RSTART + 19, RLENGTH - 19) }
		END { print NR, (cpu - snapshots) / NR, snapshots / NR, disk / NR, cpu, disk }'
}

row() { # NAME FILE
	printf '  %-32s %9d events %6.1f ns of draining and %5.1f of snapshots an event %6.2f bytes an event\n' \
		"$1" "$(median 1 "$2")" "$(median 2 "$2")" "$(median 3 "$2")" "$(median 4 "$2")"
}

drained() { # NAME PROGRAM [ARGUMENT...]
	name=$1
	shift
	[ -x "$1" ] || return 0
	rm -f "$work/drained"
	for _ in $(seq "$rounds"); do
		rm -f "$work"/*.vmt
		"$build/vmtrace" record --malloc all -o "$work/t.vmt" -- "$@" >/dev/null 2>&1 </dev/null
		figures "$work/t.vmt" >>"$work/drained"
	done
	row "$name" "$work/drained"
	[ -z "$mixed" ] || head -1 "$work/drained" >>"$work/mixed"
}

# A server is recorded until its client has done.
drained_redis() {
	server=$(command -v redis-server) && command -v redis-benchmark >/dev/null || return 0
	rm -f "$work/drained"
	for _ in $(seq "$rounds"); do
		rm -f "$work"/*.vmt
		"$build/vmtrace" record --malloc all -o "$work/t.vmt" -- "$server" --port 0 \
			--unixsocket "$work/socket" --save '' >/dev/null 2>&1 </dev/null &
		for _ in $(seq 100); do redis-cli -s "$work/socket" ping >/dev/null 2>&1 && break; sleep .05; done
		redis-benchmark -s "$work/socket" -t set,get,lpush,lpop -n 40000 -r 20000 -d 100 -q >/dev/null 2>&1
		redis-cli -s "$work/socket" shutdown nosave >/dev/null 2>&1
		wait
		figures "$work/t.vmt" >>"$work/drained"
	done
	row 'redis' "$work/drained"
	[ -z "$mixed" ] || head -1 "$work/drained" >>"$work/mixed"
}

# What snapshots that nobody asked for used of a CPU, from the fifth second on: the credit that a
# recording begins with is spent by then.
budget() { # NAME SHAPE SECONDS
	rm -f "$work"/*.vmt
	"$build/vmtrace" record --malloc off -o "$work/t.vmt" -- "$build/bench/snapshot" live "$2" "$3" >/dev/null 2>&1
	"$build/vmtrace" dump --format json "$work/t.vmt" | awk -v name="$1" '
		match($0, /"time_ns":[0-9]+/) { time = substr($0, RSTART + 10, RLENGTH - 10) }
		time > 5e9 && /"record":"snapshot"/ && !/"reason":"(exit|request)"/ && match($0, /"cpu_ns":[0-9]+/) {
			spent += substr($0, RSTART + 9, RLENGTH - 9)
			count++
		}
		END { printf "  %-32s %5d snapshots, %.2f %% of a CPU\n", name, count, spent / (time - 5e9) * 100 }'
}

idle() { # SECONDS
	"$build/vmtrace" record -o "$work/idle.vmt" -- sleep $(($1 + 4)) >/dev/null 2>&1 &
	sleep 3
	before=$(cut -d ' ' -f 1 "/proc/$!/schedstat")
	sleep "$1"
	after=$(cut -d ' ' -f 1 "/proc/$!/schedstat")
	wait
	awk -v ns=$((after - before)) -v seconds="$1" \
		'BEGIN { printf "  beside a program that sleeps: %.3f %% of a CPU\n", ns / seconds / 1e7 }'
}

# One after the other, so that a machine that gets slower meanwhile tells both the same.
short() { # NAME PROGRAM
	rm -f "$work/bare" "$work/traced"
	for _ in $(seq "$rounds"); do
		"$build/bench/startup" 100 "$2" >>"$work/bare"
		"$build/vmtrace" record -o "$work/s.%p.vmt" -- "$build/bench/startup" 100 "$2" 2>/dev/null >>"$work/traced"
		rm -f "$work"/*.vmt
	done
	echo "  $1: $(median 1 "$work/bare") us, own CPU $(median 2 "$work/bare") us;" \
		"in a traced tree $(median 1 "$work/traced") us, own CPU $(median 2 "$work/traced") us"
}

echo "the collector in 'all', medians of $rounds rounds"
PYTHONMALLOC=malloc
export PYTHONMALLOC
mixed=
drained 'python3, PYTHONMALLOC=malloc' /usr/bin/python3 -S -c 'print(sum(len(str(i)) for i in range(300000)))'
unset PYTHONMALLOC
mixed=yes
awk 'BEGIN { for (i = 0; i < 150; i++) printf "int f%d(int *a, int n) { int s = %d; for (int i = 0; i < n; i++) { s += a[i] * %d; if (s & 8) s ^= a[i / 2]; switch (s %% 7) { case 1: s += n; break; case 2: s -= a[0]; break; case 5: s *= 3; } } return s; }\n", i, i, i + 3 }' >"$work/large.c"
drained 'gcc -O2' "$(gcc -print-prog-name=cc1 2>/dev/null)" -quiet -O2 "$work/large.c" -o /dev/null
drained 'sqlite3, 100,000 rows' /usr/bin/sqlite3 :memory: \
	'create table t(a, b); with recursive c(x) as (select 1 union all select x + 1 from c where x < 100000)
	insert into t select x, hex(randomblob(40)) from c; create index i on t(b); select count(*) from t;'
drained_redis
[ ! -s "$work/mixed" ] || awk '{ events += $1; disk += $6 }
	END { printf "  these but python, one run of each %10d events %6.2f bytes an event\n", events, disk / events }' "$work/mixed"
echo "snapshots while 96 MiB come and go, of 20 seconds the last 15"
budget '1 GiB in 4 KiB pages' pages 20
budget '100 GiB reserved' sparse 20
budget '60,000 mappings' mappings 20
echo "small things"
short '/bin/true' /bin/true
short 'fork and exit' exit
short 'fork, malloc and exit' malloc
idle 10
