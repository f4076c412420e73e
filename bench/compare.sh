#!/bin/sh
# compare.sh DIR BASE - the benchmarks of git revision BASE beside those of the work tree, which are built in DIR: the
# ratio of each row, and whether it is more than noise (compare.awk). Both run in turn, a row at a time of each program
# in between, so that a busy spell of the machine hits both; every repetition is a process of its own.
#   BENCH_FILTER       regular expression for the rows (ours; . for all: peers did not change, and show what noise is)
#   BENCH_REPETITIONS  repetitions of each row (7; below 5 no change can be told from noise)
#   BENCH_MIN_TIME     seconds for each repetition (0.05)
#   MAKE               the make to build BASE with
# build/compare gets BASE's tree, and old.json and new.json, all repetitions. Google Benchmark's own compare.py is run
# on these too where it is found (package libbenchmark-tools; it wants python3-scipy).
set -u
dir=${1:?usage: compare.sh DIR BASE}
base=${2:?usage: compare.sh DIR BASE}
here=$(dirname "$0")
. "$here/peer_env.sh"
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
status=0
. "$here/machine.sh"
. "$here/old_tree.sh"

out=build/compare
filter=--benchmark_filter=${BENCH_FILTER:-/ouro(/|\$)}
options="--benchmark_repetitions=1 --benchmark_min_time=${BENCH_MIN_TIME:-0.05}"

# The old makefile knows its own programs, not ours.
make_old() {
	(cd "$old" && ls bench/bench_*.cc) | sed "s|bench/\(.*\)\.cc|$dir/\1|" | xargs "${MAKE:-make}" -C "$old"
}

run() { # run SIDE ROUND PROGRAM
	[ -x "$3" ] || return
	name=$(basename "$3")
	[ -e "$tmp/$1-$name.list" ] ||
		"$3" "$filter" --benchmark_list_tests=true >"$tmp/$1-$name.list" 2>/dev/null
	[ -s "$tmp/$1-$name.list" ] || return
	# shellcheck disable=SC2086 # several words
	"$3" "$filter" $options --benchmark_out="$tmp/$1-$name-$2.json" --benchmark_out_format=json >/dev/null 2>"$tmp/err" &&
		return
	printf '%s FAILED with status %d:\n' "$3" $?
	cat "$tmp/err"
	status=1
}

merged() { # merged SIDE
	awk -v options="$options" -f "$here/merge.awk" "$tmp/$1"-*.list "$tmp/$1"-*.json >"$out/$1.json" &&
		awk -f "$here/rows.awk" "$out/$1.json" >"$tmp/$1.rows"
}

googles() {
	script=/usr/share/benchmark/compare.py
	python=$(command -v /usr/bin/python3 || command -v python3) || return 0
	[ -e "$script" ] && "$python" -c 'import scipy.stats' 2>/dev/null || return 0
	printf '\n== %s\n' "$script"
	"$python" "$script" --no-color --display_aggregates_only benchmarks "$out/old.json" "$out/new.json"
}

old_tree "$base" || exit 1
make_old >"$tmp/build" 2>&1 || { tail -n 20 "$tmp/build" >&2 && echo "$base cannot be built" >&2 && exit 1; }
for program in "$old/$dir"/bench_* "$dir"/bench_*; do
	case $program in *.d) ;; *) [ -x "$program" ] && basename "$program" ;; esac
done | sort -u >"$tmp/programs"
machine "$dir/$(head -n 1 "$tmp/programs")"
for round in $(seq "${BENCH_REPETITIONS:-7}"); do
	while read -r program; do
		run old "$round" "$old/$dir/$program"
		run new "$round" "$dir/$program"
	done <"$tmp/programs"
done
ls "$tmp"/*.json >/dev/null 2>&1 || { echo "no row matches $filter" >&2 && exit 1; }
merged old && merged new || exit 1
awk -v base="$base" -f "$here/compare.awk" "$tmp/old.rows" "$tmp/new.rows"
googles
echo
field load "$(cut -d ' ' -f 1-3 /proc/loadavg) at the end"
exit $status
