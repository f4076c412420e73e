#!/bin/sh
# abi.sh BUILD [store] - abidiff (abigail-tools) compares the shared library of BUILD with that of
# the last release, and fails if a program that was linked with that one may break. The last release
# is the newest tag v*, built anew, or abi.xml beside this file where there is none; "store" writes
# that. abi.suppr says which changes are harmless, and why.
set -eu
build=$1
here=lib/package
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
command -v abidiff abidw >/dev/null || { echo 'skipped: no abigail-tools'; exit 0; }

describe() { # describe TREE BUILD OUTPUT
	abidw --headers-dir "$1/include" --drop-private-types --no-corpus-path --no-comp-dir-path \
		--no-show-locs --out-file "$3" "$1/$2/libouro.so"
}

if [ "${2:-}" = store ]; then
	describe . "$build" $here/abi.xml
	exit 0
fi
tag=$(git describe --tags --abbrev=0 --match 'v[0-9]*' 2>/dev/null || true)
if [ -n "$tag" ]; then
	mkdir "$tmp/old"
	git archive "$tag" | tar -x -C "$tmp/old"
	env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL make -s -C "$tmp/old" all
	describe "$tmp/old" build/release-gcc "$tmp/old.xml"
else
	cp $here/abi.xml "$tmp/old.xml"
fi
describe . "$build" "$tmp/new.xml"
abidiff --no-added-syms --suppressions $here/abi.suppr "$tmp/old.xml" "$tmp/new.xml" || {
	echo "the ABI is not that of ${tag:-lib/package/abi.xml}: abidiff ends with $?"
	exit 1
}
echo "abi-check: what is linked with ${tag:-lib/package/abi.xml} goes on working"
