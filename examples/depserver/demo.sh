#!/bin/sh
# demo.sh PROGRAM - depserver under load on the real package index, one page of figures.
#
# redis-benchmark drives it with 50 connections while a RELOAD comes every second; DEMO_SECONDS
# (10) in total. Exit status 0 only if no request failed, the server lived, and its shutdown report
# says that 0 objects are left.
set -eu
LC_ALL=C
export LC_ALL
program=${1:?usage: demo.sh PROGRAM}
seconds=${DEMO_SECONDS:-10}
here=$(dirname "$0")
work=$(mktemp -d)
server=
client=
. "$here/common.sh"

cleanup() {
	trap '' HUP INT TERM
	rm -f "$work/go"
	[ -z "$client" ] || kill "$client" 2>/dev/null || :
	[ -z "$server" ] || kill -9 "$server" 2>/dev/null || :
	wait
	rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 1' HUP INT TERM

fail() {
	printf 'demo: %s\n' "$*" >&2
	[ ! -s "$work/log" ] || tail -n 20 "$work/log" | sed 's/^/demo: the server said: /' >&2
	exit 1
}

cli() {
	timeout 300 redis-cli -p "$port" "$@"
}

# info NAME - one value of the INFO text that was saved last
info() {
	sed -n "s/^$1:\([^\r]*\).*/\1/p" "$work/info"
}

# ratio NAME DIVISOR FORMAT - one value, divided
ratio() {
	info "$1" | awk -v d="$2" -v f="$3" '{ printf f, $1 / d }'
}

start_server() {
	make_index
	: >"$work/log"
	"$program" --port 0 --timeout 300 --index "$work/index" >"$work/log" 2>&1 &
	server=$!
	await_port "$work/log" "$server" || fail 'the server did not start'
}

# bench PIPELINE REQUESTS COMMAND... - redis-benchmark exits with a status if any reply is an error.
# In the background, so that a signal to this script is heeded at once.
bench() {
	pipeline=$1
	requests=$2
	shift 2
	timeout 1000 redis-benchmark -p "$port" -c 50 -n "$requests" -r "$packages" -P "$pipeline" \
		"$@" >"$work/raw" 2>&1 &
	client=$!
	wait "$client" && status=0 || status=$?
	client=
	tr '\r' '\n' <"$work/raw" >"$work/bench"
	[ $status = 0 ] || fail "redis-benchmark $*: status $status: $(tail -n 1 "$work/bench")"
}

# rate - requests per second of the last bench
rate() {
	awk '/throughput summary:/ { print $3 }' "$work/bench"
}

# workload NAME PIPELINE COMMAND... - a short run to see how many requests fill this workload's
# share of the time, then one long run, which is what is printed
workload() {
	name=$1
	pipeline=$2
	shift 2
	bench "$pipeline" $((pipeline > 1 ? 20000 : 5000)) "$@"
	requests=$(awk -v r="$(rate)" -v s="$seconds" \
		'BEGIN { n = int(r * (s / 4 - 0.2)); print (n > 2000 ? n : 2000) }')
	bench "$pipeline" "$requests" "$@"
	awk -v name="$name" '
		/^Cumulative distribution/ { cumulative = 1 }
		/%.*<=/ && !cumulative && p999 == "" && $1 + 0 >= 99.9 { p999 = $3 }
		/throughput summary:/ { rate = $3 }
		take { p50 = $3; p99 = $5; max = $6; take = 0 }
		/avg +min +p50/ { take = 1 }
		END {
			if (rate == "" || p999 == "" || max == "") exit 1
			printf "  %-22s %10.0f %9.3f %9.3f %9.3f %9.3f\n",
				name, rate, p50, p99, p999, max
		}' "$work/bench" || fail "cannot read what redis-benchmark printed"
}

# inside COMMAND - what the server measured itself
inside() {
	info "latency_us_$1" | tr ',=' '  ' |
		awk -v name="$1" '{ printf "  %-22s %10d %9.3f %9.3f %9.3f %9.3f\n",
			name, $2, $4 / 1000, $6 / 1000, $8 / 1000, $10 / 1000 }'
}

header() {
	printf '\n%-24s %10s %9s %9s %9s %9s\n' "$1" "$2" p50 p99 p99.9 max
}

start_server
cli INFO >"$work/info"
packages=$(info packages)
printf 'depserver: %s packages, %s edges each way\n' "$packages" "$(info edges)"
printf '%s strongly connected components of more than one package, the largest of %s\n' \
	"$(info scc_count)" "$(info scc_largest)"
printf '%s worker threads, 50 connections, random keys, a RELOAD every second, %s s\n' \
	"$(info io_threads)" "$seconds"

header 'seen by redis-benchmark' 'requests/s'
printf '%80s\n' '(latency in ms)'
start_reloads "$port"
workload 'DEPS' 1 DEPS key:__rand_int__
workload 'DEPS, pipeline of 16' 16 DEPS key:__rand_int__
workload 'CLOSURE' 1 CLOSURE key:__rand_int__
workload 'CLOSURE, pipeline of 16' 16 CLOSURE key:__rand_int__
stop_reloads

cli INFO >"$work/info"
final=$(ratio used_memory_rss 1e6 %.0f)
collections=$(printf '%s young, %s middle, %s full' "$(info ouro_collections_0)" \
	"$(info ouro_collections_1)" "$(info ouro_collections_2)")
stops=$(printf '%s: p50 %s ms, p99 %s ms, max %s ms; longest wait for a stop %s ms' \
	"$(info ouro_pauses)" "$(ratio ouro_pause_p50_ns 1e6 %.3f)" \
	"$(ratio ouro_pause_p99_ns 1e6 %.3f)" "$(ratio ouro_pause_max_ns 1e6 %.3f)" \
	"$(ratio ouro_stop_max_ns 1e6 %.3f)")
header 'inside the server' 'calls'
inside DEPS
inside CLOSURE
inside RELOAD

# One full collection more, so that what is counted as freed has been freed.
cli GC >"$work/gc" || fail "GC was not answered"
cli INFO >"$work/info" || fail "INFO was not answered"
collected=$(($(info ouro_collected_0) + $(info ouro_collected_1) + $(info ouro_collected_2)))
printf '\nreloads          %s\n' "$(info reloads)"
printf 'collections      %s\n' "$collections"
printf 'stops            %s\n' "$stops"
printf 'objects freed    %s by count, %s by the cycle collector; %s live\n' \
	$(($(info ouro_objects_freed) - collected)) "$collected" "$(info ouro_objects_live)"
printf 'resident memory  peak %s MB, final %s MB, after one more full collection %s MB\n' \
	"$(ratio used_memory_peak_rss 1e6 %.0f)" "$final" "$(ratio used_memory_rss 1e6 %.0f)"
printf '                 of that %s MB held by ouro for %s MB of live objects\n' \
	"$(ratio ouro_bytes_reserved 1e6 %.0f)" "$(ratio ouro_bytes_live 1e6 %.0f)"
errors=$(info total_error_replies)
[ "$errors" = 0 ] || fail "$errors requests were answered with an error"
kill -0 "$server" 2>/dev/null || fail "the server died"
cli SHUTDOWN >/dev/null 2>&1 || :
status=0
wait "$server" || status=$?
server=
report=$(grep 'shut down' "$work/log" || :)
printf 'shutdown         %s\n' "${report#depserver: shut down, }"
[ $status = 0 ] || fail "the server's exit status is $status"
case $report in *' 0 objects left'*) ;; *) fail "objects were left over" ;; esac
