#!/bin/sh
# installcheck.sh BUILD - what `make installcheck` does: installs the variant of BUILD into trees of
# its own, with blanks and with another libdir, too, and builds programs with what is there
# (installed.sh).
. tests/common.sh

one() { # one DESTDIR PREFIX LIBDIR
	echo "-- DESTDIR=$1 PREFIX=$2 libdir=$3" | sed "s|$tmp|TMP|g"
	quiet_make install DESTDIR="$1" PREFIX="$2" libdir="$3" $variant
	tests/package/installed.sh "$1" "$3" "$cc" "$cxx" || fail 'what is installed does not do'
	quiet_make uninstall DESTDIR="$1" PREFIX="$2" libdir="$3" $variant
	left=$(find "$1$2" ! -type d)
	[ -z "$left" ] || fail "left by uninstall: $left"
}

one '' "$tmp/plain" "$tmp/plain/lib"
one "$tmp/root" /usr /usr/lib/x86_64-linux-gnu
one '' "$tmp/two words & more" "$tmp/two words & more/lib"
echo 'installcheck: ok'
