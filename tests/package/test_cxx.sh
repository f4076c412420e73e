#!/bin/sh
# Goal: ouro.hpp compiles without a warning in C++17, 20 and 23 with both compilers, does what it
#   says, refuses what is wrong, and costs no instruction more than the C calls.
# Method: cxx.cc, which checks itself; mistakes, each of which must be refused, some with a message;
#   pairs of functions, in C style and with ouro.hpp, whose instructions are counted. The release
#   build alone does more than run cxx.cc.
# A failure would mean: C++ programs do not build, count wrongly, lose slots, or pay for the types.
. tests/common.sh

if ! have "$cxx"; then
	echo "skipped: no $cxx"
	exit 0
fi
flags='-Wall -Wextra -Wpedantic -Wshadow -Wconversion -Werror -Iinclude'

$cxx -std=c++17 $flags $sanitize -g -o "$tmp/cxx" tests/package/cxx.cc "$build/libouro.a" \
	$private ||
	fail 'cxx.cc does not build'
timeout 300 "$tmp/cxx" >"$tmp/out" 2>&1 || { cat "$tmp/out"; fail 'cxx.cc: a check failed'; }
for where in 'finalizer of loud: out of a finalizer' 'on_evict of ouro::map: out of an on_evict'; do
	grep -q "exception ignored in the $where" "$tmp/out" ||
		fail "an exception that nobody hears of is not shown: in the $where"
done

# The README's program.
awk '/^```c[+][+]$/ { inside = 1; next } /^```$/ && inside { exit } inside' README.md \
	>"$tmp/readme.cc"
grep -q OURO_TYPE "$tmp/readme.cc" || fail 'no program with ouro.hpp in README.md'
$cxx -std=c++17 $flags $sanitize -o "$tmp/readme" "$tmp/readme.cc" "$build/libouro.a" $private ||
	fail "the README's program does not build"
[ "$("$tmp/readme")" = 'sub is below top' ] || fail "the README's program does not work"

if [ -n "$variant" ]; then
	echo "cxx: ok"
	exit 0
fi

# ---- every standard and compiler; two at a time ----
standards() { # standards COMPILER
	have "$1" || return 0
	for standard in c++17 c++20 c++2b; do
		echo "$1 -std=$standard"
		"$1" -std=$standard $flags -fsyntax-only tests/package/cxx.cc || return 1
	done
}
standards clang++ >"$tmp/standards.log" 2>&1 &
standards g++ || fail 'g++ refuses cxx.cc'
wait $! || { cat "$tmp/standards.log"; fail 'clang++ refuses cxx.cc'; }

