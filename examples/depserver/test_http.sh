#!/bin/sh
# test_http.sh PROGRAM - what depserver answers by HTTP, and that whatever its clients do there,
# those of RESP are answered. Needs redis-tools and perl-base; python3 reads the answers more
# closely. The last line is "N passed, N failed".
set -u
program=${1:?usage: test_http.sh PROGRAM}
here=$(dirname "$0")
. "$here/testing.sh"

# ask METHOD PATH [HEADER...] - the whole answer, and "closed" behind it
ask() {
	{
		printf '%s %s HTTP/1.1\r\nHost: localhost:%s\r\n' "$1" "$2" "$port"
		shift 2
		[ $# = 0 ] || printf '%s\r\n' "$@"
		printf '\r\n'
	} | raw 300
}

status_of() { # status_of ANSWER
	printf '%s\n' "$1" | sed -n '1s/^HTTP[^ ]* \([0-9]*\).*/\1/p'
}

# body ANSWER
body() {
	printf '%s\n' "$1" | sed '1,/^$/d; s/closed$//'
}

# answers STATUS METHOD PATH [HEADER...]
answers() {
	expected=$1
	shift
	is "$*" "$expected" "$(status_of "$(ask "$@")")"
}

with_python() {
	if command -v python3 >/dev/null; then
		ok "$@"
	else
		echo "skipped: $1: there is no python3"
	fi
}

# ---- what there is ----
start --timeout 300
answer=$(ask GET /healthz)
is 'healthz' "200 ok" "$(status_of "$answer") $(body "$answer" | head -n 1)"
answer=$(ask HEAD /healthz)
is 'HEAD' '200 ' "$(status_of "$answer") $(body "$answer" | grep -v '^closed$')"
page=$(ask GET /)
is 'the page' 200 "$(status_of "$page")"
nonce_of() { # nonce_of ANSWER
	printf '%s\n' "$1" |
		sed -n "s/^Content-Security-Policy: .*script-src 'nonce-\([0-9a-f]*\)'.*/\1/p"
}
nonce=$(nonce_of "$page")
is 'its script may run' 1 "$(printf '%s\n' "$page" | grep -c "^<script nonce=\"$nonce\">")"
ok 'the number is drawn' [ "$nonce" != "$(nonce_of "$(ask GET /)")" ]
is 'it needs nothing from elsewhere' 0 "$(body "$page" | grep -c '\(src\|href\)="[a-z]*://')"
is 'it makes no HTML of data' 0 \
	"$(grep -cE 'innerHTML|outerHTML|insertAdjacent|document.write' "$here/page.html")"
ask GET /metrics >"$work/answer"
ok 'metrics say what they are' \
	grep -qi '^Content-Type: application/openmetrics-text; version=1.0.0; charset=utf-8' \
	"$work/answer"
sed '1,/^$/d; /^closed$/d' "$work/answer" >"$work/metrics"
for python in python3 /usr/bin/python3 ''; do
	$python -c 'import prometheus_client' 2>/dev/null && break
done
if [ -n "$python" ]; then
	ok 'a parser reads the metrics' $python -c '
import sys
from prometheus_client.openmetrics.parser import text_string_to_metric_families as families
all = {f.name: f for f in families(open(sys.argv[1]).read())}
assert all["ouro_objects_live"].samples[0].value > 400
assert all["depserver_packages"].samples[0].value == int(sys.argv[2])
assert all["depserver_command_seconds"].unit == "seconds"
' "$work/metrics" "$(info packages)"
else
	echo 'skipped: a parser of the metrics: there is no python3-prometheus-client'
fi

