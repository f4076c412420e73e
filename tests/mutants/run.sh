#!/bin/sh
# run.sh [NAME...] - plants mistakes in lib/, one at a time, and sees whether the suites notice: a line for each, which says
# which suite killed it, or that it SURVIVED; the last line is "N passed, N failed". Names: only those mutants.
#
# The mutants are in the files *.mut beside this one. A mutant is
#	=== name: what is wrong
#	lib/x.c
#	kill: suite suite ...
#	the text to be replaced, which stands in the file just once, whatever its layout and comments
#	---
#	the text that replaces it
# A suite is test_x or stress_x, of a checked build (stress with random yields and stalls), or
# release/test_x, or fuzz (the programs of tests/fuzz/corpus, in a checked build); in the order in
# which they are tried. A suite kills by a failure, a crash, or by not coming to an end.
set -u
cd "$(dirname "$0")/../.." || exit 1
tree=$PWD/build/mutants/tree
log=$PWD/build/mutants/log
limit=150 # seconds for a suite
unbuilt=250 # a status of none of the suites
TEST_PATIENCE=15 # for what never comes: a case ends after three times that, a child of its after half
export TEST_PATIENCE
passed=0
failed=0
only=" $* "
mkdir -p "$tree" "$log" || exit 1

# What changed since the last run is copied; the rest keeps its objects. A run that was cut off may have left a mutant.
for f in "$tree"/lib/*/*.orig; do
	[ -e "$f" ] && mv "$f" "${f%.orig}"
done
for d in lib include tests stress examples bench Makefile; do
	cp -Ru "$d" "$tree/" || exit 1
done
# What is gone, or has moved, is not to be built.
(cd "$tree" && find lib include tests stress examples -type f) | while read -r f; do
	[ -e "$f" ] || rm "$tree/$f"
done
perl tests/mutants/split.pl "$log" tests/mutants/*.mut || exit 1

build() { # build TARGET...: in the variant of the suite
	make -s -C "$tree" "$@"
}

suite() { # suite NAME: builds and runs it; not 0: it noticed something
	case $1 in
	release/*)
		build "build/release-gcc/tests/${1#*/}" || return $unbuilt
		timeout $limit "$tree/build/release-gcc/tests/${1#*/}"
		;;
	test_*)
		build CHECKED=1 "build/checked-gcc/tests/$1" || return $unbuilt
		timeout $limit "$tree/build/checked-gcc/tests/$1"
		;;
	stress_*)
		build CHECKED=1 "build/checked-gcc/stress/$1" || return $unbuilt
		OURO_PERTURB=20 OURO_STALL=200 timeout $limit "$tree/build/checked-gcc/stress/$1" 4 10 1
		;;
	fuzz)
		build CHECKED=1 fuzz-build || return $unbuilt
		timeout $limit "$tree/build/checked-gcc/fuzz/program" \
			"$tree"/tests/fuzz/corpus/program/*
		;;
	*)
		echo "no such suite: $1"
		return $unbuilt
		;;
	esac
}

try() { # try NAME SUITES: sets how and by
	how=survived
	for by in $2; do
		start=$(date +%s)
		suite "$by" >"$log/$1.log" 2>&1
		status=$?
		case $status in
		0) continue ;;
		"$unbuilt") how=broken ;;
		124) how=hung ;;
		*) how=killed ;;
		esac
		took=$(($(date +%s) - start))
		return
	done
	took=0
}

one() { # one NAME: its parts are in the log folder
	name=$1
	file=$(cat "$log/$name.file")
	what=$(cat "$log/$name.what")
	if ! perl -Itests/lint tests/mutants/plant.pl "$log/$name" "$tree/$file" >"$tree/$file.new" 2>"$log/$name.log"; then
		rm -f "$tree/$file.new"
		failed=$((failed + 1))
		printf 'STALE     %-34s %s\n' "$name" "$(cat "$log/$name.log")"
		return
	fi
	cp "$tree/$file" "$tree/$file.orig"
	mv "$tree/$file.new" "$tree/$file"
	try "$name" "$(cat "$log/$name.kill")"
	cat "$tree/$file.orig" >"$tree/$file"
	rm -f "$tree/$file.orig"
	case $how in
	killed | hung)
		passed=$((passed + 1))
		printf '%-9s %-34s by %s, %d s: %s\n' "$how" "$name" "$by" "$took" "$what"
		;;
	*)
		failed=$((failed + 1))
		printf '%-9s %-34s %s\n' "$(echo "$how" | tr a-z A-Z)" "$name" "$what"
		;;
	esac
}

build all && build CHECKED=1 all || exit 1
for name in $(cat "$log/names"); do
	case "$only" in
	"  " | *" $name "*) one "$name" ;;
	esac
done
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
