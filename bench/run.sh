#!/bin/sh
# run.sh DIR [JSON [PROGRAM...]] - runs every benchmark of DIR several times, or only these, and prints medians: the
# machine, the rows as Google Benchmark prints them, and a table of ours beside each peer. Status 3: no row matches.
#   JSON               gets every repetition of every row (merge.awk)
#   BENCH_FILTER       regular expression for the rows (all)
#   BENCH_ROWS         single: only rows of one thread; threads: only those of more
#   BENCH_REPETITIONS  repetitions of each row (5)
#   BENCH_MIN_TIME     seconds for each repetition (0.05)
#   BENCH_THREADS      most threads of the rows with several (bench.h)
#   DEPTH              of the trees (bench_trees.cc)
set -u
dir=${1:?usage: run.sh DIR [JSON [PROGRAM...]]}
here=$(dirname "$0")
. "$here/peer_env.sh"
out=$(mktemp -d) || exit 1
trap 'rm -rf "$out"' EXIT
json=${2:-$out/all}
shift
[ $# -gt 0 ] && shift
status=0
. "$here/machine.sh"
options="--benchmark_repetitions=${BENCH_REPETITIONS:-5} --benchmark_min_time=${BENCH_MIN_TIME:-0.05}"

# What Google Benchmark says about the machine before every file is dropped; what ouro has to say is not.
said() {
	grep -vE '^$|^[0-9-]+T[0-9:]+|^Run(ning| on) |^CPU Caches|^ +L[123] |^Load Average|^\*+WARNING' "$1"
}

# in_order LIST ROWS: the repetitions of all rows are mixed, so that a busy spell of the machine does not fall
# on one row alone; here the rows come back into the order of the file.
in_order() {
	awk 'NR == FNR { at[$0] = NR; next }
		{ name = $0; sub(/(_median |  +).*/, "", name); print at[name] + 0 "\t" $0 }' "$1" "$2" |
		sort -s -n | cut -f 2- | uniq
}

choose() { # choose LIST: leaves there what BENCH_ROWS says
	awk -F '/threads:' -v threads="$([ "$BENCH_ROWS" = threads ] && echo 1)" '($2 > 1) == threads + 0' "$1" >"$out/chosen" &&
		mv "$out/chosen" "$1"
}

one() { # one PROGRAM
	name=$(basename "$1")
	filter=--benchmark_filter=${BENCH_FILTER:-.}
	"$1" "$filter" --benchmark_list_tests=true 2>"$out/err" >"$out/$name.list"
	[ -z "${BENCH_ROWS:-}" ] || choose "$out/$name.list"
	[ -s "$out/$name.list" ] || return
	[ -z "${BENCH_ROWS:-}" ] || filter="--benchmark_filter=^($(paste -sd '|' "$out/$name.list"))\$"
	# shellcheck disable=SC2086 # several words
	"$1" "$filter" $options --benchmark_enable_random_interleaving=true \
		--benchmark_display_aggregates_only=true --benchmark_color=false \
		--benchmark_out="$out/$name.json" --benchmark_out_format=json >"$out/rows" 2>"$out/err"
	code=$?
	printf '\n== %s\n' "$name"
	grep -vE '_(mean|stddev|cv) |^-|^$' "$out/rows" >"$out/medians"
	in_order "$out/$name.list" "$out/medians"
	said "$out/err"
	[ $code = 0 ] && return
	printf '%s FAILED with status %d\n' "$name" $code
	status=1
}

programs() { # programs [PROGRAM...]: those, else all of DIR, that can be run
	[ $# -gt 0 ] || set -- "$dir"/bench_*
	for program; do
		case $program in *.d) ;; *) [ -x "$program" ] && printf '%s\n' "$program" ;; esac
	done
}

programs "$@" >"$out/programs"
[ -s "$out/programs" ] || { echo "no benchmarks in $dir: make bench builds and runs them" >&2 && exit 1; }
machine "$(head -n 1 "$out/programs")" && "$here/peers.sh" list
while read -r program; do
	one "$program"
done <"$out/programs"
ls "$out"/*.json >/dev/null 2>&1 || { echo "no row of these programs matches ${BENCH_FILTER:-.}" >&2 && exit 3; }
environment="${BENCH_THREADS:+BENCH_THREADS=$BENCH_THREADS}${DEPTH:+ DEPTH='$DEPTH'}"
awk -v environment="$environment" -v options="$options" -f "$here/merge.awk" "$out"/*.list "$out"/*.json >"$json" || exit 1
awk -f "$here/rows.awk" "$json" >"$out/all.rows" && awk -f "$here/table.awk" "$out/all.rows"
echo
field load "$(cut -d ' ' -f 1-3 /proc/loadavg) at the end"
exit $status
