#!/bin/sh
# Goal: the program in the README compiles as shown and does what it says; the results it shows are those of bench/RESULTS.md.
# Method: take the first block of C out of README.md, compile it without a warning, run it; look each row of a result up.
# A failure would mean: the first thing a new user tries does not work, or the README boasts of figures that nobody measured.
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
echo "readme: ok"
