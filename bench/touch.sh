#!/bin/sh
# What it costs that the kernel samples page faults: a storm of them, new processes and threads, with
# few and with many inherited events, real programs, a Go server under wrk. Bare, under the library, and
# with page faults sampled, in turn, round after round; the lowest of each, of real programs medians.
# Usage: bench/touch.sh BUILD [ROUNDS], after BUILD/bench's touch, touch_unwind and workloads.
build=$(realpath "$1")
rounds=${2:-5}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

lowest() { # FILE
	sort -n "$1" 2>/dev/null | head -1
}

# The collector's CPU time for each of the pages, and what was lost of how many samples.
collector() { # TRACE PAGES
	"$build/vmtrace" dump --format json "$1" | awk -v pages="$2" '
		match($0, /"touches_read":[0-9]+/) { kept = substr($0, RSTART + 15, RLENGTH - 15) }
		match($0, /"touches_lost":[0-9]+/) { lost = substr($0, RSTART + 15, RLENGTH - 15) }
		match($0, /"touches_skipped":[0-9]+/) { skipped = substr($0, RSTART + 18, RLENGTH - 18) }
		match($0, /"collector_cpu_ns":[0-9]+/) { cpu = substr($0, RSTART + 19, RLENGTH - 19) }
		END { printf "%.1f ns a page in the collector; samples: %d kept, %d lost, %d skipped",
			cpu / pages, kept, lost, skipped }'
}

once() { # PERIOD WORKLOAD THREADS COUNT EVENTS: nanoseconds
	if [ "$1" = bare ]; then
		"$build/bench/touch" "$2" "$3" "$4" "$5"
	else
		rm -f "$work"/*.vmt
		"$build/vmtrace" record --touch "$1" -o "$work/t.vmt" -- "$build/bench/touch" "$2" "$3" "$4" "$5" 2>/dev/null
	fi
}

row() { # NAME WORKLOAD THREADS COUNT EVENTS PERIOD...
	name=$1 workload=$2 threads=$3 count=$4 events=$5
	shift 5
	rm -f "$work"/ns.*
	for _ in $(seq "$rounds"); do
		for period in bare "$@"; do
			once "$period" "$workload" "$threads" "$count" "$events" >>"$work/ns.$period"
			[ "$workload" = storm ] && [ "$period" != bare ] &&
				collector "$work/t.vmt" $((threads * count * 16384)) >"$work/said.$period"
		done
	done
	echo "$name"
	for period in bare "$@"; do
		awk -v name="$period" -v ns="$(lowest "$work/ns.$period")" -v bare="$(lowest "$work/ns.bare")" \
			-v off="$(lowest "$work/ns.off")" -v said="$(cat "$work/said.$period" 2>/dev/null)" \
			'BEGIN { printf "  %-6s %8d ns %6.3f %6.3f  %s\n", name, ns, ns / bare, ns / off, said }'
	done
	rm -f "$work"/said.*
}

echo "lowest of $rounds interleaved rounds; ratios to the bare program, and to one recorded without samples"
row "a page fault in a storm of one thread" storm 1 24 0 off 61 auto 1
row "... of eight threads" storm 8 4 0 off 61 auto
row "fork" fork 1 6000 0 off 61 auto
row "vfork" vfork 1 20000 0 off 61 auto
row "pthread_create" thread 1 40000 0 off 61 auto
# As many events as on a machine with 128 processors, but for those that vmtrace opens here.
row "fork, 126 more events" fork 1 3000 126 off 61 auto
row "vfork, 126 more events" vfork 1 5000 126 off 61 auto
row "pthread_create, 126 more events" thread 1 5000 126 off 61 auto
"$build/bench/touch_unwind" "$rounds"
RECORDERS="sampled touch" "$build/bench/workloads" "$build" "$rounds" redis python "gcc -O2"
CONFIGURATIONS="bare sampled touch-61 touch-auto" bench/go.sh "$build" "$rounds" 3
