#!/bin/sh
# Goal: gdb's commands of lib/inspect/ouro-gdb.py say what is so: of an object, the heap, its
#   threads, and of a stop that does not come; in a live process and in a core; and gdb finds them
#   where they are installed.
# Method: gdb.c, which comes to rest with a known heap and a thread that keeps a stop waiting, under
#   gdb in batch mode, which also writes the core; a program with the shared library as installed.
# A failure would mean: whoever looks into a process that hangs, or has crashed, is told nonsense.
. tests/common.sh

[ -z "$sanitize" ] || { echo 'skipped: gdb looks at builds without sanitizers'; exit 0; }
have gdb || { echo 'skipped: no gdb'; exit 0; }
gdb -nx -batch -ex 'python print(1)' >/dev/null 2>&1 || {
	echo 'skipped: gdb without Python'
	exit 0
}

debug() { # debug OPTION...: leaves what gdb printed in $tmp/out
	timeout 600 gdb -nx -batch -iex 'set debuginfod enabled off' -iex 'set pagination off' \
		-iex 'set width 0' "$@" >"$tmp/out" 2>&1 </dev/null || :
}

shows() { # shows PATTERN...: the lines have each, extended regular expressions
	for pattern; do
		grep -qE -e "$pattern" "$tmp/out" || {
			cat "$tmp/out"
			fail "no line with '$pattern'"
		}
	done
}

compile() { # compile OUTPUT SOURCE ARGUMENT...
	output=$1
	source=$2
	shift 2
	# shellcheck disable=SC2086 # several libraries
	$cc -std=c11 -g -O1 -D_GNU_SOURCE -Iinclude -pthread -o "$tmp/$output" "$source" "$@"
}

# shellcheck disable=SC2086 # several libraries
compile resting tests/whole/gdb.c -Ilib -DOURO_INTERNAL=1 -D_LGPL_SOURCE "$build/libouro.a" $private

debug -ex 'break at_rest' -ex run -ex 'print first' "$tmp/resting"
grep -q 'at_rest ()' "$tmp/out" || {
	cat "$tmp/out"
	echo 'skipped: gdb may run no program here'
	exit 0
}

look() { # look OPTION...: all commands, one after the other
	debug "$@" -ex 'source lib/inspect/ouro-gdb.py' -ex 'ouro object first' \
		-ex 'ouro object &old->next' -ex 'ouro object row' -ex 'ouro object shared' \
		-ex 'ouro object immortal' -ex 'ouro object hidden' -ex 'ouro object gone' \
		-ex 'ouro object &first' \
		-ex 'ouro heap' -ex 'ouro holders first' -ex 'ouro holders old' \
		-ex 'ouro threads' -ex 'ouro stop' \
		-ex "generate-core-file $tmp/core" "$tmp/resting"
}

check_objects() {
	shows '^"node" at 0x[0-9a-f]+: 24 bytes, in a block of 48$' \
		'  references: 4: 4 counted by its owner, 0 by all others$' \
		'  references: 2: 1 counted by its owner, 1 by all others$' \
		'  references: immortal' \
		'  owner:      thread "(resting|ld[^"]*)" \(tid [0-9]+, key [0-9]+\)$' \
		'  age:        0, young$' '  age:        2, old$' \
		'  weak entry: [0-9]+, version [0-9]+, 0 watches$' \
		'  refers to:  "node" at 0x[0-9a-f]+, from \+8 \(next\)$' \
		'  refers to:  "node" at 0x[0-9a-f]+, from \+16 \(\[1\]\)$' \
		'  refers to:  what its traverse says$' \
		'  holders:    2 slots \(ouro holders 0x[0-9a-f]+\)$' \
		'^"row" at 0x[0-9a-f]+: 8 bytes, 3 items, in a block of 64$' \
		'^ouro: the block at 0x[0-9a-f]+ (is free|waits).*, a "node" before$' \
		'^ouro: 0x[0-9a-f]+ lies in no block of the heap$'
}

check_heap() {
	shows '^ +6 +288 +0  node$' '^ +1 +64 +0  row$' '^ +1 +32 +0  hidden$' \
		'^ +2 +160 +0  ouro_map entry$' '^ +13 +2304 +0  in all$' \
		'^7 pages of 64 KiB in use, in 1 region$' \
		'^"node" at 0x[0-9a-f]+, slot \+8 \(next\)$' \
		'^"row" at 0x[0-9a-f]+, slot \+16 \(\[1\]\)$' \
		'^"ouro_map entry" at 0x[0-9a-f]+, slot \+16 \(value\), key 77$' \
		"^\"ouro_map entry\" at 0x[0-9a-f]+, slot .16 .value., key 'a .key.\\\\n'\$" \
		'^"node" at 0x[0-9a-f]+: 3 references, 2 slots of objects; 1 held by the program' \
		'^perhaps "hidden" at 0x[0-9a-f]+, \+8, which its traverse may visit$' \
		': 4 references, 2 slots of objects; 2 held by what traverse visits, or by'
}

check_stop() { # check_stop WHEN
	shows '^thread [0-9]+ "pinned" .*: inside its gate .*; pinned 1 time; asked: stop$' \
		"^A stop was asked for $1, cause young, by thread \"collecting\" \\(tid" \
		'^It waits for thread "pinned" \(tid .*pinned 1 time' \
		'#[0-9]+ .*stand_pinned'
}

look -ex 'break at_rest' -ex run
check_objects
check_heap
check_stop '[0-9.]+ s ago'
# What is printed once is the same in the core.
[ -s "$tmp/core" ] || fail 'gdb wrote no core'
mv "$tmp/core" "$tmp/core.of"
look -ex "core-file $tmp/core.of"
check_objects
check_heap
check_stop '[0-9.]+ s before the last look'

# ---- installed; and a world in which nothing is the matter ----

sample_program
quiet_make install PREFIX="$tmp/prefix" LDCONFIG=: $variant
compile program "$tmp/program.c" -I"$tmp/prefix/include" "-L$tmp/prefix/lib" -louro \
	"-Wl,-rpath,$tmp/prefix/lib"
debug -iex "add-auto-load-safe-path $tmp" \
	-iex "add-auto-load-scripts-directory $tmp/prefix/share/gdb/auto-load" \
	-ex 'set breakpoint pending on' -ex 'break ouro_gc_collect' -ex run -ex 'ouro heap' \
	-ex 'ouro stop' "$tmp/program"
shows '^ +1 +32 +0  node$' '^The world runs, and no stop is asked for' \
	'^Grace period 1 is under way'
echo 'gdb: ok'
