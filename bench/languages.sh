#!/bin/sh
# languages.sh DIR OUT - the rows of other languages' collectors, OUT/NAME.json for each that is there; a line for each
# that is not, or that fails: that is no fault of ours.
#   DIR     where the Makefile put what had to be compiled
#   PYTHON  the interpreter (Debian's, else the first in PATH)
#   BENCH_FILTER, BENCH_REPETITIONS  as for run.sh
set -u
dir=${1:?usage: languages.sh DIR OUT}
out=${2:?usage: languages.sh DIR OUT}
peers=$(dirname "$0")/peers
here=$(dirname "$0")
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
before=
python=${PYTHON:-$(command -v /usr/bin/python3 || command -v python3)}

row() { # row GROUP NAME COMMAND...: all its repetitions, as one JSON
	group=$1
	name=$2
	shift 2
	if "$@" "$name" "${BENCH_REPETITIONS:-5}" >"$tmp/lines"; then
		n=$((n + 1))
		awk -v group="$group" -v command="$before$* '$name' ${BENCH_REPETITIONS:-5}" -f "$here/lines.awk" "$tmp/lines" \
			>"$out/$group-$n.json"
		cat "$tmp/lines"
	else
		printf 'skipped: status %d from %s %s\n' $? "$*" "$name"
	fi
}

rows() { # rows GROUP COMMAND...
	group=$1
	shift
	printf '\n== %s\n' "$group"
	"$@" list | grep -E -e "${BENCH_FILTER:-.}" >"$tmp/list"
	n=0
	while read -r name; do
		row "$group" "$name" "$@" </dev/null
	done <"$tmp/list"
}

has() { # has COMMAND PACKAGE
	command -v "$1" >/dev/null && return
	printf 'skipped: %s is not installed (package %s)\n' "${1:-python3}" "$2"
	return 1
}

has "$python" python3 && rows cycles.py "$python" "$peers/cycles.py"
# Its collector recurses along a ring: a million nodes take more than the usual 8 MB of stack.
has php php-cli && (
	ulimit -s "$(ulimit -H -s)" && before='ulimit -s unlimited; '
	rows cycles.php php "$peers/cycles.php"
)
has nim nim && rows cycles.nim "$dir/peers/cycles_nim"
exit 0
