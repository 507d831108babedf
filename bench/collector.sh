#!/bin/sh
# What the collector costs: CPU and bytes of trace for each event of real programs in `all`, CPU
# beside a program that does nothing, and what a short program's life takes longer in a traced tree.
# Usage: bench/collector.sh BUILD [ROUNDS]. Needs sqlite3 and python3; leaves out what is missing.
build=$(realpath "$1")
rounds=${2:-3}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

median() { # COLUMN FILE
	sort -n -k "$1,$1" "$2" | awk -v column="$1" '{ value[NR] = $column } END { print value[int((NR + 1) / 2)] }'
}

# One line of the dump is one record; the last one says what the collector needed.
drained() { # NAME PROGRAM [ARGUMENT...]
	name=$1
	shift
	[ -x "$1" ] || return 0
	for _ in $(seq "$rounds"); do
		rm -f "$work"/*.vmt
		"$build/vmtrace" record --malloc all -o "$work/t.vmt" -- "$@" >/dev/null 2>&1 </dev/null
		"$build/vmtrace" dump --format json "$work/t.vmt" | awk -v disk="$(du -B1 "$work/t.vmt" | cut -f 1)" '
			match($0, /"collector_cpu_ns":[0-9]+/) { cpu = substr($0, RSTART + 19, RLENGTH - 19) }
			END { print NR, cpu / NR, disk / NR }' >>"$work/drained"
	done
	printf '  %-28s %9d events %6.1f ns of the collector an event %6.2f bytes an event\n' "$name" \
		"$(median 1 "$work/drained")" "$(median 2 "$work/drained")" "$(median 3 "$work/drained")"
	rm -f "$work/drained"
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

short() {
	for _ in $(seq "$rounds"); do
		"$build/bench/startup" 100 /bin/true >>"$work/bare"
		"$build/vmtrace" record -o "$work/s.vmt" -- "$build/bench/startup" 100 /bin/true 2>/dev/null >>"$work/traced"
		rm -f "$work"/*.vmt
	done
	echo "  /bin/true: $(median 1 "$work/bare") us, own CPU $(median 2 "$work/bare") us;" \
		"in a traced tree $(median 1 "$work/traced") us, own CPU $(median 2 "$work/traced") us"
}

echo "the collector, medians of $rounds rounds"
drained 'sqlite3, 100,000 rows' /usr/bin/sqlite3 :memory: \
	'create table t(a, b); with recursive c(x) as (select 1 union all select x + 1 from c where x < 100000)
	insert into t select x, hex(randomblob(40)) from c; create index i on t(b); select count(*) from t;'
PYTHONMALLOC=malloc
export PYTHONMALLOC
drained 'python3, PYTHONMALLOC=malloc' /usr/bin/python3 -S -c 'print(sum(len(str(i)) for i in range(300000)))'
unset PYTHONMALLOC
short
idle 10
