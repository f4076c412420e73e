#!/bin/sh
# aims.sh DIR - what the library is meant to reach, and what it reaches here: a row for each line of
# aims.tsv, with the median, the least and the greatest of several rounds. In a round ours and each
# peer are measured one after the other, so that whatever else the machine does hits both; a figure
# x is ours divided by the peer's of the same round.
#   RUNS          rounds (5)
#   AIMS_SECONDS  whole seconds of each run of bench/pause and its peers (4)
#   QUICK         1: a look in less than two minutes: one round, 1 s each, no more than 1e6 objects
# Status 1: a program has failed. A peer that is missing is skipped, in a line.
set -u
dir=${1:?usage: aims.sh DIR}
here=$(dirname "$0")
. "$here/peer_env.sh"
. "$here/machine.sh"
tmp=$(mktemp -d) || exit 1
busy=
status=0
LC_ALL=C
export LC_ALL
if [ "${QUICK:-0}" != 0 ]; then
	usual_runs=1 usual_seconds=1 depth=12 live=1000000 read_seconds=5
	quick=', quick: fewer live objects, trees of depth 12'
	loads='100000 1000000 1000000_random'
else
	usual_runs=5 usual_seconds=4 depth=16 live=10000000 read_seconds=60 quick=
	loads='100000 1000000 1000000_random 10000000 10000000_random'
fi
runs=${RUNS:-$usual_runs}
seconds=${AIMS_SECONDS:-$usual_seconds}
tsv=$tmp/pause.tsv

idle_again() {
	for process in $busy; do
		kill "$process" 2>/dev/null && wait "$process" 2>/dev/null
	done
	busy=
}

trap 'idle_again; rm -rf "$tmp"' EXIT
trap 'exit 1' HUP INT TERM

one() { # one COMMAND...: what it printed is in $tmp/out; a program that fails is heard of
	timeout 1000 "$@" >"$tmp/out" 2>"$tmp/err"
	code=$?
	grep -h '^skipped' "$tmp/out" "$tmp/err" >>"$tmp/skipped"
	[ $code = 0 ] && return
	printf 'FAILED with status %d: %s\n' $code "$*"
	tail -n 5 "$tmp/out" "$tmp/err"
	status=1
	return 1
}

skip() { # skip REASON...: said once, above the table
	printf 'skipped: %s\n' "$*" >>"$tmp/skipped"
}

# Ours, and the peer's; nothing, where one was not measured.
put() { # put KEY OURS [THEIRS]: a figure by itself
	[ -z "$2" ] || printf '%s\t%s\t%s\t%s\n' "$1" "$2" "$2" "${3:-}" >>"$tmp/figures"
}

ratio() { # ratio KEY OURS THEIRS
	[ -n "$2" ] && [ -n "$3" ] || return 0
	awk -v key="$1" -v a="$2" -v b="$3" \
		'BEGIN { if (b > 0) printf "%s\t%.6g\t%s\t%s\n", key, a / b, a, b }' >>"$tmp/figures"
}

scaled() { # scaled NUMBER FACTOR
	[ -z "$1" ] || awk -v a="$1" -v b="$2" 'BEGIN { printf "%.6g", a * b }'
}

# ---- Google Benchmark's rows, and programs that print such ----

rows() { # rows MIN_TIME PROGRAM FILTER [NAME=VALUE...]: to $tmp/rows
	min_time=$1
	program=$dir/$2
	filter=$3
	shift 3
	rm -f "$tmp/json"
	one env BENCH_THREADS=2 DEPTH="$depth" "$@" "$program" --benchmark_filter="$filter" \
		--benchmark_min_time="$min_time" --benchmark_out="$tmp/json" --benchmark_out_format=json &&
		awk -f "$here/rows.awk" "$tmp/json" >>"$tmp/rows"
}

# at ROW KIND THREADS CLOCK - what it took, in ns
at() {
	awk -F '\t' -v row="$1" -v kind="$2" -v threads="$3" -v clock="$4" '
		$3 == row && $4 == kind && $5 == threads && $6 == clock && $8 { print $9; exit }' "$tmp/rows"
}

# In the form of rows.awk, and only CPU time: it has one thread.
nim() { # nim ROW NAME REST: to $tmp/rows; NAME: the row's, as at has it
	[ -x "$dir/peers/cycles_nim" ] || { skip 'nim is not installed (package nim)' && return; }
	one "$dir/peers/cycles_nim" "$1/nim ORC/$3" 1 &&
		awk -F '\t' -v OFS='\t' -v name="$2" \
			'{ print "", name, name, "nim ORC", 1, "cpu", "ns", 1, $3 }' "$tmp/out" >>"$tmp/rows"
}

