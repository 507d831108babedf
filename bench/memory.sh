#!/bin/sh
# What recording takes of memory: what the report counts as vmtrace's own in the program at its peak
# (library, tables, the part of the trace that is mapped), and the collector's proportional share (Pss),
# of readings all 20 ms while the program runs the largest, without the trace, which the program's part
# has already. File pages that nobody maps are in no sum: the kernel drops them when it wants to.
# Usage: bench/memory.sh BUILD [ROUNDS], after BUILD/bench's pair and churn and BUILD/tests/target's
# threads; medians, in KiB.
build=$(realpath "$1")
rounds=${2:-3}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

watch_collector() { # PID
	until grep -qs . "/proc/$1/task/$1/children" || [ ! -e "/proc/$1" ]; do :; done
	while grep -qs . "/proc/$1/task/$1/children"; do
		awk '$1 ~ /^[0-9a-f]+-[0-9a-f]+$/ { trace = /[.]vmt/ }
			$1 == "Pss:" && !trace { sum += $2 }
			END { print sum + 0 }' "/proc/$1/smaps" 2>/dev/null
		sleep .02
	done | sort -n | tail -n 1
}

recorded() { # MODE PROGRAM [ARGUMENT...]: what is ours in program and collector
	mode=$1
	shift
	rm -f "$work"/*.vmt
	"$build/vmtrace" record --malloc "$mode" -o "$work/t.vmt" -- "$@" >/dev/null 2>&1 </dev/null &
	collector=$(watch_collector $!)
	"$build/vmtrace" report --format json "$work/t.vmt" -n 1 |
		grep -o '"vmtrace_bytes": *[0-9]*' | awk -v collector="$collector" '{ print int($NF / 1024), collector }' FS='[: ]+'
}

median() { # COLUMN FILE
	sort -n -k "$1,$1" "$2" | awk -v column="$1" '{ value[NR] = $column } END { print value[int((NR + 1) / 2)] }'
}

rows() { # NAME PROGRAM [ARGUMENT...]
	name=$1
	shift
	for mode in sampled all; do
		rm -f "$work/kib"
		for _ in $(seq "$rounds"); do recorded $mode "$@" >>"$work/kib"; done
		program=$(median 1 "$work/kib") collector=$(median 2 "$work/kib")
		printf '  %-28s %-8s %6d in the program %6d in the collector %6d in all\n' "$name" $mode \
			"$program" "$collector" $((program + collector))
	done
}

echo "KiB of ours, medians of $rounds rounds"
rows 'malloc, depth 10, one thread' "$build/bench/pair" malloc 10 1 10000000
rows '4,096 stacks' "$build/bench/churn" 20000 3000000 2
rows '131,072 stacks' "$build/bench/churn" 20000 1500000 1 131072
rows '10,000 threads' "$build/tests/target/threads_at_once" 10000
