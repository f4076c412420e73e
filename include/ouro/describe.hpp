/*
 * ouro/describe.hpp - describing a C++ class as an ouro_type
 *
 *     OURO_TYPE(node, next, prev, name)
 *
 * stands in the class, and lists all its members, up to 32, in the order of their declaration. What
 * each of them is follows from its type:
 *   slot<U>, weak<U>, ouro_weak     found by the collector through their offsets, without a call;
 *                                   arrays of these (std::array, too), and members of a class that
 *                                   has an OURO_TYPE itself, likewise
 *   ref<U>, and what contains some  (std::vector, std::map, std::optional, std::unique_ptr, ...):
 *                                   visited by a traverse that is generated; see below
 *   key_slot                        the objects may be keys of a key_map
 *   all else                        none of the collector's business
 * A member that is left out is a compile-time error, if it is 8 bytes or more, as all of the above
 * are; so is a slot where the collector cannot find it, in a container. A class without a
 * description cannot be made. Further declarations that a class may have:
 *   OURO_TYPE_OF(node, base, ...)   instead: its first base has an OURO_TYPE of its own
 *   void finalize()                 the finalizer of ouro/type.h
 *   static ouro_queue *finalize_on()  a queue of the program's: finalize() runs where that is run
 *   void trace(ouro::tracer &t)     t(member) for each member that has references, also such as
 *                                   are not seen otherwise: instead of what is generated. It throws
 *                                   nothing
 *   using ouro_item = U             the type has trailing items: make_items
 *   static constexpr unsigned ouro_flags = OURO_ACYCLIC
 * A struct whose ouro_type is written in C is introduced by OURO_C_TYPE(node, node_type), outside
 * of all namespaces.
 *
 * ref<U> as a member. A collection may visit it at any time at which the thread that uses it is
 * outside of the library and not pinned. So a program changes such members, and what contains
 * some, under an ouro::pin, once the constructor has returned; reading needs none. Slots need
 * neither. A class that has some is 8 bytes longer in the heap.
 */
#ifndef OURO_DESCRIBE_HPP
#define OURO_DESCRIBE_HPP

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <tuple>

#include "member.hpp"
#include "queue.h"
#include "type.h"

