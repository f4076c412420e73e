#!/bin/sh
# run.sh SECONDS - fuzzes each target for so long: libFuzzer under AddressSanitizer with UBSan and
# under ThreadSanitizer, AFL++ under AddressSanitizer, where that is installed. What they add to the
# corpora stays in build/fuzz, what they break in build/fuzz/found. The last line is "N passed, N
# failed".
set -u
seconds=$1
make=${MAKE:-make}
out=build/fuzz
mkdir -p "$out/found"
passed=0
failed=0

built() { # built ARGUMENT...: the targets of a build; false: not on this machine
	$make -s fuzz-build "$@" >"$out/make.log" 2>&1 || {
		tail -n 3 "$out/make.log"
		echo "skipped: make fuzz-build $*"
		return 1
	}
}

result() { # result STATUS WHAT SUMMARY
	if [ "$1" = 0 ]; then
		passed=$((passed + 1))
		printf 'ok    %-28s %s\n' "$2" "$3"
	else
		failed=$((failed + 1))
		printf 'FAIL  %-28s %s\n' "$2" "$3"
	fi
}

libfuzzer() { # libfuzzer SANITIZER TARGET
	log=$out/$2-$1.log
	mkdir -p "$out/corpus/$2"
	"build/fuzz-$1-clang/fuzz/$2" -max_total_time="$seconds" -max_len=1201 -timeout=300 \
		-print_final_stats=1 -artifact_prefix="$out/found/$2-$1-" \
		"$out/corpus/$2" "tests/fuzz/corpus/$2" >"$log" 2>&1
	status=$?
	[ $status = 0 ] || tail -n 60 "$log"
	result $status "libFuzzer $2 ($1)" "$(grep '^Done ' "$log" || tail -n 1 "$log")"
}

fact() { # fact NAME: of AFL++'s figures
	sed -n "s/^$1 *: //p" "$log/default/fuzzer_stats" 2>/dev/null
}

aflpp() { # aflpp TARGET
	log=$out/afl-$1
	rm -rf "$log"
	AFL_NO_UI=1 AFL_SKIP_CPUFREQ=1 AFL_I_DONT_CARE_ABOUT_MISSING_CRASHES=1 AFL_NO_AFFINITY=1 \
		afl-fuzz -V "$seconds" -m none -t 60000 -i "tests/fuzz/corpus/$1" -o "$log" -- \
		"build/asan-afl-clang-fast/fuzz/$1" >"$out/afl-$1.log" 2>&1
	status=$?
	crashes=$(fact saved_crashes)
	[ "${crashes:-x}" = 0 ] || {
		status=1
		tail -n 20 "$out/afl-$1.log"
		cp "$log"/default/crashes/id* "$out/found/" 2>/dev/null
	}
	result $status "AFL++ $1 (address)" "$(fact execs_done) runs, ${crashes:-?} crashes"
}

for sanitizer in address thread; do
	built CC=clang FUZZ=$sanitizer || continue
	libfuzzer $sanitizer program
	[ $sanitizer = thread ] || libfuzzer $sanitizer resp
done
if ! command -v afl-fuzz >/dev/null; then
	echo 'skipped: no AFL++'
elif built CC=afl-clang-fast ASAN=1; then
	aflpp program
	aflpp resp
fi
echo "$passed passed, $failed failed"
[ "$failed" = 0 ] && [ "$passed" != 0 ]
