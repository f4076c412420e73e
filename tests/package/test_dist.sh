#!/bin/sh
# Goal: `make dist` makes the same bytes of the same tree, and what is unpacked builds and works.
# Method: make it twice, under another umask, and once more from what was unpacked; build there; run
# a program with what is installed from there.
# A failure would mean: a release that nobody can check, or that lacks a file.
. tests/common.sh

# One is enough, and it is built once more.
if [ -n "$variant" ] || [ "$cc" != gcc ]; then
	echo 'dist: not with this variant'
	exit 0
fi

lib/package/dist.sh "$tmp/ouro-1.tar.gz"
mkdir "$tmp/again"
(umask 077 && lib/package/dist.sh "$tmp/again/ouro-1.tar.gz")
cmp "$tmp/ouro-1.tar.gz" "$tmp/again/ouro-1.tar.gz" || fail 'two runs differ'
tar -xzf "$tmp/ouro-1.tar.gz" -C "$tmp"
"$tmp/ouro-1/lib/package/dist.sh" "$tmp/again/ouro-1.tar.gz"
cmp "$tmp/ouro-1.tar.gz" "$tmp/again/ouro-1.tar.gz" || fail 'what is unpacked makes another one'

# As a user would, but for the optimiser's time.
quiet_make install -C "$tmp/ouro-1" CFLAGS=-O0 PREFIX="$tmp/prefix"
sample_program
PKG_CONFIG_PATH=$tmp/prefix/lib/pkgconfig
export PKG_CONFIG_PATH
# shellcheck disable=SC2046 # several words
$cc -std=c11 -o "$tmp/program" "$tmp/program.c" $(pkg-config --cflags --libs ouro-static)
timeout 600 "$tmp/program" || fail "the program: exit $?"
echo 'dist: ok'
