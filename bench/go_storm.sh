#!/bin/sh
# What part of a CPU vmtrace needs to record a Go program whose eight processors allocate and collect
# without end (tests/go/inside storm), by the kernel's account of its process, how often RSS was read
# meanwhile, and how many snapshots there are. The first second is left out. Several builds in turn,
# round after round; medians. Usage: bench/go_storm.sh "BUILD..." [ROUNDS] [SECONDS]. Needs go.
builds=$1
rounds=${2:-5}
seconds=${3:-10}
go=${GO:-$(ls -d /opt/go-debian/*/usr/lib/go-*/bin/go /usr/lib/go-*/bin/go 2>/dev/null | tail -n 1)}
[ -n "$go" ] || { echo "bench/go_storm.sh: needs go"; exit 0; }
work=$(mktemp -d)
recorder=
trap 'exec 3>&-; [ -n "$recorder" ] && kill $recorder 2>/dev/null; rm -rf "$work"' EXIT
(cd tests/go && GOFLAGS=-mod=mod GOTOOLCHAIN=local GO111MODULE=on CGO_ENABLED=0 \
	"$go" build -o "$work/inside" ./inside) || exit 2

spent() { # nanoseconds: of CPU time, and of the clock
	cut -d ' ' -f 1 "/proc/$recorder/schedstat"
	date +%s%N
}

records() { # KIND
	"$build/vmtrace" dump --format json "$work/t.vmt" | grep -c "\"record\":\"$1\""
}

once() { # BUILD
	build=$1
	rm -f "$work/input" "$work/t.vmt"
	mkfifo "$work/input"
	exec 3<>"$work/input"
	"$build/vmtrace" record -o "$work/t.vmt" -- "$work/inside" storm <"$work/input" >"$work/said" 2>&1 3>&- &
	recorder=$!
	sleep 1
	before=$(spent)
	sleep "$seconds"
	after=$(spent)
	exec 3>&-
	wait $recorder
	recorder=
	echo $before $after "$(records usage)" "$(records snapshot)" |
		awk '{ print ($3 - $1) / ($4 - $2) * 100, $5, $6 }'
}

median() { # COLUMN FILE
	sort -n -k "$1,$1" "$2" | awk -v column="$1" '{ value[NR] = $column } END { print value[int((NR + 1) / 2)] }'
}

for round in $(seq "$rounds"); do
	for build in $builds; do
		once "$build" >>"$work/figures.$(echo "$build" | tr / _)"
	done
done
echo "$("$go" version), $rounds rounds of $seconds s; load average $(cut -d ' ' -f 1-3 /proc/loadavg)"
for build in $builds; do
	file=$work/figures.$(echo "$build" | tr / _)
	printf '  %-24s %6.2f %% of a CPU (%.2f to %.2f) %6d readings %4d snapshots\n' "$build" "$(median 1 "$file")" \
		"$(sort -n "$file" | head -n 1 | cut -d ' ' -f 1)" "$(sort -n "$file" | tail -n 1 | cut -d ' ' -f 1)" \
		"$(median 2 "$file")" "$(median 3 "$file")"
done
