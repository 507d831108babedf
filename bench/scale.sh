#!/bin/bash
# What grows with what: trace, memory of ours and a report's cost, by distinct stacks, by threads, by events
# and by live blocks, one of them varied at a time. docs/scale.md has the figures.
# Usage: bench/scale.sh BUILD, after BUILD/bench's churn and peak and BUILD/tests/target's threads_at_once.
build=$(realpath "$1")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
TIMEFORMAT='%U %S'

figure() { # NAME: of the report's JSON
	grep -o "\"$1\": *[0-9]*" "$work/json" | head -n 1 | tr -dc 0-9
}

row() { # WHAT PROGRAM [ARGUMENT...]
	what=$1
	shift
	rm -f "$work/t.vmt"
	"$build/vmtrace" record --malloc all --max-size 0 -o "$work/t.vmt" -- "$@" >/dev/null 2>&1 </dev/null
	cpu=$({ time "$build/vmtrace" report --format json -n 1 "$work/t.vmt" >"$work/json"; } 2>&1 |
		awk '{ print $1 + $2 }')
	peak=$("$build/bench/peak" "$build/vmtrace" report --format json -n 1 "$work/t.vmt")
	printf '  %-22s %9d events %9d KiB of trace %6d KiB in the program %7d stacks dropped; report %5.2f s %7d KiB\n' \
		"$what" "$(figure events)" "$(($(stat -c %s "$work/t.vmt") / 1024))" \
		"$(($(figure vmtrace_bytes) / 1024))" "$(figure stacks_dropped)" "$cpu" "$peak"
}

churn="$build/bench/churn"
echo "by distinct stacks (20,000 live blocks, 400,000 pairs)"
for stacks in 1024 4096 16384 65536 131072; do
	row "$stacks stacks" "$churn" 20000 400000 1 $stacks
done
echo "by threads (a block each)"
for threads in 100 1000 10000; do
	row "$threads threads" "$build/tests/target/threads_at_once" $threads
done
echo "by events (20,000 live blocks, 4,096 stacks)"
for pairs in 250000 1000000 4000000; do
	row "$pairs pairs" "$churn" 20000 $pairs 1
done
echo "by live blocks (500,000 pairs, 4,096 stacks)"
for live in 10000 100000 1000000; do
	row "$live blocks live" "$churn" $live 500000 1
done
