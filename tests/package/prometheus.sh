#!/bin/sh
# prometheus.sh BUILD - has a real Prometheus scrape what the library writes, and asks what it read.
. tests/common.sh

have prometheus && have python3 || { echo 'skipped: no prometheus, or no python3'; exit 0; }
# shellcheck disable=SC2086 # several libraries
$cc -std=c11 -Iinclude -o "$tmp/metrics" tests/package/metrics.c "$build/libouro.a" $private ||
	fail 'metrics.c does not compile'
"$tmp/metrics" "$tmp/metrics.txt" "$tmp/stats.json" || fail 'metrics.c does not work'
type=$(sed -n 's/^#define OURO_OPENMETRICS_TYPE "\(.*\)"$/\1/p' include/ouro/stats.h)
python3 tests/package/prometheus.py "$tmp" "$type"
