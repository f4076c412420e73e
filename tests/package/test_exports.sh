#!/bin/sh
# Goal: the shared library exports each function that the headers declare, and nothing else.
# Method: names in the dynamic symbol table against names that follow OURO_API in the headers.
# A failure would mean: programs that do not link, or names that clash with the program's.
. tests/common.sh

library=$build/libouro.so
[ -e "$library" ] || fail "no $library"
nm -D --defined-only "$library" | awk '{ print $NF }' | sed 's/@.*//' | grep -v '^OURO_[0-9.]*$' |
	sort -u >"$tmp/exported"
cat include/ouro/*.h | grep '^OURO_API' >"$tmp/declarations"
sed -n 's/^OURO_API[^(]*[ *]\(ouro_[a-z_]*\)(.*/\1/p' "$tmp/declarations" |
	sort -u >"$tmp/declared"

[ "$(wc -l <"$tmp/declared")" -ge 50 ] || fail "only $(wc -l <"$tmp/declared") declarations found"
[ "$(wc -l <"$tmp/declared")" = "$(wc -l <"$tmp/declarations")" ] ||
	fail 'a declaration was not understood'
foreign=$(grep -v '^ouro_' "$tmp/exported" || true)
[ -z "$foreign" ] || fail "exported, but not ouro_*: $foreign"
missing=$(comm -13 "$tmp/exported" "$tmp/declared")
[ -z "$missing" ] || fail "declared, but not exported: $missing"
extra=$(comm -23 "$tmp/exported" "$tmp/declared")
[ -z "$extra" ] || fail "exported, but not declared: $extra"

soname=$(readelf -d "$library" | sed -n 's/.*SONAME.*\[\(.*\)\]/\1/p')
major=$(awk '/define OURO_VERSION_MAJOR/ { print $3 }' include/ouro.h)
[ "$soname" = "libouro.so.$major" ] || fail "soname $soname"
[ -e "$build/$soname" ] || fail "no $build/$soname"
# Each name has the version it came with, and there are nodes for releases up to this one alone.
unversioned=$(nm -D --defined-only "$library" |
	awk '$2 == "T" && $3 !~ /@@OURO_[0-9]/ { print $3 }')
[ -z "$unversioned" ] || fail "without a version: $unversioned"
minor=$(awk '/define OURO_VERSION_MINOR/ { print $3 }' include/ouro.h)
version=$(awk '/define OURO_VERSION_MAJOR/ { print $3 }' include/ouro.h).$minor
newest=$(sed -n 's/^OURO_\([0-9.]*\) {$/\1/p' lib/ouro.map | sort -V | tail -n 1)
[ "$newest" = "$version" ] || fail "lib/ouro.map ends with $newest, not $version"

# In the static library what is shared between its files has the internal prefix.
stray=$(nm -g --defined-only "$build/libouro.a" 2>/dev/null | awk 'NF == 3 { print $3 }' |
	grep -vE '^(ouro_|oi_|__asan|__odr_asan|__tsan|DW\.ref|_\.stapsdt\.base)' || true)
[ -z "$stray" ] || fail "global in the static library, but neither ouro_ nor oi_: $stray"
echo "exports: ok"
