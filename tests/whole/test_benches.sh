#!/bin/sh
# Goal: every program of bench/ builds, does its work in its smallest form and prints its rows.
# Method: pause and its peers, shapes and read with few objects for a moment; where Google Benchmark
#   is, each row of its programs once; the table of bench/aims.tsv from invented figures.
# A failure would mean: whoever asks how fast the library is gets no answer, or half a table.
. tests/common.sh

# The programs measure the library that is shipped; what it does is tested elsewhere.
[ -z "$variant" ] || { echo 'skipped: the benches are tested in the release build'; exit 0; }
bench=$build/bench

run() { # run COMMAND...: leaves what it printed in $tmp/out
	timeout 600 "$@" >"$tmp/out" 2>&1 || {
		status=$?
		cat "$tmp/out"
		fail "$* ended with $status"
	}
}

shows() { # shows TEXT...: the command before printed each
	for text; do
		grep -qF -e "$text" "$tmp/out" || {
			cat "$tmp/out"
			fail "no line with \"$text\""
		}
	done
}

# ---- programs that need only the library; how much they do in a moment is no matter ----

quiet_make all "$bench/pause" "$bench/shapes" "$bench/read" "$bench/snapshot" \
	"$bench/peers/pause_boehm" "$bench/peers/pause_malloc" "$bench/peers/pause_beat"

pause() { # pause NAME COMMAND...: with a line of each kind in $tmp/tsv
	name=$1
	shift
	run "$@" --live 2000 --seconds 0.3 --window 8 --tsv "$tmp/tsv"
	case $(cat "$tmp/out") in skipped:*) return ;; esac
	shows 'operations/s' 'not preempted'
	for fact in 'figure	operation' 'figure	not preempted' rate; do
		grep -q "^$name	2000	$fact	" "$tmp/tsv" || fail "$name: no $fact in its lines"
	done
}

pause ouro "$bench/pause" --graph random --ring 1000
shows 'the world stood still' 'ring of 1000' 'shutdown: 0 objects left'
for fact in 'figure	stops' stood slept held; do
	grep -q "^ouro	2000	$fact	" "$tmp/tsv" || fail "pause: no $fact in its lines"
done
pause Boehm "$bench/peers/pause_boehm"
pause malloc "$bench/peers/pause_malloc"
pause beat "$bench/peers/pause_beat"
! have python3 || pause CPython python3 bench/peers/pause_python.py
run awk -f bench/pause_table.awk "$tmp/tsv"
shows ouro malloc beat

run env LIVE=12000 SECONDS=0.1 "$bench/read"
shows 'loads and releases' 'collections begun'
run env LIVE=12000 THREADS=1 "$bench/snapshot"
shows 'snapshot      12000 objects' 'stops' 'until all stood' 'path '
run "$bench/shapes" list
cp "$tmp/out" "$tmp/shapes"
: >"$tmp/lines"
while read -r shape; do
	run env LIVE=2000 SECONDS=0.1 "$bench/shapes" "$shape"
	awk -F '\t' -v shape="$shape" 'NF != 8 || $1 != shape { exit 1 }' "$tmp/out" ||
		fail "shapes $shape: $(cat "$tmp/out")"
	sed 's/^/new	/' "$tmp/out" >>"$tmp/lines"
done <"$tmp/shapes"
run awk -F '\t' -f bench/shapes.awk "$tmp/lines"
shows pairs adversary_dense

# ---- the table of aims.sh: an aim reached, one missed, one without a figure ----

awk -F '\t' 'NF != 7 || $6 !~ /^[<>]=?$/ || $7 + 0 != $7 { print FILENAME ": " $0; bad = 1 }
	seen[$1]++ { print "twice: " $1; bad = 1 }
	END { exit bad }' bench/aims.tsv || fail 'bench/aims.tsv'
printf 'weak\t0.5\t1\t2\nweak\t0.7\t7\t10\nring\t3\t3\t1\n' >"$tmp/figures"
run awk -f bench/aims.awk bench/aims.tsv "$tmp/figures"
shows '0.6 x (0.5 to 0.7)' ' rows: 1 reached, '
grep -q '^| dead ring.*| no *|$' "$tmp/out" || fail 'aims.awk: an aim that is missed'
grep -q '^| dead pair, CPU .*skipped' "$tmp/out" || fail 'aims.awk: a row without a figure'
# Each key has a place that measures it.
cut -f 1 bench/aims.tsv | sed 's/_[0-9_a-z]*$//' | sort -u | while read -r key; do
	grep -q "\<$key" bench/aims.sh || fail "aims.sh does not measure $key"
done

# ---- Google Benchmark's ----

printf '#include <benchmark/benchmark.h>\n' | $cxx -fsyntax-only -x c++ - 2>/dev/null || {
	echo 'skipped: the programs of Google Benchmark (package libbenchmark-dev)'
	echo 'benches: ok'
	exit 0
}
# Not optimised, which takes most of the time; two at once.
cat >"$tmp/compile" <<END
set -eu
$cxx -std=c++17 -O0 -Wall -Wextra -D_GNU_SOURCE -pthread -Iinclude $(bench/peers.sh cflags) \
	-o "$tmp/\$(basename "\$1" .cc)" "\$1" "$build/libouro.a" $private \
	-lbenchmark -lbenchmark_main $(bench/peers.sh libs)
END
ls bench/*.cc >"$tmp/sources"
run xargs -n 1 -P 2 sh "$tmp/compile" <"$tmp/sources"

# Of full collections the smaller, of trees low ones.
for source in bench/bench_*.cc; do
	name=$(basename "$source" .cc)
	filter='/ouro(/|$)'
	[ "$name" != bench_full ] || filter='/ouro/1000000/'
	BENCH_THREADS=2 DEPTH=4 run "$tmp/$name" --benchmark_filter="$filter" \
		--benchmark_min_time=0.001 --benchmark_out="$tmp/json" --benchmark_out_format=json
	awk -f bench/rows.awk "$tmp/json" >"$tmp/rows"
	awk -F '\t' '!$8 || !($9 > 0) { exit 1 } END { exit !NR }' "$tmp/rows" || {
		cat "$tmp/out"
		fail "$name: a row without a figure"
	}
done
run "$tmp/memory" list
shows memory_per_object_32/ouro
run "$tmp/memory" memory_per_object_32/ouro 1
shows memory_per_object_32/ouro
echo 'benches: ok'
