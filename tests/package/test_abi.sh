#!/bin/sh
# Goal: `make abi-check` fails where a program that is linked with an older library would break, and
# nowhere else; and such a program does not break with this one.
# Method: compare with the last release, or what stands for it; then change copies of the headers,
# compile what they are used in, link it with the other objects, and compare with this library.
# A failure would mean: a program that worked crashes after an upgrade.
. tests/common.sh

if [ -n "$variant" ] || [ "$cc" != gcc ]; then
	echo 'abi: not with this variant'
	exit 0
fi
have abidiff || { echo 'skipped: no abidiff (abigail-tools)'; exit 0; }
abi=$PWD/lib/package/abi.sh
here=$PWD
library=$(readlink -f "$build/libouro.so")

sh "$abi" "$build" >"$tmp/log" 2>&1 || { cat "$tmp/log"; fail 'the ABI has changed'; }

# The interface of this library, in the way of `make abi-store`.
mkdir -p "$tmp/now/lib/package" "$tmp/now/$build"
cp "$abi" lib/package/abi.suppr "$tmp/now/lib/package"
cp -R include "$tmp/now"
cp "$library" "$tmp/now/$build/libouro.so"
(cd "$tmp/now" && sh lib/package/abi.sh "$build" store) || fail 'abi.sh store'
now=$tmp/now/lib/package/abi.xml
grep -q "elf-symbol name='ouro_new'" "$now" || fail 'the interface is not described'

flags='-std=c11 -O0 -g -D_Static_assert(...)= -D_GNU_SOURCE -D_LGPL_SOURCE -DOURO_INTERNAL=1'
flags="$flags -pthread -fPIC -fexceptions -fvisibility=hidden -ftls-model=initial-exec"
map=lib/ouro.map
# changed FILE SED-SCRIPT SOURCE... - $tmp/tree with include/ouro/FILE edited, and the library
# linked anew, with each SOURCE, edited likewise, compiled with that, in place of its object if
# there is one.
changed() {
	rm -rf "$tmp/tree" && mkdir -p "$tmp/tree/$build/objects"
	cp -R include "$tmp/tree"
	script=$2
	sed -i "$2" "$tmp/tree/include/ouro/$1"
	! diff -r include "$tmp/tree/include" >/dev/null || fail "nothing is changed in $1: $2"
	shift 2
	(cd "$build" && find lib -name '*.o') >"$tmp/list"
	for source; do
		grep -vx "${source%.c}.o" "$tmp/list" >"$tmp/others"
		mv "$tmp/others" "$tmp/list"
		sed "$script" "$source" >"$tmp/tree/source.c"
		# shellcheck disable=SC2086 # several words
		$cc $flags -I"$tmp/tree/include" -Ilib -c -o \
			"$tmp/tree/$build/objects/$(basename "$source").o" "$tmp/tree/source.c" ||
			fail "$source does not compile"
	done
	# shellcheck disable=SC2046 # several words
	$cc -shared -Wl,-soname,libouro.so.0 -Wl,--version-script,"$map" \
		-o "$tmp/tree/$build/libouro.so" $(sed "s|^|$here/$build/|" "$tmp/list") \
		$(find "$tmp/tree/$build/objects" -name '*.o') $private || fail 'it does not link'
}

compared() { # compared [WITH]: the status of abi.sh
	(cd "$tmp/tree" && sh "$abi" "$build" with "${1:-$now}") >"$tmp/log" 2>&1
}

breaks() { # breaks WHAT TEXT [WITH]
	! compared "${3:-}" || fail "not noticed: $1"
	grep -q -e "$2" "$tmp/log" || { cat "$tmp/log"; fail "it is not told of: $1"; }
}

goes_on() { # goes_on WHAT
	compared || { cat "$tmp/log"; fail "taken for a break: $1"; }
}

# What is added.
printf '#include <ouro.h>\nint ouro_added(int x)\n{\n\treturn x;\n}\n' >"$tmp/added.c"
added='/^OURO_END_DECLS/i OURO_API int ouro_added(int x);'
changed base.h "$added" "$tmp/added.c"
nm -D "$tmp/tree/$build/libouro.so" | grep -q 'T ouro_added@@' || fail 'nothing is added'
goes_on 'a function more'
changed thread.h 's/^} ouro_report;/\tuint64_t added;\n&/' lib/process/lifecycle.c \
	lib/process/unsized.c
goes_on 'a field at the end of a struct that carries its size along'

# What is gone, or is another.
sed 's/local: [*];/local: ouro_weak_is; *;/' lib/ouro.map >"$tmp/map"
map=$tmp/map
changed base.h "$added" "$tmp/added.c"
map=lib/ouro.map
! nm -D "$tmp/tree/$build/libouro.so" | grep -q ouro_weak_is || fail 'it is still there'
breaks 'a function less' 'Removed function.*\|ouro_weak_is'
# What stands for the last release knows of every kind of containers.
gone='ouro_map_get_or_create ouro_map_new_sized ouro_weak_map_get ouro_key_map_put ouro_vec_push'
gone="$gone ouro_bytes_new"
sed "s/local: [*];/local: $(echo "$gone" | sed 's/ /; /g'); *;/" lib/ouro.map >"$tmp/map"
map=$tmp/map
changed base.h "$added" "$tmp/added.c"
map=lib/ouro.map
for name in $gone; do
	breaks "a container's function less" "'function .* $name(" "$here/lib/package/abi.xml"
done
changed thread.h 's/^\tsize_t objects, bytes;/\tsize_t objects, added, bytes;/' \
	lib/process/lifecycle.c lib/process/unsized.c
breaks 'a field in the middle of a struct' 'ouro_report'
changed stats.h 's/^\tOURO_STATS_TEXT,/\tOURO_STATS_ADDED,\n&/' lib/inspect/stats.c
breaks 'another value of an enumerator' 'OURO_STATS_TEXT'
changed weak.h 's/bool ouro_weak_is(/long ouro_weak_is(/' lib/count/weak.c
breaks 'another type of a result' 'ouro_weak_is'
echo 'abi: ok'
