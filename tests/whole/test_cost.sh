#!/bin/sh
# Goal: each operation costs what the table in lib/README.md says: instructions, branches, atomics,
# lines of cache.
# Method: cost.c under callgrind, which counts; the table is read out of the document, so that
# neither drifts.
# A failure would mean: a fast path has become longer (or shorter, and the table does not say so), or
# fell off its path.
. tests/common.sh

skip() { # skip REASON...
	echo "skipped: $*"
	exit 0
}

[ -z "$variant" ] || skip 'only the release build has the fast paths'
[ "$(uname -m)" = x86_64 ] || skip 'the table is of x86-64'
have valgrind || skip 'no valgrind'
printf '#include <valgrind/callgrind.h>\n' | $cc -fsyntax-only -x c - 2>/dev/null || skip 'no headers of valgrind'
valgrind -q --tool=none true >/dev/null 2>&1 || skip 'valgrind does not run here'

# Without its debugging information, some of which valgrind cannot read.
# shellcheck disable=SC2086 # several libraries
$cc -std=c11 -O2 -Wall -Wextra -Werror -Wno-unused-result -D_GNU_SOURCE \
	-Iinclude -Wl,--strip-debug -o "$tmp/cost" tests/whole/cost.c \
	"$build/libouro.a" $private
# By name: with a pattern, the .cold half of a function would end the counting that its other half
# began.
functions=$(nm -g --defined-only "$build/libouro.a" 2>/dev/null |
	awk '$2 == "T" && $3 ~ /^ouro_/ { print "--toggle-collect=" $3 }')

# Maps call functions that are public, too, which would end the counting that theirs began.
maps=$(echo "$functions" | grep '=ouro_map_')

count() { # count FILE FUNCTIONS ARGUMENT...: one run
	out=$1
	counted=$2
	shift 2
	status=0
	# shellcheck disable=SC2086 # several options
	env -u OURO_MEMBARRIER LD_BIND_NOW=1 valgrind --tool=callgrind $counted --branch-sim=yes \
		--collect-bus=yes --cache-sim=yes --I1=32768,8,64 --D1=8192,16,64 --LL=8388608,16,64 \
		--callgrind-out-file="$tmp/$out" "$tmp/cost" "$@" >"$tmp/log" 2>&1 || status=$?
	[ $status != 77 ] || skip 'no membarrier'
	[ $status = 0 ] || { cat "$tmp/log"; fail "the program ended with $status"; }
}

# NAME|INSTRUCTIONS|BRANCHES|ATOMICS|LINES, as measured and as written. Trailing zeros are missing in what callgrind writes.
# NAME|INSTRUCTIONS of each of N, where callgrind wrote NAME/N.
measure() {
	rm -f "$tmp"/out*
	count out "$functions"
	count out.maps "$maps" maps
	awk '
		/^desc: Trigger: Client Request: / { name = $0; sub(/^.*Client Request: /, "", name) }
		/^events: / { for (i = 2; i <= NF; i++) at[$i] = i }
		/^totals: / && split(name, part, "/") == 2 {
			printf "%s|%.0f\n", part[1], $at["Ir"] / part[2]
			name = ""
		}
		/^totals: / && name {
			printf "%s|%d|%d|%d|%d\n", name, $at["Ir"], $at["Bc"], $at["Ge"], $at["D1mr"] + $at["D1mw"]
			name = ""
		}' "$tmp"/out.* | sort >"$tmp/measured"
	[ -s "$tmp/measured" ] || fail 'nothing was measured'
}

awk -F ' *[|] *' '
	/^## / { inside = $0 == "## Cost model" }
	inside && $2 ~ /^`ouro_/ {
		gsub(/`/, "", $2)
		if (length($7) != $6)
			print "FAILED: " $2 ": " $6 " lines, but " length($7) " are named" >"/dev/stderr"
		print $2 "|" $3 "|" $4 "|" $5 "|" $6
	}
	inside && $2 ~ /^a .*(dead|map)/ { print $2 "|" $3 }' lib/README.md 2>"$tmp/mistakes" | sort >"$tmp/written"
[ -s "$tmp/written" ] || fail 'no table in lib/README.md'

# What another compiler makes of it, or other flags, is another number of instructions; the atomics are the same.
exact=0
case $($cc -dumpversion):$(cat "$build/flags") in
12*:gcc\ *'|  -O2 -g -O2 -g  |'*) exact=1 ;;
esac

compare() {
	awk -F '|' -v exact=$exact '
		function wrong(what) {
			print "FAILED: " $1 ": " what
		}
		function about(what, i, slack, room) {
			room = written[$1, i] * 0.1 + slack
			if ($i > written[$1, i] + room || $i < written[$1, i] - room)
				wrong(what ": " $i ", in the table " written[$1, i])
		}
		function same(what, i) {
			if ($i != written[$1, i])
				wrong(what ": " $i ", in the table " written[$1, i])
		}
		FILENAME ~ /written$/ {
			names[$1] = 1
			for (i = 2; i <= NF; i++)
				written[$1, i] = $i
			next
		}
		!($1 in names) {
			wrong("measured (" $0 "), but not in the table")
			next
		}
		{
			delete names[$1]
			if (exact)
				about("instructions", 2, 2)
			if (NF == 2)
				next
			same("atomics", 4)
			if (exact) {
				about("branches", 3, 1)
				same("lines", 5)
			}
		}
		END {
			for (name in names)
				print "FAILED: " name ": in the table, but not measured"
		}' "$tmp/written" "$tmp/measured" >"$tmp/errors"
}

# The library's own threads may ask something of an operation just when it is measured: one of
# several tries is without that.
for _ in 1 2 3 4 5; do
	measure
	compare
	[ -s "$tmp/errors" ] || break
done
cat "$tmp/mistakes" >>"$tmp/errors"
if [ -s "$tmp/errors" ]; then
	cat "$tmp/errors"
	exit 1
fi
[ $exact = 1 ] || echo 'skipped: instructions, branches and lines, which the table has for gcc 12 -O2'
echo "cost: ok"
