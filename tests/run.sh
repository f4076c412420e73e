#!/bin/sh
# run.sh BUILD [TALLY] - runs every test of one build, JOBS at a time (as many as there are processors); a line for each file, all of
# its output when it fails; adds "passed failed" to the file TALLY. The last line is "N passed, N failed". ONLY, if set, names those C
# programs that are run, and no script is; RUN is put before each, an emulator.
set -u
limit=3000 # for what hangs: a machine may be ten times slower than yours

# one BUILD FILE: runs it and counts the cmocka cases, or the file as one case. The lines are said in one piece.
one() {
	build=$1
	name=$(basename "$2")
	log=$build/tests/log/$name.log # a script may have the name of a program
	name=${name%.sh}
	start=$(date +%s)
	case $2 in
	*.sh) timeout "$limit" sh "$2" "$build" ;;
	*) timeout "$limit" ${RUN:-} "$2" ;;
	esac >"$log" 2>&1
	status=$?
	ok=$(grep -c '^\[       OK \]' "$log")
	bad=$(grep -E '^\[  (FAILED |ERROR  ) \] [a-z_]+$' "$log" | sort -u | wc -l)
	[ "$ok$bad" = 00 ] && [ $status = 0 ] && ok=1
	[ $status != 0 ] && [ "$bad" = 0 ] && bad=1
	echo "$ok $bad" >"$log.count"
	lines=$(if [ "$bad" = 0 ]; then
		printf 'ok    %-28s %3d cases %3d s\n' "$name" "$ok" "$(($(date +%s) - start))"
		sed -n 's/^skipped: /      skipped: /p' "$log"
	else
		printf 'FAIL  %-28s (status %d)\n' "$name" $status
		cat "$log"
	fi)
	printf '%s\n' "$lines"
}

if [ "$1" = --one ]; then
	one "$2" "$3"
	exit
fi

build=$1
tally=${2:-}
only=${ONLY:-}
log=$build/tests/log
mkdir -p "$log"
rm -f "$log"/*.count

printf -- '-- %s%s\n' "$build" "${only:+: $only}"
# What takes longest is among the scripts, and late in the alphabet.
{
	for s in tests/*/test_*.sh; do
		[ -e "$s" ] && [ -z "$only" ] && echo "$s"
	done
	for t in $(ls -dr "$build"/tests/test_*); do
		case $t in *.d | *'*'*) continue ;; esac
		case " ${only:-${t##*/test_}} " in *" ${t##*/test_} "*) echo "$t" ;; esac
	done
} | xargs -r -P "${JOBS:-$(nproc)}" -n 1 "$0" --one "$build" || exit # of these one itself came to an end

set -- $(cat "$log"/*.count | awk '{ ok += $1; bad += $2 } END { print ok + 0, bad + 0 }')
[ -n "$tally" ] && echo "$1 $2" >>"$tally"
echo "$1 passed, $2 failed"
[ "$2" = 0 ]
