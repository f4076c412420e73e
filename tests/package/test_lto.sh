#!/bin/sh
# Goal: a library that was built with -flto links into programs that are built without, and with.
# Method: build the archive so, in a directory of its own; link and run a program both ways.
# A failure would mean: a distribution's package of the static library that most programs cannot use.
. tests/common.sh

# The same objects whatever the variant; clang's are not to be had in both forms.
if [ -n "$variant" ] || [ "$cc" != gcc ]; then
	echo "lto: not with this variant"
	exit 0
fi

sample_program

quiet_make all BUILD="$tmp/lto" CFLAGS='-O1 -flto'
for lto in -fno-lto -flto=auto; do
	$cc -std=c11 -O1 $lto -Iinclude -o "$tmp/program" "$tmp/program.c" "$tmp/lto/libouro.a" $private ||
		fail "$lto: does not link with an archive of -flto"
	"$tmp/program" || fail "$lto: exit $?"
done
echo "lto: ok"
