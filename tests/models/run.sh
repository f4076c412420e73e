#!/bin/sh
# run.sh [MODEL...] - checks the models of this directory with spin: each to exhaustion, and each mutation, which must
# be found. A line for each; the last one is "N passed, N failed". One process at a time, 2 GB at most.
#
# The head comment of a model says what to run: " * RUN: [defines]" for the model as it is, and for a mutation
# " * MUT_NAME [defines]: what is left out". To see what spin found, with the same defines, -DMUT_NAME among them:
# spin DEFINES -t -p -g -l MODEL.pml, in build/models/MODEL/MUT_NAME.
set -u
cd "$(dirname "$0")/../.." || exit 1
models=$PWD/tests/models
build=$PWD/build/models
passed=0
failed=0
rm -rf "$build"

check() { # check DIRECTORY MODEL OPTIMISE [DEFINE...]: leaves what spin, gcc and the search said in its log
	mkdir -p "$1" || exit 1
	(
		cd "$1" || exit 1
		cp "$models/$2.pml" . || exit 1
		model=$2
		optimise=$3
		shift 3
		spin "$@" -a "$model.pml" && gcc "$optimise" -w -DSAFETY -DCOLLAPSE -DMEMLIM=1900 -o pan pan.c &&
			./pan -m100000
	) >"$1/log" 2>&1
}

verdict() { # verdict DIRECTORY NAME YES-OR-NO TEXT
	if [ "$3" = yes ]; then
		passed=$((passed + 1))
		printf 'ok   %s: %s\n' "$2" "$4"
		rm -f "$1"/pan*
	else
		failed=$((failed + 1))
		printf 'FAIL %s\n' "$2"
		grep -v 'unreached\|, state [0-9]*, \|^	(' "$1/log"
	fi
}

good() { # good MODEL [DEFINE...]: no error, and nothing has cut the search short: depth, memory, a crash
	name=$*
	directory=$build/$1/as_it_is$(shift && printf %s "$*" | tr -c A-Za-z0-9 _)
	model=$1
	shift
	check "$directory" "$model" -O2 "$@"
	status=$?
	result=no
	[ $status = 0 ] && grep -q ', errors: 0$' "$directory/log" &&
		! grep -qi 'error:\|truncated\|too small\|reached -DMEMLIM\|out of memory\|not completed' "$directory/log" &&
		result=yes
	states=$(sed -n 's/^ *\([0-9.e+]*\) states, stored.*/\1/p' "$directory/log")
	verdict "$directory" "$name" $result "$states states, exhausted"
}

mutation() { # mutation MODEL MUTATION [DEFINE...]: an assertion violated or a deadlock; soon found, so compiled fast
	name=$*
	directory=$build/$1/$2
	model=$1
	mutation=$2
	shift 2
	check "$directory" "$model" -O0 -D"$mutation" "$@"
	result=no
	found=$(sed -n 's/^pan:1: \(assertion violated\|invalid end state\).*/\1/p' "$directory/log")
	[ -n "$found" ] && [ -e "$directory/$model.pml.trail" ] && result=yes
	verdict "$directory" "$name" $result "found, $found"
}

[ $# -gt 0 ] ||
	set -- stop park frames slices leave limbo seen merge halves weak slot commit solo fork flush fences flight \
		split expiry
for model; do
	runs=$(sed -n "s/^ \* RUN:/good $model /p; s/^ \* \(MUT_[A-Z_]*\)\([^:]*\):.*/mutation $model \1 \2/p" \
		"$models/$model.pml")
	[ -n "$runs" ] || {
		echo "FAIL $model: nothing to run"
		failed=$((failed + 1))
	}
	eval "$runs"
done
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