namespace ouro {

class tracer;

namespace detail {

template <class T> struct tracing;

template <class M> struct field {
	using type = M;
	const char *name;
	std::size_t offset;
};

/* The classes that have an OURO_TYPE make it their friend. */
struct access {
	template <class T> static constexpr auto fields() { return T::ouro_fields_(); }
	template <class T> static constexpr const char *name() { return T::ouro_name_(); }
	template <class T> using base = typename T::ouro_base_;
	template <class T, class = decltype(T::ouro_name_())> static std::true_type described(int);
	template <class T> static std::false_type described(...);
	template <class T, class = decltype(std::declval<T &>().finalize())>
	static std::true_type finalizes(int);
	template <class T> static std::false_type finalizes(...);
	template <class T, class = decltype(std::declval<T &>().trace(std::declval<tracer &>()))>
	static std::true_type traces(int);
	template <class T> static std::false_type traces(...);
	template <class T> static typename T::ouro_item item(int);
	template <class T> static void item(...);
	template <class T> static constexpr unsigned flags(decltype(T::ouro_flags) *)
	{
		return T::ouro_flags;
	}
	template <class T> static constexpr unsigned flags(...) { return 0; }
	template <class T, class = decltype(T::finalize_on())> static std::true_type queues(int);
	template <class T> static std::false_type queues(...);
	template <class T> static ouro_queue *queue() { return T::finalize_on(); }
	template <class T> static void finalize(T &t) { t.finalize(); }
	template <class T> static void trace(T &t, tracer &v) { t.trace(v); }
};

template <class T> inline constexpr bool is_described = decltype(access::described<T>(0))::value;
template <class T> inline constexpr bool has_finalize = decltype(access::finalizes<T>(0))::value;
template <class T> inline constexpr bool has_trace = decltype(access::traces<T>(0))::value;
template <class T> using item_of = decltype(access::item<T>(0));

/* ---- what a member is ---- */

template <class M> struct is_slot : std::false_type {};
template <class T> struct is_slot<slot<T>> : std::true_type {};
template <> struct is_slot<key_slot> : std::true_type {};
template <class M> struct is_weak : std::is_same<M, ouro_weak> {};
template <class T> struct is_weak<weak<T>> : std::true_type {};
template <class M> struct is_ref : std::false_type {};
template <class T> struct is_ref<ref<T>> : std::true_type {};

/* The element of an array whose elements lie in the member itself; else the member. */
template <class M> struct element {
	using type = M;
	static constexpr std::size_t n = 1;
};
template <class M, std::size_t N> struct element<M[N]> {
	using type = typename element<M>::type;
	static constexpr std::size_t n = N * element<M>::n;
};
template <class M, std::size_t N> struct element<std::array<M, N>> : element<M[N]> {};
template <class M> struct element<std::array<M, 0>> {
	using type = char;
	static constexpr std::size_t n = 0;
};

/* What a container, a pair, an optional or a unique_ptr contains; void: it is none of these. */
template <class M, class = void> struct content {
	using first = void;
	using second = void;
};
template <class M>
struct content<M, std::void_t<typename M::value_type, decltype(std::declval<M &>().begin()),
			      decltype(std::declval<M &>().end())>> {
	using first = std::conditional_t<std::is_same_v<M, typename M::value_type>, void,
					 typename M::value_type>;
	using second = void;
};
template <class A, class B> struct content<std::pair<A, B>> {
	using first = std::remove_const_t<A>;
	using second = std::remove_const_t<B>;
};
template <class M> struct content<std::optional<M>> {
	using first = M;
	using second = void;
};
template <class M, class D> struct content<std::unique_ptr<M, D>> {
	using first = M;
	using second = void;
};

template <class M> constexpr bool holds_refs()
{
	using E = typename element<M>::type;
	if constexpr (std::is_void_v<E>)
		return false;
	else if constexpr (is_ref<E>::value || has_trace<E>)
		return true;
	else
		return holds_refs<typename content<E>::first>() ||
		       holds_refs<typename content<E>::second>();
}

template <class M> constexpr bool hides_slots()
{
	using E = typename element<M>::type;
	if constexpr (std::is_void_v<E>)
		return false;
	else if constexpr (is_slot<E>::value || (is_described<E> && !std::is_same_v<E, M>))
		return true;
	else
		return hides_slots<typename content<E>::first>() ||
		       hides_slots<typename content<E>::second>();
}

/* ---- the fields of a class ---- */

/* The names of fields, one after the other, as in a list of type.h. */
struct names {
	char text[768] = {};
	std::size_t n = 0;
	bool fits = true;

