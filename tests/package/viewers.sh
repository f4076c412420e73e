#!/bin/sh
# viewers.sh BUILD - what reads snapshots and traces in earnest reads ours: Meta's memlab, and the
# DevTools of Chromium. `make check-viewers`. Each is skipped, with a line, where it is not.
#
# Goal: a snapshot opens, shows what is there, and the leak is found; so does a trace.
# Method: leaky.c plants one; memlab of build/viewers, of the versions in package-lock.json; the
#         frontend that an installed Chromium serves, in a headless page of it. (chrome://tracing
#         is not in Debian's Chromium, Perfetto neither in Debian 12 nor in npm.)
# A failure would mean: the file of the one bad night opens nowhere.
. tests/common.sh

have node || { echo 'skipped: the viewers need node'; exit 0; }
# shellcheck disable=SC2086 # several libraries
$cc -std=c11 -D_GNU_SOURCE $sanitize -Iinclude -o "$tmp/leaky" tests/inspect/leaky.c \
	"$build/libouro.a" $private || fail 'leaky.c does not compile'
set -- "$tmp/1.heapsnapshot" "$tmp/2.heapsnapshot" "$tmp/3.heapsnapshot"
export ASAN_OPTIONS=detect_leaks=0 # it leaves what it has
"$tmp/leaky" "$@" || fail 'leaky does not work'

timeout 400 node tests/package/viewers/devtools.js "$@" || fail 'DevTools'

# shellcheck disable=SC2086 # several libraries
$cc -std=c11 $sanitize -Iinclude -o "$tmp/metrics" tests/package/metrics.c "$build/libouro.a" \
	$private || fail 'metrics.c does not compile'
OURO_TRACE="$tmp/trace.json" "$tmp/metrics" "$tmp/metrics.txt" "$tmp/stats.json" ||
	fail 'metrics does not work'
timeout 400 node tests/package/viewers/trace.js "$tmp/trace.json" || fail 'the trace'

mkdir -p build/viewers
cp tests/package/viewers/package.json tests/package/viewers/package-lock.json \
	tests/package/viewers/memlab.js build/viewers/
if have npm && (cd build/viewers && PUPPETEER_SKIP_DOWNLOAD=1 timeout 600 \
	npm ci --ignore-scripts --no-audit --no-fund >npm.log 2>&1); then
	timeout 400 node build/viewers/memlab.js "$@" || fail 'memlab'
else
	echo 'skipped: memlab, which npm does not install (build/viewers/npm.log)'
fi
echo 'viewers: ok'
