#!/bin/sh
# pause.sh DIR OUT "LIVE..." [OPTION...] - bench/pause of DIR and its peers, one after the other, at each number of
# live nodes; a table; pictures. OPTIONs are those of `pause --help`, for all of them.
#   OUT     gets pause.tsv (all that was measured), pause.svg, memory.svg
#   PYTHON  the interpreter (Debian's, else the first in PATH)
# A peer that is not there is skipped, in a line. Two never run at once.
set -u
dir=${1:?usage: pause.sh DIR OUT LIVE [OPTION...]}
out=${2:?usage: pause.sh DIR OUT LIVE [OPTION...]}
sizes=${3:?usage: pause.sh DIR OUT LIVE [OPTION...]}
shift 3
here=$(dirname "$0")
. "$here/machine.sh"
status=0
python=${PYTHON:-$(command -v /usr/bin/python3 || command -v python3)}

one() { # one COMMAND...: a program that fails is heard of, and the others still run
	"$@" && return
	printf 'FAILED with status %d: %s\n' $? "$*"
	status=1
}

python_peer() {
	if ! command -v "$python" >/dev/null; then
		echo 'skipped: CPython is not installed (package python3)'
	else
		one "$python" "$here/peers/pause_python.py" "$@"
	fi
}

all_programs() {
	one "$dir/pause" "$@"
	python_peer "$@"
	one "$dir/peers/pause_boehm" "$@"
	one "$dir/peers/pause_malloc" "$@"
	one "$dir/peers/pause_beat" "$@"
}

pictures() {
	if command -v gnuplot >/dev/null; then
		one "$here/peers/plot.sh" "$out/pause.tsv" "$out"
	else
		echo 'skipped: no pictures, gnuplot is not installed (package gnuplot-nox)'
	fi
}

mkdir -p "$out" && rm -f "$out/pause.tsv" "$out/pause.svg" "$out/memory.svg" || exit 1
machine "$dir/pause"
for live in $sizes; do
	all_programs --live "$live" --tsv "$out/pause.tsv" "$@"
done
[ -s "$out/pause.tsv" ] || { echo 'nothing was measured' >&2 && exit 1; }
awk -f "$here/pause_table.awk" "$out/pause.tsv"
echo
field load "$(cut -d ' ' -f 1-3 /proc/loadavg) at the end"
pictures
exit $status
