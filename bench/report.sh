#!/bin/sh
# report.sh DIR OUT - every benchmark of DIR beside every peer that is there: OUT/report.json, all repetitions;
# OUT/report.html, pictures and tables; and the table of RESULTS.md.
#   BENCH_FILTER, BENCH_REPETITIONS, BENCH_MIN_TIME  as for run.sh
#   BENCH_THREADS  most threads of the rows with several (8)
#   BENCH_SCALING_TIME  seconds for each repetition of rows with more than one thread (0.5)
#   DEEP           depths of trees beside 16 (20; none: "")
set -u
dir=${1:?usage: report.sh DIR OUT}
out=${2:?usage: report.sh DIR OUT}
here=$(dirname "$0")
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
status=0
DEEP=${DEEP-20}
. "$here/machine.sh"

one() { # one COMMAND...: a program that fails is heard of, and the others still run; 3 says that it had no row
	"$@"
	code=$?
	case $code in 0 | 3) return ;; esac
	printf 'FAILED with status %d: %s\n' $code "$*"
	status=1
}

about() { # NAME <tab> VALUE: machine.sh's fields and the versions
	machine "$1" | sed 's/  */\t/'
	printf 'date\t%s\n' "$(date '+%Y-%m-%d %H:%M %z')"
	"$here/peers.sh" versions
}

# Google Benchmark adds up what passes in each thread from its own start to its own end. Threads that take a while to start, or
# have to wait for a processor, must not be done before they meet, or nobody sees them contend: these rows run for longer.
rows_of_threads() {
	one env BENCH_THREADS="${BENCH_THREADS:-8}" BENCH_MIN_TIME="${BENCH_SCALING_TIME:-0.5}" \
		BENCH_ROWS=threads "$here/run.sh" "$dir" "$tmp/threads.json"
}

# The long ones: three repetitions at most, and no more than two threads.
deep_trees() {
	few=${BENCH_REPETITIONS:-5}
	[ "$few" -lt 3 ] || few=3
	for depth in $DEEP; do
		one env DEPTH="$depth" BENCH_THREADS=2 BENCH_REPETITIONS="$few" \
			"$here/run.sh" "$dir" "$tmp/depth-$depth.json" "$dir/bench_trees"
	done
}

mkdir -p "$out" "$tmp/peers" || exit 1
# Lists of all rows, for their order: those with many threads are measured after all others.
for program in "$dir"/bench_*; do
	case $program in *.d | *'*'*) continue ;; esac
	[ -s "$tmp/about.context" ] || about "$program" >"$tmp/about.context"
	BENCH_THREADS=${BENCH_THREADS:-8} DEPTH="16 $DEEP" "$program" --benchmark_list_tests=true \
		>"$tmp/$(basename "$program").list"
done
one env BENCH_ROWS=single "$here/run.sh" "$dir" "$tmp/single.json"
rows_of_threads
deep_trees
one env DEPTH="16 $DEEP" "$here/lines.sh" "$dir" "$tmp/peers"
json=$(ls -d "$tmp"/*.json "$tmp"/*/*.json 2>/dev/null)
[ -n "$json" ] || { echo "nothing was measured" >&2 && exit 1; }
# shellcheck disable=SC2086 # several files
awk -f "$here/merge.awk" "$tmp/about.context" "$tmp"/*.list $json >"$out/report.json" || exit 1
"$here/page.sh" "$out/report.json" "$out/report.html" || status=1
echo
awk -f "$here/rows.awk" "$out/report.json" | awk -f "$here/markdown.awk" "$here/readme.tsv" -
exit $status
