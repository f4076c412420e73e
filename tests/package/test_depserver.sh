#!/bin/sh
# Goal: the large example answers as it should: to good requests and bad ones, in want of memory.
# Method: its own tests, examples/depserver/test.sh and test_http.sh, on a server of this build.
# A failure would mean: the first real program that somebody builds on the library does not work.
. tests/common.sh

# Half a minute of clients that wait, and of others that are waited for: once is enough.
case $build in
*checked*) ;;
*) echo 'skipped: depserver is tested in the checked build'; exit 0 ;;
esac
have redis-cli && have redis-benchmark && have perl && have pkg-config &&
pkg-config --exists libuv libmicrohttpd || {
	echo 'skipped: depserver needs redis-tools, perl, libuv1-dev and libmicrohttpd-dev'
	exit 0
}
server=$build/examples/depserver/depserver
quiet_make $variant "$server"
for t in test.sh test_http.sh; do
	REQUESTS=20000 timeout 1200 sh examples/depserver/$t "$server" >"$tmp/out" 2>&1 || {
		cat "$tmp/out"
		fail "examples/depserver/$t"
	}
	grep '^skipped' "$tmp/out" || :
	tail -n 1 "$tmp/out"
done
