#!/bin/sh
# test.sh PROGRAM - depserver's behaviour, good requests and bad ones, on the sample index.
# Needs redis-tools and perl-base. The last line is "N passed, N failed".
set -u
program=${1:?usage: test.sh PROGRAM}
here=$(dirname "$0")
. "$here/testing.sh"

# refuses NAME BYTES - as printf writes them - is answered with a protocol error and hung up on
refuses() {
	got=$(printf "$2" | raw 300)
	case $got in
	"-ERR Protocol error: "*closed) ok "$1" true ;;
	*) is "$1" '-ERR Protocol error: ... closed' "$got" ;;
	esac
}

start --timeout 300
ok 'listens' [ -n "$port" ]

# ---- good requests ----
is 'ping' PONG "$(cli PING)"
is 'ping with message' hello "$(cli PING hello)"
is 'lower case' PONG "$(cli ping)"
is 'inline' '+PONG
closed' "$(printf 'PING\r\n' | raw 300 half)"
is 'inline without carriage return, empty lines' '+PONG
closed' "$(printf '\r\n\nPING\n' | raw 300 half)"
is 'pipeline keeps order' '$1
a
$1
b
+OK
closed' "$(printf 'PING a\r\n*2\r\n$4\r\nPING\r\n$1\r\nb\r\nQUIT\r\nPING c\r\n' | raw 300)"
is 'empty array is ignored' '+PONG
closed' "$(printf '*0\r\n*-1\r\nPING\r\n' | raw 300 half)"
is 'empty bulk' '$0

closed' "$(printf '*2\r\n$4\r\nPING\r\n$0\r\n\r\n' | raw 300 half)"
is 'packages in the sample' "$(grep -c '^Package:' "$sample")" "$(info packages)"
ok 'graph has cycles' [ "$(info scc_count)" -gt 0 ]
ok 'info shows ouro' [ "$(info ouro_objects_live)" -gt 400 ]
is 'info of one section' 1 "$(cli INFO graph | grep -c '^#')"
is 'config get' 'save' "$(cli CONFIG GET save | head -n 1)"
is 'pkg' "$(sed -n '/^Package: libc6$/,/^$/s/^Version: //p' "$sample")" \
	"$(cli PKG libc6 | sed -n 's/^Version: //p')"
is 'pkg by number' "$(cli PKG key:3)" "$(cli PKG "key:00000000000$(($(info packages) + 3))")"
is 'deps of the real package' libgcc-s1 "$(cli DEPS libc6)"
is 'deps of an independent package' '*0
closed' "$(printf 'DEPS gcc-12-base\r\n' | raw 300 half)"
is 'closure counts its names' "$(cli CLOSURE python3)" "$(cli CLOSURE python3 NAMES | wc -l)"
is 'closure leaves out the package itself' 0 "$(cli CLOSURE libc6 NAMES | grep -cx libc6)"
is 'closure follows a cycle' 1 "$(cli CLOSURE libgcc-s1 NAMES | grep -cx libc6)"
hits=$(info closure_hits)
cli CLOSURE python3 >/dev/null
is 'closure is cached' $((hits + 1)) "$(info closure_hits)"

# Each dependency leads back; a closure is that of the dependencies and themselves.
consistent() {
	for n in 0 7 41 99 150 222 300 377; do
		a=$(cli PKG key:$n | sed -n 's/^Package: //p')
		: >"$work/union"
		for b in $(cli DEPS "$a"); do
			cli RDEPS "$b" >"$work/rdeps"
			grep -qx -- "$a" "$work/rdeps" || return 1
			echo "$b" >>"$work/union"
			cli CLOSURE "$b" NAMES >>"$work/union"
		done
		cli CLOSURE "$a" NAMES >"$work/closure"
		for list in union closure; do
			sed '/^$/d' "$work/$list" | grep -vx -- "$a" | sort -u >"$work/$list.sorted"
		done
		cmp -s "$work/union.sorted" "$work/closure.sorted" || return 1
	done
}
ok 'deps, rdeps and closures agree' consistent
cli WHY libc6 >"$work/why"
is 'why: the index has it' 1 \
	"$(sed -n '1s/^index \[[0-9]*\] -> .*threads and globals: [1-9].*/1/p' "$work/why")"
