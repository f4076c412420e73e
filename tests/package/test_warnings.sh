#!/bin/sh
# Goal: the compiler says what a program does wrong with its references, and nothing else.
# Method: small programs with one mistake each, and the warning that gcc must give, some of them only
#   where OURO_CHECK_RELEASES asks for it; programs that are right, and all examples, without one,
#   also of -fanalyzer; the macros for locals are run.
# A failure would mean: a leak or a use after release that the compiler could have shown, or a
#   warning that teaches people to switch warnings off.
. tests/common.sh

# What the compilers say does not depend on the variant.
[ -z "$variant" ] || { echo 'skipped: tested in the release build'; exit 0; }
have gcc || { echo 'skipped: no gcc'; exit 0; }
flags='-std=c11 -O2 -Wall -Wextra -Iinclude'

program() { # program STATEMENTS: on stdout
	cat <<'PROGRAM'
#include <ouro.h>
#include <stdlib.h>
struct node { struct node *next; long value; };
static const ouro_type type = {
	.name = "node", .size = sizeof(struct node), .slots = OURO_SLOTS(struct node, next),
};
extern struct node *root;
long f(void);
long f(void)
{
	struct node *n = OURO_NEW(struct node, &type), *m = NULL;
	long value = 0;
	if (!n)
		return 0;
PROGRAM
	printf '\t%s\n\t(void)m;\n\treturn value;\n}\n' "$1"
}

warns() { # warns OPTION WARNING STATEMENTS
	program "$3" >"$tmp/wrong.c"
	LC_ALL=C gcc $flags $1 -c -o /dev/null "$tmp/wrong.c" 2>"$tmp/log" || fail "no C: $3"
	grep -q -- "\[-W$2" "$tmp/log" || { cat "$tmp/log"; fail "no $2 for: $3"; }
}

quiet() { # quiet COMPILER OPTIONS STATEMENTS
	program "$3" >"$tmp/right.c"
	$1 $flags $2 -Werror -c -o /dev/null "$tmp/right.c" || fail "$1 $2 warns of: $3"
}

if [ "$(gcc -dumpversion | sed 's/[.].*//')" -ge 12 ]; then
	asked=-DOURO_CHECK_RELEASES
	warns $asked use-after-free 'ouro_release(n); value = n->value;'
	warns $asked use-after-free 'ouro_release(n); ouro_store(&root, n);'
	warns $asked mismatched-dealloc 'free(n);'
	warns "$asked=1 -fanalyzer" analyzer-malloc-leak 'value = n->value;'
	warns "$asked=1 -fanalyzer" analyzer-double-free 'ouro_release(n); ouro_release(n);'
	warns $asked unused-result 'ouro_release(n); ouro_new(&type);'
fi
warns '' unused-result 'ouro_release(n); ouro_load(&root);'
warns '' unused-result 'ouro_release(n); (void)ouro_take(&root);'
warns '' unused-result 'ouro_exchange(&root, n);'
warns '' unused-result 'ouro_release(n); ouro_new(&type);'

for c in gcc clang; do
	have $c || continue
	case $c in gcc) analyzer=-fanalyzer ;; *) analyzer= ;; esac
	for checked in "$analyzer" "$analyzer -DOURO_CHECK_RELEASES"; do
		quiet $c "$checked" 'ouro_store(&root, n); value = n->value; ouro_release(n);'
		quiet $c "$checked" 'ouro_give(&root, n); m = ouro_load(&root); ouro_release(m);'
		quiet $c "$checked" \
			'm = ouro_retain(n); ouro_release(n); value = m->value; ouro_release(m);'
		quiet $c "$checked" 'ouro_give(&root, OURO_MOVE(n)); ouro_release(n);'
		quiet $c "$checked" 'ouro_set(&n, ouro_load(&root)); OURO_PINNED; ouro_release(n);'
	done
	# Right, as something else keeps the object, which no compiler can know.
	for checked in '' "$analyzer"; do
		quiet $c "$checked" 'ouro_store(&root, n); ouro_release(n); value = n->value;'
		quiet $c "$checked" \
			'ouro_retain(n); ouro_release(n); value = n->value; ouro_release(n);'
		quiet $c "$checked" 'ouro_store(&n->next, n); ouro_release(n);
		if (ouro_refcount(n) == 1) value = 1;'
	done
done

# ---- the macros for locals do what they say ----
cat >"$tmp/locals.c" <<'PROGRAM'
#include <ouro.h>
struct node { ouro_weak self; struct node *next; ouro_weak cell[]; };
static const ouro_type type = {
	.name = "node", .size = offsetof(struct node, cell), .slots = OURO_SLOTS(struct node, next),
	.weaks = OURO_WEAKS(struct node, self), .item_size = sizeof(ouro_weak),
	.item_weaks = OURO_ITEM_CELLS,
};
static struct node *make(void)
{
	OURO_AUTO struct node *n = OURO_NEW_ITEMS(struct node, &type, 3);
	if (!n || ouro_items(n) != 3 || ouro_weak_store(&n->cell[2], n))
		return NULL;
	return OURO_MOVE(n);
}
int main(void)
{
	ouro_report report;
	{
		OURO_AUTO struct node *n = make(), *kept = NULL;
		ouro_give(&n->next, make());
		ouro_weak_store(&n->self, n);
		ouro_set(&kept, ouro_retain(n));
		ouro_set(&n, ouro_load(&n->next));
		if (ouro_refcount(n) != 2 || ouro_refcount(kept) != 1)
			return 1;
		{
			OURO_PINNED;
			OURO_PINNED;
			if (ouro_peek(&kept->next) != n || ouro_flush() == 0)
				return 2;
		}
		if (ouro_flush() != 0)
			return 3;
		ouro_set(&kept, NULL);
		if (ouro_refcount(n) != 1)
			return 4;
	}
	return ouro_shutdown(&report) != 0 || report.objects != 0 ? 5 : 0;
}
PROGRAM
$cc -std=c11 -Wall -Wextra -Werror -Wpedantic -Iinclude -o "$tmp/locals" "$tmp/locals.c" \
	"$build/libouro.a" $private || fail 'locals.c does not build'
"$tmp/locals" || fail "locals.c: exit $?"

# ---- what stands in examples/, with all that gcc can be asked for ----
for f in examples/*/*.c; do
	case $f in */depserver/* | */actors/*) [ -e /usr/include/uv.h ] || continue ;; esac
	case $f in */depserver/*)
		[ -e /usr/include/microhttpd.h ] || continue
		quiet_make "$build/examples/depserver/page.h" ;;
	esac
	gcc -I"$build/examples/depserver" $flags -D_GNU_SOURCE -DOURO_CHECK_RELEASES -fanalyzer \
		-c -o /dev/null "$f" 2>"$tmp/log" || {
		cat "$tmp/log"
		fail "$f does not compile"
	}
	! grep -E 'ouro_(release|new)' "$tmp/log" || fail "$f: warnings"
done
echo "warnings: ok"
