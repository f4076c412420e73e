#!/bin/sh
# Goal: what is installed is found by pkg-config, builds programs against both libraries, and goes away again.
# Method: install into temporary prefixes, with and without DESTDIR; build and run a program; uninstall; look.
# A failure would mean: a user cannot link the library, or cannot get rid of it.
. tests/common.sh

sample_program

config() { # config PREFIX OPTION...
	prefix=$1
	shift
	PKG_CONFIG_PATH=$prefix/lib/pkgconfig pkg-config "$@" "${module:-ouro}"
}

installed() { # installed ROOT: all that must be there
	for f in include/ouro.h lib/libouro.a lib/libouro.so lib/pkgconfig/ouro.pc \
		lib/pkgconfig/ouro-static.pc lib/cmake/ouro/ouro-config.cmake \
		lib/cmake/ouro/ouro-config-version.cmake \
		share/ouro/ouro-gdb.py share/ouro/ouro.supp \
		share/man/man3/ouro_new.3 share/man/man3/ouro_store.3 share/man/man7/ouro.7 \
		share/man/man3/ouro::slot.3 share/man/man7/OURO_TYPE.7; do
		[ -s "$1/$f" ] || fail "no $f in $1"
	done
	for h in include/ouro.hpp include/ouro/*.h include/ouro/*.hpp; do
		cmp -s "$h" "$1/$h" || fail "$h differs in $1"
	done
}

compile() { # compile OUTPUT COMMAND: by the shell, as pkg-config has escaped blanks
	eval "$cc -std=c11 -Wall -Wextra -Werror -o '$1' '$tmp/program.c' $2" || fail "does not build: $2"
}

builds() { # builds PREFIX: a program against the shared and the static library, and one that is all static
	compile "$tmp/shared" "$(config "$1" --cflags --libs)"
	ldd "$tmp/shared" | grep -q libouro || fail 'the program is not linked with the shared library'
	LD_LIBRARY_PATH=$1/lib "$tmp/shared" || fail "the program with the shared library: exit $?"
	compile "$tmp/static" "$(module=ouro-static config "$1" --cflags --libs)"
	ldd "$tmp/static" | grep -q libouro && fail 'the program is linked with the shared library'
	"$tmp/static" || fail "the program with the static library: exit $?"
	[ -z "$sanitize" ] && [ -z "${tsan:-}" ] || return 0
	compile "$tmp/all_static" "-static $(config "$1" --cflags --static --libs) 2>'$tmp/ld.log'"
	"$tmp/all_static" || fail "the program that is all static: exit $?"
}

nothing_left() { # nothing_left ROOT
	left=$(find "$1" ! -type d)
	[ -z "$left" ] || fail "left by uninstall: $left"
	for d in include/ouro lib/cmake share/ouro; do
		[ ! -e "$1/$d" ] || fail "left by uninstall: $d"
	done
}

one_prefix() { # one_prefix PREFIX VARIANT
	quiet_make install PREFIX="$1" $2
	installed "$1"
	written=$(config "$1" --variable=prefix)
	[ "$written" = "$1" ] || fail "ouro.pc has prefix $written"
	builds "$1"
	quiet_make uninstall PREFIX="$1" $2
	nothing_left "$1"
}

# The variant under test, in the prefix itself; the version in ouro.pc is the headers'.
quiet_make install PREFIX="$tmp/one" $variant
version=$(awk '/define OURO_VERSION_(MAJOR|MINOR|PATCH) / { v = v s $3; s = "." }
	END { print v }' include/ouro.h)
written=$(config "$tmp/one" --modversion)
[ "$written" = "$version" ] || fail "ouro.pc has version $written"
one_prefix "$tmp/one" "$variant"

# Another prefix afterwards: nothing of the first one sticks.
one_prefix "$tmp/two" "$variant"

# Blanks, and what sed and the shell take for something else.
one_prefix "$tmp/two words & more" "$variant"

# The loader is told by root, and not where files are gathered for later. The message goes into a file.
loader_told() { # loader_told YES-OR-NO DESTDIR
	rm -f "$tmp/told"
	quiet_make install DESTDIR="$2" PREFIX="$tmp/told_prefix" LDCONFIG="touch $tmp/told" $variant
	[ "$1" = "$([ -e "$tmp/told" ] && echo yes || echo no)" ] || fail "ldconfig with DESTDIR '$2': not $1"
}
loader_told "$([ "$(id -u)" = 0 ] && echo yes || echo no)" ''
loader_told no "$tmp/gathered"

# DESTDIR goes before everything, and is not written down anywhere.
quiet_make install DESTDIR="$tmp/dest" PREFIX=/opt/ouro $variant
installed "$tmp/dest/opt/ouro"
grep -q "$tmp" "$tmp/dest/opt/ouro/lib/pkgconfig/ouro.pc" && fail 'DESTDIR is in ouro.pc'
[ "$(config "$tmp/dest/opt/ouro" --variable=libdir)" = /opt/ouro/lib ] || fail 'ouro.pc has another libdir'
# From there programs are built, too, with each tool that is here. The shipped library will do.
[ -n "$variant" ] || tests/package/installed.sh "$tmp/dest" /opt/ouro/lib "$cc" "$cxx"
quiet_make uninstall DESTDIR="$tmp/dest" PREFIX=/opt/ouro $variant
nothing_left "$tmp/dest/opt/ouro"

# A TSan prefix builds a TSan program without another flag. Once is enough: from the release build.
if [ -z "$variant" ]; then
	quiet_make install PREFIX="$tmp/tsan" TSAN=1
	installed "$tmp/tsan"
	config "$tmp/tsan" --cflags | grep -q fsanitize=thread || fail 'ouro.pc of TSAN=1 lacks the flag'
	tsan=1 && builds "$tmp/tsan"
	nm "$tmp/static" | grep -q __tsan_ || fail 'the program is not instrumented'
	quiet_make uninstall PREFIX="$tmp/tsan" TSAN=1
	nothing_left "$tmp/tsan"
fi
echo "install: ok"
