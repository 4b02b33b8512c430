#!/usr/bin/env bash
# Runs make targets side by side: tools/lanes.sh lane-core lane-kind
#
# The output of each goes into .cache/lanes/NAME.log and is printed in one piece
# when it ends. Until then one line a minute says what each is doing. A lane that
# takes longer than LANE_BUDGET minutes is reported; one that takes longer than
# LANE_LIMIT is stopped. The status is 0 if every lane succeeded.
set -euo pipefail
cd "$(dirname "$0")/.."
budget=${LANE_BUDGET:-35}
limit=${LANE_LIMIT:-60}
make=${MAKE:-make}
logs=.cache/lanes
mkdir -p "$logs"

declare -A pid=() status=() seconds=()
SECONDS=0
stop() {
	echo "lanes: stopped by a signal after $((SECONDS / 60)) min; it was running:"
	progress
	for lane in "${!pid[@]}"; do
		[ -n "${status[$lane]:-}" ] || kill -TERM "${pid[$lane]}" 2>/dev/null || true
	done
	wait
	exit 1
}
trap stop INT TERM

# running lists the tests of the reports that have started and not ended.
running() {
	cat .cache/reports/*.jsonl 2>/dev/null | awk '
		match($0, /"Action":"(run|pass|fail|skip)"/) {
			action = substr($0, RSTART + 10, RLENGTH - 11)
			if (!match($0, /"Test":"[^"]*"/)) next
			test = substr($0, RSTART + 8, RLENGTH - 9)
			if (action == "run") on[test] = 1; else delete on[test]
		}
		END {
			for (t in on) for (p = t; match(p, /\/[^\/]*$/);) { p = substr(p, 1, RSTART - 1); delete on[p] }
			for (t in on) if (n++ < 6) line = line " " t
			if (n > 6) line = line " and " n - 6 " more"
			print line
		}'
}

progress() {
	local line
	line="[$((SECONDS / 60)) min]"
	for lane in "${lanes[@]}"; do
		[ -n "${status[$lane]:-}" ] || line+=" $lane: $(tail -n 1 "$logs/$lane.log" | cut -c 1-100);"
	done
	echo "$line tests running:$(running)"
}

# ended prints what a lane has written.
ended() {
	local lane=$1
	seconds[$lane]=$SECONDS
	echo
	echo "======== $lane: $([ "${status[$lane]}" = 0 ] && echo passed || echo "FAILED (status ${status[$lane]})") after $(minutes "${seconds[$lane]}") ========"
	cat "$logs/$lane.log"
	[ "${status[$lane]}" != 124 ] || echo "lanes: $lane was stopped at its limit of $limit minutes; tests running:$(running)"
	echo "======== end of $lane ========"
}

minutes() { printf '%d:%02d min' $(($1 / 60)) $(($1 % 60)); }

lanes=("$@")
for lane in "${lanes[@]}"; do
	timeout --kill-after=3m "${limit}m" "$make" --no-print-directory PREPARED=yes "$lane" >"$logs/$lane.log" 2>&1 &
	pid[$lane]=$!
done
next=60
while [ "${#status[@]}" -lt "${#lanes[@]}" ]; do
	sleep 1
	for lane in "${lanes[@]}"; do
		if [ -z "${status[$lane]:-}" ] && ! kill -0 "${pid[$lane]}" 2>/dev/null; then
			status[$lane]=0
			wait "${pid[$lane]}" || status[$lane]=$?
			ended "$lane"
		fi
	done
	if [ "$SECONDS" -ge "$next" ]; then
		next=$((next + 60))
		[ "${#status[@]}" -eq "${#lanes[@]}" ] || progress
	fi
done

failed=0
echo
for lane in "${lanes[@]}"; do
	[ "${status[$lane]}" = 0 ] || failed=1
	echo "$lane: $([ "${status[$lane]}" = 0 ] && echo passed || echo FAILED) after $(minutes "${seconds[$lane]}")$([ "${seconds[$lane]}" -le $((budget * 60)) ] || echo ", OVER ITS BUDGET of $budget min: see docs/testing.md")"
done
exit "$failed"
