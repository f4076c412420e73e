#!/bin/sh
# Goal: every public header compiles alone, without a warning, as C11, C17, C23, and as C++17,
# C++20, C++23, with gcc and with clang; those of C also within extern "C".
# Method: one line that includes it; a C++ program that uses each template; programs that must not
# compile.
# A failure would mean: somebody's build breaks on the header, or wrong pointer types go through
# unseen.
. tests/common.sh

[ -z "$variant" ] || { echo 'skipped: the headers are those of the release build'; exit 0; }

warnings='-pedantic -Wall -Wextra -Werror -Wconversion -Wsign-conversion -Wshadow -Wundef'
warnings="$warnings -Wcast-align -Wcast-qual -Wpointer-arith -Wwrite-strings -Wredundant-decls"
warnings="$warnings -Wformat=2 -Wvla -Wdouble-promotion -Wfloat-equal"
c_warnings='-Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition'
cxx_warnings='-Wold-style-cast -Wzero-as-null-pointer-constant -Wextra-semi -Wnon-virtual-dtor'
cxx_warnings="$cxx_warnings -Woverloaded-virtual"

compiles() { # compiles COMPILER STANDARD LANGUAGE FILE
	$1 -std="$2" -x "$3" $warnings -Iinclude -fsyntax-only "$4" >"$tmp/log" 2>&1
}

must_compile() { # must_compile COMPILER STANDARD LANGUAGE FILE WHAT
	compiles "$1" "$2" "$3" "$4" && return
	cat "$tmp/log"
	fail "$5 with $1 -std=$2"
}

