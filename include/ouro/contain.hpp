/*
 * ouro/contain.hpp - ouro::map<V>, ouro::vec<T>, ouro::bytes: the containers of C, with types
 *
 *     ouro::ref<ouro::map<session>> sessions = ouro::map<session>::make();
 *     sessions->put("a key", ouro::make<session>());
 *     ouro::ref<session> s = sessions->get("a key");
 *
 * (ouro::weak_map<V> and ouro::key_map<K, V> have headers of their own.)
 * They are objects as others are: a ref or a slot holds one, several threads use it at once, and
 * the collector goes through it. A call is the C call that is named at it, and what that says of
 * its answers, of what it blocks for and runs, holds here. Without memory std::bad_alloc is thrown,
 * and nothing has changed; an empty ref as a value throws std::invalid_argument. What a function
 * that is given to each() throws ends the walk, and goes on to its caller; what one throws that is
 * given to get_or_create() goes on to its caller, too, and the next who asks runs its own.
 */
#ifndef OURO_CONTAIN_HPP
#define OURO_CONTAIN_HPP

#include <cerrno>
#include <chrono>
#include <new>
#include <stdexcept>
#include <string_view>

#include "bytes.h"
#include "make.hpp"
#include "map.h"
#include "ref.hpp"
#include "vec.h"