counts() {
	rows 0.05 bench_counts '^retain_release_foreign/(ouro|shared_ptr)/threads:1$'
	rows 0.5 bench_counts '^retain_release_foreign/(ouro|shared_ptr)/threads:2$'
	rows 0.05 bench_weak '^weak_upgrade_foreign/(ouro|weak_ptr)/threads:1$'
	rows 0.05 bench_alloc '^new_publish_release_32/(ouro|make_shared)/threads:1$'
	for threads in 1 2; do
		key=foreign
		[ $threads = 1 ] || key=foreign_two
		ratio $key "$(at retain_release_foreign ouro $threads cpu)" \
			"$(at retain_release_foreign shared_ptr $threads cpu)"
	done
	ratio weak "$(at weak_upgrade_foreign ouro 1 cpu)" "$(at weak_upgrade_foreign weak_ptr 1 cpu)"
	ratio published "$(at new_publish_release_32 ouro 1 cpu)" \
		"$(at new_publish_release_32 make_shared 1 cpu)"
}

cycles() {
	beside=dead_pairs_beside_100000_live
	pairs='^dead_pairs/ouro/'
	rows 0.05 bench_cycles "$pairs|^($beside|ring_of_1000000)/ouro/.*real_time(/threads:1)?\$"
	nim dead_pairs dead_pairs process_time/real_time/threads:1
	nim $beside $beside process_time/real_time/threads:1
	nim ring_of_1000000 ring_of_1000000 process_time/real_time
	ratio pair "$(at dead_pairs ouro 1 cpu)" "$(at dead_pairs 'nim ORC' 1 cpu)"
	ratio pair_beside "$(at $beside ouro 1 cpu)" "$(at $beside 'nim ORC' 1 cpu)"
	ratio ring "$(at ring_of_1000000 ouro 1 cpu)" "$(at ring_of_1000000 'nim ORC' 1 cpu)"
	one_thread=$(at dead_pairs ouro 1 wall)
	ratio pair_wall "$one_thread" "$(at dead_pairs ouro 1 cpu)"
	ratio pair_two "$(at dead_pairs ouro 2 wall)" "$one_thread"
}

trees() {
	row="depth:$depth"
	rows 0.05 bench_trees '^trees_children/(ouro|shared_ptr)/|^trees_parents/ouro/.*threads:1$'
	ratio trees "$(at "trees_children $row" ouro 1 wall)" \
		"$(at "trees_children $row" shared_ptr 1 wall)"
	ratio trees_two "$(at "trees_children $row" ouro 2 wall)" \
		"$(at "trees_children $row" shared_ptr 2 wall)"
	nim trees_parents "trees_parents $row" "$row/process_time/real_time/threads:1"
	ratio parents "$(at "trees_parents $row" ouro 1 cpu)" "$(at "trees_parents $row" 'nim ORC' 1 cpu)"
}

available_mb() {
	awk '/^MemAvailable:/ { print int($2 / 1024) }' /proc/meminfo
}

full() {
	grep -q OURO_GC_THREADS "$dir/../libouro.a" ||
		{ skip 'this library has no OURO_GC_THREADS: a full collection has one thread' && return; }
	[ "$(available_mb)" -gt $((live / 5000)) ] ||
		{ skip "too little memory for a full collection of $live objects" && return; }
	row="full_collection_of_live $live"
	for n in 1 2; do
		: >"$tmp/rows"
		rows 0.05 bench_full "^full_collection_of_live/ouro/$live/" OURO_GC_THREADS=$n
		[ $n = 1 ] && alone=$(at "$row" ouro 1 wall)
	done
	ratio full "$(at "$row" ouro 1 wall)" "$alone"
}

# ---- bench/pause and its peers ----

pause() { # pause OPTIONS PROGRAM...: leaves what they measured in $tsv
	options=$1
	shift
	rm -f "$tsv"
	for program; do
		# shellcheck disable=SC2086 # several options
		one "$dir/$program" --seconds "$seconds" --tsv "$tsv" $options
	done
	[ -e "$tsv" ] || : >"$tsv"
}

