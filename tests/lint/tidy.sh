#!/bin/sh
# tidy.sh TREE - clang-tidy finds nothing in lib/, of a checked build, which has more code: the checks
# of .clang-tidy, which says what was left out. Skipped, with a line, where there is no clang-tidy.
set -u
config=$PWD/.clang-tidy
cd "${1:-.}" || exit 1
if ! command -v clang-tidy >/dev/null 2>&1; then
	echo 'skipped: clang-tidy is not installed'
	exit 0
fi
includes=$(for d in include lib lib/*/; do [ -d "$d" ] && printf ' -I%s' "${d%/}"; done)
flags="-std=c11 -D_GNU_SOURCE -D_LGPL_SOURCE -DOURO_INTERNAL=1 -DOURO_CHECKED=1$includes"
found=$(find lib -name '*.c' | sort |
	xargs -n 3 -P "$(nproc)" sh -c 'clang-tidy --quiet --config-file="$0" "$@" -- '"$flags"' 2>&1' "$config" |
	grep -E ': (warning|error): ' | sort -u)
[ -n "$found" ] && printf '%s\n' "$found" | sed 's/^/      /'
echo "$(printf %s "$found" | grep -c .) findings of clang-tidy"
[ -z "$found" ]