# ---- numbers of the page ----
cli PING >/dev/null
live() {
	ask GET "/live.json$1" | sed '1,/^$/d; s/closed$//' >"$work/live"
}
has_samples() {
	live '' && python3 -c '
import json, sys
d = json.load(open(sys.argv[1]))
rows = [s for s in d["seconds"] if s[3]]
sys.exit(not rows or rows[-1][3][0] == 0)' "$work/live"
}
with_python 'seconds are sampled' eventually has_samples
with_python 'the numbers agree' python3 -c '
import json, sys
d = json.load(open(sys.argv[1]))
assert d["graph"]["packages"] == int(sys.argv[2]) and d["graph"]["source"] == "sample-packages"
types = {t["name"]: t for t in d["types"]}
assert types["package"]["objects"] == int(sys.argv[2]), types
assert d["heap"]["objects"] >= sum(t["objects"] for t in d["types"]) - 50
of = [g["objects"] for g in d["heap"]["generations"]]
assert int(sys.argv[2]) < sum(of) < d["heap"]["objects"] + 1000, (of, d["heap"])
assert any(l["command"] == "PING" and l["calls"] >= 1 for l in d["latency"])
assert all(len(s[1]) == len(d["bounds_us"]) + 1 for s in d["seconds"])
' "$work/live" "$(info packages)"
has_stop() {
	cli GC >/dev/null
	live '' && python3 -c '
import json, sys
sys.exit(not any(sum(s[1]) and s[2] for s in json.load(open(sys.argv[1]))["seconds"]))' "$work/live"
}
with_python 'stops are counted' eventually has_stop
newest() {
	python3 -c 'import json, sys
print(json.load(open(sys.argv[1]))["seconds"][-1][0] + 1)' "$work/live"
}
with_python 'only what is new' sh -c '[ "$1" -gt 1 ]' sh "$(newest)"
live "?since=$(newest)9"
with_python 'nothing of the future' python3 -c '
import json, sys
assert json.load(open(sys.argv[1]))["seconds"] == []' "$work/live"

# A file whose name is no JSON.
odd="$work/a\"b<\\$(printf '\001\377')"
cp "$sample" "$odd"
cli SHUTDOWN >/dev/null 2>&1
ended 'shutdown after HTTP'
start --timeout 300 --index "$odd"
live ''
with_python 'a file of an odd name' python3 -c '
import json, sys
assert json.load(open(sys.argv[1]))["graph"]["source"] == "a\"b<\\\x01?"' "$work/live"

# ---- the trace, RELOAD ----
cli GC >/dev/null
ask GET /trace >"$work/answer"
ok 'the trace is to be kept' \
	grep -qi '^Content-Disposition: attachment; filename="depserver-trace.json"' "$work/answer"
sed '1,/^$/d; s/closed$//' "$work/answer" >"$work/trace"
with_python 'the trace has a full collection' python3 -c '
import json, sys
events = json.load(open(sys.argv[1]))["traceEvents"]
assert any(e["name"] == "collection of generation 2" for e in events)
' "$work/trace"
reloads=$(info reloads)
answers 200 POST /reload 'X-Depserver: 1'
is 'and it is done' $((reloads + 1)) "$(info reloads)"
answers 403 POST /reload
answers 405 GET /reload 'X-Depserver: 1'
is 'others have not done it' $((reloads + 1)) "$(info reloads)"
for _ in 1 2 3 4 5; do
	cli RELOAD
done >/dev/null &
beside=$!
answers 200 POST /reload 'X-Depserver: 1'
wait $beside
mv "$odd" "$work/away"
answer=$(ask POST /reload 'X-Depserver: 1')
is 'a reload that fails' '500 No such file or directory' \
	"$(status_of "$answer") $(body "$answer" | head -n 1)"
live ''
with_python 'and the page shows it' grep -q '"reload_error":"No such file' "$work/live"
mv "$work/away" "$odd"
answers 200 POST /reload 'X-Depserver: 1'

# ---- WHY ----
ask GET '/why?name=libc6' >"$work/answer"
is 'why' 'index package' "$(sed '1,/^$/d; s/closed$//' "$work/answer" | cut -d ' ' -f 1 | xargs)"
ask GET '/why?name=libstdc%2B%2B6' >"$work/answer"
ok 'why, of an odd name' grep -qF 'package libstdc++6' "$work/answer"
answers 404 GET '/why?name=nosuch'
answers 404 GET '/why?name='
answers 400 GET /why

