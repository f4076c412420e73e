#!/bin/sh
# Goal: the program in the README compiles as shown and does what it says, and so do its lines for
# linking; what it says of hostile clients has tests; its results are those of bench/RESULTS.md.
# Method: take the first block of C out of README.md, compile it without a warning, run it, link it
# in each way; look each row of a result, and each test, up.
# A failure would mean: the first thing a new user tries does not work, or the README boasts.
. tests/common.sh

[ -e README.md ] || fail 'no README.md'
awk '/^```c$/ { inside = 1; next } /^```$/ && inside { exit } inside' README.md >"$tmp/readme.c"
[ -s "$tmp/readme.c" ] || fail 'no block of C in README.md'
$cc -std=c11 -Wall -Wextra -Werror $sanitize -Iinclude -o "$tmp/readme" "$tmp/readme.c" \
	"$build/libouro.a" $private || fail 'the program does not compile'
timeout 600 "$tmp/readme" >"$tmp/out" 2>&1 || { cat "$tmp/out"; fail 'the program does not work'; }
awk '/^## / { inside = $0 == "## Results" } inside && /^[|]/' README.md >"$tmp/rows"
[ "$(wc -l <"$tmp/rows")" -ge 12 ] || fail 'no results in README.md'
while IFS= read -r row; do
	grep -qxF -e "$row" bench/RESULTS.md || fail "not in bench/RESULTS.md: $row"
done <"$tmp/rows"

# What is said of hostile clients has a test each.
awk '/^## / { inside = $0 == "## Security" } inside && /^[|]/' README.md >"$tmp/claims"
[ "$(wc -l <"$tmp/claims")" -ge 7 ] || fail 'no table of what a client can cause'
sed '1,2d' "$tmp/claims" | while IFS='|' read -r _ client _ cases _; do
	[ -n "$(echo "$cases" | tr -d ' ')" ] || fail "without a test: $client"
	for c in $(echo "$cases" | tr -d '`,'); do
		grep -qE "_CASE\($c\)" tests/*/test_*.c || fail "there is no test $c: $client"
	done
done

# Linking is done as shown there: each line of cc, and the CMake project.
[ -z "$variant" ] || {
	echo 'readme: ok'
	exit 0
}
quiet_make install PREFIX="$tmp/prefix"
cp "$tmp/readme.c" "$tmp/main.c"
works() { # works WHAT PROGRAM
	LD_LIBRARY_PATH="$tmp/prefix/lib" timeout 600 "$2" >"$tmp/out" 2>&1 || {
		cat "$tmp/out"
		fail "the program of: $1"
	}
}
sed -n 's/^cc \(.* main.c .*)\).*/\1/p; s/^cc \(main.c .*)\).*/\1/p' README.md >"$tmp/lines"
[ "$(wc -l <"$tmp/lines")" = 3 ] || fail 'not three lines of cc'
while IFS= read -r line; do
	(cd "$tmp" && export PKG_CONFIG_PATH="$tmp/prefix/lib/pkgconfig" &&
		sh -c "$cc $line" >"$tmp/log" 2>&1) || {
		cat "$tmp/log"
		fail "cc $line"
	}
	works "cc $line" "$tmp/a.out"
done <"$tmp/lines"
if have cmake; then
	awk '/^```cmake$/ { inside = 1; next } /^```$/ { inside = 0 } inside' README.md \
		>"$tmp/CMakeLists.txt"
	CC=$cc cmake -S "$tmp" -B "$tmp/cmake" -DCMAKE_PREFIX_PATH="$tmp/prefix" >"$tmp/log" 2>&1 &&
		cmake --build "$tmp/cmake" >>"$tmp/log" 2>&1 || {
			cat "$tmp/log"
			fail 'the CMake project'
		}
	works 'the CMake project' "$tmp/cmake/server"
else
	echo 'skipped: no cmake'
fi
echo 'readme: ok'
