#!/bin/sh
# What it costs a static program to be recorded from its start: a pair of raw calls in C and in Go, the
# start of a large Go program, a shell that starts a small one again and again, a Go server under wrk
# with page faults sampled: its requests, and the processor time of each, which other work changes
# less. Bare and recorded in turn, round after round. Usage: bench/inject.sh BUILD [ROUNDS] [SECONDS].
# Needs go (GO names one), and wrk for the server.
build=$(realpath "$1")
rounds=${2:-7}
seconds=${3:-3}
go=${GO:-$(ls -d /usr/lib/go-*/bin/go /opt/go-debian/*/usr/lib/go-*/bin/go 2>/dev/null | tail -n 1)}
work=$(mktemp -d)
trap 'exec 3>&-; rm -rf "$work"' EXIT
cc=${CC:-gcc}
printf 'int main(void) { return 0; }\n' | $cc -O1 -static -x c - -o "$work/nothing" || exit 2
$cc -std=gnu11 -D_GNU_SOURCE -I. -O2 -g -static bench/pair.c -o "$work/pair" -lpthread || exit 2
if [ -n "$go" ]; then
	env GO111MODULE=off CGO_ENABLED=0 GOFLAGS= GOCACHE="$work/cache" \
		"$go" build -o "$work/inject" bench/inject/main.go || exit 2
	large=$(ls "$("$go" env GOROOT)"/pkg/tool/*/compile 2>/dev/null | head -n 1)
fi

# A command, in a configuration: bare, recorded, touch.
run() {
	configuration=$1
	shift
	rm -f "$work"/*.vmt
	case $configuration in
	bare) "$@" ;;
	touch) "$build/vmtrace" record --touch auto -o "$work/t.%p.vmt" -- "$@" ;;
	*) "$build/vmtrace" record -o "$work/t.%p.vmt" -- "$@" ;;
	esac 2>/dev/null
}

# Nanoseconds that a command takes.
clock() { # CONFIGURATION COMMAND...
	begun=$(date +%s%N)
	run "$@" >/dev/null
	echo $(($(date +%s%N) - begun))
}

table() { # WHAT UNIT DIVISOR FILE...: medians, and what they are to the first
	echo "$1"
	unit=$2 divisor=$3
	shift 3
	for file in "$@"; do
		sort -n "$file" | awk -v name="${file##*.}" \
			'{ value[NR] = $1 } END { print name, value[int((NR + 1) / 2)] }'
	done | awk -v unit="$unit" -v divisor="$divisor" 'NR == 1 { bare = $2 }
		{ printf "  %-9s %10.2f %s  %+9.2f  x%.3f\n", $1, $2 / divisor, unit,
			($2 - bare) / divisor, $2 / bare }'
}

again() {
	run "$1" sh -c 'i=0; while [ $i -lt 50 ]; do "$0"; i=$((i + 1)); done' "$work/nothing"
}

ticks() { # PID: processor time in hundredths of a second
	awk '{ print $14 + $15 }' "/proc/$1/stat"
}

serve() { # CONFIGURATION: requests a second; notes processor time, also of the collector
	rm -f "$work/port" "$work/input"
	mkfifo "$work/input"
	exec 3<>"$work/input"
	(run "$1" "$work/inject" serve) <"$work/input" >"$work/port" 3>&- &
	server=$!
	until [ -s "$work/port" ]; do sleep .05; done
	program=$(pgrep -f "^$work/inject serve")
	collector=$(ps -o ppid= -p "$program" | tr -d ' ')
	before=$(ticks "$program")
	collector_before=$(ticks "$collector")
	wrk -t1 -c16 -d"$seconds"s "http://127.0.0.1:$(head -n 1 "$work/port")/" >"$work/wrk"
	awk -v ticks=$(($(ticks "$program") - before)) \
		'/requests in/ { print ticks * 1e4 / $1 }' "$work/wrk" >>"$work/request.$1"
	[ "$1" = bare ] || echo $((($(ticks "$collector") - collector_before) * 100)) |
		awk -v seconds="$seconds" '{ print $1 / seconds }' >>"$work/collector.$1"
	awk '/Requests.sec/ { print $2 }' "$work/wrk"
	exec 3>&-
	wait $server
}

for _ in $(seq "$rounds"); do
	for configuration in bare recorded; do
		run $configuration "$work/pair" mmap 2 1 20000 | awk '{ print $2 }' >>"$work/c.$configuration"
		begun=$(date +%s%N)
		again $configuration
		echo $((($(date +%s%N) - begun) / 50)) >>"$work/again.$configuration"
		[ -n "$go" ] || continue
		run $configuration "$work/inject" pair 20000 >>"$work/go.$configuration"
		[ -z "$large" ] || clock $configuration "$large" -V=full >>"$work/large.$configuration"
	done
	[ -n "$go" ] && command -v wrk >/dev/null || continue
	for configuration in bare recorded touch; do
		serve $configuration >>"$work/serve.$configuration"
	done
done
echo "medians of $rounds interleaved rounds; the difference and the ratio to the bare program"
table "C, glibc -static: a pair of mmap and munmap, processor time" ns 1 "$work"/c.bare "$work"/c.recorded
table "a shell starts a static program: from one to the next" ms 1e6 "$work"/again.bare "$work"/again.recorded
[ -n "$go" ] || exit 0
table "$("$go" version): a pair of mmap and munmap, processor time" ns 1 "$work"/go.bare "$work"/go.recorded
[ -z "$large" ] || table "start and end of a Go program of $(($(stat -c %s "$large") >> 20)) MiB" ms 1e6 \
	"$work"/large.bare "$work"/large.recorded
[ -e "$work/serve.bare" ] || exit 0
table "Go server under wrk: requests a second" /s 1 \
	"$work"/serve.bare "$work"/serve.recorded "$work"/serve.touch
table "its processor time a request" us 1 \
	"$work"/request.bare "$work"/request.recorded "$work"/request.touch
table "the collector, of a CPU; touch beside none" % 100 "$work"/collector.recorded "$work"/collector.touch
exit 0
