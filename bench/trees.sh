#!/bin/sh
# How long a report about the traces of 1,300 processes takes, and how much memory: a parent with a cache of
# 4 MiB forks them, and each copies 40 KiB of it and has 40 KiB of its own.
# Usage: bench/trees.sh BUILD ROUNDS, after BUILD/bench's peak and BUILD/tests/target/prefork.
build=$(realpath "$1")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
processes=1300

"$build/vmtrace" record -o "$work/t.vmt" -- "$build/tests/target/prefork" $processes 4096 40 40 \
	>/dev/null 2>&1 </dev/null
traces=$(find "$work" -name '*.vmt' | wc -l)
echo "report of a directory: $traces traces of $((processes + 1)) processes"
for round in $(seq "$2"); do
	begin=$(date +%s%N)
	"$build/vmtrace" report "$work" --format json >"$work/json" || exit 1
	end=$(date +%s%N)
	printf '  %6d ms, %d listed, %8d KiB at the peak\n' $(((end - begin) / 1000000)) \
		"$(grep -c '"command":' "$work/json")" "$("$build/bench/peak" "$build/vmtrace" report "$work")"
done
