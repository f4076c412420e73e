/* ouro/ref.hpp - ouro::ref<T>, a counted reference; pins; casts. See ouro.hpp. */
#ifndef OURO_REF_HPP
#define OURO_REF_HPP

#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <type_traits>
#include <utility>

#include "object.h"
#include "thread.h"

namespace ouro {

namespace detail {

template <class From, class To>
using if_converts = std::enable_if_t<std::is_convertible_v<From *, To *>>;

template <class T> void *address(T *p) noexcept
{
	return const_cast<std::remove_cv_t<T> *>(p);
}

/*
 * The library counts at the address of the whole object: a base that does not lie at its beginning
 * is no object. The optimizer sees that one does, and leaves the question out.
 */
template <class To, class From> To *same_place(From *p) noexcept
{
	To *to = static_cast<To *>(p);
	if (static_cast<const volatile void *>(to) != static_cast<const volatile void *>(p)) {
		std::fputs("ouro: a reference to a base that does not lie at offset 0\n", stderr);
		std::abort();
	}
	return to;
}

} // namespace detail

/* A region in which peeked pointers stay valid: ouro_pin, ouro_unpin. Keep it short. */
class pin {
public:
	pin() noexcept { ouro_pin(); }
	~pin() { ouro_unpin(); }
	pin(const pin &) = delete;
	pin &operator=(const pin &) = delete;
	/* Lets others in; what was peeked is dead: ouro_safepoint. */
	void safepoint() const noexcept { ouro_safepoint(); }
};

/*
 * One counted reference to a T, or none. It is used by one thread at a time, as an int is; the
 * object may be shared. T may be incomplete, and any struct that the library made an object of.
 */
template <class T> class ref {
public:
	using element_type = T;

	constexpr ref() noexcept = default;
	constexpr ref(std::nullptr_t) noexcept {}
	ref(const ref &other) noexcept : p_(counted(other.p_)) {}
	ref(ref &&other) noexcept : p_(other.p_) { other.p_ = nullptr; }
	template <class U, class = detail::if_converts<U, T>>
	ref(const ref<U> &other) noexcept : p_(counted(detail::same_place<T>(other.get()))) {}
	template <class U, class = detail::if_converts<U, T>>
	ref(ref<U> &&other) noexcept : p_(detail::same_place<T>(other.detach())) {}
	~ref()
	{
		void *p = detail::address(p_);
		/*
		 * No instruction, but the compiler forgets which pointer it was: others may be
		 * copies of it that are references of their own (OURO_NEW_REFERENCE).
		 */
		__asm__("" : "+r"(p));
		if (p)
			ouro_release(p);
	}

	ref &operator=(const ref &other) noexcept
	{
		ref(other).swap(*this);
		return *this;
	}
	ref &operator=(ref &&other) noexcept
	{
		ref(std::move(other)).swap(*this);
		return *this;
	}

	/* Takes over a reference that the caller owns: what C calls say "new reference" of. */
	static ref adopt(T *p) noexcept
	{
		ref r;
		r.p_ = p;
		return r;
	}
	/* Counts a reference of its own to what the caller only borrows, as `this`: ouro_retain. */
	static ref share(T *p) noexcept { return adopt(counted(p)); }

	/* The reference is the caller's to release; *this is empty. */
	[[nodiscard]] T *detach() noexcept
	{
		T *p = p_;
		p_ = nullptr;
		return p;
	}
	/* Drops the reference: ouro_release. */
	void reset() noexcept { ref().swap(*this); }
	void swap(ref &other) noexcept { std::swap(p_, other.p_); }

	T *get() const noexcept { return p_; }
	T &operator*() const noexcept { return *p_; }
	T *operator->() const noexcept { return p_; }
	explicit operator bool() const noexcept { return p_ != nullptr; }

private:
	static T *counted(T *p) noexcept
	{
		return static_cast<T *>(ouro_retain(detail::address(p)));
	}

	T *p_ = nullptr;
};

/* Exchanges two references; nothing is counted. */
template <class T> void swap(ref<T> &a, ref<T> &b) noexcept { a.swap(b); }

/* ref<T>::adopt, ref<T>::share, without the type's name. */
template <class T> ref<T> adopt(T *p) noexcept { return ref<T>::adopt(p); }
template <class T> ref<T> share(T *p) noexcept { return ref<T>::share(p); }

/* To a class derived from T, which the object must be. */
template <class U, class T> ref<U> static_ref_cast(ref<T> r) noexcept
{
	return ref<U>::adopt(detail::same_place<U>(r.detach()));
}

/* To a class derived from T, which has virtual functions; empty if the object is none of those. */
template <class U, class T> ref<U> dynamic_ref_cast(ref<T> r) noexcept
{
	U *p = dynamic_cast<U *>(r.get());
	return p ? ref<U>::adopt((static_cast<void>(r.detach()), p)) : ref<U>();
}

#define OURO_COMPARE_REFS_(op) \
	template <class T, class U> bool operator op(const ref<T> &a, const ref<U> &b) noexcept \
	{ \
		using both = std::common_type_t<T *, U *>; \
		return a.get() op static_cast<both>(b.get()); \
	} \
	template <class T> bool operator op(const ref<T> &a, const T *b) noexcept \
	{ \
		return a.get() op b; \
	}
OURO_COMPARE_REFS_(==)
OURO_COMPARE_REFS_(!=)
#undef OURO_COMPARE_REFS_
template <class T> bool operator==(const ref<T> &a, std::nullptr_t) noexcept { return !a; }
template <class T> bool operator!=(const ref<T> &a, std::nullptr_t) noexcept { return !!a; }
template <class T> bool operator==(std::nullptr_t, const ref<T> &a) noexcept { return !a; }
template <class T> bool operator!=(std::nullptr_t, const ref<T> &a) noexcept { return !!a; }
/* By address, for ordered containers. */
template <class T> bool operator<(const ref<T> &a, const ref<T> &b) noexcept
{
	return std::less<T *>()(a.get(), b.get());
}

} // namespace ouro

template <class T> struct std::hash<ouro::ref<T>> {
	std::size_t operator()(const ouro::ref<T> &r) const noexcept
	{
		return std::hash<T *>()(r.get());
	}
};

#endif
