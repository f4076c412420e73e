#!/bin/sh
# beside.sh PROGRAM PEER - latency of DEPS while a RELOAD comes every second: depserver, and PEER,
# the same server on plain malloc that reclaims nothing.
#
# Both are started, and measured in turn, BESIDE_ROUNDS (5) times each for some BESIDE_SECONDS
# (2), so that whatever else the machine does hits both; the one that is not measured is idle.
# Medians of the rounds, with the least and the greatest, and ours divided by the peer's.
set -eu
LC_ALL=C
export LC_ALL
program=${1:?usage: beside.sh PROGRAM PEER}
peer=${2:?usage: beside.sh PROGRAM PEER}
rounds=${BESIDE_ROUNDS:-5}
seconds=${BESIDE_SECONDS:-2}
here=$(dirname "$0")
work=$(mktemp -d)
servers=
. "$here/common.sh"

cleanup() {
	trap '' HUP INT TERM
	rm -f "$work/go"
	for server in $servers; do
		kill -9 "$server" 2>/dev/null || :
	done
	wait
	rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 1' HUP INT TERM

fail() {
	printf 'beside.sh: %s\n' "$*" >&2
	exit 1
}

start() { # start KIND PROGRAM: leaves the port in a file
	"$2" --port 0 --timeout 300 --index "$work/index" >"$work/$1.log" 2>&1 &
	servers="$servers $!"
	await_port "$work/$1.log" $! || fail "$2 did not start: $(tail -n 1 "$work/$1.log")"
	echo "$port" >"$work/$1.port"
}

load() { # load PORT PIPELINE REQUESTS
	timeout 600 redis-benchmark -p "$1" -c 50 -n "$3" -r 1000000 -P "$2" \
		DEPS key:__rand_int__ >"$work/raw" 2>&1 ||
		fail "redis-benchmark: $(tail -n 1 "$work/raw")"
	tr '\r' '\n' <"$work/raw" >"$work/bench"
}

rate() {
	awk '/throughput summary:/ { print $3 }' "$work/bench"
}

measure() { # measure KIND PIPELINE: adds a line KIND PIPELINE RATE P50 P99 P99.9 MAX
	port=$(cat "$work/$1.port")
	start_reloads "$port"
	load "$port" "$2" 5000
	requests=$(awk -v r="$(rate)" -v s="$seconds" \
		'BEGIN { n = int(r * s); print (n > 2000 ? n : 2000) }')
	load "$port" "$2" "$requests"
	stop_reloads
	awk -v kind="$1" -v pipeline="$2" '
		/^Cumulative distribution/ { cumulative = 1 }
		/%.*<=/ && !cumulative && p999 == "" && $1 + 0 >= 99.9 { p999 = $3 }
		/throughput summary:/ { rate = $3 }
		take { p50 = $3; p99 = $5; max = $6; take = 0 }
		/avg +min +p50/ { take = 1 }
		END {
			if (rate == "" || p999 == "" || max == "") exit 1
			printf "%s %s %.0f %s %s %s %s\n", kind, pipeline, rate, p50, p99,
				p999, max
		}' "$work/bench" >>"$work/figures" ||
		fail 'cannot read what redis-benchmark printed'
}

# figure KIND PIPELINE COLUMN - median, least and greatest
figure() {
	awk -v k="$1" -v p="$2" -v c="$3" '$1 == k && $2 == p { print $c }' "$work/figures" |
		sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)], v[1], v[NR] }'
}

row() { # row NAME PIPELINE COLUMN
	set -- "$1" $(figure ours "$2" "$3") $(figure peer "$2" "$3")
	awk -v name="$1" -v a="$2" -v al="$3" -v ag="$4" -v b="$5" -v bl="$6" -v bg="$7" 'BEGIN {
		printf "  %-24s %10s %19s %10s %19s %7.2f\n", name, a, "(" al " to " ag ")",
			b, "(" bl " to " bg ")", (b > 0 ? a / b : 0)
	}'
}

make_index
start ours "$program"
start peer "$peer"
for _ in $(seq "$rounds"); do
	for pipeline in 1 16; do
		measure ours $pipeline
		measure peer $pipeline
	done
done
printf '\nDEPS while a RELOAD comes every second, 50 connections\n'
printf 'medians, least and greatest; rounds in turn: %d\n' "$rounds"
printf '  %-24s %10s %19s %10s %19s %7s\n' '' ouro '' malloc '(reclaims nothing)' ratio
for pipeline in 1 16; do
	row "pipeline $pipeline: p99.9, ms" $pipeline 6
	row "  longest, ms" $pipeline 7
	row "  p99, ms" $pipeline 5
	row "  p50, ms" $pipeline 4
	row "  requests/s" $pipeline 3
done
for kind in ours peer; do
	timeout 300 redis-cli -p "$(cat "$work/$kind.port")" SHUTDOWN >/dev/null 2>&1 || :
done
for server in $servers; do
	wait "$server" || fail 'a server ended with a status'
done
servers=