# ---- a snapshot ----
# Of one graph, as soon as those that were replaced are gone.
has_packages() {
	cli GC >/dev/null
	ask GET /snapshot >"$work/answer"
	sed '1,/^$/d; s/closed$//' "$work/answer" >"$work/snapshot"
	python3 -c '
import json, sys
d = json.load(open(sys.argv[1]))
width = len(d["snapshot"]["meta"]["node_fields"])
name = d["snapshot"]["meta"]["node_fields"].index("name")
names = [d["strings"][i] for i in d["nodes"][name::width]]
sys.exit(names.count("package") != int(sys.argv[2]))' "$work/snapshot" "$packages"
}
packages=$(info packages)
ask GET /snapshot >"$work/answer"
with_python 'in a snapshot are the packages' eventually has_packages
ok 'a snapshot is to be kept' \
	grep -qi '^Content-Disposition: attachment; filename="depserver.heapsnapshot"' "$work/answer"

# ---- requests that are refused ----
answers 404 GET /nosuch
answers 404 GET /../etc/passwd
answers 405 POST /
answers 405 DELETE /live.json
answers 405 OPTIONS /reload
answers 413 POST /reload 'X-Depserver: 1' 'Content-Length: 5'
answers 413 POST /reload 'X-Depserver: 1' 'Transfer-Encoding: chunked'
sends() { # sends STATUS NAME BYTES
	is "$2" "$1" "$(status_of "$(printf "$3" | raw 300)")"
}
sends 403 'another host' 'GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n'
sends 403 'a host that begins alike' 'GET / HTTP/1.1\r\nHost: localhost.evil.example\r\n\r\n'
sends 200 'HTTP/1.0 needs no host' 'GET /healthz HTTP/1.0\r\n\r\n'
sends 400 'a header that is no header' 'GET / HTTP/1.1\r\nHost: localhost\r\n bad\r\nx\r\n\r\n'
long=$(head -c 40000 /dev/zero | tr '\0' x)
case $(status_of "$(ask GET / "X-Long: $long")") in
4??) ok 'a header of 40 000 bytes' true ;;
*) ok 'a header of 40 000 bytes' false ;;
esac

# ---- RESP or HTTP ----
is 'GET without a slash is RESP' "-ERR unknown command 'GET'
closed" "$(printf 'GET x\r\n' | raw 300 half)"
is 'a line that begins like GET' "-ERR unknown command 'GETX'
closed" "$(printf 'GETX /\r\n' | raw 300 half)"
is 'RESP first, then HTTP: is RESP' "+PONG
-ERR unknown command 'GET'
closed" "$(printf 'PING\r\nGET / HTTP/1.1\r\n' | raw 300 half)"
# Piece by piece, so slowly that the server looks at each: then the whole.
slowly() { # slowly PIECE...
	perl -MIO::Socket::INET -e '
		my $port = shift;
		my $s = IO::Socket::INET->new(PeerAddr => "127.0.0.1", PeerPort => $port) or die;
		for (@ARGV) {
			s/\\r/\r/g, s/\\n/\n/g;
			syswrite $s, $_;
			select undef, undef, undef, 0.4;
		}
		shutdown $s, 1;
		local $/;
		my $reply = <$s>;
		$reply =~ tr/\r//d;
		print $reply;' "$port" "$@"
}
is 'HTTP in pieces' 200 "$(status_of "$(slowly G E 'T ' '/hea' 'lthz HTTP/1.0\r\n\r\n')")"
is 'RESP that begins alike, in pieces' "-ERR unknown command 'GETTING'" "$(slowly G E T 'TING\r\n')"
cli SHUTDOWN >/dev/null 2>&1
ended 'shutdown after requests'

