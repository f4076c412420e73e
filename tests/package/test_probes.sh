#!/bin/sh
# Goal: bpftrace finds the probes that README.md lists, perf its stacks with FRAME_POINTERS=1.
# Method: the notes in the shared library, as readelf shows them, and bpftrace, where it may run; an
#   object built with the option.
# A failure would mean: a probe that is documented, and that nobody can attach to.
. tests/common.sh

have readelf || { echo 'skipped: no readelf'; exit 0; }
echo '#include <sys/sdt.h>' | $cc -E -x c - >/dev/null 2>&1 ||
	{ echo 'skipped: no sys/sdt.h (systemtap-sdt-dev)'; exit 0; }
readelf -n "$build/libouro.so" | awk '
	$1 == "Provider:" { provider = $2 }
	$1 == "Name:" { name = $2 }
	$1 == "Arguments:" && provider == "ouro" { print name, NF - 1 }' | sort -u >"$tmp/there"
sed -n 's/^  | `\([a-z_]*\)(\(.*\))` |.*/\1 \2/p' README.md | grep -E '^[a-z]+__' |
	awk '{ print $1, NF - 1 }' | sort -u >"$tmp/listed"
[ "$(wc -l <"$tmp/listed")" -ge 6 ] || fail 'README.md lists no probes'
diff "$tmp/listed" "$tmp/there" ||
	fail 'not the probes, with as many arguments, that README.md lists'

# To list them it loads nothing into the kernel; but it wants to be root's.
if have bpftrace && bpftrace -l 'hardware:*' >"$tmp/log" 2>&1; then
	timeout 60 bpftrace -l "usdt:$PWD/$build/libouro.so:ouro:*" >"$tmp/found" 2>"$tmp/log" || {
		cat "$tmp/log"
		fail 'bpftrace lists no probes'
	}
	sed -n 's/.*:ouro:\([a-z_]*\)$/\1/p' "$tmp/found" | sort -u >"$tmp/names"
	sed 's/ .*//' "$tmp/listed" | diff - "$tmp/names" || fail 'not what bpftrace lists'
else
	echo 'skipped: bpftrace is not there, or may not run'
fi

[ "$(uname -m)" = x86_64 ] && have objdump ||
	{ echo 'skipped: the look at frame pointers'; exit 0; }
frames() { # frames NAME MAKE-VARIABLE...: how many functions of an object set up a frame
	name=$1
	shift
	quiet_make "$@" BUILD="$tmp/$name" "$tmp/$name/lib/base/vector.o"
	objdump -d "$tmp/$name/lib/base/vector.o" | grep -c 'mov *%rsp,%rbp' || :
}
[ "$(frames with FRAME_POINTERS=1)" -ge 3 ] || fail 'FRAME_POINTERS=1 makes no frames'
echo "probes: ok"
