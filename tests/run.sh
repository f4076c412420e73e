#!/bin/sh
# run.sh BUILD [TALLY] - runs every test of one build; a line for each file, all of its output when it fails; adds
# "passed failed" to the file TALLY. The last line is "N passed, N failed". ONLY, if set, names those C programs that are run, and
# no script is; RUN is put before each, an emulator.
set -u
build=$1
tally=${2:-}
passed=0
failed=0
log=$build/tests/log
mkdir -p "$log"
limit=3000 # for what hangs: a machine may be ten times slower than yours

one() { # one NAME COMMAND...: runs it and counts the cmocka cases, or the command as one case
	name=$1
	shift
	start=$(date +%s)
	timeout "$limit" "$@" >"$log/$name.log" 2>&1
	status=$?
	ok=$(grep -c '^\[       OK \]' "$log/$name.log")
	bad=$(grep -E '^\[  (FAILED |ERROR  ) \] [a-z_]+$' "$log/$name.log" | sort -u | wc -l)
	[ "$ok$bad" = 00 ] && [ $status = 0 ] && ok=1
	[ $status != 0 ] && [ "$bad" = 0 ] && bad=1
	passed=$((passed + ok))
	failed=$((failed + bad))
	if [ "$bad" = 0 ]; then
		printf 'ok    %-28s %3d cases %3d s\n' "$name" "$ok" "$(($(date +%s) - start))"
		sed -n 's/^skipped: /      skipped: /p' "$log/$name.log"
	else
		printf 'FAIL  %-28s (status %d)\n' "$name" $status
		cat "$log/$name.log"
	fi
}

only=${ONLY:-}
printf -- '-- %s%s\n' "$build" "${only:+: $only}"
for t in "$build"/tests/test_*; do
	case $t in *.d | *'*'*) continue ;; esac
	case " ${only:-${t##*/test_}} " in *" ${t##*/test_} "*) one "$(basename "$t")" ${RUN:-} "$t" ;; esac
done
for s in tests/*/test_*.sh; do
	[ -e "$s" ] && [ -z "$only" ] && one "$(basename "$s" .sh)" sh "$s" "$build"
done
[ -n "$tally" ] && echo "$passed $failed" >>"$tally"
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