	constexpr void add(char c)
	{
		if (n + 1 < sizeof text)
			text[n++] = c;
		else
			fits = false;
	}
	constexpr void add(const char *s)
	{
		for (; *s; s++)
			add(*s);
	}
};

struct layout {
	ouro_fields slots, weaks;
	names slot_names, weak_names, path; /* path: of the members around what is added */
	bool named = false;                 /* each member is a field of its own, with its name */
	bool key = false, key_first = true; /* there is a key_slot; the first slot, alone */
	std::size_t end = 0;
	bool in_order = true, complete = true, fits = true;
};

/* The most fields that have names: type.h. */
inline constexpr std::uint32_t named_max = OURO_FIELDS_MAX - 2;

constexpr std::size_t round_up(std::size_t n, std::size_t unit)
{
	return (n + unit - 1) / unit * unit;
}

/* Adjacent ones are one field, but where they have names, or the last one is to stand @alone. */
constexpr bool add_words(ouro_fields &f, bool alone, std::size_t offset, std::size_t n)
{
	ouro_field *last = f.n && !alone ? &f.field[f.n - 1] : nullptr;
	if (last && last->offset + last->count * sizeof(void *) == offset) {
		last->count += static_cast<std::uint32_t>(n);
		return true;
	}
	if (f.n == OURO_FIELDS_MAX)
		return false;
	f.field[f.n++] = { static_cast<std::uint32_t>(offset), static_cast<std::uint32_t>(n) };
	return true;
}

/* Does a slot fit between two members, where the second would lie if it came next? */
constexpr bool has_gap(std::size_t end, std::size_t next, std::size_t align)
{
	constexpr std::size_t word = sizeof(void *);
	return round_up(end, align) != next && round_up(end, word) + word <= next;
}

template <class T> constexpr void lay_out(layout &l, std::size_t at);

constexpr void add_name(const layout &l, names &to, const char *name)
{
	if (!l.named)
		return;
	if (to.n)
		to.add(',');
	to.add(l.path.text);
	to.add(name);
}

/* Adds the members of @n described ones that are a member called @name. */
template <class E>
constexpr void add_inner(layout &l, const char *name, std::size_t offset, std::size_t n)
{
	names around = l.path;
	if (l.named && *name) {
		l.path.add(name);
		l.path.add('.');
		l.fits = l.fits && l.path.fits;
	}
	for (std::size_t i = 0; i < n; i++)
		lay_out<E>(l, offset + i * sizeof(E));
	l.path = around;
}

template <class M> constexpr void add_member(layout &l, const char *name, std::size_t offset)
{
	using E = typename element<M>::type;
	constexpr std::size_t n = element<M>::n;
	if constexpr (std::is_same_v<E, key_slot>) {
		l.key_first = l.slots.n == 0 && n == 1;
		l.key = true;
	}
	if constexpr (is_slot<E>::value) {
		bool alone = l.named || (l.key && l.slots.n == 1);
		l.fits = l.fits && add_words(l.slots, alone, offset, n);
		add_name(l, l.slot_names, name);
	} else if constexpr (is_weak<E>::value) {
		l.fits = l.fits && add_words(l.weaks, l.named, offset, n);
		add_name(l, l.weak_names, name);
	} else if constexpr (is_described<E>) {
		add_inner<E>(l, name, offset, n);
	} else
		static_assert(!hides_slots<E>(),
			      "a slot where the collector cannot find it: use ouro::ref there");
}

template <class M> constexpr void next_member(layout &l, field<M> f, std::size_t at)
{
	l.in_order = l.in_order && at + f.offset >= l.end;
	l.complete = l.complete && !has_gap(l.end, at + f.offset, alignof(M));
	add_member<M>(l, f.name, at + f.offset);
	l.end = at + f.offset + sizeof(M);
}

/* Adds the members of a T that lies at @at. */
template <class T> constexpr void lay_out(layout &l, std::size_t at)
{
	using base = typename access::base<T>;
	l.end = at + (std::is_polymorphic_v<T> ? sizeof(void *) : 0);
	if constexpr (!std::is_void_v<base>)
		lay_out<base>(l, at);
	std::apply([&](auto... f) { (next_member(l, f, at), ...); }, access::fields<T>());
	l.complete = l.complete && !has_gap(l.end, at + sizeof(T), alignof(T));
	if (l.end < at + sizeof(T) && std::is_standard_layout_v<T>)
		l.end = at + sizeof(T);
}

/* What is laid out: the members of a T, or the parts of an item. */
template <class M> struct as_item {};
template <class T> struct lay {
	static constexpr void out(layout &l) { lay_out<T>(l, 0); }
};
template <class M> struct lay<as_item<M>> {
	static constexpr void out(layout &l) { add_member<M>(l, "", 0); }
};

template <class T> constexpr layout layout_of(bool named)
{
	layout l;
	l.named = named;
	lay<T>::out(l);
	l.fits = l.fits && (!named || (l.slots.n <= named_max && l.weaks.n <= named_max &&
				       l.slot_names.fits && l.weak_names.fits));
	return l;
}

/* Where there is room for names, each slot has its own. */
template <class T> inline constexpr layout layout_with_names = layout_of<T>(true);
template <class T> inline constexpr layout layout_without = layout_of<T>(false);
template <class T> inline constexpr const layout &best_layout =
	layout_with_names<T>.fits ? layout_with_names<T> : layout_without<T>;

/* What a type points at lies here, and is no longer than it is. */
template <class T, names layout::*which> struct kept_names {
	static constexpr std::size_t n = (best_layout<T>.*which).n;
	struct text_type {
		char text[n + 1];
	};
	static constexpr text_type copy()
	{
		text_type to = {};
		for (std::size_t i = 0; i < n; i++)
			to.text[i] = (best_layout<T>.*which).text[i];
		return to;
	}
	static constexpr text_type kept = copy();
};

template <class T, ouro_fields layout::*list, names layout::*which>
constexpr ouro_fields fields_of()
{
	constexpr const layout &l = best_layout<T>;
	if constexpr (l.named && (l.*list).n != 0) {
		ouro_field f[named_max] = {};
		for (std::uint32_t i = 0; i < (l.*list).n; i++)
			f[i] = (l.*list).field[i];
		return ouro_fields(kept_names<T, which>::kept.text, (l.*list).n, f);
	} else {
		return l.*list;
	}
}

template <class T> constexpr bool has_refs()
{
	if constexpr (has_trace<T>) {
		return true;
	} else {
		bool found = false;
		if constexpr (!std::is_void_v<typename access::base<T>>)
			found = has_refs<typename access::base<T>>();
		std::apply(
			[&](auto... f) {
				((found = found || holds_refs<typename decltype(f)::type>()), ...);
			},
			access::fields<T>());
		return found;
	}
}

} // namespace detail

/* What trace is given. It visits the references in what it is called with, or drops them. */
class tracer {
public:
	template <class M> void operator()(M &member)
	{
		using E = std::remove_const_t<M>;
		if constexpr (detail::is_ref<E>::value)
			reference(const_cast<E &>(member));
		else if constexpr (detail::has_trace<E>)
			detail::access::trace(member, *this);
		else if constexpr (detail::holds_refs<E>())
			inside(member);
	}

private:
	template <class T> friend struct detail::tracing;

