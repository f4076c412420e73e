#!/bin/sh
# peers.sh cflags|libs|list - which peers the benchmarks can be compared with on this machine.
#   cflags  a macro for each peer that is there
#   libs    what to link for them
#   list    a line for each peer that is not, saying what is skipped
#
# mimalloc has neither macro nor library: it replaces malloc in every program linked with it, and so the rows
# that measure the C library's malloc. peer_mimalloc.h loads it privately, at run time.
set -u
CXX=${CXX:-g++}

header() { # header FILE: can the compiler find it?
	printf '#include <%s>\n' "$1" | $CXX -D_GNU_SOURCE -x c++ -E - >/dev/null 2>&1
}

each() { # each FUNCTION: calls it with name, header, Debian package, macro, libraries
	$1 Boehm gc.h libgc-dev -DHAVE_GC=1 -lgc
	$1 mimalloc mimalloc.h libmimalloc-dev '' ''
	$1 liburcu-memb urcu/urcu-memb.h liburcu-dev -DHAVE_URCU_MEMB=1 '-lurcu-memb -lurcu-common'
}

cflags() { header "$2" && printf -- '%s ' "$4"; }
libs() { header "$2" && printf -- '%s ' "$5"; }
list() { header "$2" || printf '%s is not installed (package %s): its rows are skipped\n' "$1" "$3"; }

case ${1:-} in
cflags | libs | list) each "$1" ;;
*) echo "usage: $0 cflags|libs|list" >&2 && exit 2 ;;
esac
exit 0
