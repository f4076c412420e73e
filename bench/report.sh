#!/bin/sh
# report.sh DIR OUT - every benchmark of DIR beside every peer that is there: OUT/report.json, all repetitions;
# OUT/report.html, pictures and tables; and the README's table.
#   BENCH_FILTER, BENCH_REPETITIONS, BENCH_MIN_TIME  as for run.sh
set -u
dir=${1:?usage: report.sh DIR OUT}
out=${2:?usage: report.sh DIR OUT}
here=$(dirname "$0")
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
status=0
. "$here/machine.sh"

one() { # one COMMAND...: a program that fails is heard of, and the others still run
	"$@" && return
	printf 'FAILED with status %d: %s\n' $? "$*"
	status=1
}

about() { # NAME <tab> VALUE: machine.sh's fields and the versions
	machine "$1" | sed 's/  */\t/'
	printf 'date\t%s\n' "$(date '+%Y-%m-%d %H:%M %z')"
	"$here/peers.sh" versions
}

mkdir -p "$out" || exit 1
for program in "$dir"/bench_*; do
	case $program in *.d) ;; *) [ -x "$program" ] && about "$program" >"$tmp/about.context" && break ;; esac
done
one "$here/run.sh" "$dir" "$tmp/1.json"
ls "$tmp"/*.json >/dev/null 2>&1 || { echo 'nothing was measured' >&2 && exit 1; }
awk -f "$here/merge.awk" "$tmp/about.context" "$tmp"/*.json >"$out/report.json" || exit 1
"$here/page.sh" "$out/report.json" "$out/report.html" || status=1
echo
awk -f "$here/rows.awk" "$out/report.json" | awk -f "$here/markdown.awk"
exit $status