is 'why: the last is what was asked for' 'package libc6' \
	"$(sed '/^$/d' "$work/why" | tail -n 1 | cut -d ' ' -f 1,2)"
is 'why: and no thread has it' 1 "$(grep -c '^package libc6 (.*globals: 0)' "$work/why")"
is 'why: of whom' "ERR no such package 'nosuch'" "$(cli WHY nosuch | head -n 1)"

# ---- bad requests ----
is 'unknown command' "ERR unknown command 'NOSUCH'" "$(cli NOSUCH | head -n 1)"
is 'unknown command stays one line' "-ERR unknown command 'A  B'
closed" "$(printf '*1\r\n$4\r\nA\r\nB\r\n' | raw 300 half)"
is 'too few arguments' "ERR wrong number of arguments for 'DEPS' command" "$(cli DEPS | head -n 1)"
is 'too many arguments' "ERR wrong number of arguments for 'DEPS' command" \
	"$(cli DEPS a b | head -n 1)"
is 'no such package' "ERR no such package 'nosuch'" "$(cli CLOSURE nosuch | head -n 1)"
is 'no such number' "ERR no such package 'key:1x'" "$(cli PKG key:1x | head -n 1)"
is 'closure syntax' 'ERR syntax: CLOSURE package [NAMES]' "$(cli CLOSURE libc6 x | head -n 1)"
refuses 'array of something else' '*1\r\n:5\r\n'
refuses 'count that is no number' '*x\r\n'
refuses 'count without digits' '*\r\n'
refuses 'count out of range' '*1025\r\n'
refuses 'count of many digits' '*99999999999999999999999999\r\n'
refuses 'count without line break' "*$(printf '%040d' 1)"
refuses 'negative bulk' '*1\r\n$-5\r\n'
refuses 'bulk of 64 KiB and one byte' '*1\r\n$65537\r\n'
refuses 'bulk longer than it says' '*1\r\n$4\r\nPINGPONG\r\n'
refuses 'line of 70000 bytes' "$(head -c 70000 /dev/zero | tr '\0' x)"
refuses 'line of 2000 words' "$(yes x | head -n 2000 | tr '\n' ' ')\r\n"
{
	printf '*40\r\n'
	for _ in $(seq 30); do
		printf '$65536\r\n'
		head -c 65536 /dev/zero
		printf '\r\n'
	done
} >"$work/large"
is 'request of more than 1 MiB' '-ERR Protocol error: request too large' \
	"$(raw 300 <"$work/large" | head -n 1)"
is 'bulk of 64 KiB' 65536 "$({
	printf '*2\r\n$4\r\nPING\r\n$65536\r\n'
	head -c 65536 /dev/zero | tr '\0' x
	printf '\r\n'
} | raw 300 half | tr -cd x | wc -c)"
for _ in 1 2 3 4 5; do
	head -c 100000 /dev/urandom | raw 3 >/dev/null
done
is 'lives after noise' PONG "$(cli PING)"

# ---- clients that stop ----
is 'half-closed client gets its answers' '+PONG
$1
x
closed' "$(printf 'PING\r\nPING x\r\n' | raw 300 half)"
is 'half-closed in the middle of a request' closed "$(printf '*1\r\n$4\r\nPI' | raw 300 half)"
is 'half-closed client waits for its job' '+OK
closed' "$(printf 'RELOAD\r\n' | raw 300 half)"
cli SHUTDOWN >/dev/null 2>&1
ended 'shutdown'

# ---- a server that has no patience ----
note_dropped() {
	dropped=$(info stalled_or_idle_clients_dropped)
	[ -n "$dropped" ]
}
more_dropped() {
	now=$(info stalled_or_idle_clients_dropped)
	[ -n "$now" ] && [ "$now" -gt "$dropped" ]
}
answers() {
	[ "$(cli PING)" = PONG ]
}
start --timeout 1 --idle 4
is 'connects and says nothing' closed "$(printf '' | raw 300)"
eventually note_dropped
is 'stalled in the middle of a request' closed "$(printf '*1\r\n$4\r\nPI' | raw 300)"
ok 'is counted' eventually more_dropped

