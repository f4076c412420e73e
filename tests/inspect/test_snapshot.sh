#!/bin/sh
# Goal: snapshots are what the viewers' format demands, and say what was in the heap.
# Method: those of leaky.c, which knows what it has made, read strictly.
# A failure would mean: no viewer opens the file, or it shows holders that are none.
. tests/common.sh

have python3 || { echo 'skipped: no python3'; exit 0; }
# shellcheck disable=SC2086 # several libraries
$cc -std=c11 -D_GNU_SOURCE $sanitize -Iinclude -o "$tmp/leaky" tests/inspect/leaky.c \
	"$build/libouro.a" $private || fail 'leaky.c does not compile'
export ASAN_OPTIONS=detect_leaks=0 # it leaves what it has
timeout 600 "$tmp/leaky" "$tmp/1" "$tmp/2" "$tmp/3" garbage || fail 'leaky does not work'
python3 tests/inspect/snapshot.py "$tmp/1" "$tmp/2" "$tmp/3" || fail 'the snapshots'