# ---- what must not compile: each in a file of its own, by #line, in one program ----
mistake() { # mistake NAME CLASS-BODY STATEMENTS
	printf '#line 1 "%s"\nnamespace %s {\n' "$1" "$1"
	printf 'struct other { int n; OURO_TYPE(other, n) };\n'
	printf 'struct half { ouro::slot<other> at, more; OURO_TYPE(half, at) };\n'
	printf 'struct node { ouro::slot<node> next, prev; long n; %s };\n' "$2"
	printf 'inline void f(ouro::ref<node> a, ouro::ref<other> b)\n'
	printf '{ (void)a; (void)b; %s }\n}\n' "$3"
}
all='OURO_TYPE(node, next, prev, n)'
new='a = ouro::make<node>();'
program() { # program: no mistake, on stdout
	printf '#include <ouro.hpp>\n#include <vector>\n'
	mistake none "$all" "$new"
}
mistakes() { # mistakes: on stdout
	program
	mistake undescribed '' "$new"
	mistake middle_missing 'OURO_TYPE(node, next, n)' "$new"
	mistake first_missing 'OURO_TYPE(node, prev, n)' "$new"
	mistake last_missing 'OURO_TYPE(node, next, prev)' "$new"
	mistake order 'OURO_TYPE(node, prev, next, n)' "$new"
	mistake hidden 'std::vector<ouro::slot<node>> v; OURO_TYPE(node, next, prev, n, v)' "$new"
	mistake assigned "$all" 'a = b;'
	mistake stored "$all" 'a->next = b;'
	mistake weakly "$all" 'ouro::weak<node> w = b;'
	mistake copied "$all" 'auto copy = a->next; (void)copy;'
	mistake unpinned "$all" 'a->next.peek();'
	mistake key_later 'ouro::key_slot k; OURO_TYPE(node, next, prev, n, k)' "$new"
	mistake key_acyclic "static constexpr unsigned ouro_flags = OURO_ACYCLIC; $all" \
		'struct key { ouro::key_slot k; OURO_TYPE(key, k)
		static constexpr unsigned ouro_flags = OURO_ACYCLIC; }; ouro::make<key>().reset();'
	mistake item_missing "using ouro_item = half; $all" \
		'a = ouro::make_items<node>(2);'
	mistake evicted_as_other "$all" 'ouro::map<node>::make({ 1, {} }, [](other) {});'
	mistake made_and_dropped "$all" 'ouro::make<node>();'
	mistake taken_and_dropped "$all" 'a->next.take();'
}
for c in g++ clang++; do
	have $c || continue
	program >"$tmp/right.cc"
	$c -std=c++17 $flags -fsyntax-only "$tmp/right.cc" || fail "$c refuses what is right"
	mistakes >"$tmp/wrong.cc"
	case $c in *clang*) all_errors=-ferror-limit=0 ;; *) all_errors= ;; esac
	! $c -std=c++17 $flags $all_errors -fsyntax-only "$tmp/wrong.cc" >"$tmp/wrong.log" 2>&1 ||
		fail "$c: no mistake found"
	! grep '^none:' "$tmp/wrong.log" || fail "$c refuses what is right, beside mistakes"
	for name in $(sed -n 's/^namespace \([a-z_]*\) .*/\1/p' "$tmp/wrong.cc"); do
		[ "$name" = none ] || grep -q "^$name:" "$tmp/wrong.log" || {
			head -100 "$tmp/wrong.log"
			fail "$c does not see the mistake: $name"
		}
	done
	for message in 'has an OURO_TYPE' 'one is missing' 'in the order' 'use ouro::ref there' \
		'the first slot of its class' 'a key is not OURO_ACYCLIC'; do
		grep -q "$message" "$tmp/wrong.log" || fail "$c does not say: $message"
	done
done

