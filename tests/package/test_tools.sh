#!/bin/sh
# Goal: a user's tools see the heap as it is: LeakSanitizer finds what live objects hold, and what is
# lost; AddressSanitizer and valgrind object to what touches a dead object, its header too;
# valgrind finds no leak of the library's own.
# Method: tools.c, built with this build's library and each of the tools that there are.
# A failure would mean: reports of leaks that are none, or mistakes that the tools miss.
. tests/common.sh

program() { # program NAME FLAG...: tools.c with this library; false: this compiler cannot
	name=$1
	shift
	# shellcheck disable=SC2086 # several libraries
	$cc -std=c11 -g -O1 -D_GNU_SOURCE -Iinclude -pthread "$@" -o "$tmp/$name" \
		tests/package/tools.c "$build/libouro.a" $private \
		>"$tmp/cc.log" 2>&1
}

# Where the tool cannot look into its own process, as in some containers, it says so.
leaks() { # leaks PROGRAM WHAT: 0: none reported, 1: some, 2: it does not run here
	ASAN_OPTIONS=detect_leaks=1 "$tmp/$1" "$2" >"$tmp/leaks.log" 2>&1 && return 0
	grep -q 'LeakSanitizer: detected memory leaks' "$tmp/leaks.log" && return 1
	return 2
}

check_leaks() { # check_leaks TOOL [FLAG]: what live objects hold is none
	program "$1" "${2:--fsanitize=$1}" || { echo "skipped: $cc without -fsanitize=$1"; return 0; }
	status=0
	leaks "$1" lose || status=$?
	[ $status != 2 ] || { echo "skipped: LeakSanitizer ($1) does not run here"; return 0; }
	[ $status = 1 ] || fail "$1: what is lost is not reported"
	leaks "$1" hold || { cat "$tmp/leaks.log"; fail "$1: what live objects hold is reported"; }
}

case $build in
*tsan*) ;;
*asan*)
	check_leaks address "$sanitize"
	program touch "$sanitize"
	for what in header payload; do
		! "$tmp/touch" $what >"$tmp/log" 2>&1 || fail "a dead object's $what can be read"
		grep -q use-after-poison "$tmp/log" || { cat "$tmp/log"; fail "$what: no report"; }
	done
	;;
*)
	check_leaks leak
	check_leaks address
	;;
esac

valgrind_runs() { # valgrind_runs: it is here, and can; else says so
	if ! have valgrind; then
		echo 'skipped: no valgrind'
	elif ! valgrind -q true >/dev/null 2>&1; then
		echo 'skipped: valgrind does not run here'
	else
		return 0
	fi
	return 1
}

# memcheck STATUS WHAT PROGRAM - what it says of leaks; the library's own threads are none.
memcheck() {
	valgrind -q --leak-check=full --error-exitcode=9 --suppressions=lib/package/ouro.supp \
		"$tmp/$3" "$2" >"$tmp/log" 2>&1 && status=0 || status=$?
	[ $status = "$1" ] || { cat "$tmp/log"; fail "valgrind, leaks, $2, $3: status $status"; }
}

case $build in
*checked*)
	if ! printf '#include <valgrind/memcheck.h>\n' | $cc -fsyntax-only -x c - 2>/dev/null; then
		echo 'skipped: no headers of valgrind'
	elif valgrind_runs; then
		program bare -Wl,--strip-debug
		for what in header payload hold; do
			OURO_RECYCLE=1 valgrind -q --error-exitcode=9 "$tmp/bare" $what >"$tmp/log" 2>&1 &&
				status=0 || status=$?
			expected=9
			[ $what != hold ] || expected=0
			[ $status = $expected ] || { cat "$tmp/log"; fail "valgrind, $what: status $status"; }
		done
	fi
	;;
*san*) ;;
*)
	if valgrind_runs; then
		program inside -Wl,--strip-debug
		soname=libouro.so.$(awk '/define OURO_VERSION_MAJOR/ { print $3 }' include/ouro.h)
		strip -o "$tmp/$soname" "$build/$soname"
		$cc -std=c11 -D_GNU_SOURCE -Iinclude -o "$tmp/outside" tests/package/tools.c \
			"$tmp/$soname" -Wl,-rpath,"$tmp"
		for where in inside outside; do
			memcheck 0 hold $where
			memcheck 9 lose $where
		done
	fi
	;;
esac
echo 'tools: ok'
