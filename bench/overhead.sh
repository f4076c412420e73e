#!/bin/sh
# overhead.sh DIR - what allocation sites (OURO_SAMPLE_BYTES=512K) and traces (OURO_TRACE) cost
# while they are on: rows of the benchmarks in DIR, each run with neither, one and the other in turn;
# the least CPU time of ROUNDS runs, and how much more that is. A loop of the benchmark may lie in one
# stretch (lib/count/sample.c). So "counted" is all of it counted, as densely as 512K does in one of
# eight stretches, and "sites" the mean of one such and seven as they are without.
#   ROUNDS  (15)
#   ROWS    regular expression for the rows
set -eu
dir=${1:?usage: overhead.sh DIR}
rounds=${ROUNDS:-15}
rows=${ROWS:-^(new_release(_batch|_batch_cyclic)?_32|trees_(children|parents)|dead_pairs)/ouro}
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT

run() { # run SETTING [VARIABLE=VALUE]
	setting=$1
	shift
	for bench in alloc trees cycles; do
		env "$@" DEPTH=16 "$dir/bench_$bench" --benchmark_filter="$rows(/.*threads:1)?\$" \
			--benchmark_min_time=0.1 --benchmark_format=csv 2>/dev/null |
			awk -F , -v s="$setting" '$1 ~ /^"/ {
				gsub(/"|\/process.*|\/threads.*|\/ouro/, "", $1)
				print s, $1, $4
			}'
	done >>"$out/all"
}

for _ in $(seq "$rounds"); do
	run off OURO_SAMPLE_BYTES=0
	run counted OURO_SAMPLE_BYTES=65535
	run trace OURO_TRACE="$out/trace.json"
done
awk -v rounds="$rounds" '
	!(($1, $2) in least) || $3 < least[$1, $2] { least[$1, $2] = $3 }
	!($2 in order) { order[$2] = ++n; name[n] = $2 }
	END {
		if (!n) {
			print "no such rows"
			exit 1
		}
		printf "%-28s %9s %9s %9s %8s %9s %8s   (least of %d)\n", "ns of CPU", "off",
			"counted", "sites", "", "trace", "", rounds
		for (i = 1; i <= n; i++) {
			off = least["off", name[i]]
			counted = least["counted", name[i]]
			sites = (counted + 7 * off) / 8
			trace = least["trace", name[i]]
			printf "%-28s %9.2f %9.2f %9.2f %+7.1f%% %9.2f %+7.1f%%\n", name[i], off,
				counted, sites, (sites / off - 1) * 100,
				trace, (trace / off - 1) * 100
		}
	}' "$out/all"
