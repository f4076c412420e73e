#!/bin/sh
# run.sh [RULE...] - runs the rules of this folder on the tree, all or those named: a line for
# each, after what it found if that is too much; the last line is "N passed, N failed". VERBOSE=1
# shows what is found within the limits, too; LOWER=1 lowers limits that are higher than need be.
#
# A rule is one file, RULE.pl or RULE.sh, which says on top what it asks. What is allowed today
# stands in the file "limits". planted/RULE holds small trees with one mistake each (planted.pl
# says how): a rule that does not find its mistake fails.
set -u
cd "$(dirname "$0")/../.." || exit 1
here=tests/lint
out=$(mktemp)
trap 'rm -f "$out"' EXIT
passed=0
failed=0

one() { # one RULE COMMAND...
	rule=$1
	shift
	"$@" >"$out" 2>&1
	status=$?
	if [ $status = 0 ]; then
		passed=$((passed + 1))
		verdict=ok
	else
		failed=$((failed + 1))
		verdict=FAIL
	fi
	sed '$d' "$out"
	printf '%-5s %-9s %s\n' $verdict "$rule" "$(sed -n '$p' "$out")"
}

for f in "$here"/*.pl "$here"/*.sh; do
	rule=${f##*/}
	rule=${rule%.*}
	case $rule in run | planted) continue ;; esac
	case " ${*:-$rule} " in *" $rule "*) ;; *) continue ;; esac
	case $f in
	*.pl) one "$rule" perl -I"$here" "$f" . ;;
	*.sh) one "$rule" sh "$f" . ;;
	esac
	one "$rule" perl "$here/planted.pl" "$f"
done
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
