#!/bin/bash
# What stress-ng's stressors of memory and processes do for a second of CPU time: bare, sampled and
# all, in turn, ROUNDS times (1); of these the most. `stressors.sh BUILD [SECONDS] [STRESSOR...]`.
# MODES: of sampled and all, those to run. With --verify: a failed verification, or another status
# than bare, is printed and makes the status 1.
set -u
build=$(realpath "$1")
seconds=${2:-2}
shift $(($# < 2 ? $# : 2))
stressors=("$@")
rounds=${ROUNDS:-1}
read -ra modes <<<"${MODES:-sampled all}"
[ ${#stressors[@]} -gt 0 ] || stressors=(bigheap brk clone daemon exec fork fork-heavy forkheavy
	madvise malloc memfd memthrash mincore misaligned mlock mlockmany mmap mmapaddr mmapfixed
	mmapfork mmaphuge mmapmany mprotect mremap msync munmap pageswap pthread remap rmap shm
	shm-sysv spawn stack stackmmap switch vfork vforkmany vm vm-addr vm-rw vm-segv vm-splice
	zombie)
work=$(mktemp -d)
chmod 777 "$work" # one of them works for nobody alone
trap 'rm -rf "$work"' EXIT
status=0
known=" $(stress-ng --stressors 2>/dev/null) "

# Sizes of which a second has many operations.
declare -A sizes=([mmap]='--mmap-bytes 4m' [madvise]='' [vm]='--vm-bytes 16m' [vm-rw]='--vm-rw-bytes 16m'
	[bigheap]='--bigheap-growth 64k' [mremap]='--mremap-bytes 4m' [memthrash]='')

# Bogo operations for a second of user and system time; empty where the stressor has none here.
measure() { # STRESSOR MODE
	local preload=() said as=()
	[ "$1" = exec ] && [ "$(id -u)" = 0 ] && as=(setpriv --reuid=65534 --regid=65534 --clear-groups)
	[ "$2" = bare ] || preload=(LD_PRELOAD="$build/libvmtrace.so" VMTRACE_MALLOC="$2")
	said=$(cd "$work" && env "${preload[@]}" VMTRACE_OUTPUT="$work/t.%p.vmt" "${as[@]}" stress-ng \
		"--$1" 1 ${sizes[$1]:-} --timeout "${seconds}s" --verify --metrics-brief --temp-path "$work" 2>&1)
	echo $? >"$work/status"
	grep -E 'fail:|verification' <<<"$said" | sed "s/^/$1, $2: /" >>"$work/failures"
	awk -v name="$1" '$4 == name && $10 ~ /^[0-9.]+$/ { print $10; exit }' <<<"$said"
	rm -f "$work"/t.*.vmt
}

# Keeps the larger of the best so far and a new figure.
keep_best() { # MODE FIGURE
	best[$1]=$(awk -v old="${best[$1]:-0}" -v new="${2:-0}" 'BEGIN { print (old > new ? old : new) }')
}

printf '%-14s %12s' 'bogo-ops/CPU s' bare
printf ' %9s' "${modes[@]}"
echo
declare -A best
for stressor in "${stressors[@]}"; do
	[[ $known == *" $stressor "* ]] || continue
	: >"$work/failures"
	best=()
	keep_best bare "$(measure "$stressor" bare)"
	bare_status=$(<"$work/status")
	[ -s "$work/failures" ] && continue # not on this machine
	for ((round = 1; round <= rounds; round++)); do
		[ $round = 1 ] || keep_best bare "$(measure "$stressor" bare)"
		for mode in "${modes[@]}"; do
			keep_best "$mode" "$(measure "$stressor" "$mode")"
			[ "$(<"$work/status")" = "$bare_status" ] || {
				echo "$stressor, $mode: status $(<"$work/status"), bare $bare_status"
				status=1
			}
		done
	done
	line=$(printf '%-14s %12s' "$stressor" "${best[bare]}")
	for mode in "${modes[@]}"; do
		line+=$(awk -v ours="${best[$mode]}" -v bare="${best[bare]}" \
			'BEGIN { if (bare > 0) printf " %9.2f", ours / bare; else printf " %9s", "-" }')
	done
	[ -s "$work/failures" ] && { cat "$work/failures"; status=1; }
	echo "$line"
done
exit $status
