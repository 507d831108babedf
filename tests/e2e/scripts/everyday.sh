# The files that everyday programs work on, in $D. $S: this directory.
set -e
mkdir -p "$D/tree"
for i in $(seq 200); do
	seq $i >"$D/tree/f$i"
done
awk 'BEGIN {x = 1; for (i = 0; i < 100000; i++) {x = (x * 16807) % 2147483647; print x}}' >"$D/numbers"
cp "$S/everyday.c" "$D/program.c"
echo 'int broken(void) { return x; }' >"$D/broken.c"
printf 'all: a b c\na b c:\n\t@sort -n $(D)/numbers | head -n 1 >/dev/null; echo x\n' >"$D/makefile"
