#!/bin/sh
# Goal: the large example answers as it should: good requests and bad ones, clients that stop, reloads, no memory.
# Method: its own test, examples/depserver/test.sh, on a server of this build.
# A failure would mean: the first real program that somebody builds on the library does not work.
. tests/common.sh

# Half a minute of clients that wait, and of others that are waited for: once is enough.
case $build in
*checked*) ;;
*) echo 'skipped: depserver is tested in the checked build'; exit 0 ;;
esac
have redis-cli && have redis-benchmark && have perl && have pkg-config && pkg-config --exists libuv || {
	echo 'skipped: depserver needs redis-tools, perl and libuv1-dev'
	exit 0
}
quiet_make $variant "$build/examples/depserver/depserver"
REQUESTS=20000 timeout 300 sh examples/depserver/test.sh "$build/examples/depserver/depserver" >"$tmp/out" 2>&1 || {
	cat "$tmp/out"
	fail 'examples/depserver/test.sh'
}
tail -n 1 "$tmp/out"