# ---- instructions ----
cat >"$tmp/cost.cc" <<'END'
#include <ouro.hpp>
struct node { ouro::slot<node> next; long n; OURO_TYPE(node, next, n) };
struct c_node { c_node *next; long n; };
using ref = ouro::ref<node>;
ref some_node();
extern "C" {
void copy_c(c_node **to, c_node *const *from) { *to = static_cast<c_node *>(ouro_retain(*from)); }
void copy_cxx(ref *to, const ref *from) { new (to) ref(*from); }
void load_c(c_node **to, c_node *const *from) { *to = ouro_load(&(*from)->next); }
void load_cxx(ref *to, const ref *from) { new (to) ref((*from)->next); }
void store_c(c_node **to, c_node **obj) { ouro_store(&(*to)->next, *obj); }
void store_cxx(ref *to, ref *obj) { (*to)->next = *obj; }
void give_c(c_node **to, c_node **obj)
{
	c_node *p = *obj;
	*obj = nullptr;
	ouro_give(&(*to)->next, p);
}
void give_cxx(ref *to, ref *obj) { (*to)->next = std::move(*obj); }
void move_c(c_node **to, c_node **from) { c_node *p = *from; *from = nullptr; *to = p; }
void move_cxx(ref *to, ref *from) { new (to) ref(std::move(*from)); }
void drop_c(c_node **p, long *n) noexcept { if (*p) ouro_release(*p); ++*n; }
void drop_cxx(ref *p, long *n) { p->~ref(); ++*n; }
void get_c(c_node **to, ouro_map *const *m)
{
	*to = static_cast<c_node *>(ouro_map_get_int(*m, 7));
}
void get_cxx(ref *to, const ouro::ref<ouro::map<node>> *m) { new (to) ref((*m)->get(7)); }
[[noreturn, gnu::cold]] void failed(int error); /* as what throws */
void put_c(ouro_map *const *m, c_node *const *v)
{
	int error = ouro_map_put_int(*m, 7, *v);
	if (__builtin_expect(error != 0, 0))
		failed(error);
}
void put_cxx(const ouro::ref<ouro::map<node>> *m, const ref *v) { (*m)->put(7, *v); }
void put_for_c(ouro_map *const *m, c_node *const *v)
{
	int error = ouro_map_put_for_int(*m, 7, *v, UINT64_C(90000000000));
	if (__builtin_expect(error != 0, 0))
		failed(error);
}
void put_for_cxx(const ouro::ref<ouro::map<node>> *m, const ref *v)
{
	(*m)->put_for(7, *v, std::chrono::seconds(90));
}
void *make_node(const ouro_map_item *, void *);
void create_c(c_node **to, ouro_map *const *m)
{
	char arg;
	void *made = ouro_map_get_or_create_int(*m, 7, make_node, &arg);
	if (__builtin_expect(!made && errno != ENOENT, 0))
		failed(errno);
	*to = static_cast<c_node *>(made);
}
void create_cxx(ref *to, const ouro::ref<ouro::map<node>> *m)
{
	new (to) ref((*m)->get_or_create(7, [] { return some_node(); }));
}
void weak_get_c(c_node **to, ouro_weak_map *const *m)
{
	*to = static_cast<c_node *>(ouro_weak_map_get_int(*m, 7));
}
void weak_get_cxx(ref *to, const ouro::ref<ouro::weak_map<node>> *m)
{
	new (to) ref((*m)->get(7));
}
void key_get_c(c_node **to, ouro_key_map *const *m, c_node *const *key)
{
	*to = static_cast<c_node *>(ouro_key_map_get(*m, *key));
}
void key_get_cxx(ref *to, const ouro::ref<ouro::key_map<node, node>> *m, const ref *key)
{
	new (to) ref((*m)->get(*key));
}
void key_put_c(ouro_key_map *const *m, c_node *const *key, c_node *const *v)
{
	int error = ouro_key_map_put(*m, *key, *v);
	if (__builtin_expect(error != 0, 0))
		failed(error);
}
void key_put_cxx(const ouro::ref<ouro::key_map<node, node>> *m, const ref *key, const ref *v)
{
	(*m)->put(*key, *v);
}
void at_c(c_node **to, ouro_vec *const *v) { *to = static_cast<c_node *>(ouro_vec_get(*v, 7)); }
void at_cxx(ref *to, const ouro::ref<ouro::vec<node>> *v) { new (to) ref((**v)[7]); }
void hash_c(uint64_t *to, ouro_bytes *const *b) { *to = ouro_bytes_hash(*b); }
void hash_cxx(uint64_t *to, const ouro::ref<ouro::bytes> *b) { *to = (*b)->hash(); }
}
END
instructions() { # instructions FUNCTION: in $tmp/cost.s, the padding behind it left out
	awk -v name="<$1>:" '$2 == name { inside = 1; next } /^$/ { inside = 0 }
		inside && !/\tnop|\tcs nop|\tdata16|\txchg +%ax,%ax/ { n++ } END { print n + 0 }' \
		"$tmp/cost.s"
}
for c in g++ clang++; do
	have $c || continue
	$c -std=c++17 -O2 -Iinclude -c -o "$tmp/cost.o" "$tmp/cost.cc" || fail "$c: cost.cc"
	objdump -d --no-show-raw-insn "$tmp/cost.o" >"$tmp/cost.s"
	for name in copy load store give move drop get put put_for create weak_get key_get key_put \
		at hash; do
		in_c=$(instructions ${name}_c) in_cxx=$(instructions ${name}_cxx)
		[ "$in_c" -gt 0 ] && [ "$in_cxx" -gt 0 ] || fail "$name: no instructions found"
		[ -z "${VERBOSE:-}" ] || echo "$c $name: $in_cxx instructions, in C style $in_c"
		[ "$in_cxx" -le "$in_c" ] ||
			fail "$c: $name takes $in_cxx instructions, in C style $in_c"
	done
done
echo "cxx: ok"
