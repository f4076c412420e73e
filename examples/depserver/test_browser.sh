#!/bin/sh
# test_browser.sh PROGRAM [PICTURE] - depserver's page in headless Chromium, under some load; a
# picture of it if a file is named. Needs chromium, chromium-driver, python3 and redis-tools;
# skipped without. PICTURE_SECONDS (0) of load come first.
set -u
program=${1:?usage: test_browser.sh PROGRAM [PICTURE]}
here=$(dirname "$0")
. "$here/testing.sh"
picture=${2:-$work/picture.png}

for needed in chromium chromedriver python3 redis-benchmark; do
	command -v $needed >/dev/null || {
		echo "skipped: there is no $needed"
		exit 0
	}
done
[ -z "${2:-}" ] || {
	make_index
	sample=$work/index
}
start --timeout 300
cli PING >/dev/null
: >"$work/go"
while [ -e "$work/go" ]; do
	cli RELOAD >/dev/null
	timeout 600 redis-benchmark -p "$port" -c 20 -n 20000 -r 100000 CLOSURE key:__rand_int__ \
		>/dev/null 2>&1
	timeout 600 redis-benchmark -p "$port" -c 20 -n 20000 -r 100000 DEPS key:__rand_int__ \
		>/dev/null 2>&1
done &
load=$!
sleep "${PICTURE_SECONDS:-0}"
ok 'the page in Chromium' timeout 600 python3 "$here/browser.py" "$port" "$picture"
ok 'a picture' [ -s "$picture" ]
rm "$work/go"
wait $load
cli SHUTDOWN >/dev/null 2>&1
ended 'shutdown after it'

echo "$passed passed, $failed failed"
[ $failed = 0 ]
