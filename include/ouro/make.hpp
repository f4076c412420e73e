/* ouro/make.hpp - making objects: ouro::make, make_items; what becomes of exceptions. */
#ifndef OURO_MAKE_HPP
#define OURO_MAKE_HPP

#include <atomic>
#include <exception>
#include <system_error>
#ifdef __GLIBCXX__
#include <cxxabi.h>
#endif

#include "describe.hpp"

namespace ouro {

/*
 * Called within the handler of an exception that a destructor, finalize() or on_evict threw: `throw;`
 * there gets it back. @where is "destructor", "finalizer" or "on_evict". It must not throw. What was
 * to be done is done: the object's other members are destroyed, its death goes on.
 */
using unhandled_function = void (*)(const char *type, const char *where);

namespace detail {

inline void tell_unhandled(const char *type, const char *where)
{
	try {
		throw;
	} catch (const std::exception &e) {
		std::fprintf(stderr, "ouro: exception ignored in the %s of %s: %s\n", where, type,
			     e.what());
	} catch (...) {
		std::fprintf(stderr, "ouro: exception ignored in the %s of %s\n", where, type);
	}
}

inline std::atomic<unhandled_function> on_unhandled{ tell_unhandled };

/* The end of a thread, by cancellation or pthread_exit, is no exception, and goes on. */
template <class F> void guarded(const char *type, const char *where, F f)
{
	try {
		f();
#ifdef __GLIBCXX__
	} catch (abi::__forced_unwind &) {
		throw;
#endif
	} catch (...) {
		on_unhandled.load(std::memory_order_acquire)(type, where);
	}
}

/*
 * Objects whose constructor threw, and which are not gone yet: they have nothing to finalize or to
 * destroy. They go at once, but where a release is put off (inside callbacks), or somebody else has
 * a reference for a moment; so few places are enough.
 */
class abandoned_list {
public:
	void add(void *obj) noexcept
	{
		for (auto &place : places_) {
			void *none = nullptr;
			if (place.compare_exchange_strong(none, obj)) {
				n_++;
				return;
			}
		}
		std::fputs("ouro: too many objects whose constructors threw are held\n", stderr);
		std::abort();
	}
	bool has(void *obj) const noexcept
	{
		return n_.load(std::memory_order_relaxed) && find(obj);
	}
	/* Takes it off the list; returns false if it is not there. */
	bool take(void *obj) noexcept
	{
		auto *place = n_.load(std::memory_order_relaxed) ? find(obj) : nullptr;
		if (!place)
			return false;
		n_--;
		place->store(nullptr);
		return true;
	}

private:
	std::atomic<void *> *find(void *obj) const noexcept
	{
		for (auto &place : places_)
			if (place.load() == obj)
				return const_cast<std::atomic<void *> *>(&place);
		return nullptr;
	}

