#!/bin/sh
# Goal: programs over the public API leave the heap as a model in plain C says, whatever the
#   interleaving; the parser of depserver takes what is whole, and nothing else.
# Method: the targets of tests/fuzz replay their corpora, without a fuzzer.
# A failure would mean: an input that was once found, or made up, breaks the library again.
. tests/common.sh

case $build in *-shipped*) echo 'skipped: the marked places are in checked builds'; exit 0 ;; esac

quiet_make fuzz-build $variant
for target in program resp; do
	timeout 900 "$build/fuzz/$target" tests/fuzz/corpus/$target/* >"$tmp/out" 2>&1 || {
		tail -n 60 "$tmp/out"
		fail "$target"
	}
	echo "$target: $(tail -n 1 "$tmp/out")"
done
echo 'fuzz: ok'