# Asks for 200 MB and reads nothing: dropped, and what it made the server keep was bounded.
eventually note_dropped
perl -MIO::Socket::INET -e '
	local $SIG{PIPE} = "IGNORE";
	my $s = IO::Socket::INET->new(PeerAddr => "127.0.0.1", PeerPort => $ARGV[0])
		or die "connect: $!";
	$s->blocking(0);
	my $bytes = "RDEPS libc6\r\n" x 50000;
	for (1 .. 1500) {
		exit if !defined(syswrite $s, $bytes) && !$!{EAGAIN};
		select undef, undef, undef, 0.2;
	}' "$port" &
reader=$!
sleep 1
ok 'answers beside a client that does not read' eventually answers
wait $reader
ok 'a client that does not read is dropped' eventually more_dropped
[ "${DEPSERVER_SANITIZED:-0}" = 1 ] ||
	ok 'its memory was bounded' [ "$(info used_memory_peak_rss)" -lt 150000000 ]

kill -TERM "$server"
ended 'SIGTERM'

# ---- reloading and ending ----
start --timeout 300
timeout 1000 redis-benchmark -p "$port" -c 20 -P 8 -n "${REQUESTS:-100000}" -r 100000 \
	CLOSURE key:__rand_int__ >"$work/bench" 2>&1 &
bench=$!
for _ in $(seq 20); do
	cli RELOAD
done | sed '/^$/d' | sort | uniq -c | sed 's/^ *//' >"$work/reloads"
is 'reload under queries' '20 OK' "$(cat "$work/reloads")"
ok 'queries during reloads' wait $bench
ok 'a collection by hand' [ "$(cli GC)" -ge 0 ]
few_left() {
	cli GC >/dev/null && [ "$(info ouro_objects_live)" -lt 10000 ]
}
ok 'all old graphs are gone' eventually few_left
cli SHUTDOWN >/dev/null 2>&1
ended 'shutdown after reloads'

start --clients 3 --threads 2 --timeout 300
status=0
timeout 300 "$program" --port "$port" --index "$sample" >"$work/second" 2>&1 || status=$?
is 'port in use' 1 "$status"
# Each connects, and again when the server has hung up, until it is killed.
stay() {
	exec perl -MIO::Socket::INET -e '
		while (1) {
			my $s = IO::Socket::INET->new(PeerAddr => "127.0.0.1",
				PeerPort => $ARGV[0]);
			while ($s && sysread $s, my $reply, 1000) {}
			select undef, undef, undef, 0.05;
		}' "$port"
}
stay & first=$!
stay & second=$!
stay & third=$!
full='-ERR max number of clients reached
closed'
tries=1000
until got=$(printf 'PING\r\n' | raw 300 half) && [ "$got" = "$full" ] || [ $((tries -= 1)) = 0 ]; do
	sleep 0.1
done
is 'too many clients' "$full" "$got"
kill_now $first $second $third
timeout 1000 redis-benchmark -p "$port" -c 2 -n 100000000 -r 1000 CLOSURE key:__rand_int__ \
	>/dev/null 2>&1 &
bench=$!
sleep 0.5
kill -TERM "$server"
ended 'SIGTERM under load'
wait $bench

# ---- SIGHUP, copies ----
packages=$(grep -c '^Package:' "$sample")
reloads_are() {
	[ "$(info reloads)" = "$1" ]
}
start --timeout 300 --copies 3
is 'copies' "$((packages * 3)) 3" "$(info packages) $(info copies)"
is 'edges of the copies' 0 $(($(info edges) % 3))
is 'a copy by name' "$(cli PKG libc6 | sed -n 's/^Version: //p')" \
	"$(cli PKG libc6@3 | sed -n 's/^Version: //p')"
is 'a copy by number' 'Package: libc6@3' \
	"$(cli PKG "key:$(cli PKG libc6@3 | sed -n 's/^Number: //p')" | head -n 1)"
