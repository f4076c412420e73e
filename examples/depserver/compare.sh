#!/bin/sh
# compare.sh PROGRAM [ROUNDS] - depserver with ouro's automatic collector on and off, no reloads.
#
# The two are measured in turn, ROUNDS (5) times each, so that whatever else the machine does hits
# both; medians are printed. CPU time is the server's, its background threads included. FIGURES names a file for what
# the medians are of, a line each: command, pipeline, collector, requests a second, microseconds of CPU, requests.
set -eu
LC_ALL=C
export LC_ALL
program=${1:?usage: compare.sh PROGRAM [ROUNDS]}
rounds=${2:-5}
here=$(dirname "$0")
work=$(mktemp -d)
server=

cleanup() {
	trap '' HUP INT TERM
	[ -z "$server" ] || kill -9 "$server" 2>/dev/null || :
	wait
	rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 1' HUP INT TERM

start() { # start OPTION...
	: >"$work/log"
	"$program" --port 0 --index "$work/index" "$@" >"$work/log" 2>&1 &
	server=$!
	until grep -q 'listening on' "$work/log"; do
		kill -0 "$server" 2>/dev/null || { cat "$work/log" >&2; exit 1; }
		sleep 0.1
	done
	port=$(sed -n 's/.*listening on 127\.0\.0\.1:\([0-9]*\).*/\1/p' "$work/log")
}

ticks() { # of CPU time, user and system, that the server has used
	awk '{ print $14 + $15 }' "/proc/$server/stat"
}

measure() { # measure COLLECTOR COMMAND PIPELINE REQUESTS
	before=$(ticks)
	rate=$(timeout 300 redis-benchmark -p "$port" -c 50 -r 1000000 -P "$3" -n "$4" --csv \
		"$2" key:__rand_int__ | tail -n 1 | cut -d, -f2 | tr -d '"')
	cpu=$((($(ticks) - before) * (1000000 / $(getconf CLK_TCK))))
	echo "$2 $3 $1 $rate $cpu $4" >>"$work/figures"
}

# median COMMAND PIPELINE COLLECTOR FORMULA
median() {
	awk -v c="$1" -v p="$2" -v g="$3" "\$1 == c && \$2 == p && \$3 == g { print $4 }" \
		"$work/figures" | sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'
}

row() { # row COMMAND PIPELINE
	printf '%-10s %8d %12.0f %12.0f %12.2f %12.2f\n' "$1" "$2" \
		"$(median "$1" "$2" on '$4')" "$(median "$1" "$2" off '$4')" \
		"$(median "$1" "$2" on '$5 / $6')" "$(median "$1" "$2" off '$5 / $6')"
}

apt-cache dumpavail >"$work/index" 2>/dev/null || :
[ -s "$work/index" ] || cp "$here/sample-packages" "$work/index"
for _ in $(seq "$rounds"); do
	for collector in on off; do
		if [ $collector = on ]; then start; else start --no-gc; fi
		measure $collector DEPS 1 50000
		measure $collector DEPS 16 500000
		measure $collector CLOSURE 1 50000
		measure $collector CLOSURE 16 200000
		kill -TERM "$server"
		wait "$server"
		server=
	done
done
printf '%-10s %8s %25s %25s\n' '' '' 'requests/s' 'server CPU, us a request'
printf '%-10s %8s %12s %12s %12s %12s\n' command pipeline 'collector on' off 'collector on' off
row DEPS 1
row DEPS 16
row CLOSURE 1
row CLOSURE 16
[ -z "${FIGURES:-}" ] || cp "$work/figures" "$FIGURES"