headers_alone() { # headers_alone COMPILER STANDARD LANGUAGE SUFFIX
	more=$c_warnings headers='include/ouro.h include/ouro/*.h'
	[ "$3" = c ] || more=$cxx_warnings headers="$headers include/ouro.hpp include/ouro/*.hpp"
	for h in $headers; do
		name=${h#include/}
		printf '#include <%s>\n' "$name" "$name" >"$tmp/alone.$4"
		printf 'typedef int not_empty;\n' >>"$tmp/alone.$4"
		must_compile "$1 $more" "$2" "$3" "$tmp/alone.$4" "$h alone"
	done
}

cat >"$tmp/macros.c" <<'END'
#include <ouro.h>
struct node { struct node *next, *array[2]; ouro_weak weak, cells[2]; struct node *items[]; };
static const ouro_type node_type = {
	.name = "node", .size = offsetof(struct node, items),
	.slots = OURO_SLOTS(struct node, next, array),
	.weaks = OURO_WEAKS(struct node, weak, cells),
	.item_size = sizeof(struct node *), .item_slots = OURO_ITEM_REFS,
};
int main(void)
{
	static struct node *root;
	ouro_config cfg = OURO_CONFIG_DEFAULT;
	OURO_AUTO struct node *n = ouro_new(&node_type);
	const struct node *expected = NULL;
	ouro_store(&n->next, n);
	ouro_store(&n->next, NULL);
	ouro_give(&root, (struct node *)ouro_load(&n->next));
	ouro_give(&root, ouro_take(&root));
	ouro_give(&root, ouro_exchange(&root, NULL));
	OURO_AUTO struct node *fresh = OURO_NEW(struct node, &node_type);
	ouro_set(&fresh, ouro_load(&root));
	ouro_set(&fresh, NULL);
	ouro_give(&root, OURO_MOVE(fresh));
	OURO_PINNED;
	(void)ouro_compare_exchange(&root, expected, n);
	(void)ouro_peek(&n->array[1]);
	return ouro_init(&cfg);
}
END

cat >"$tmp/templates.cc" <<'END'
#include <ouro.h>
#include <cstddef>
#include <cstdio>
struct base { int id; };
struct node : base { node *next; base *any; ouro_weak weak; };
static ouro_type make_type()
{
	ouro_type t = {};
	t.name = "node";
	t.size = sizeof(node);
	t.slots.n = 2;
	t.slots.field[0] = { 8, 1 }; /* after the base, of four bytes */
	t.slots.field[1] = { 16, 1 };
	return t;
}
static const ouro_type node_type = make_type();
static bool count(void *, void *arg) { ++*static_cast<int *>(arg); return true; }
int main()
{
	int seen = 0;
	node *n = static_cast<node *>(ouro_new(&node_type));
	ouro_store(&n->next, n);
	node *same = ouro_load(&n->next);
	ouro_store(&n->next, nullptr);
	ouro_store(&n->any, n); /* a derived pointer converts */
	base *b = ouro_take(&n->any);
	ouro_give(&n->next, same);
	same = ouro_exchange(&n->next, nullptr);
	if (!ouro_compare_exchange(&n->next, nullptr, n) || ouro_compare_exchange(&n->next, nullptr, n))
		return 1;
	ouro_pin();
	if (ouro_peek(&n->next) != n || ouro_refcount(n) != 4)
		return 2;
	ouro_unpin();
	if (ouro_weak_store(&n->weak, n) != 0 || ouro_gc_objects(-1, count, &seen) != 1 || seen != 1)
		return 3;
	ouro_weak_clear(&n->weak);
	ouro_release(b);
	ouro_release(same);
	ouro_release(n);
	if (ouro_gc_collect(2) != 1)
		return 4;
	ouro_config cfg = OURO_CONFIG_DEFAULT;
	ouro_report report;
	if (ouro_init(&cfg) == 0 || ouro_shutdown(&report) != 0 || report.objects != 0)
		return 5;
	std::puts(ouro_version());
	return 0;
}
END

# Many a program puts what it takes for headers of C into an extern "C".
{
	printf 'extern "C" {\n'
	sed -n '/^#include <ouro/p' "$tmp/templates.cc"
	printf '}\n'
	sed '/^#include <ouro/d' "$tmp/templates.cc"
} >"$tmp/within.cc"

must_not_compile() { # must_not_compile COMPILER STATEMENT
	printf '#include <ouro.h>\nstruct a { struct a *p; }; struct b { int x; };\n' >"$tmp/wrong.c"
	printf 'void f(struct a *a, struct b *b);\nvoid f(struct a *a, struct b *b)\n' >>"$tmp/wrong.c"
	printf '{\n\t(void)a; (void)b;\n\t%s\n}\n' "$2" >>"$tmp/wrong.c"
	! $1 -std=c11 $warnings -Iinclude -O1 -c -o /dev/null "$tmp/wrong.c" >"$tmp/log" 2>&1 ||
		fail "$1 took: $2"
}

# What the README shows: its program in C; the same type in C++20; its program in C++17.
block() { # block LANGUAGE
	awk -v start="^\`\`\`$1\$" '$0 ~ start { inside = 1; next } /^```$/ && inside { exit } inside' README.md
}
block c >"$tmp/readme.c"
block cpp >"$tmp/readme.cc"
{
	sed '/^int main/,$d' "$tmp/readme.c"
	printf 'ouro_config cfg = OURO_CONFIG_DEFAULT;\nint main() { return ouro_new(&node_type) == nullptr; }\n'
} >"$tmp/readme20.cc"
for f in readme.c readme.cc readme20.cc; do
	grep -q node_type "$tmp/$f" || fail "no program in README.md: $f"
done

for c in gcc clang; do
	have $c || continue
	for standard in c11 c17 c2x; do
		must_compile $c $standard c "$tmp/readme.c" "the README's program"
		must_compile $c $standard c "$tmp/macros.c" 'a program with every macro'
		headers_alone $c $standard c c
	done
	must_not_compile $c 'ouro_store(&a->p, b);'
	must_not_compile $c 'ouro_give(&a->p, b);'
	must_not_compile $c 'ouro_exchange(&a->p, b);'
	must_not_compile $c 'ouro_compare_exchange(&a->p, a, b);'
	must_not_compile $c 'b = ouro_load(&a->p);'
	must_not_compile $c 'b = ouro_peek(&a->p);'
	must_not_compile $c 'ouro_new(0);'
	must_not_compile $c 'ouro_set(&a, b);'
	must_not_compile $c 'b = OURO_MOVE(a);'
	must_not_compile $c 'b = OURO_NEW(struct a, 0);'
	must_not_compile $c 'ouro_weak w = { 0 }; ouro_weak_load(&w);'
	must_not_compile $c 'ouro_try_retain(a);'
done
for c in g++ clang++; do
	have $c || continue
	must_compile $c c++17 c++ "$tmp/readme.cc" "the README's program in C++"
	for standard in c++17 c++20 c++2b; do
		headers_alone $c $standard c++ cc
		must_compile $c $standard c++ "$tmp/templates.cc" 'a program with every template'
		must_compile $c $standard c++ "$tmp/within.cc" 'the same within extern "C"'
	done
	for standard in c++20 c++2b; do
		must_compile $c $standard c++ "$tmp/readme.cc" "the README's program in C++"
		must_compile $c $standard c++ "$tmp/readme20.cc" "the README's type"
	done
done
if have $cxx; then
	$cxx -std=c++17 $sanitize -Iinclude -o "$tmp/templates" "$tmp/templates.cc" "$build/libouro.a" \
		$private
	"$tmp/templates" >"$tmp/out" 2>&1 || { cat "$tmp/out"; fail 'the C++ program does not work'; }
fi
if have $cxx; then
	$cxx -std=c++17 $sanitize -Iinclude -o "$tmp/readme" "$tmp/readme.cc" "$build/libouro.a" $private
	"$tmp/readme" || fail "the README's program in C++ does not work"
fi
echo "headers: ok"
