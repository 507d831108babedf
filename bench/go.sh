#!/bin/sh
# What recording a Go program costs: CPU per request of an HTTP server that allocates in Go and in C
# (tests/go/server, under wrk), and per madvise (tests/go/advise). Every configuration in turn, round
# after round; medians, and their ratio to the bare program. Usage: bench/go.sh BUILD [ROUNDS]
# [SECONDS]. Needs go and wrk. CONFIGURATIONS="bare sampled touch-61" in the environment: the server
# alone, in these.
build=$(realpath "$1")
rounds=${2:-7}
seconds=${3:-3}
go=${GO:-$(ls -d /opt/go-debian/*/usr/lib/go-*/bin/go /usr/lib/go-*/bin/go 2>/dev/null | head -n 1)}
work=$(mktemp -d)
server=
trap 'exec 3>&-; [ -n "$server" ] && kill $server 2>/dev/null; rm -rf "$work"' EXIT
command -v wrk >/dev/null && [ -n "$go" ] || { echo "bench/go.sh: needs go and wrk"; exit 0; }
for program in server advise; do
	(cd tests/go && GOFLAGS=-mod=mod GOTOOLCHAIN=local GO111MODULE=on CGO_ENABLED=1 \
		"$go" build -o "$work/$program" "./$program") || exit 2
done

ticks() {
	awk '{ print $14 + $15 }' "/proc/$1/stat"
}

# Runs a command in a configuration: bare, off, sampled (the default), go-off, touch-PERIOD.
in_configuration() {
	configuration=$1
	shift
	rm -f "$work"/*.vmt
	export VMTRACE_OUTPUT="$work/t.%p.vmt"
	case $configuration in
	bare) exec "$@" ;;
	off) VMTRACE_MALLOC=off LD_PRELOAD=$build/libvmtrace.so exec "$@" ;;
	touch-*) VMTRACE_TOUCH=${configuration#touch-} LD_PRELOAD=$build/libvmtrace.so exec "$@" ;;
	go-off) VMTRACE_GO=off LD_PRELOAD=$build/libvmtrace.so exec "$@" ;;
	*) LD_PRELOAD=$build/libvmtrace.so exec "$@" ;;
	esac
}

serve() {
	rm -f "$work/input" "$work/port"
	mkfifo "$work/input"
	exec 3<>"$work/input"
	(in_configuration "$1" "$work/server") <"$work/input" >"$work/port" 3>&- &
	server=$!
	until [ -s "$work/port" ]; do sleep .05; done
	before=$(ticks $server)
	wrk -t1 -c16 -d"$seconds"s "http://127.0.0.1:$(head -n 1 "$work/port")/" >"$work/wrk"
	after=$(ticks $server)
	kill $server
	wait $server 2>/dev/null
	server=
	exec 3>&-
	awk -v ticks=$((after - before)) -v hertz="$(getconf CLK_TCK)" \
		'/requests in/ { n = $1 } /Requests.sec/ { print ticks / hertz * 1e6 / n, $2 }' "$work/wrk"
}

table() { # COLUMN FILE...: medians, and the ratio to the first
	column=$1
	shift
	for file in "$@"; do
		sort -n -k "$column,$column" "$file" | awk -v column="$column" -v name="${file##*.}" \
			'{ value[NR] = $column } END { print name, value[int((NR + 1) / 2)] }'
	done | awk 'NR == 1 { bare = $2 } { printf "  %-10s %10.1f  %6.3f\n", $1, $2, $2 / bare }'
}

for round in $(seq "$rounds"); do
	for configuration in ${CONFIGURATIONS:-bare off sampled}; do
		serve "$configuration" >>"$work/serve.$configuration"
	done
	[ -n "$CONFIGURATIONS" ] && continue
	for configuration in bare go-off sampled; do
		(in_configuration $configuration "$work/advise") >>"$work/advise.$configuration"
	done
done
served=$(for configuration in ${CONFIGURATIONS:-bare off sampled}; do echo "$work/serve.$configuration"; done)
echo "$("$go" version), medians of $rounds interleaved rounds"
echo "server: CPU microseconds a request"
table 1 $served
echo "server: requests a second"
table 2 $served
[ -n "$CONFIGURATIONS" ] && exit 0
echo "madvise, nothing there: CPU nanoseconds"
table 1 "$work/advise.bare" "$work/advise.go-off" "$work/advise.sampled"
echo "madvise, 16 pages there, touches included: CPU nanoseconds"
table 2 "$work/advise.bare" "$work/advise.go-off" "$work/advise.sampled"
