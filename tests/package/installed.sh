#!/bin/sh
# installed.sh ROOT LIBDIR [CC [CXX]] - what is installed in ROOT, a DESTDIR or /, builds programs:
# in C and in C++, with the shared and with the static library, through pkg-config, CMake and Meson.
# What is not here is skipped, with a line. `make installcheck` calls it for trees of its own, and
# whoever packages the library for the package.
set -eu
root=${1%/}
libdir=$2
cc=${3:-gcc}
cxx=${4:-g++}
here=$(cd "$(dirname "$0")/user" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
export PKG_CONFIG_PATH="$root$libdir/pkgconfig"
export LD_LIBRARY_PATH="$root$libdir"
[ -z "$root" ] || export PKG_CONFIG_SYSROOT_DIR="$root"

fail() { # fail MESSAGE...
	echo "FAILED: $*"
	exit 1
}

have() { # have PROGRAM...
	for p; do
		command -v "$p" >/dev/null 2>&1 || { echo "skipped: no $p"; return 1; }
	done
}

loud() { # loud COMMAND...: its output if it fails
	"$@" >"$work/log" 2>&1 || { cat "$work/log"; fail "$*"; }
}

# runs KIND PROGRAM... - each works, and has the library inside or takes it from below root.
runs() {
	kind=$1
	shift
	for p; do
		loud timeout 600 "$p"
		ldd "$p" >"$work/libraries"
		case $kind in
		shared)
			grep -qF "$root$libdir/libouro.so" "$work/libraries" ||
				fail "$p: not with this library"
			;;
		static) ! grep -q libouro "$work/libraries" || fail "$p: with the shared library" ;;
		esac
	done
}

# compile COMPILER SOURCE OUTPUT MODULE - by the shell, as pkg-config has escaped blanks.
compile() {
	flags=$(pkg-config --cflags --libs "$4")
	loud eval "$1 -Wall -Wextra -Werror -DEXPECTED='\"$version\"' -o '$3' '$here/$2' $flags"
}

with_pkg_config() {
	have pkg-config "$cc" "$cxx" || return 0
	version=$(pkg-config --modversion ouro)
	compile "$cc -std=c11" program.c "$work/shared_c" ouro
	compile "$cxx -std=c++17" program.cc "$work/shared_cc" ouro
	compile "$cc -std=c11" program.c "$work/static_c" ouro-static
	compile "$cxx -std=c++17" program.cc "$work/static_cc" ouro-static
	runs shared "$work/shared_c" "$work/shared_cc"
	runs static "$work/static_c" "$work/static_cc"
	echo "pkg-config: C and C++, shared and static"
}

# It is told where to look as one does with a prefix, which is another thing than a root.
with_cmake() {
	have cmake "$cc" "$cxx" || return 0
	config=$root$libdir/cmake/ouro
	loud env CC="$cc" CXX="$cxx" cmake -S "$here" -B "$work/cmake" -Douro_DIR="$config" \
		-DEXPECTED="${version:-0}" -DCMAKE_BUILD_TYPE=Release
	loud cmake --build "$work/cmake"
	runs shared "$work/cmake/shared_c" "$work/cmake/shared_cc"
	runs static "$work/cmake/static_c" "$work/cmake/static_cc"
	! cmake -S "$here" -B "$work/newer" -Douro_DIR="$config" -DEXPECTED=999 >/dev/null 2>&1 ||
		fail 'CMake takes this library for version 999'
	echo "CMake: C and C++, shared and static"
}

with_meson() {
	have meson ninja pkg-config "$cc" "$cxx" || return 0
	loud env CC="$cc" CXX="$cxx" meson setup "$work/meson" "$here"
	loud meson compile -C "$work/meson"
	runs shared "$work/meson/shared_c" "$work/meson/shared_cc"
	runs static "$work/meson"/*static_c "$work/meson"/*static_cc
	echo "Meson: C and C++, shared and static"
}

[ -e "$root$libdir/libouro.so" ] || fail "no libouro.so in $root$libdir"
with_pkg_config
with_cmake
with_meson
