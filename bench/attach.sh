#!/bin/sh
# For how long does a process stand when it is attached to, and does it do any harm? Usage:
# bench/attach.sh BUILD [ATTACHES] [THREADS]. A program of so many threads (bench/stop.c), one of which
# looks at the clock, is recorded for 20 ms and left, again and again; in between as long a time goes by
# in which nobody attaches. Then as many times a Go server under wrk (GO names a go) and redis-server
# under redis-benchmark, with its malloc, where these are installed.
build=$(realpath "$1")
attaches=${2:-100}
threads=${3:-20}
go=${GO:-$(ls -d /usr/lib/go-*/bin/go /opt/go-debian/*/usr/lib/go-*/bin/go 2>/dev/null | tail -n 1)}
work=$(mktemp -d)
load=
trap 'exec 3>&- 4<&-; [ -z "$load" ] || kill $load; rm -rf "$work"' EXIT
${CC:-gcc} -std=gnu11 -D_GNU_SOURCE -O2 bench/stop.c -o "$work/stop" -lpthread || exit 2
mkfifo "$work/input" "$work/output"

attach() { # PID OPTIONS...: a line of what was said goes to $work/said
	pid=$1
	shift
	rm -f "$work"/*.vmt
	"$build/vmtrace" record -p "$pid" --for 20ms "$@" -o "$work/trace.vmt" 2>"$work/err"
	grep -q "recording process" "$work/err" || echo "not attached: $(head -n 1 "$work/err")"
	grep -E "can't be left|stay in it" "$work/err"
}

step() { # the largest one since the last, in microseconds
	echo >&3
	read -r largest <&4
	echo "$largest"
}

table() { # WHAT FILE
	sort -n "$2" | awk -v what="$1" '{ value[NR] = $1 }
		END { printf "  %-14s median %8.2f ms  of ten nine below %8.2f  largest %8.2f\n", what,
			value[int((NR + 1) / 2)] / 1000, value[int((NR * 9 + 9) / 10)] / 1000, value[NR] / 1000 }'
}

count() { # WHAT: of the lines that were noted
	echo "$1: attached to $((attaches - $(grep -c "not attached" "$work/said"))) of $attaches times;" \
		"$(grep -vc "not attached" "$work/said") times something stayed"
	sort "$work/said" | sed 's/[0-9][0-9]*/N/g' | uniq -c
}

"$work/stop" "$threads" <"$work/input" >"$work/output" &
program=$!
exec 3>"$work/input" 4<"$work/output"
: >"$work/said"
for _ in $(seq "$attaches"); do
	step >/dev/null
	attach $program >>"$work/said"
	step >>"$work/attached"
	sleep .1
	step >>"$work/alone"
done
count "$threads threads"
table attached "$work/attached"
table "nobody comes" "$work/alone"
exec 3>&- 4<&-
wait $program && echo "  its memory was as it was written" || echo "  it ended with $?"

if [ -n "$go" ] && command -v wrk >/dev/null; then
	env GO111MODULE=off CGO_ENABLED=0 GOFLAGS= GOCACHE="$work/cache" \
		"$go" build -o "$work/inject" bench/inject/main.go || exit 2
	exec 3<>"$work/input"
	"$work/inject" serve <"$work/input" >"$work/port" 3>&- &
	program=$!
	until [ -s "$work/port" ]; do sleep .05; done
	wrk -t1 -c16 -d3600s "http://127.0.0.1:$(head -n 1 "$work/port")/" >"$work/wrk" &
	load=$!
	: >"$work/said"
	for _ in $(seq "$attaches"); do attach $program >>"$work/said"; done
	kill -INT $load
	wait $load
	load=
	count "Go server under wrk"
	grep -E "Socket errors|Non-2xx" "$work/wrk" || echo "  wrk saw no error"
	exec 3>&-
	wait $program || echo "  it ended with $?"
fi

if command -v redis-server >/dev/null && command -v redis-benchmark >/dev/null; then
	redis-server --port 0 --unixsocket "$work/redis" --save "" >/dev/null &
	program=$!
	until [ -S "$work/redis" ]; do sleep .05; done
	redis-benchmark -s "$work/redis" -l -q -n 10000 -d 100 -t set,get,lpush,lpop >"$work/redis.out" 2>&1 &
	load=$!
	: >"$work/said"
	for _ in $(seq "$attaches"); do attach $program --malloc all >>"$work/said"; done
	kill $load
	wait $load
	load=
	count "redis-server under redis-benchmark, its malloc too"
	grep -i error "$work/redis.out" || echo "  redis-benchmark saw no error"
	kill $program
	wait $program || echo "  it ended with $?"
fi
exit 0
