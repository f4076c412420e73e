# testing.sh - what the tests do alike, who source it: servers that are started and have to end
# well, clients, and the counting of what passed. Needs redis-tools and perl-base. $program and
# $here are theirs.
# shellcheck shell=sh
LC_ALL=C
export LC_ALL
sample=$here/sample-packages
work=$(mktemp -d)
server=
passed=0
failed=0
. "$here/common.sh"

# libuv closes descriptors by a bare system call, which ThreadSanitizer does not see: it would take
# what libmicrohttpd does with a new one of that number for a race with the old one. So what these
# two do with descriptors is left out; the program's own accesses are not.
TSAN_OPTIONS="${TSAN_OPTIONS:-} ignore_noninstrumented_modules=1"
export TSAN_OPTIONS

cleanup() {
	trap '' HUP INT TERM
	[ -z "$server" ] || kill -9 "$server" 2>/dev/null
	wait
	rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 1' HUP INT TERM

ok() { # ok NAME COMMAND...: the command succeeds
	name=$1
	shift
	if "$@"; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		printf 'FAIL %s\n' "$name"
	fi
}

is() { # is NAME EXPECTED GOT
	ok "$1" [ "$2" = "$3" ]
	[ "$2" = "$3" ] || printf '     expected: %s\n     got:      %s\n' "$2" "$3"
}

start() { # start OPTION...: on a free port
	: >"$work/log"
	"$program" --port 0 --index "$sample" "$@" >"$work/log" 2>&1 &
	server=$!
	await_port "$work/log" "$server" || {
		cat "$work/log"
		echo "the server did not start: $passed passed, $((failed + 1)) failed"
		exit 1
	}
}

# A child that has just been made still has this shell's trap: what that is told so it forgets.
kill_now() { # kill_now PROCESS...: of this shell's children
	kill -KILL "$@"
	wait "$@" 2>/dev/null || :
}

# Waits for the server's end; its exit status and its report have to be those of an orderly one.
ended() { # ended NAME
	status=0
	perl -e 'sleep 600; kill "KILL", @ARGV' "$server" >/dev/null 2>&1 &
	guard=$!
	wait "$server" || status=$?
	kill_now $guard
	server=
	is "$1: exit status" 0 "$status"
	ok "$1: 0 objects left" grep -q ' 0 objects left' "$work/log"
	[ $status = 0 ] || cat "$work/log"
}

cli() {
	timeout 600 redis-cli -p "$port" "$@"
}

info() {
	cli INFO | sed -n "s/^$1:\([^\r]*\).*/\1/p"
}

# raw SECONDS [half] - sends its input as it is, then, if "half", shuts down its sending half;
# prints what comes back, and then "closed" if the server hung up, "open" if not within SECONDS
raw() {
	perl -MIO::Socket::INET -MIO::Select -e '
		my ($port, $seconds, $half) = @ARGV;
		local $SIG{PIPE} = "IGNORE";
		my $s = IO::Socket::INET->new(PeerAddr => "127.0.0.1", PeerPort => $port)
			or die "connect: $!";
		local $/;
		my $bytes = <STDIN>;
		my $end = time + $seconds;
		$s->blocking(0);
		my ($at, $select) = (0, IO::Select->new($s));
		while (time <= $end) {
			if ($at < length $bytes) {
				my $n = syswrite $s, $bytes, 65536, $at;
				$at += $n if $n;
				shutdown $s, 1 if $half && $at == length $bytes;
			} elsif ($half) {
				shutdown $s, 1;
			}
			next unless $select->can_read($at < length $bytes ? 0.01 : 0.2);
			my $n = sysread $s, my $reply, 65536;
			next if !defined $n && $!{EAGAIN};
			if (!$n) { print "closed\n"; exit }
			$reply =~ tr/\r//d;
			print $reply;
		}
		print "open\n";' "$port" "$@"
}

# eventually COMMAND... - it succeeds in one of many tries: a server that hangs up on slow clients
# does so on this script's own, where other programs have the processors
eventually() {
	tries=300
	until "$@"; do
		tries=$((tries - 1))
		[ $tries -gt 0 ] || return 1
		sleep 0.2
	done
}
