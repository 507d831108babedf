#!/bin/sh
# What an answer of vmtrace-serve costs: ten services with so many events each run on, and are asked for again and
# again. Every figure is CPU time of the server with all that it starts.
# Usage: bench/serve.sh BUILD PAIRS ANSWERS [SERVER], after BUILD/bench/steady; SERVER: another vmtrace-serve.
build=$(realpath "$1")
pairs=$2
answers=$3
server=${4:-$build/vmtrace-serve}
work=$(mktemp -d)
services=10
rate=1000
mkfifo "$work/input"
exec 3<>"$work/input"

# What a process has used, and what those that it waited for have, in ticks.
used() {
	sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | awk '{print $12 + $13 + $14 + $15}'
}
# ... and its children that run.
all_used() {
	sum=$(used "$pid")
	for child in $(cat "/proc/$pid/task/$pid/children"); do
		sum=$((sum + $(used "$child")))
	done
	echo "$sum"
}
end() {
	kill "$pid" $steady 2>/dev/null
	wait
	rm -rf "$work"
}
trap end EXIT

mkdir "$work/traces"
for i in $(seq "$services"); do
	VMTRACE_OUTPUT=$work/traces/$i.vmt VMTRACE_MALLOC=all LD_PRELOAD=$build/libvmtrace.so \
		"$build/bench/steady" "$pairs" "$rate" <"$work/input" 3>&- >>"$work/ready" &
	steady="$steady $!"
done
while [ "$(wc -l <"$work/ready")" -lt "$services" ]; do sleep .2; done
"$server" --listen 127.0.0.1:0 "$work/traces" >"$work/said" 3>&- &
pid=$!
sleep 30 # with two further looks at its memory, what came before the first of them is settled
while ! grep -q :// "$work/said"; do sleep .1; done
url=$(sed 's/.*\(http:[^ ]*\) .*/\1/' "$work/said")
hz=$(getconf CLK_TCK)
echo "answers of vmtrace-serve: $services services, $((pairs * 2 * services)) events, then $((rate * 2 * services)) a second"
for path in metrics debug/pprof/heap; do
	for i in $(seq 0 "$answers"); do
		from=$(all_used)
		begin=$(date +%s%N)
		curl --silent --noproxy '*' --max-time 300 --output "$work/answer" "$url$path" || exit 1
		took=$((($(date +%s%N) - begin) / 1000000))
		kind=again
		[ "$i" = 0 ] && kind=first
		printf '  /%-18s %-6s %6d ms of CPU, %6d ms\n' "$path" "$kind" $((($(all_used) - from) * 1000 / hz)) "$took"
		sleep 6 # an answer is kept for 5 s
	done
done
grep vmtrace_unread_traces "$work/answer" || :