	explicit tracer(ouro_visitor *v) noexcept : visitor_(v) {}

	template <class T> void reference(ref<T> &r)
	{
		if (visitor_)
			ouro_visit(visitor_, detail::address(r.get()));
		else
			r.reset();
	}
	template <class A, class B> void inside(std::pair<A, B> &p)
	{
		(*this)(p.first);
		(*this)(p.second);
	}
	template <class M> void inside(std::optional<M> &o)
	{
		if (o)
			(*this)(*o);
	}
	template <class M, class D> void inside(std::unique_ptr<M, D> &p)
	{
		if (p)
			(*this)(*p);
	}
	template <class M> void inside(M &container)
	{
		for (auto &each : container)
			(*this)(each);
	}

	ouro_visitor *visitor_; /* nullptr: to drop what there is */
};

} // namespace ouro

#define OURO_TYPE(T, ...) OURO_TYPE_OF(T, void, __VA_ARGS__)
#define OURO_TYPE_OF(T, base, ...) \
	friend struct ::ouro::detail::access; \
	using ouro_base_ = base; \
	static constexpr const char *ouro_name_() { return #T; } \
	_Pragma("GCC diagnostic push") \
	_Pragma("GCC diagnostic ignored \"-Winvalid-offsetof\"") \
	static constexpr auto ouro_fields_() \
	{ \
		return std::make_tuple( \
			OURO_EACH_(OURO_COUNT32_(__VA_ARGS__), OURO_MEMBER_, T, __VA_ARGS__)); \
	} \
	_Pragma("GCC diagnostic pop")
#define OURO_MEMBER_(T, m) ::ouro::detail::field<decltype(T::m)>{ #m, offsetof(T, m) }

#define OURO_C_TYPE(T, description) \
	template <> struct ouro::detail::described_in_c<T> : std::true_type { \
		static const ouro_type *type() { return &description; } \
	}

namespace ouro::detail {

template <class T> struct described_in_c : std::false_type {};

} // namespace ouro::detail

/* ---- how the macros work; nothing below is for programs ---- */

#define OURO_COUNT32_(...) OURO_COUNT32_PICK_(__VA_ARGS__, 32, 31, 30, 29, 28, 27, 26, \
	25, 24, 23, 22, 21, 20, 19, 18, 17, 16, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, \
	1, 0)
#define OURO_COUNT32_PICK_(a1, a2, a3, a4, a5, a6, a7, a8, a9, a10, a11, a12, a13, a14, \
	a15, a16, a17, a18, a19, a20, a21, a22, a23, a24, a25, a26, a27, a28, a29, a30, a31, \
	a32, count, ...) count
