#!/bin/sh
# Goal: the examples that a newcomer copies build without a warning, and do what they show.
# Method: each is compiled as its head says, run, and its output compared.
# A failure would mean: what people begin with does not work.
. tests/common.sh

shows() { # shows COMMAND...: what it prints is on stdin
	cat >"$tmp/wanted"
	timeout 300 "$@" >"$tmp/out" 2>&1 || { cat "$tmp/out"; fail "$1: exit $?"; }
	cmp -s "$tmp/out" "$tmp/wanted" || { cat "$tmp/out"; fail "$1 shows something else"; }
}

flags="-Wall -Wextra -Werror -O1 -g $sanitize -Iinclude"
built() { # built COMPILER-AND-STANDARD FILE OPTIONS: as $tmp/program
	# shellcheck disable=SC2086 # several options
	$1 $flags -o "$tmp/program" "$2" $3 "$build/libouro.a" $private || fail "$2 does not build"
}

for f in examples/cache/* examples/document/* examples/actors/* examples/plugin/*; do
	[ "$(wc -l <"$f")" -lt 120 ] || fail "$f: 120 lines or more"
done

built "$cc -std=c11" examples/cache/cache.c ''
shows "$tmp/program" <<'OUT'
1001 sessions went, 0 were wrong, 0 objects left
OUT

if have "$cxx"; then
	built "$cxx -std=c++17" examples/document/document.cc ''
	shows "$tmp/program" <<'OUT'
page/status shows "typed: hello"
204 elements, page/form/input
0 elements, the input is gone
0 objects left
OUT
else
	echo "skipped: document.cc needs $cxx"
fi

if pkg-config --exists libuv; then
	built "$cc -std=gnu11" examples/actors/actors.c "$(pkg-config --cflags --libs libuv)"
	shows "$tmp/program" <<'OUT'
2970 handled, 99 closed, 0 on the wrong thread, 0 objects left
OUT
else
	echo 'skipped: actors.c needs libuv1-dev'
fi

# The host and the plugin share the shared library.
shared="-L$build -louro -Wl,-rpath,$PWD/$build"
# shellcheck disable=SC2086 # several options
$cc -std=gnu11 $flags -shared -fPIC -o "$tmp/plugin.so" examples/plugin/plugin.c $shared ||
	fail 'plugin.c does not build'
# shellcheck disable=SC2086 # several options
$cc -std=gnu11 $flags -o "$tmp/host" examples/plugin/host.c $shared -ldl || fail 'host.c does not build'
shows "$tmp/host" "$tmp/plugin.so" <<'OUT'
in use: may it be closed? no, objects are left
dropped, but a cycle: no, objects are left
collected: yes
in use: may it be closed? no, objects are left
dropped, but a cycle: no, objects are left
collected: yes
0 objects left
OUT
echo "examples: ok"
