/*
 * ouro/member.hpp - what lies inside objects: ouro::slot<T>, ouro::weak<T>; ouro::root<T>
 *
 * Slots and weak references may be used by several threads at once. They have no destructor: as an
 * object dies the library releases what its slots hold, and empties its cells.
 */
#ifndef OURO_MEMBER_HPP
#define OURO_MEMBER_HPP

#include <cerrno>
#include <new>

#include "ref.hpp"
#include "slot.h"
#include "weak.h"

namespace ouro {

/*
 * A strong reference that is a member of an object. Not copied, not moved: others may be reading
 * it. On a stack or in a container it would never be released: there a ref<T> is right, and for a
 * global a root<T>. One pointer wide; a C program may use it as a T * slot.
 */
template <class T> class slot {
public:
	using element_type = T;

	/* Atomic, as a collection may look at an object that is being made. */
	slot() noexcept { __atomic_store_n(&p_, nullptr, __ATOMIC_RELAXED); }
	slot(std::nullptr_t) noexcept : slot() {}
	template <class U, class = detail::if_converts<U, T>>
	slot(ref<U> r) noexcept : slot()
	{
		give(std::move(r));
	}
	slot(const slot &) = delete;
	slot &operator=(const slot &) = delete;

	/* ouro_load */
	[[nodiscard]] ref<T> load() const
	{
		return ref<T>::adopt(static_cast<T *>(ouro_slot_load(place())));
	}
	operator ref<T>() const { return load(); }
	/* n->next->value: the object cannot go before the end of the whole expression. */
	ref<T> operator->() const { return load(); }

	/* ouro_store: counts a reference for the slot */
	void store(const ref<T> &r) { ouro_slot_store(place(), detail::address(r.get())); }
	void store(T *borrowed) { ouro_slot_store(place(), detail::address(borrowed)); }
	/* ouro_give: the slot takes over the reference */
	void give(ref<T> &&r) { ouro_slot_give(place(), detail::address(r.detach())); }
	template <class U, class = detail::if_converts<U, T>>
	slot &operator=(const ref<U> &r)
	{
		store(detail::same_place<T>(r.get()));
		return *this;
	}
	template <class U, class = detail::if_converts<U, T>> slot &operator=(ref<U> &&r)
	{
		give(std::move(r));
		return *this;
	}
	slot &operator=(std::nullptr_t)
	{
		ouro_slot_give(place(), nullptr);
		return *this;
	}

	/* ouro_take */
	[[nodiscard]] ref<T> take() noexcept
	{
		return ref<T>::adopt(static_cast<T *>(ouro_slot_take(place())));
	}
	/* ouro_exchange: the slot takes over @r */
	[[nodiscard]] ref<T> exchange(ref<T> r) noexcept
	{
		void *old = ouro_slot_exchange(place(), detail::address(r.detach()));
		return ref<T>::adopt(static_cast<T *>(old));
	}
	/* ouro_compare_exchange: true if the slot held @expected, and now holds @desired */
	bool compare_exchange(const T *expected, const ref<T> &desired)
	{
		void *obj = detail::address(desired.get());
		return ouro_slot_compare_exchange(place(), expected, obj);
	}
	bool compare_exchange(const ref<T> &expected, const ref<T> &desired)
	{
		return compare_exchange(expected.get(), desired);
	}
	/* ouro_compare_give: @desired is empty afterwards if this is true, and else as it was */
	[[nodiscard]] bool compare_give(const T *expected, ref<T> &desired)
	{
		void *obj = detail::address(desired.get());
		bool done = ouro_slot_compare_give(place(), expected, obj);
		if (done)
			static_cast<void>(desired.detach());
		return done;
	}
	/* ouro_peek: uncounted, valid as long as @pin, and until its next safepoint */
	[[nodiscard]] T *peek(const pin &) const noexcept
	{
		return static_cast<T *>(ouro_slot_peek(&p_));
	}

	/* What it held at this moment; no reference is made. */
	bool is(const T *p) const noexcept { return __atomic_load_n(&p_, __ATOMIC_RELAXED) == p; }
	explicit operator bool() const noexcept { return !is(nullptr); }

protected:
	struct constant {};
	constexpr explicit slot(constant) noexcept : p_(nullptr) {}

private:
	void *place() const noexcept { return const_cast<void *>(static_cast<const void *>(&p_)); }

	T *p_;
};

template <class T, class U> bool operator==(const slot<T> &s, const ref<U> &r) noexcept
{
	return s.is(r.get());
}
template <class T, class U> bool operator!=(const slot<T> &s, const ref<U> &r) noexcept
{
	return !s.is(r.get());
}
template <class T> bool operator==(const slot<T> &s, std::nullptr_t) noexcept { return !s; }
template <class T> bool operator!=(const slot<T> &s, std::nullptr_t) noexcept { return !!s; }

/*
 * A slot in static memory. It is there before any constructor runs, and after all destructors: what
 * it holds it holds until it is set to something else, before ouro_shutdown, if that is called.
 */
template <class T> class root : public slot<T> {
public:
	constexpr root() noexcept : slot<T>(typename slot<T>::constant()) {}
	using slot<T>::operator=;
};

/* A slot that C declares, as a member T *. */
template <class T> slot<T> &as_slot(T *&field) noexcept
{
	static_assert(sizeof(slot<T>) == sizeof(T *) && alignof(slot<T>) == alignof(T *));
	return *static_cast<slot<T> *>(static_cast<void *>(&field));
}

/*
 * The first slot of a class whose objects may be keys of a key_map (ouro/key_map.hpp): there the
 * library keeps what goes with them. The program leaves it alone.
 */
class key_slot {
public:
	key_slot() noexcept { __atomic_store_n(&p_, nullptr, __ATOMIC_RELAXED); }
	key_slot(const key_slot &) = delete;
	key_slot &operator=(const key_slot &) = delete;

private:
	void *p_;
};

/*
 * A reference that does not keep its object alive. It may lie anywhere, also on stacks and in
 * containers, and may be copied and moved by a thread that alone uses it. Without memory what
 * stores throws std::bad_alloc, and nothing has changed.
 */
template <class T> class weak {
public:
	using element_type = T;

	weak() noexcept { __atomic_store_n(&cell_.word, UINT64_C(0), __ATOMIC_RELAXED); }
	weak(std::nullptr_t) noexcept : weak() {}
	template <class U, class = detail::if_converts<U, T>> weak(const ref<U> &r) : weak()
	{
		store(r);
	}
	weak(const weak &other) : weak() { store(other.lock()); }
	weak &operator=(const weak &other)
	{
		store(other.lock());
		return *this;
	}
	template <class U, class = detail::if_converts<U, T>> weak &operator=(const ref<U> &r)
	{
		store(r);
		return *this;
	}
	weak &operator=(std::nullptr_t) noexcept
	{
		clear();
		return *this;
	}

	/* ouro_weak_store */
	void store(const ref<T> &r)
	{
		if (ouro_weak_store(&cell_, detail::address(r.get())) != 0)
			throw std::bad_alloc();
	}
	/* ouro_weak_load: empty for ever once the object is dying */
	[[nodiscard]] ref<T> lock() const
	{
		return ref<T>::adopt(static_cast<T *>(ouro_weak_load(&cell_)));
	}
	/* ouro_weak_is: does it refer to that object? No reference is made. */
	bool is(const T *p) const noexcept { return ouro_weak_is(&cell_, p); }
	bool is(const ref<T> &r) const noexcept { return is(r.get()); }
	/* ouro_weak_expired */
	bool expired() const noexcept { return ouro_weak_expired(&cell_); }
	/* ouro_weak_clear */
	void clear() noexcept { ouro_weak_clear(&cell_); }

private:
	mutable ouro_weak cell_;
};

} // namespace ouro

#endif