#define OURO_EACH_(count, F, t, ...) OURO_EACH_N_(count, F, t, __VA_ARGS__)
#define OURO_EACH_N_(count, F, t, ...) OURO_EACH_##count##_(F, t, __VA_ARGS__)
#define OURO_EACH_1_(F, t, a) F(t, a)
#define OURO_EACH_2_(F, t, a, ...) F(t, a), OURO_EACH_1_(F, t, __VA_ARGS__)
#define OURO_EACH_3_(F, t, a, ...) F(t, a), OURO_EACH_2_(F, t, __VA_ARGS__)
#define OURO_EACH_4_(F, t, a, ...) F(t, a), OURO_EACH_3_(F, t, __VA_ARGS__)
#define OURO_EACH_5_(F, t, a, ...) F(t, a), OURO_EACH_4_(F, t, __VA_ARGS__)
#define OURO_EACH_6_(F, t, a, ...) F(t, a), OURO_EACH_5_(F, t, __VA_ARGS__)
#define OURO_EACH_7_(F, t, a, ...) F(t, a), OURO_EACH_6_(F, t, __VA_ARGS__)
#define OURO_EACH_8_(F, t, a, ...) F(t, a), OURO_EACH_7_(F, t, __VA_ARGS__)
#define OURO_EACH_9_(F, t, a, ...) F(t, a), OURO_EACH_8_(F, t, __VA_ARGS__)
#define OURO_EACH_10_(F, t, a, ...) F(t, a), OURO_EACH_9_(F, t, __VA_ARGS__)
#define OURO_EACH_11_(F, t, a, ...) F(t, a), OURO_EACH_10_(F, t, __VA_ARGS__)
#define OURO_EACH_12_(F, t, a, ...) F(t, a), OURO_EACH_11_(F, t, __VA_ARGS__)
#define OURO_EACH_13_(F, t, a, ...) F(t, a), OURO_EACH_12_(F, t, __VA_ARGS__)
#define OURO_EACH_14_(F, t, a, ...) F(t, a), OURO_EACH_13_(F, t, __VA_ARGS__)
#define OURO_EACH_15_(F, t, a, ...) F(t, a), OURO_EACH_14_(F, t, __VA_ARGS__)
#define OURO_EACH_16_(F, t, a, ...) F(t, a), OURO_EACH_15_(F, t, __VA_ARGS__)
#define OURO_EACH_17_(F, t, a, ...) F(t, a), OURO_EACH_16_(F, t, __VA_ARGS__)
#define OURO_EACH_18_(F, t, a, ...) F(t, a), OURO_EACH_17_(F, t, __VA_ARGS__)
#define OURO_EACH_19_(F, t, a, ...) F(t, a), OURO_EACH_18_(F, t, __VA_ARGS__)
#define OURO_EACH_20_(F, t, a, ...) F(t, a), OURO_EACH_19_(F, t, __VA_ARGS__)
#define OURO_EACH_21_(F, t, a, ...) F(t, a), OURO_EACH_20_(F, t, __VA_ARGS__)
#define OURO_EACH_22_(F, t, a, ...) F(t, a), OURO_EACH_21_(F, t, __VA_ARGS__)
#define OURO_EACH_23_(F, t, a, ...) F(t, a), OURO_EACH_22_(F, t, __VA_ARGS__)
#define OURO_EACH_24_(F, t, a, ...) F(t, a), OURO_EACH_23_(F, t, __VA_ARGS__)
#define OURO_EACH_25_(F, t, a, ...) F(t, a), OURO_EACH_24_(F, t, __VA_ARGS__)
#define OURO_EACH_26_(F, t, a, ...) F(t, a), OURO_EACH_25_(F, t, __VA_ARGS__)
#define OURO_EACH_27_(F, t, a, ...) F(t, a), OURO_EACH_26_(F, t, __VA_ARGS__)
#define OURO_EACH_28_(F, t, a, ...) F(t, a), OURO_EACH_27_(F, t, __VA_ARGS__)
#define OURO_EACH_29_(F, t, a, ...) F(t, a), OURO_EACH_28_(F, t, __VA_ARGS__)
#define OURO_EACH_30_(F, t, a, ...) F(t, a), OURO_EACH_29_(F, t, __VA_ARGS__)
#define OURO_EACH_31_(F, t, a, ...) F(t, a), OURO_EACH_30_(F, t, __VA_ARGS__)
#define OURO_EACH_32_(F, t, a, ...) F(t, a), OURO_EACH_31_(F, t, __VA_ARGS__)

#endif
