#!/bin/sh
# Goal: the metrics are what monitoring systems read; the dashboard asks for metrics that there are.
# Method: metrics.c writes them; the parser of Prometheus's client for Python reads them.
# A failure would mean: a scrape that is refused, or a panel that stays empty.
. tests/common.sh

have python3 || { echo 'skipped: no python3'; exit 0; }
# shellcheck disable=SC2086 # several libraries
$cc -std=c11 -Wall -Wextra -Werror $sanitize -Iinclude -o "$tmp/metrics" \
	tests/package/metrics.c "$build/libouro.a" $private ||
	fail 'metrics.c does not compile'
timeout 600 "$tmp/metrics" "$tmp/metrics.txt" "$tmp/stats.json" || fail 'metrics.c does not work'
python3 tests/package/dashboard.py "$tmp/metrics.txt" examples/grafana/ouro.json ||
	fail 'the dashboard'
with_parser= # Debian's package serves Debian's Python
for python in python3 /usr/bin/python3; do
	"$python" -c 'import prometheus_client.openmetrics.parser' 2>/dev/null && with_parser=$python
done
if [ "$with_parser" ]; then
	"$with_parser" tests/package/metrics.py "$tmp/metrics.txt" "$tmp/stats.json" || {
		cat "$tmp/metrics.txt"
		fail 'the metrics'
	}
else
	echo 'skipped: no python3-prometheus-client'
fi
echo "metrics: ok"