	std::atomic<void *> places_[256] = {};
	std::atomic<int> n_{ 0 };
};

inline abandoned_list abandoned;

} // namespace detail

/* Says who hears of exceptions that nobody can catch; nullptr: a line on stderr, the default. */
inline void unhandled(unhandled_function fn) noexcept
{
	detail::on_unhandled = fn ? fn : detail::tell_unhandled;
}

/* ---- types ---- */

namespace detail {

/* What a traverse and a clear do with a T. */
template <class T> struct tracing {
	static constexpr std::size_t flag_at = detail::round_up(sizeof(T), sizeof(std::uint64_t));

	/* Behind the T: whether its constructor has returned. */
	static bool is_ready(void *obj) noexcept
	{
		return __atomic_load_n(flag(obj), __ATOMIC_ACQUIRE) != 0;
	}
	static void set_ready(void *obj) noexcept
	{
		__atomic_store_n(flag(obj), UINT64_C(1), __ATOMIC_RELEASE);
	}
	static void traverse(void *obj, ouro_visitor *v)
	{
		tracer t(v);
		if (is_ready(obj))
			members(*static_cast<T *>(obj), t);
	}
	static void clear(void *obj)
	{
		tracer t(nullptr);
		if (is_ready(obj))
			members(*static_cast<T *>(obj), t);
	}

	template <class C> static void members(C &c, tracer &t)
	{
		if constexpr (detail::has_trace<C>) {
			detail::access::trace(c, t);
		} else {
			using base = typename detail::access::base<C>;
			if constexpr (!std::is_void_v<base>)
				members(static_cast<base &>(c), t);
			std::apply([&](auto... f) { (member(c, f, t), ...); },
				   detail::access::fields<C>());
		}
	}

private:
	static std::uint64_t *flag(void *obj) noexcept
	{
		void *flag = static_cast<char *>(obj) + flag_at;
		return static_cast<std::uint64_t *>(flag);
	}
	template <class C, class M> static void member(C &c, detail::field<M> f, tracer &t)
	{
		void *place = static_cast<char *>(static_cast<void *>(&c)) + f.offset;
		if constexpr (detail::holds_refs<M>())
			t(*static_cast<M *>(place));
	}
};

template <class T> constexpr std::size_t fixed_size()
{
	std::size_t n = sizeof(T);
	if constexpr (has_refs<T>())
		n = tracing<T>::flag_at + sizeof(std::uint64_t);
	if constexpr (!std::is_void_v<item_of<T>>)
		n = round_up(n, alignof(item_of<T>) > 8 ? alignof(item_of<T>) : 8);
	return n;
}

template <class T> item_of<T> *first_item(void *obj)
{
	void *first = static_cast<char *>(obj) + fixed_size<T>();
	return static_cast<item_of<T> *>(first);
}

template <class T> void destroy_items(void *obj, std::size_t n)
{
	using item = item_of<T>;
	if constexpr (!std::is_void_v<item>)
		if constexpr (!std::is_trivially_destructible_v<item>)
			while (n > 0)
				guarded(access::name<T>(), "destructor",
					[&] { first_item<T>(obj)[--n].~item(); });
}

template <class T> void finalize_now(void *obj)
{
	guarded(access::name<T>(), "finalizer",
		[&] { access::finalize(*static_cast<T *>(obj)); });
}

template <class T> void finalize(void *obj)
{
	if (abandoned.has(obj))
		return;
	if constexpr (decltype(access::queues<T>(0))::value)
		if (ouro_queue_put(access::queue<T>(), obj, finalize_now<T>) == 0)
			return;
	finalize_now<T>(obj);
}

template <class T> void destroy(void *obj)
{
	if (abandoned.take(obj))
		return;
	guarded(access::name<T>(), "destructor", [&] { static_cast<T *>(obj)->~T(); });
	destroy_items<T>(obj, ouro_items(obj));
}

template <class T> constexpr bool needs_destroy()
{
	if constexpr (!std::is_void_v<item_of<T>>)
		if constexpr (!std::is_trivially_destructible_v<item_of<T>>)
			return true;
	return !std::is_trivially_destructible_v<T>;
}

template <class T> constexpr void check_layout()
{
	constexpr const layout &l = best_layout<T>;
	static_assert(l.in_order, "OURO_TYPE lists the members in the order of their declaration");
	static_assert(l.complete, "OURO_TYPE lists all members, and one is missing");
	static_assert(l.fits, "a type has at most 16 fields of slots; declare slots side by side");
}

template <class T> constexpr void describe_items(ouro_type &t)
{
	using item = item_of<T>;
	using part = as_item<item>;
	static_assert(!holds_refs<item>() && (!is_described<item> || !holds_refs<item>()),
		      "an item has slots, not refs");
	static_assert(!best_layout<part>.key, "an item is no key");
	check_layout<part>();
	t.item_size = sizeof(item);
	t.item_slots = fields_of<part, &layout::slots, &layout::slot_names>();
	t.item_weaks = fields_of<part, &layout::weaks, &layout::weak_names>();
}

template <class T> constexpr unsigned flags_of()
{
	constexpr const layout &l = best_layout<T>;
	constexpr unsigned flags = access::flags<T>(nullptr) |
				   (l.key ? unsigned{ OURO_KEY } : 0u);
	static_assert(!l.key || l.key_first, "a key_slot is the first slot of its class, and alone");
	static_assert(!l.key || !(flags & OURO_ACYCLIC), "a key is not OURO_ACYCLIC");
	return flags;
}

template <class T> constexpr ouro_type describe()
{
	check_layout<T>();
	static_assert(alignof(T) <= 16, "objects are aligned to 16 bytes");
	ouro_type t;
	t.name = access::name<T>();
	t.size = fixed_size<T>();
	t.slots = fields_of<T, &layout::slots, &layout::slot_names>();
	t.weaks = fields_of<T, &layout::weaks, &layout::weak_names>();
	t.flags = flags_of<T>();
	if constexpr (!std::is_void_v<item_of<T>>)
		describe_items<T>(t);
	if constexpr (has_finalize<T>)
		t.finalize = finalize<T>;
	if constexpr (needs_destroy<T>() || has_finalize<T>)
		t.destroy = destroy<T>;
	if constexpr (has_refs<T>()) {
		t.traverse = tracing<T>::traverse;
		t.clear = tracing<T>::clear;
	}
	return t;
}

template <class T> inline constexpr ouro_type described_by_macro = describe<T>();

} // namespace detail

/* The description of T. */
template <class T> const ouro_type *type_of() noexcept
{
	if constexpr (detail::described_in_c<T>::value) {
		return detail::described_in_c<T>::type();
	} else if constexpr (detail::is_described<T>) {
		return &detail::described_by_macro<T>;
	} else {
		static_assert(detail::is_described<T>, "a class of objects has an OURO_TYPE");
		return nullptr;
	}
}

/* To T, if the object was made as one; empty if as something else, a class derived from T, too. */
template <class T, class U> ref<T> exact_ref_cast(ref<U> r) noexcept
{
	return ouro_typeof(r.get()) == type_of<T>() ? static_ref_cast<T>(std::move(r)) : ref<T>();
}

/* ---- making ---- */

namespace detail {

[[noreturn]] inline void throw_refused(int error)
{
	if (error == ENOMEM)
		throw std::bad_alloc();
	throw std::system_error(error, std::generic_category(), "ouro");
}

inline void empty_slots(void *obj, const ouro_fields &f) noexcept
{
	for (std::uint32_t i = 0; i < f.n; i++) {
		char *slot = static_cast<char *>(obj) + f.field[i].offset;
		for (std::uint32_t k = 0; k < f.field[i].count; k++)
			ouro_slot_give(slot + k * sizeof(void *), nullptr);
	}
}

/* The constructor threw: what it had stored goes, the object with it. */
template <class T> void abandon(void *obj, std::size_t n_items) noexcept
{
	const ouro_type *t = type_of<T>();
	empty_slots(obj, t->slots);
	for (std::size_t i = 0; i < n_items; i++)
		empty_slots(static_cast<char *>(obj) + t->size + i * t->item_size, t->item_slots);
	if (t->destroy)
		abandoned.add(obj);
	ouro_release(obj);
}

/* Zeroed memory becomes items one by one; those that threw, and later ones, never were. */
template <class T> void construct_items(void *obj, std::size_t n)
{
	using item = item_of<T>;
	std::size_t i = 0;
	try {
		for (; i < n; i++)
			::new (static_cast<void *>(first_item<T>(obj) + i)) item;
	} catch (...) {
		destroy_items<T>(obj, i);
		throw;
	}
}

template <class T, class... A> void construct(void *obj, A &&...a)
{
	if constexpr (sizeof...(A) == 0)
		::new (obj) T; /* not T(), which would write zeros over what is zero */
	else if constexpr (std::is_constructible_v<T, A...>)
		::new (obj) T(std::forward<A>(a)...);
	else
		::new (obj) T{ std::forward<A>(a)... };
}

template <class T, class... A> void construct_all(void *obj, std::size_t n, A &&...a)
{
	if constexpr (std::is_void_v<item_of<T>>) {
		construct<T>(obj, std::forward<A>(a)...);
	} else {
		construct_items<T>(obj, n);
		try {
			construct<T>(obj, std::forward<A>(a)...);
		} catch (...) {
			destroy_items<T>(obj, n);
			throw;
		}
	}
}

/* @obj is new, or NULL; @n is 0 for a type without items. */
template <class T, class... A> ref<T> made(void *obj, std::size_t n, A &&...a)
{
	if (!obj)
		throw_refused(errno);
	if constexpr (is_described<T>) {
		try {
			construct_all<T>(obj, n, std::forward<A>(a)...);
		} catch (...) {
			abandon<T>(obj, n);
			throw;
		}
		if constexpr (has_refs<T>())
			tracing<T>::set_ready(obj);
	}
	return ref<T>::adopt(static_cast<T *>(obj));
}

} // namespace detail

/*
 * make<T>(arguments...) - an object, made by ouro_new and the constructor of T; without arguments
 *                         its members without a constructor are 0
 *
 * Of a type that is written in C it is the zeroed object, and there are no arguments.
 * Throws: std::bad_alloc (ouro_new's ENOMEM), std::system_error (EINVAL), and what the constructor
 *         throws: then there is no object, and no destructor or finalize() of T runs. The
 *         constructor may give away references to the object (ouro::share(this)), but if it throws
 *         after that, the others' are to what no constructor has finished.
 */
template <class T, class... A> [[nodiscard]] ref<T> make(A &&...a)
{
	return detail::made<T>(ouro_new(type_of<T>()), 0, std::forward<A>(a)...);
}

/*
 * make_items<T>(n, arguments...) - an object of a T that has trailing items (using ouro_item), by
 *                                  ouro_new_items; the items are there before T's constructor runs,
 *                                  and until its destructor has
 */
template <class T, class... A> [[nodiscard]] ref<T> make_items(std::size_t n, A &&...a)
{
	return detail::made<T>(ouro_new_items(type_of<T>(), n), n, std::forward<A>(a)...);
}

/* The items of an object. */
template <class Item> class item_range {
public:
	item_range(Item *first, std::size_t n) noexcept : first_(first), n_(n) {}
	Item *begin() const noexcept { return first_; }
	Item *end() const noexcept { return first_ + n_; }
	std::size_t size() const noexcept { return n_; }
	Item &operator[](std::size_t i) const noexcept { return first_[i]; }

private:
	Item *first_;
	std::size_t n_;
};

/* The items of an object, as long as that is there; none of an empty reference. */
template <class T> item_range<detail::item_of<T>> items(const ref<T> &r) noexcept
{
	return { r ? detail::first_item<T>(r.get()) : nullptr, ouro_items(r.get()) };
}
/* Of an object that is used through a bare pointer, as `this`. */
template <class T> item_range<detail::item_of<T>> items(T *obj) noexcept
{
	return { detail::first_item<T>(obj), ouro_items(obj) };
}

} // namespace ouro

#endif
