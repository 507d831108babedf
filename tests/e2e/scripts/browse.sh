# Chromium reads a page. $D: a directory; $OURS: what to preload; $BECOME: how to be another user, $FLAGS: what that needs.
mkdir -m 777 "$D/profile"
cd "$D/profile"
$BECOME env HOME="$D/profile" XDG_RUNTIME_DIR="$D/profile" LD_PRELOAD=$OURS chromium --headless $FLAGS \
	--disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update \
	--disable-sync --user-data-dir="$D/profile" --dump-dom "file://$D/page.html" 2>errors
while pgrep -f "$D/profile" >pids; do
	sleep 0.05
done
grep -c -e vmtrace: -e FATAL -e 'ended by' errors
cd ..
rm -r profile
exit 3
