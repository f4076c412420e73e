# common.sh - sourced by the test scripts: what their argument, the build directory, says about the build.
set -eu
build=$1
cc=${build##*-}
case $cc in *clang*) cxx=clang++ ;; *) cxx=g++ ;; esac
case $build in
*checked*) variant=CHECKED=1 sanitize= ;;
*tsan-shipped*) variant='TSAN=1 CHECKED=0' sanitize=-fsanitize=thread ;;
*asan-shipped*) variant='ASAN=1 CHECKED=0' sanitize=-fsanitize=address,undefined ;;
*tsan*) variant=TSAN=1 sanitize=-fsanitize=thread ;;
*asan*) variant=ASAN=1 sanitize=-fsanitize=address,undefined ;;
*) variant= sanitize= ;;
esac
# What the library itself is linked with, for programs that link the static one without pkg-config.
private='-lurcu-cds -lurcu-bp -lurcu-common -pthread'
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
trap 'exit 1' HUP INT TERM

fail() { # fail MESSAGE...
	echo "FAILED: $*"
	exit 1
}

have() { # have PROGRAM
	command -v "$1" >/dev/null 2>&1
}

# make without what the make that runs us hands down: no job server, no variables of its command line. The
# settings of the build directory are given again, so that nothing in it is built a second time with others.
quiet_make() { # quiet_make ARGUMENT...
	env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL -u CHECKED -u TSAN -u ASAN -u TALLY -u PREFIX -u DESTDIR \
		-u prefix -u libdir -u includedir -u datadir -u mandir \
		make -s CC="$cc" "$@" >"$tmp/make.log" 2>&1 || {
		cat "$tmp/make.log"
		fail "make $*"
	}
}

sample_program() { # a small user of the library, as $tmp/program.c
	cat >"$tmp/program.c" <<'END'
#include <ouro.h>
struct node { struct node *next; };
static const ouro_type node_type = {
	.name = "node", .size = sizeof(struct node), .slots = OURO_SLOTS(struct node, next),
};
int main(void)
{
	ouro_report report;
	struct node *n = ouro_new(&node_type);
	ouro_store(&n->next, n);
	ouro_release(n);
	return ouro_gc_collect(2) != 1 || ouro_shutdown(&report) != 0 || report.objects != 0;
}
END
}
