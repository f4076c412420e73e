#!/bin/sh
# Goal: OURO_TRACE=file leaves a trace that opens, at shutdown, at exit, and in the child of a fork.
# Method: programs with it in their environment; a reader of JSON that sees how spans nest.
# A failure would mean: the trace of the one bad hour is not there, or no viewer opens it.
. tests/common.sh

case $build in *tsan*) exit 0 ;; esac # the forked child of a program with threads
export ASAN_OPTIONS=detect_leaks=0 # which looks into a process that is ending beside its threads
have python3 || { echo 'skipped: no python3'; exit 0; }
cat >"$tmp/exits.c" <<'END'
#include <ouro.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
struct node { struct node *next; };
static const ouro_type node_type = {
	.name = "node", .size = sizeof(struct node), .slots = OURO_SLOTS(struct node, next),
};
static void collect(void)
{
	struct node *n = ouro_new(&node_type);
	ouro_store(&n->next, n);
	ouro_release(n);
	if (ouro_gc_collect(2) != 1)
		abort();
}
int main(void)
{
	int status;
	collect();
	collect();
	if (chdir("/"))
		return 1;
	pid_t child = fork();
	if (!child) {
		collect();
		exit(0);
	}
	return child < 0 || waitpid(child, &status, 0) != child || status != 0;
}
END
run() { # run PROGRAM SOURCE ARGUMENT...: builds and runs it with OURO_TRACE=PROGRAM.json
	name=$1
	source=$2
	shift 2
	# shellcheck disable=SC2086 # several libraries
	$cc -std=c11 -D_GNU_SOURCE $sanitize -Iinclude -o "$tmp/$name" \
		"$source" "$build/libouro.a" $private || fail "$source does not compile"
	(cd "$tmp" && OURO_TRACE=$name.json timeout 600 "./$name" "$@") ||
		fail "$name does not work"
}

run metrics tests/package/metrics.c "$tmp/metrics.txt" "$tmp/stats.json"
python3 tests/package/trace.py "$tmp/metrics.json" 10 10 10 'stop: shutdown' ||
	fail 'the trace at shutdown'
run exits "$tmp/exits.c"
python3 tests/package/trace.py "$tmp/exits.json" 0 0 2 || fail 'the trace at exit'
python3 tests/package/trace.py "$tmp"/exits.json.[0-9]* 0 0 1 || fail 'the trace of the child'
OURO_TRACE=/nowhere/at/all "$tmp/metrics" "$tmp/metrics.txt" "$tmp/stats.json" 2>"$tmp/log" ||
	fail 'a trace that cannot be written ends the program'
grep -q 'trace was not written' "$tmp/log" || { cat "$tmp/log"; fail 'nothing is said of it'; }
echo "trace: ok"
