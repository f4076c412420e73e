#!/bin/sh
# peers.sh cflags|libs|list|versions|yrc - which peers the benchmarks can be compared with here.
#   cflags    a macro for each peer that is there
#   libs      what to link for them
#   list      a line for each that would be linked or loaded and is not there, saying what is skipped
#   yrc       a word, if nim is there and knows its collector that is safe for threads
#   versions  NAME <tab> VERSION for each, and for what the benchmarks themselves are made with
#
# mimalloc and jemalloc have neither macro nor library: they replace malloc in every program linked with them, and so
# the rows that measure the C library's malloc. peer_malloc.h loads them privately, at run time.
set -u
CXX=${CXX:-g++}

# Each of these answers whether something is there.
header() { # header FILE: the compiler finds it
	printf '#include <%s>\n' "$1" | $CXX -D_GNU_SOURCE -x c++ -E - >/dev/null 2>&1
}

library() { # library FILE: the dynamic linker finds it
	PATH=$PATH:/usr/sbin:/sbin ldconfig -p | grep -q "^[[:space:]]*$1 "
}
module() { # module NAME: pkg-config finds it
	pkg-config --exists "$1" 2>/dev/null
}
yrc() { # nim says at once whether it knows a way to manage memory
	nim --mm:yrc dump >/dev/null 2>&1
}
program() { # program NAME
	command -v "$1" >/dev/null
}

each() { # each FUNCTION: calls it with name, Debian package, macro, libraries, and the command that says whether it is there
	$1 Boehm libgc-dev -DHAVE_GC=1 -lgc header gc.h
	$1 mimalloc libmimalloc2.0 '' '' library libmimalloc.so.2
	$1 jemalloc libjemalloc2 '' '' library libjemalloc.so.2
	$1 glib libglib2.0-dev "-DHAVE_GOBJECT=1 $(pkg-config --cflags gobject-2.0 2>/dev/null)" \
		"$(pkg-config --libs gobject-2.0 2>/dev/null)" module gobject-2.0
	$1 CPython python3 '' '' program python3
	$1 PHP php-cli '' '' program php
	$1 nim nim '' '' program nim
	$1 liburcu-memb liburcu-dev -DHAVE_URCU_MEMB=1 '-lurcu-memb -lurcu-common' header urcu/urcu-memb.h
}

there() { # there NAME PACKAGE MACRO LIBRARIES COMMAND...
	shift 4
	"$@"
}

cflags() { there "$@" && printf -- '%s ' "$3"; }
libs() { there "$@" && printf -- '%s ' "$4"; }
list() { [ "$5" = program ] || there "$@" || printf '%s is not installed (package %s): its rows are skipped\n' "$1" "$2"; }

package() { # package NAME: its version, or nothing
	dpkg-query -W -f '${db:Status-Status} ${Version}\n' "$1" 2>/dev/null | sed -n 's/^installed //p'
}

version() {
	if there "$@"; then
		found=$(package "$2")
		printf '%s\t%s\n' "$1" "${found:-of unknown version}"
	else
		printf '%s\tnot installed (package %s): skipped\n' "$1" "$2"
	fi
}

made_with() {
	printf 'compiler version\t%s\n' "$($CXX --version | head -n 1)"
	printf 'C library\t%s\n' "$(getconf GNU_LIBC_VERSION)"
	printf 'Google Benchmark\t%s\n' "$(package libbenchmark-dev)"
	printf 'liburcu\t%s\n' "$(package liburcu-dev)"
}

case ${1:-} in
cflags) each cflags ;;
list)
	each list
	yrc || echo 'this nim does not know --mm:yrc, its collector safe for threads: skipped'
	;;
yrc) yrc && echo yes ;;
libs) printf -- '-Wl,--as-needed ' && each libs ;;
versions)
	made_with && each version
	printf 'nim --mm:yrc\t%s\n' "$(yrc && echo known || echo 'not known to this nim: skipped')"
	;;
*) echo "usage: $0 cflags|libs|list|versions|yrc" >&2 && exit 2 ;;
esac
exit 0
