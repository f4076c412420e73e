#!/bin/sh
# shapes.sh DIR [BASE] - bench/shapes of DIR: medians of a row for each shape; with BASE, a git
# revision, of both, which run in turn, and the ratio of the work tree's to its. BASE's library is
# linked with the shapes of the work tree.
#   SHAPES                  only those with this in their names: adversary
#   SHAPE_ROUNDS            rounds (3)
#   LIVE, THREADS, SECONDS  of shapes.c
#   MAKE, CC, URCU_LIBS     to build BASE with
set -u
dir=${1:?usage: shapes.sh DIR [BASE]}
base=${2:-}
here=$(dirname "$0")
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
status=0
. "$here/machine.sh"
. "$here/old_tree.sh"

build_old() {
	old_tree "$base" || return 1
	"${MAKE:-make}" -C "$old" all >"$tmp/build" 2>&1 ||
		{ tail -n 20 "$tmp/build" >&2 && return 1; }
	# shellcheck disable=SC2086 # several libraries
	${CC:-gcc} -std=c11 -O2 -g -D_GNU_SOURCE -pthread -I"$old/include" -Ibench \
		-o "$tmp/shapes" bench/shapes.c \
		"$old/${dir%/bench}/libouro.a" $URCU_LIBS
}

one() { # one SIDE PROGRAM SHAPE
	"$2" "$3" >"$tmp/line" && sed "s/^/$1	/" "$tmp/line" >>"$tmp/lines" && return
	printf 'FAILED: %s %s\n' "$2" "$3"
	status=1
}

[ -z "$base" ] || build_old || exit 1
machine "$dir/shapes"
for _ in $(seq "${SHAPE_ROUNDS:-3}"); do
	for shape in $("$dir/shapes" list | grep -e "${SHAPES:-}"); do
		[ -z "$base" ] || one old "$tmp/shapes" "$shape"
		one new "$dir/shapes" "$shape"
	done
done
awk -F '\t' -f "$here/shapes.awk" "$tmp/lines"
field load "$(cut -d ' ' -f 1-3 /proc/loadavg) at the end"
exit $status