# ---- clients that do not read ----
# Answers so large that no socket takes them, as these take little: two keep the two files that
# there are, and no more.
unread() {
	exec perl -MSocket -e '
		socket my $s, PF_INET, SOCK_STREAM, 0 or die;
		setsockopt $s, SOL_SOCKET, SO_RCVBUF, pack("l", 4096) or die;
		connect $s, pack_sockaddr_in($ARGV[0], inet_aton("127.0.0.1")) or die;
		syswrite $s, "GET /snapshot HTTP/1.1\r\nHost: localhost\r\n\r\n";
		sleep 600;' "$port"
}
snapshot_is() { # snapshot_is STATUS
	[ "$(status_of "$(ask HEAD /snapshot)")" = "$1" ]
}
start --timeout 300 --copies 100
unread & first=$!
unread & second=$!
ok 'two downloads that are not read' eventually snapshot_is 503
ok 'others are answered' [ "$(status_of "$(ask GET /healthz)") $(cli PING)" = '200 PONG' ]
kill_now $first $second
ok 'and when they are gone, so are downloads' eventually snapshot_is 200
cli SHUTDOWN >/dev/null 2>&1
ended 'shutdown after downloads'

# ---- hostile clients ----
# N connections, each of which sends the bytes, and then one more each second, for so many seconds.
crowd() { # crowd N SECONDS BYTES
	perl -MIO::Socket::INET -e '
		$| = 1;
		my ($port, $n, $seconds, $bytes) = @ARGV;
		local $SIG{PIPE} = "IGNORE";
		$bytes =~ s/\\r/\r/g;
		$bytes =~ s/\\n/\n/g;
		my @all;
		for (1 .. $n) {
			my $s = IO::Socket::INET->new(PeerAddr => "127.0.0.1", PeerPort => $port)
				or next;
			$s->blocking(0);
			syswrite $s, $bytes;
			push @all, $s;
		}
		print scalar(@all), "\n";
		for (1 .. $seconds) {
			select undef, undef, undef, 1;
			syswrite $_, "x" for @all;
		}' "$port" "$@"
}
pongs() {
	[ "$(cli PING)" = PONG ] && [ "$(cli CLOSURE libc6)" -gt 0 ]
}
healthy() {
	[ "$(status_of "$(ask GET /healthz)")" = 200 ]
}
start --timeout 2 --threads 2
crowd 200 8 'GET / HTTP/1.1\r\nX-Slow: ' >"$work/crowd" &
crowd=$!
eventually [ -s "$work/crowd" ]
is 'slow headers: 200 came' 200 "$(cat "$work/crowd")"
for _ in 1 2 3 4 5; do
	ok 'RESP is answered beside them' pongs
done
ok 'they are hung up on, though they go on sending' eventually healthy
wait $crowd
: >"$work/crowd"
crowd 900 4 'GET /' >"$work/crowd" &
crowd=$!
eventually [ -s "$work/crowd" ]
is '900 came' 900 "$(cat "$work/crowd")"
ok 'RESP is answered beside 900' pongs
wait $crowd
ok 'HTTP is, too, when they are gone' eventually healthy
: >"$work/crowd"
crowd 300 4 'GE' >"$work/crowd" &
crowd=$!
eventually [ -s "$work/crowd" ]
ok 'RESP is answered beside those that may be either' pongs
wait $crowd
for _ in 1 2 3; do
	{
		printf 'GET / HTTP/1.1\r\n'
		head -c 100000 /dev/urandom
	} | raw 3 >/dev/null
done
ok 'lives after noise' healthy
# An end in the midst of it all: slow headers, a reload that somebody waits for.
crowd 50 3 'GET / HTTP/1.1\r\nX-Slow: ' >/dev/null &
crowd=$!
for _ in 1 2 3; do
	ask POST /reload 'X-Depserver: 1' >/dev/null 2>&1 &
done
sleep 0.2
kill -TERM "$server"
ended 'SIGTERM beside HTTP'
wait $crowd

echo "$passed passed, $failed failed"
[ $failed = 0 ]
