#!/bin/sh
# abi.sh BUILD [store | with FILE] - abidiff (abigail-tools) compares the shared library of BUILD
# with that of the last release, and fails if a program that was linked with that one may break:
# what is added is fine, also fields at the end of structs that carry their size along; what is
# gone, or was changed, is not. The last release is the newest tag v*, built anew. Until there is
# one, abi.xml beside this file stands for it: the interface as it was when somebody last meant to
# change it, and wrote it with "store". "with": FILE, as "store" writes it, stands for it.
# abi.suppr says which changes are harmless, and why.
set -eu
build=$1
here=$(cd "$(dirname "$0")" && pwd)
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
trap 'exit 1' HUP INT TERM
for tool in abidiff abidw; do
	command -v $tool >/dev/null || { echo "skipped: no $tool (abigail-tools)"; exit 0; }
done

describe() { # describe TREE BUILD OUTPUT
	abidw --headers-dir "$1/include" --drop-private-types --no-corpus-path --no-comp-dir-path \
		--no-show-locs --out-file "$3" "$1/$2/libouro.so"
}

old=$here/abi.xml
name=${old#"$PWD/"}
case ${2:-} in
store)
	describe . "$build" "$old"
	exit 0
	;;
with) old=$3 name=$3 ;;
*)
	tag=$(git describe --tags --abbrev=0 --match 'v[0-9]*' 2>/dev/null || true)
	if [ -n "$tag" ]; then
		mkdir "$tmp/old"
		git archive "$tag" | tar -x -C "$tmp/old"
		env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL make -s -C "$tmp/old" all
		old=$tmp/old.xml name=$tag
		describe "$tmp/old" build/release-gcc "$old"
	fi
	;;
esac
describe . "$build" "$tmp/new.xml"
abidiff --no-added-syms --suppressions "$here/abi.suppr" "$old" "$tmp/new.xml" || {
	echo "the ABI is not that of $name: abidiff ends with $?"
	[ "$name" != lib/package/abi.xml ] ||
		echo 'If that is meant, as nothing is released: make abi-store'
	exit 1
}
echo "abi-check: what is linked with $name goes on working"