is 'a copy depends on its like' "$(cli CLOSURE python3 NAMES | sed '/^$/d; s/$/@2/' | sort)" \
	"$(cli CLOSURE python3@2 NAMES | sed '/^$/d' | sort)"
is 'there is no copy 1' "ERR no such package 'libc6@1'" "$(cli PKG libc6@1 | head -n 1)"
kill -HUP "$server"
ok 'SIGHUP reloads' eventually reloads_are 1
ok 'and says so' eventually grep -q "^depserver: reloaded, $((packages * 3)) packages" "$work/log"
kill -TERM "$server"
ended 'SIGTERM after SIGHUP'

# A file that is gone: the old graph stays, and the next signal finds the new file.
cp "$sample" "$work/moved"
start --timeout 300 --index "$work/moved"
rm "$work/moved"
kill -HUP "$server"
ok 'SIGHUP without an index' eventually grep -q '^depserver: not reloaded: No such file' "$work/log"
is 'the old graph stays' "$packages" "$(info packages)"
sed 's/^Package: libc6$/&-moved/' "$sample" >"$work/moved"
kill -HUP "$server"
ok 'SIGHUP with another' eventually reloads_are 1
is 'what it brought' 'Package: libc6-moved' "$(cli PKG libc6-moved | head -n 1)"
is 'what it took' "ERR no such package 'libc6'" "$(cli PKG libc6 | head -n 1)"
# Signals and RELOADs at once: no signal is lost, whichever of the two is first.
for i in $(seq 20); do
	kill -HUP "$server"
	[ $((i % 5)) != 0 ] || cli RELOAD >/dev/null
done
sed 's/^Package: libc6$/&-late/' "$sample" >"$work/late"
mv "$work/late" "$work/moved"
kill -HUP "$server"
is_late() {
	cli PKG libc6-late | grep -qx 'Package: libc6-late'
}
ok 'the last SIGHUP is heeded' eventually is_late
kill -HUP "$server"
kill -TERM "$server"
ended 'SIGTERM beside SIGHUP'

# ---- out of memory ----
# An index of 8000 packages, and the smallest of some limits with which it can be loaded at all.
for i in $(seq 20); do
	sed "s/^Package: .*/&-$i/" "$sample"
done >"$work/big"
refused=0
for limit in 1M 2M 3M 4M 6M 8M 12M 16M 24M 32M 64M; do
	: >"$work/log"
	OURO_HEAP_LIMIT=$limit "$program" --port 0 --timeout 300 --index "$work/big" >"$work/log" 2>&1 &
	server=$!
	await_port "$work/log" $server && break
	refused=$((refused + 1))
	wait $server && ok 'without memory there is no graph' false
	server=
	ok 'without memory: 0 objects left' grep -q ' 0 objects left' "$work/log"
done
ok 'some limits are too low' [ $refused -gt 0 ]
ok 'a limit is high enough' [ -n "$port" ]
for i in 1 2 3; do
	cli RELOAD
	cli CLOSURE "key:$i" | head -n 1
done | sed 's/^[0-9][0-9]*$/OK/' | grep -v '^$' | sort -u | head -c 200 >"$work/answers"
is 'out of memory is an answer' '' "$(grep -vx 'OOM out of memory\|OK' "$work/answers")"
ok 'and there was one' [ -s "$work/answers" ]
is 'lives on' yes "$(cli PING | grep -qx 'PONG\|OOM out of memory' && echo yes)"
kill -TERM "$server"
ended 'shutdown after it'

# ---- options ----
status=0
"$program" --threads 0 >/dev/null 2>&1 || status=$?
is 'bad option' 2 "$status"
status=0
"$program" --index /nonexistent >/dev/null 2>&1 || status=$?
is 'no index' 1 "$status"
for i in $(seq 60); do
	sed "s/^Package: .*/&-$i/" "$sample"
done >"$work/big"
status=0
"$program" --index "$work/big" --copies 1000 >"$work/log" 2>&1 || status=$?
is 'too many copies' 1 "$status"
ok 'and it says so' grep -q 'Value too large' "$work/log"

echo "$passed passed, $failed failed"
[ $failed = 0 ]