# of PROGRAM WHAT - one fact of it: rate, operation and stop percentiles in us, memory in MB, or one
# that pause_tsv.c has a line for; nothing, if it was not measured
of() {
	awk -F '\t' -v program="$1" -v what="$2" '
		$1 != program { next }
		$3 == "figure" { n = $5; v[$4 " p99"] = $7; v[$4 " p99.9"] = $8; v[$4 " max"] = $9; seen = 0 }
		$3 == "bucket" && !($4 " p99.99" in v) {
			seen += $6
			if (seen >= n * .9999)
				v[$4 " p99.99"] = $5
		}
		$3 == "rate" { v["rate"] = $4; seconds = $5 }
		$3 == "memory" { if ($4 <= seconds && $5 > v["memory"]) v["memory"] = $5; next }
		NF == 4 { v[$3] = $4 }
		END { if (what in v) print v[what] }' "$tsv"
}

memory() { # memory LOAD
	ratio "memory_$1" "$(of ouro memory | awk '{ print ($1 > 64 ? $1 - 64 : 0) }')" "$(of ouro held)"
}

# Time that threads slept can have been a processor's idle time only as far as there was such.
idle() {
	[ -n "$(of ouro idle)" ] || { skip 'the system does not tell idle time' && return; }
	put idle "$(echo "$(of ouro idle) $(of ouro slept) $(nproc)" |
		awk '{ slept = $2 * 4 / $3; print ($1 < slept ? $1 : slept) }')"
}

held_up() {
	put p999 "$(of ouro 'operation p99.9')" "$(of malloc 'operation p99.9')"
	put stop_p99 "$(scaled "$(of ouro 'stops p99')" .001)"
	put old "$(of ouro collector)"
	idle
}

pauses() {
	for load in $loads; do
		case $load in
		*_random) pause "--live ${load%_random} --graph random" pause peers/pause_boehm ;;
		*) pause "--live $load" pause peers/pause_boehm peers/pause_malloc ;;
		esac
		ratio "ops_$load" "$(scaled "$(of ouro rate)" 1e-6)" "$(scaled "$(of Boehm rate)" 1e-6)"
		[ "$load" = 1000000 ] && held_up
		case $load in *000000) memory "$load" ;; esac
	done
	pause "--live 1000000 --threads $(nproc)" pause peers/pause_malloc
	put stop_max "$(scaled "$(of ouro 'stops max')" .001)" \
		"$(scaled "$(of malloc 'operation max')" .001)"
}

# All are over by then, should this script be killed.
be_busy() {
	for _ in 1 2; do
		timeout $((4 * seconds + 60)) sh -c 'while :; do :; done' &
		busy="$busy $!"
	done
}

young() {
	pause '--live 1000000 --window 16' pause
	put stood "$(of ouro stood)"
	be_busy
	pause '--live 1000000 --window 16' pause peers/pause_malloc
	idle_again
	put busy_stop "$(scaled "$(of ouro 'stops max')" .001)"
	ratio busy_p9999 "$(of ouro 'operation p99.99')" "$(of malloc 'operation p99.99')"
}

# ---- programs of their own ----

depserver() {
	server=$(dirname "$dir")/examples/depserver/depserver
	peer=$dir/peers/depserver_malloc
	[ -x "$server" ] && [ -x "$peer" ] ||
		{ skip 'depserver needs libuv (package libuv1-dev)' && return; }
	command -v redis-benchmark >/dev/null ||
		{ skip 'depserver is measured with redis-benchmark (package redis-tools)' && return; }
	one env BESIDE_ROUNDS=1 BESIDE_SECONDS=$((seconds < 2 ? 1 : 2)) \
		"$here/../examples/depserver/beside.sh" "$server" "$peer" || return
	for pipeline in 1 16; do
		awk -v name="$pipeline:" '$2 == name && $3 == "p99.9," { print $5, $9 }' "$tmp/out" >"$tmp/p999"
		read -r ours theirs <"$tmp/p999" && ratio deps_$pipeline "$ours" "$theirs"
	done
}

# Once: it is long, and has nobody beside it.
reading() {
	one env SECONDS=$read_seconds LIVE="$live" "$dir/read" &&
		put read "$(sed -n 's/^the library.*CPU, \([0-9.]*\) % of all$/\1/p' "$tmp/out")"
}

: >"$tmp/figures"
: >"$tmp/skipped"
[ -z "$quick" ] || skip 'QUICK=1 leaves 1e7 live objects out'
machine "$dir/pause"
field rounds "$runs of $seconds s${quick}"
for round in $(seq "$runs"); do
	: >"$tmp/rows"
	counts
	cycles
	trees
	full
	pauses
	young
	depserver
	field "round $round" "done at $(date '+%H:%M:%S')"
done
reading
sort -u "$tmp/skipped"
echo
awk -f "$here/aims.awk" "$here/aims.tsv" "$tmp/figures"
echo
field load "$(cut -d ' ' -f 1-3 /proc/loadavg) at the end"
exit $status
