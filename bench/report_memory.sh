#!/bin/sh
# What a report takes of memory, by how much happened and by how much is live: the report's largest resident
# size, without symbols of the system to look up but those of the program's stacks.
# Usage: bench/report_memory.sh BUILD, after BUILD/bench's churn and peak.
build=$(realpath "$1")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

row() { # LIVE PAIRS
	rm -f "$work/t.vmt"
	"$build/vmtrace" record --malloc all --max-size 0 -o "$work/t.vmt" -- \
		"$build/bench/churn" "$1" "$2" 1 >/dev/null 2>&1 </dev/null
	events=$("$build/vmtrace" report --format json "$work/t.vmt" -n 1 | grep -o '"events": *[0-9]*' | tr -dc 0-9)
	peak=$("$build/bench/peak" "$build/vmtrace" report "$work/t.vmt")
	printf '  %9d blocks live %11d events %8d KiB of trace %8d KiB at the peak\n' \
		"$1" "$events" "$(($(stat -c %s "$work/t.vmt") / 1024))" "$peak"
}

echo "memory of a report"
for live in 20000 1000000; do
	for pairs in 1000000 10000000; do
		row $live $pairs
	done
done