namespace ouro {

namespace detail {

template <class To> To *made(void *obj)
{
	if (!obj)
		throw std::bad_alloc();
	return static_cast<To *>(obj);
}

/* What C knows an object as. */
template <class C> C *known_as(const void *self) noexcept
{
	return static_cast<C *>(address(self));
}

/* What EINVAL means. */
enum class refused { value, untimed, key, negative };

constexpr const char *text_of(refused why)
{
	switch (why) {
	case refused::value: break;
	case refused::untimed: return "ouro: no value, or the map has no times to live";
	case refused::key: return "ouro: no value, or no object that may be a key";
	case refused::negative: return "ouro: a time to live below zero";
	}
	return "ouro: an empty reference is no value";
}

template <refused why = refused::value> [[noreturn]] void refuse(int error)
{
	if (error == ENOMEM)
		throw std::bad_alloc();
	throw std::invalid_argument(text_of(why));
}

template <refused why = refused::value> void check(int error)
{
	if (__builtin_expect(error != 0, 0))
		refuse<why>(error);
}

/* @answer: what a call says of which that is not the reason for an exception */
inline bool check(int error, int answer)
{
	if (error != answer)
		check(error);
	return error == 0;
}

} // namespace detail

/* A key as it is met: a number, or bytes. */
class map_key {
public:
	explicit map_key(const ouro_map_item &item) noexcept : item_(item) {}
	bool is_number() const noexcept { return !item_.bytes; }
	std::uint64_t number() const noexcept { return item_.number; }
	std::string_view bytes() const noexcept
	{
		return { static_cast<const char *>(item_.bytes), item_.size };
	}

private:
	const ouro_map_item &item_;
};

/* As a time to live: none. */
inline constexpr std::chrono::nanoseconds for_ever{ INT64_MAX };

namespace detail {

/* What a walk through a map of V calls: @f is an F. */
template <class V, class F> bool visit_item(const ouro_map_item *item, void *f)
{
	return (*static_cast<F *>(f))(map_key(*item), *static_cast<V *>(item->value));
}

/* What get_or_create has returned. NULL with ENOENT: what the function returned was empty. */
template <class V> ref<V> own_made(void *v)
{
	if (__builtin_expect(!v && errno != ENOENT, 0))
		throw_refused(errno);
	return ref<V>::adopt(static_cast<V *>(v));
}

/* The factory of a map: @f is an F, which is called with the key if it likes. */
template <class V, class F> void *make_value(const ouro_map_item *item, void *f)
{
	F &make = *static_cast<F *>(f);
	ref<V> made;
	if constexpr (std::is_invocable_v<F &, map_key>)
		made = make(map_key(*item));
	else
		made = make();
	if (!made)
		errno = ENOENT;
	return address(made.detach());
}

/* @d is above zero. What is so long is for ever, for what C counts in 64 bits, too. */
template <class Rep, class Period>
constexpr std::chrono::nanoseconds in_ns(std::chrono::duration<Rep, Period> d)
{
	using std::chrono::nanoseconds;
	if constexpr (std::ratio_greater_v<Period, std::nano>) {
		using wide = std::chrono::duration<std::common_type_t<Rep, std::int64_t>, Period>;
		constexpr wide most = std::chrono::duration_cast<wide>(for_ever);
		if (!(wide(d) < most))
			return for_ever;
	}
	return std::chrono::duration_cast<nanoseconds>(d);
}

constexpr std::uint64_t ttl_ns(std::chrono::nanoseconds ns)
{
	return ns == for_ever ? OURO_MAP_FOR_EVER : static_cast<std::uint64_t>(ns.count());
}

/* Lies in an object that the map keeps. */
template <class V, class F> struct on_evict {
	F call;

	explicit on_evict(F &&f) : call(std::move(f)) {}
	static void tell(const ouro_map_item *item, ouro_map_reason why, void *self)
	{
		guarded("ouro::map", "on_evict", [&] {
			V &value = *static_cast<V *>(item->value);
			static_cast<on_evict *>(self)->call(map_key(*item), value, why);
		});
	}
	OURO_TYPE(on_evict, call)
};

} // namespace detail

/* What a map holds at most, and for how long: ouro/map.h, "Maps with limits". */
struct map_limits {
	std::size_t max_entries = 0;       /* 0: no limit */
	std::chrono::nanoseconds ttl{ 0 }; /* 0: no limit, and no put_for */
};

/* Keys, numbers or bytes, to objects of type V: ouro/map.h. */
template <class V> class map {
public:
	/* C makes it: there is only its address. */
	map() = delete;
	map(const map &) = delete;
	map &operator=(const map &) = delete;

	using number = std::uint64_t;
	using bytes = std::string_view;

	/* ouro_map_new */
	[[nodiscard]] static ref<map> make()
	{
		return ref<map>::adopt(detail::made<map>(ouro_map_new()));
	}
	/* ouro_map_new_with: a cache. std::invalid_argument: a time below zero. */
	[[nodiscard]] static ref<map> make(const map_limits &limits)
	{
		return limited(limits, ouro_map_options());
	}
	/*
	 * The same; @f(map_key, V &, ouro_map_reason) is told of each value that was evicted, by
	 * whichever thread did that, the library's, too; so by several at once. The map moves it
	 * into an object, and destroys it some time after its own end. What @f holds in refs is
	 * kept; to refer to the map or to what is in it without leaks, let it have weak references,
	 * or be of a class with an OURO_TYPE. unhandled() hears of what it throws.
	 */
	template <class F> [[nodiscard]] static ref<map> make(const map_limits &limits, F f)
	{
		using told = detail::on_evict<V, F>;
		ref<told> kept = ouro::make<told>(std::move(f));
		ouro_map_options o;
		o.on_evict = told::tell;
		o.on_evict_arg = o.keeps = kept.get();
		return limited(limits, o);
	}

	/* ouro_map_get: empty if the key is not there */
	[[nodiscard]] ref<V> get(number key) { return own(ouro_map_get_int(c(), key)); }
	[[nodiscard]] ref<V> get(bytes key)
	{
		return own(ouro_map_get(c(), key.data(), key.size()));
	}

	/* ouro_map_put */
	void put(number key, const ref<V> &v) { detail::check(ouro_map_put_int(c(), key, p(v))); }
	void put(bytes key, const ref<V> &v)
	{
		detail::check(ouro_map_put(c(), key.data(), key.size(), p(v)));
	}

	/*
	 * ouro_map_put_for: with a time to live of its own; one of zero or less is over at once.
	 * std::invalid_argument: the map has no ttl.
	 */
	template <class Rep, class Period>
	void put_for(number key, const ref<V> &v, std::chrono::duration<Rep, Period> ttl)
	{
		check_timed(ouro_map_put_for_int(c(), key, p(v), time_left(ttl)));
	}
	template <class Rep, class Period>
	void put_for(bytes key, const ref<V> &v, std::chrono::duration<Rep, Period> ttl)
	{
		check_timed(ouro_map_put_for(c(), key.data(), key.size(), p(v), time_left(ttl)));
	}

	/* ouro_map_put_if_absent: false if the key is there */
	bool put_if_absent(number key, const ref<V> &v)
	{
		return detail::check(ouro_map_put_if_absent_int(c(), key, p(v)), EEXIST);
	}
	bool put_if_absent(bytes key, const ref<V> &v)
	{
		return detail::check(
			ouro_map_put_if_absent(c(), key.data(), key.size(), p(v)), EEXIST);
	}

	/* ouro_map_replace: false if the key is not there, or its value is not @expected */
	bool replace(number key, const ref<V> &v)
	{
		return detail::check(ouro_map_replace_int(c(), key, nullptr, p(v)), ENOENT);
	}
	bool replace(bytes key, const ref<V> &v)
	{
		return detail::check(
			ouro_map_replace(c(), key.data(), key.size(), nullptr, p(v)), ENOENT);
	}
	bool replace(number key, const ref<V> &expected, const ref<V> &v)
	{
		return expected &&
		       detail::check(ouro_map_replace_int(c(), key, p(expected), p(v)), ENOENT);
	}
	bool replace(bytes key, const ref<V> &expected, const ref<V> &v)
	{
		return expected && detail::check(ouro_map_replace(c(), key.data(), key.size(),
								  p(expected), p(v)),
						 ENOENT);
	}

	/*
	 * ouro_map_get_or_create: f(), or f(map_key), returns a ref to the value; an empty one: there
	 * is none, and all who have waited for it get an empty one, too. std::system_error: EDEADLK,
	 * and what a factory in C left in errno.
	 */
	template <class F> [[nodiscard]] ref<V> get_or_create(number key, F f)
	{
		return detail::own_made<V>(
			ouro_map_get_or_create_int(c(), key, detail::make_value<V, F>, &f));
	}
	template <class F> [[nodiscard]] ref<V> get_or_create(bytes key, F f)
	{
		return detail::own_made<V>(ouro_map_get_or_create(c(), key.data(), key.size(),
						       detail::make_value<V, F>, &f));
	}

	/* ouro_map_take: the map's own reference; empty if the key was not there */
	[[nodiscard]] ref<V> take(number key) { return own(ouro_map_take_int(c(), key)); }
	[[nodiscard]] ref<V> take(bytes key)
	{
		return own(ouro_map_take(c(), key.data(), key.size()));
	}

	/* ouro_map_remove: true if this call removed it */
	bool remove(number key) { return ouro_map_remove_int(c(), key); }
	bool remove(bytes key) { return ouro_map_remove(c(), key.data(), key.size()); }

	/* ouro_map_size, ouro_map_clear */
	std::size_t size() const noexcept { return ouro_map_size(c()); }
	void clear() { ouro_map_clear(c()); }

	/* ouro_map_each: f(map_key, V &), until it returns false; the key is valid until then */
	template <class F> bool each(F f)
	{
		return ouro_map_each(c(), detail::visit_item<V, F>, &f);
	}

	/* What C knows it as. */
	ouro_map *c() const noexcept
	{
		return detail::known_as<ouro_map>(this);
	}

private:
	static void *p(const ref<V> &v) noexcept { return detail::address(v.get()); }
	static ref<V> own(void *v) noexcept { return ref<V>::adopt(static_cast<V *>(v)); }
	static ref<map> limited(const map_limits &limits, ouro_map_options o)
	{
		if (limits.ttl.count() < 0)
			detail::refuse<detail::refused::negative>(EINVAL);
		o.max_entries = limits.max_entries;
		o.ttl_ns = detail::ttl_ns(limits.ttl);
		void *made = ouro_map_new_with(&o);
		if (!made)
			detail::throw_refused(errno);
		return ref<map>::adopt(static_cast<map *>(made));
	}
	template <class D> static constexpr std::uint64_t time_left(D ttl)
	{
		std::uint64_t ns = ttl > D::zero() ? detail::ttl_ns(detail::in_ns(ttl)) : 0;
		return ns ? ns : 1;
	}
	static void check_timed(int error) { detail::check<detail::refused::untimed>(error); }
};

/* A growable array of objects of type T: ouro/vec.h. */
template <class T> class vec {
public:
	/* C makes it: there is only its address. */
	vec() = delete;
	vec(const vec &) = delete;
	vec &operator=(const vec &) = delete;

	/* ouro_vec_new */
	[[nodiscard]] static ref<vec> make(std::size_t capacity = 0)
	{
		return ref<vec>::adopt(detail::made<vec>(ouro_vec_new(capacity)));
	}

	/* ouro_vec_get: empty if there is none */
	[[nodiscard]] ref<T> get(std::size_t i) { return own(ouro_vec_get(c(), i)); }
	[[nodiscard]] ref<T> operator[](std::size_t i) { return get(i); }

	/* ouro_vec_set: false if there is none */
	bool set(std::size_t i, const ref<T> &v)
	{
		return detail::check(ouro_vec_set(c(), i, p(v)), ERANGE);
	}
	/* ouro_vec_compare_set: false if there is another, or none */
	bool compare_set(std::size_t i, const ref<T> &expected, const ref<T> &v)
	{
		int error = expected ? ouro_vec_compare_set(c(), i, p(expected), p(v)) : EAGAIN;
		return detail::check(error == EAGAIN ? ERANGE : error, ERANGE);
	}

	/* ouro_vec_push: where it is */
	std::size_t push(const ref<T> &v)
	{
		std::size_t i;
		detail::check(ouro_vec_push(c(), p(v), &i));
		return i;
	}
	/* ouro_vec_pop: the vector's own reference; empty if there is none */
	[[nodiscard]] ref<T> pop() { return own(ouro_vec_pop(c())); }

	/* ouro_vec_size, ouro_vec_reserve, ouro_vec_clear */
	std::size_t size() const noexcept { return ouro_vec_size(c()); }
	void reserve(std::size_t n) { detail::check(ouro_vec_reserve(c(), n)); }
	void clear() { ouro_vec_clear(c()); }

	/* ouro_vec_each: f(index, T &), until it returns false */
	template <class F> bool each(F f)
	{
		return ouro_vec_each(c(), visit<F>, &f);
	}

	/* What C knows it as. */
	ouro_vec *c() const noexcept
	{
		return detail::known_as<ouro_vec>(this);
	}

private:
	static void *p(const ref<T> &v) noexcept { return detail::address(v.get()); }
	static ref<T> own(void *v) noexcept { return ref<T>::adopt(static_cast<T *>(v)); }
	template <class F> static bool visit(std::size_t i, void *value, void *f)
	{
		return (*static_cast<F *>(f))(i, *static_cast<T *>(value));
	}
};

/* A string of bytes that does not change: ouro/bytes.h. */
class bytes {
public:
	/* C makes it: there is only its address. */
	bytes() = delete;
	bytes(const bytes &) = delete;
	bytes &operator=(const bytes &) = delete;

