#!/bin/sh
# compare.sh PROGRAM [ROUNDS [PEER]] - depserver with ouro's automatic collector on and off, and PEER, another build of the
# server, if there is one: without reloads, and while a RELOAD comes every second.
#
# They are measured in turn, ROUNDS (5) times each, so that whatever else the machine does hits all; medians are printed.
# CPU time is the server's, its background threads and the reloads included. The last lines are about each server's whole
# run: peak of resident memory, reloads, and how many closures were in the cache, which tells whether all did the same work.
# FIGURES names a file for what the medians are of, in lines of
#   command, pipeline, plain or reloads, kind (on, off, peer), requests a second, microseconds of CPU, requests
#   server, -, -, kind, peak in bytes, reloads, percentage of closures that were in the cache
set -eu
LC_ALL=C
export LC_ALL
program=${1:?usage: compare.sh PROGRAM [ROUNDS [PEER]]}
rounds=${2:-5}
peer=${3:-}
here=$(dirname "$0")
work=$(mktemp -d)
server=
kinds="on off${peer:+ peer}"
. "$here/common.sh"

cleanup() {
	trap '' HUP INT TERM
	rm -f "$work/go"
	[ -z "$server" ] || kill -9 "$server" 2>/dev/null || :
	wait
	rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 1' HUP INT TERM

fail() {
	printf 'compare.sh: %s\n' "$*" >&2
	exit 1
}

start() { # start PROGRAM OPTION...
	: >"$work/log"
	"$@" --port 0 --index "$work/index" >"$work/log" 2>&1 &
	server=$!
	await_port "$work/log" "$server" || { cat "$work/log" >&2; exit 1; }
}

start_kind() { # start_kind KIND
	case $1 in
	on) start "$program" ;;
	off) start "$program" --no-gc ;;
	peer) start "$peer" ;;
	esac
}

cli() {
	timeout 300 redis-cli -p "$port" "$@"
}

ticks() { # of CPU time, user and system, that the server has used
	awk '{ print $14 + $15 }' "/proc/$server/stat"
}

measure() { # measure KIND LOAD COMMAND PIPELINE REQUESTS
	before=$(ticks)
	[ "$2" = plain ] || start_reloads "$port"
	rate=$(timeout 300 redis-benchmark -p "$port" -c 50 -r 1000000 -P "$4" -n "$5" --csv \
		"$3" key:__rand_int__ | tail -n 1 | cut -d, -f2 | tr -d '"')
	[ "$2" = plain ] || stop_reloads
	cpu=$((($(ticks) - before) * (1000000 / $(getconf CLK_TCK))))
	echo "$3 $4 $2 $1 $rate $cpu $5" >>"$work/figures"
}

# So many requests that a row takes about a second, and two or three while reloads come.
measure_all() { # measure_all KIND
	measure "$1" plain DEPS 1 50000
	measure "$1" plain DEPS 16 500000
	measure "$1" plain CLOSURE 1 50000
	measure "$1" plain CLOSURE 16 200000
	measure "$1" reloads DEPS 1 100000
	measure "$1" reloads DEPS 16 800000
	measure "$1" reloads CLOSURE 1 80000
	measure "$1" reloads CLOSURE 16 300000
}

stop() { # stop KIND
	cli INFO | tr -d '\r' | awk -F : -v kind="$1" '{ v[$1] = $2 } END {
		all = v["closure_hits"] + v["closure_misses"]
		printf "server - - %s %.0f %d %.1f\n", kind, v["used_memory_peak_rss"], v["reloads"], 100 * v["closure_hits"] / all
	}' >>"$work/figures"
	kill -TERM "$server"
	wait "$server"
	server=
}

# median COMMAND PIPELINE LOAD KIND FORMULA
median() {
	awk -v c="$1" -v p="$2" -v l="$3" -v k="$4" "\$1 == c && \$2 == p && \$3 == l && \$4 == k { print $5 }" \
		"$work/figures" | sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'
}

columns() { # columns COMMAND PIPELINE LOAD FORMULA FORMAT
	for kind in $kinds; do
		printf "$5" "$(median "$1" "$2" "$3" "$kind" "$4")"
	done
}

row() { # row COMMAND PIPELINE LOAD
	printf '%-8s %8d %8s' "$1" "$2" "$3"
	columns "$1" "$2" "$3" '$5' ' %10.0f'
	columns "$1" "$2" "$3" '$6 / $7' ' %10.2f'
	[ -z "$peer" ] || awk -v on="$(median "$1" "$2" "$3" on '$5')" -v peer="$(median "$1" "$2" "$3" peer '$5')" \
		'BEGIN { printf " %10.2f", on / peer }'
	echo
}

heading() {
	width=$((11 * $(echo "$kinds" | wc -w)))
	printf "%26s%${width}s%${width}s\n%-8s %8s %8s" '' 'requests/s' 'CPU, us a request' command pipeline load
	for _ in 1 2; do
		printf ' %10s' "gc on" off ${peer:+peer}
	done
	printf '%s\n' "${peer:+   on / peer}"
}

about() { # about TEXT FORMULA FORMAT
	printf '%-26s' "$1"
	columns server - - "$2" "$3"
	echo
}

make_index
for _ in $(seq "$rounds"); do
	for kind in $kinds; do
		start_kind $kind
		measure_all $kind
		stop $kind
	done
done
heading
for load in plain reloads; do
	row DEPS 1 $load
	row DEPS 16 $load
	row CLOSURE 1 $load
	row CLOSURE 16 $load
done
about 'peak memory, MB' '$5 / 1e6' ' %10.0f'
about 'reloads' '$6' ' %10d'
about 'closures in the cache, %' '$7' ' %10.1f'
[ -z "${FIGURES:-}" ] || cp "$work/figures" "$FIGURES"
