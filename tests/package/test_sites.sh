#!/bin/sh
# Goal: the real pprof reads what ouro_sites_write writes, and finds who holds memory, and how much.
# Method: a program that holds a known number of bytes at two places; google-pprof's text of them.
# A failure would mean: a file that no tool opens, or one that points elsewhere.
. tests/common.sh

have google-pprof || { echo 'skipped: no google-pprof (Debian: google-perftools)'; exit 0; }
cat >"$tmp/server.c" <<'END'
#include <ouro.h>
#include <stdlib.h>
struct node { struct node *next; char payload[104]; };
static const ouro_type node_type = {
	.name = "node", .size = sizeof(struct node), .slots = OURO_SLOTS(struct node, next),
};
static struct node *sessions, *documents;
/* 128 bytes each, with the header. */
__attribute__((noinline)) static void push(struct node **list)
{
	struct node *n = ouro_new(&node_type);
	if (!n)
		abort();
	ouro_give(&n->next, *list);
	*list = n;
}
__attribute__((noinline)) void log_in(void)
{
	push(&sessions);
	ouro_release(ouro_new(&node_type)); /* which is no leak */
}
__attribute__((noinline)) void open_document(void)
{
	push(&documents);
	__asm__("");
}
int main(int argc, char **argv)
{
	for (int i = 0; i < 300000; i++) {
		log_in();
		if (i % 3 == 0)
			open_document();
	}
	FILE *f = fopen(argv[argc - 1], "w");
	if (!f || ouro_sites_write(f) || fclose(f))
		return 1;
	ouro_store(&sessions, NULL);
	return ouro_shutdown(NULL) != 0;
}
END
# shellcheck disable=SC2086 # several libraries
$cc -std=c11 -O1 -g -fno-optimize-sibling-calls $sanitize -Iinclude -o "$tmp/server" \
	"$tmp/server.c" "$build/libouro.a" $private || fail 'it does not compile'
ASAN_OPTIONS=detect_leaks=0 OURO_SAMPLE_BYTES=60K timeout 600 "$tmp/server" "$tmp/heap.prof" \
	2>"$tmp/log" || {
	cat "$tmp/log"
	fail 'it does not work'
}

# FLAT FLAT% SUM% CUMULATIVE CUMULATIVE% FUNCTION, in bytes. Sessions hold 38.4 million, documents
# 12.8; five standard deviations are allowed.
pprof() { # pprof OPTION...
	PPROF_TMPDIR=$tmp timeout 100 google-pprof --text --show_bytes "$@" "$tmp/server" \
		"$tmp/heap.prof" >"$tmp/text" 2>"$tmp/pprof.log" || {
		cat "$tmp/pprof.log"
		fail 'pprof does not read it'
	}
}
holds() { # holds FUNCTION LEAST MOST: its cumulative bytes
	awk -v f="$1" -v least="$2" -v most="$3" '
		$NF == f { n = $4 }
		END { exit !(n >= least && n <= most) }' "$tmp/text" || {
		cat "$tmp/text"
		fail "$1 does not hold from $2 to $3 bytes"
	}
}
pprof --inuse_space
holds log_in 30500000 46300000
holds open_document 8200000 17400000
holds main 42100000 60300000
pprof --alloc_space
holds log_in 64000000 90000000
awk '$NF ~ /^oi_/ { exit 1 }' "$tmp/text" || { cat "$tmp/text"; fail 'the library is to blame'; }
grep -q 'sampled, about [0-9]* bytes, made at server+0x' "$tmp/log" || {
	cat "$tmp/log"
	fail 'the report names no site'
}
places=$(sed -n '/made at/{s/.*made at //p;q;}' "$tmp/log" | tr ' ' '\n' | sed -n 's/^server+//p')
# shellcheck disable=SC2086 # several addresses
if have addr2line; then
	addr2line -f -e "$tmp/server" $places >"$tmp/functions"
	grep -q -e push -e open_document "$tmp/functions" || {
		cat "$tmp/functions"
		fail 'addr2line finds another place'
	}
fi
echo "sites: ok"
