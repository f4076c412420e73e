#!/bin/sh
# run.sh SECONDS - fuzzes each target for so long with libFuzzer, and with AFL++ where that is
# installed, under AddressSanitizer and UBSan; and replays for so long under ThreadSanitizer what
# libFuzzer has found, as often as it goes. The corpora stay in build/fuzz/corpus, what breaks
# something in build/fuzz/found. The last line is "N passed, N failed".
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
		printf 'ok    %-24s %s\n' "$2" "$3"
	else
		failed=$((failed + 1))
		printf 'FAIL  %-24s %s\n' "$2" "$3"
	fi
}

libfuzzer() { # libfuzzer TARGET
	log=$out/$1.log
	mkdir -p "$out/corpus/$1"
	"build/fuzz-clang/fuzz/$1" -max_total_time="$seconds" -max_len=1201 -timeout=300 \
		-artifact_prefix="$out/found/$1-" "$out/corpus/$1" "tests/fuzz/corpus/$1" \
		>"$log" 2>&1
	status=$?
	[ $status = 0 ] || tail -n 60 "$log"
	result $status "libFuzzer $1" "$(grep '^Done ' "$log" || tail -n 1 "$log")"
}

replay() { # replay TARGET: the last file that it names is the one that broke something
	log=$out/$1-tsan.log
	find "$out/corpus/$1" "tests/fuzz/corpus/$1" -type f -print0 2>/dev/null |
		TSAN_OPTIONS=halt_on_error=1 xargs -0 -n 10000 -x \
			"build/tsan-clang/fuzz/$1" -s "$seconds" >"$log" 2>&1
	status=$?
	[ $status = 0 ] || tail -n 60 "$log"
	result $status "ThreadSanitizer $1" "$(tail -n 1 "$log")"
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
	result $status "AFL++ $1" "$(fact execs_done) runs, ${crashes:-?} crashes"
}

if built CC=clang FUZZ=1; then
	libfuzzer program
	libfuzzer resp
fi
! built CC=clang TSAN=1 || replay program
if ! command -v afl-fuzz >/dev/null; then
	echo 'skipped: no AFL++'
elif built CC=afl-clang-fast ASAN=1; then
	aflpp program
	aflpp resp
fi
echo "$passed passed, $failed failed"
[ "$failed" = 0 ] && [ "$passed" != 0 ]
