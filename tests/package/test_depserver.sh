#!/bin/sh
# Goal: the large example answers as it should: to good requests and bad ones, in want of memory.
# Method: its own test, examples/depserver/test.sh, on a server of this build.
# A failure would mean: the first real program that somebody builds on the library does not work.
. tests/common.sh

# Half a minute of clients that wait, and of others that are waited for: once is enough.
case $build in
*checked*) ;;
*) echo 'skipped: depserver is tested in the checked build'; exit 0 ;;
esac
have redis-cli && have redis-benchmark && have perl && have pkg-config &&
pkg-config --exists libuv || {
	echo 'skipped: depserver needs redis-tools, perl and libuv1-dev'
	exit 0
}
server=$build/examples/depserver/depserver
quiet_make $variant "$server"
REQUESTS=20000 timeout 1200 sh examples/depserver/test.sh "$server" >"$tmp/out" 2>&1 || {
	cat "$tmp/out"
	fail 'examples/depserver/test.sh'
}
tail -n 1 "$tmp/out"
