#!/bin/sh
# lines.sh DIR OUT - the rows of programs that are none of Google Benchmark's: memory, and other languages. OUT/NAME.json
# for each that is there; a line for each that is not, or that fails: a peer that does is no fault of ours.
#   DIR     where the Makefile put what had to be compiled
#   PYTHON  the interpreter (Debian's, else the first in PATH)
#   BENCH_FILTER, BENCH_REPETITIONS  as for run.sh
set -u
dir=${1:?usage: lines.sh DIR OUT}
out=${2:?usage: lines.sh DIR OUT}
peers=$(dirname "$0")/peers
here=$(dirname "$0")
. "$here/peer_env.sh"
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
before=
status=0
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
		printf 'skipped: %d is the status of %s %s\n' $? "$*" "$name"
	fi
}

rows() { # rows GROUP COMMAND...
	group=$1
	shift
	"$@" list | grep -E -e "${BENCH_FILTER:-.}" >"$tmp/list" || return
	printf '\n== %s\n' "$group"
	n=0
	while read -r name; do
		row "$group" "$name" "$@" </dev/null
	done <"$tmp/list"
}

has() { # has COMMAND PACKAGE
	[ -n "$1" ] && command -v "$1" >/dev/null && return
	printf 'skipped: %s is not installed\n' "$2"
	return 1
}

# depserver's lines come from its own script, all rows at once. With the collector off, what dies by count still dies at
# once, and old graphs remain; with malloc (peers/ouro_malloc.c) everything does.
depserver_lines() {
	awk -v OFS='\t' '
		BEGIN { kinds["on"] = "ouro"; kinds["off"] = "ouro, collector off"; kinds["peer"] = "malloc, nothing reclaimed" }
		{ kind = "/" kinds[$4] }
		$1 == "server" {
			print "depserver_peak_memory" kind, $5 / 1e6, $5 / 1e6, "MB"
			next
		}
		{
			row = "depserver_" $1 "_pipeline_" $2 ($3 == "plain" ? "" : "_" $3)
			print row kind, $5, $5, "requests/s"
			print row "_cpu" kind, $6 / $7, $6 / $7, "us a request"
		}' "$tmp/figures"
}

depserver_names() { # all rows there are
	for kind in 'ouro' 'ouro, collector off' 'malloc, nothing reclaimed'; do
		for row in DEPS_pipeline_1 DEPS_pipeline_16 CLOSURE_pipeline_1 CLOSURE_pipeline_16; do
			printf 'depserver_%s\n' "$row/$kind" "${row}_cpu/$kind" "${row}_reloads/$kind" "${row}_reloads_cpu/$kind"
		done
		printf 'depserver_peak_memory/%s\n' "$kind"
	done
}

depserver() { # depserver PROGRAM [PEER]
	depserver_names | grep -E -e "${BENCH_FILTER:-.}" >"$tmp/wanted" || return
	printf '\n== depserver\n'
	set -- "$(dirname "$here")/examples/depserver/compare.sh" "$1" "${BENCH_REPETITIONS:-5}" ${2:+"$2"}
	if ! FIGURES=$tmp/figures "$@"; then
		printf 'FAILED with status %d: %s\n' $? "$*"
		status=1
		return
	fi
	depserver_lines | awk -F '\t' 'NR == FNR { wanted[$0]; next } $1 in wanted' "$tmp/wanted" - |
		awk -v group=depserver -v command="$*" -f "$here/lines.awk" >"$out/depserver.json"
}

rows memory "$dir/memory"
if has "$python" python3; then
	rows memory.py "$python" "$peers/memory.py"
	rows cycles.py "$python" "$peers/cycles.py"
fi
# Its collector recurses along a ring: a million nodes take more than the usual 8 MB of stack.
has php php-cli && (
	ulimit -s "$(ulimit -H -s)" && before='ulimit -s unlimited; '
	rows cycles.php php "$peers/cycles.php"
)
has nim nim && rows cycles.nim "$dir/peers/cycles_nim"
if [ "$("$here/peers.sh" yrc)" ]; then
	rows cycles_yrc.nim "$dir/peers/cycles_yrc"
else
	echo 'skipped: the nim here has no --mm:yrc, its collector that is safe for threads'
fi
server=$(dirname "$dir")/examples/depserver/depserver
[ -x "$server" ] || server=
peer=$dir/peers/depserver_malloc
[ -x "$peer" ] || peer=
has "$server" libuv1-dev && has redis-benchmark redis-tools && depserver "$server" "$peer"
exit $status
