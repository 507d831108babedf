#!/bin/sh
# redis saves in a fork child while the server writes to a quarter of what it had before. Says how much
# memory the server has to itself, in KiB: after the fork, and after the writes.
# Usage: bgsave.sh SERVER DIRECTORY [RECORDER...]
server=$1 directory=$2
shift 2
cd "$directory" || exit 2
"$@" "$server" --port 0 --unixsocket "$directory/socket" --save '' --dir "$directory" \
	--rdb-key-save-delay 1000 --enable-debug-command yes >"$directory/log" &
recorder=$!
ask() {
	redis-cli -s "$directory/socket" "$@" 2>/dev/null | tr -d '\r'
}
private_kib() {
	awk '/^Private_Dirty/ { print $2 }' "/proc/$1/smaps_rollup"
}
until [ "$(ask ping)" = PONG ]; do
	kill -0 $recorder || exit 2
done
ask debug populate 40000 key 1000 >/dev/null
pid=$(ask info server | sed -n 's/^process_id://p')
ask bgsave >/dev/null
until ask info persistence | grep -q 'rdb_bgsave_in_progress:1'; do
	kill -0 $recorder || exit 2
done
before=$(private_kib "$pid")
awk 'BEGIN { for (i = 0; i < 10000; i++) print "SETRANGE key:" i " 10 xyz" }' | ask >/dev/null
after=$(private_kib "$pid")
ask info persistence | grep -q 'rdb_bgsave_in_progress:1' || exit 3
ask shutdown nosave >/dev/null
wait $recorder
echo "private $before $after"