	/* ouro_bytes_new */
	[[nodiscard]] static ref<bytes> make(std::string_view s)
	{
		return ref<bytes>::adopt(detail::made<bytes>(ouro_bytes_new(s.data(), s.size())));
	}

	/* Behind it there is a zero byte. */
	std::string_view view() const noexcept { return { data(), size() }; }
	const char *data() const noexcept
	{
		return static_cast<const char *>(ouro_bytes_data(c()));
	}
	std::size_t size() const noexcept { return ouro_bytes_size(c()); }
	/* ouro_bytes_hash */
	std::uint64_t hash() const noexcept { return ouro_bytes_hash(c()); }

	/* What C knows it as. */
	ouro_bytes *c() const noexcept
	{
		return detail::known_as<ouro_bytes>(this);
	}
};

/* By what they hold: ouro_bytes_equal. */
inline bool operator==(const bytes &a, const bytes &b) noexcept
{
	return ouro_bytes_equal(a.c(), b.c());
}
inline bool operator!=(const bytes &a, const bytes &b) noexcept { return !(a == b); }

/* For unordered containers of ref<bytes>, by what they hold. */
struct bytes_hash {
	std::size_t operator()(const ref<bytes> &b) const noexcept
	{
		return static_cast<std::size_t>(b ? b->hash() : 0);
	}
};
struct bytes_equal {
	bool operator()(const ref<bytes> &a, const ref<bytes> &b) const noexcept
	{
		return ouro_bytes_equal(a ? a->c() : nullptr, b ? b->c() : nullptr);
	}
};

} // namespace ouro

#endif
