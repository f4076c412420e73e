#!/bin/sh
# dist.sh OUTPUT.tar.gz - the tree as a tar, of which the same files make the same bytes: sorted,
# with one date, one owner, and modes that no umask has a say in. What git knows is in it; where
# there is no git, as in what was unpacked from such a tar, all but build/.
set -eu
export LC_ALL=C
out=$1
name=$(basename "$out" .tar.gz)
cd "$(dirname "$0")/../.."
list=$(mktemp)
trap 'rm -f "$list"' EXIT

if [ "$(git rev-parse --show-toplevel 2>/dev/null)" = "$(pwd -P)" ]; then
	git ls-files -z >"$list"
	date=$(git log -1 --format=%ct)
else
	find . -path ./build -prune -o ! -type d -printf '%P\0' >"$list"
	date=$(stat -c %Y CHANGELOG.md)
fi
sort -z -o "$list" "$list"
tar --create --format=gnu --null --no-recursion --files-from="$list" \
	--transform="flags=r;s|^|$name/|" --mtime="@${SOURCE_DATE_EPOCH:-$date}" \
	--owner=0 --group=0 --numeric-owner --mode=u=rwX,go=rX | gzip -9n >"$out"
