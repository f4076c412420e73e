#!/bin/sh
# run.sh DIR THREADS SECONDS SEED - runs every stress program of DIR; a line for each, all its output when it
# fails. In a checked build each runs a second time with random yields inside the library. The last line is
# "N passed, N failed".
set -u
dir=$1
threads=$2
seconds=$3
seed=$4
passed=0
failed=0
log=$(mktemp)
trap 'rm -f "$log"' EXIT

# The programs end by themselves; the limit is for one that cannot even be stopped by its own alarm.
whole=$(printf '%.0f' "$seconds")
limit=$((10 * whole + 400))

one() { # one PROGRAM NOTE: runs it with the environment it finds
	name=$(basename "$1")
	start=$(date +%s)
	timeout -s ABRT -k 10 "$limit" "$1" "$threads" "$seconds" "$seed" >"$log" 2>&1
	status=$?
	if [ $status = 0 ]; then
		passed=$((passed + 1))
		printf 'ok    %s%s  [%d s]\n' "$(tail -n 1 "$log")" "$2" $(($(date +%s) - start))
	else
		failed=$((failed + 1))
		printf 'FAIL  %s%s (status %d): %s %s %s %s\n' \
			"$name" "$2" $status "$1" "$threads" "$seconds" "$seed"
		cat "$log"
	fi
}

for program in "$dir"/stress_*; do
	case $program in *.d | *'*'*) continue ;; esac
	one "$program" ''
	case $dir in
	*checked*)
		OURO_PERTURB=50
		export OURO_PERTURB
		one "$program" ' (perturbed)'
		unset OURO_PERTURB
		;;
	esac
done
echo "$passed passed, $failed failed"
[ "$failed" = 0 ] && [ "$passed" != 0 ]
