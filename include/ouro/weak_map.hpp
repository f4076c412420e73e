/*
 * ouro/weak_map.hpp - ouro::weak_map<V>: a map that does not keep its values
 *
 *     ouro::ref<ouro::weak_map<page>> pages = ouro::weak_map<page>::make();
 *     ouro::ref<page> p = pages->get_or_create("/index", [] { return ouro::make<page>("/"); });
 *
 * A key is there as long as somebody else has its value. What ouro/contain.hpp says of exceptions
 * holds here, too.
 */
#ifndef OURO_WEAK_MAP_HPP
#define OURO_WEAK_MAP_HPP

#include "contain.hpp"
#include "weak_map.h"

namespace ouro {

/* Keys, numbers or bytes, to objects of type V that it does not keep: ouro/weak_map.h. */
template <class V> class weak_map {
public:
	/* C makes it: there is only its address. */
	weak_map() = delete;
	weak_map(const weak_map &) = delete;
	weak_map &operator=(const weak_map &) = delete;

	using number = std::uint64_t;
	using bytes = std::string_view;

	/* ouro_weak_map_new */
	[[nodiscard]] static ref<weak_map> make()
	{
		return ref<weak_map>::adopt(detail::made<weak_map>(ouro_weak_map_new()));
	}

	/* ouro_weak_map_get: empty if the key is not there */
	[[nodiscard]] ref<V> get(number key) { return own(ouro_weak_map_get_int(c(), key)); }
	[[nodiscard]] ref<V> get(bytes key)
	{
		return own(ouro_weak_map_get(c(), key.data(), key.size()));
	}

	/* ouro_weak_map_put */
	void put(number key, const ref<V> &v)
	{
		detail::check(ouro_weak_map_put_int(c(), key, p(v)));
	}
	void put(bytes key, const ref<V> &v)
	{
		detail::check(ouro_weak_map_put(c(), key.data(), key.size(), p(v)));
	}

	/* ouro_weak_map_put_if_absent: false if the key is there, with a value that lives */
	bool put_if_absent(number key, const ref<V> &v)
	{
		return detail::check(ouro_weak_map_put_if_absent_int(c(), key, p(v)), EEXIST);
	}
	bool put_if_absent(bytes key, const ref<V> &v)
	{
		return detail::check(
			ouro_weak_map_put_if_absent(c(), key.data(), key.size(), p(v)), EEXIST);
	}

	/* ouro_weak_map_get_or_create: as that of map */
	template <class F> [[nodiscard]] ref<V> get_or_create(number key, F f)
	{
		return detail::own_made<V>(
			ouro_weak_map_get_or_create_int(c(), key, detail::make_value<V, F>, &f));
	}
	template <class F> [[nodiscard]] ref<V> get_or_create(bytes key, F f)
	{
		return detail::own_made<V>(ouro_weak_map_get_or_create(c(), key.data(), key.size(),
							    detail::make_value<V, F>, &f));
	}

	/* ouro_weak_map_remove: true if this call removed it, and its value lived */
	bool remove(number key) { return ouro_weak_map_remove_int(c(), key); }
	bool remove(bytes key) { return ouro_weak_map_remove(c(), key.data(), key.size()); }

	/* ouro_weak_map_size, ouro_weak_map_clear */
	std::size_t size() const noexcept { return ouro_weak_map_size(c()); }
	void clear() { ouro_weak_map_clear(c()); }

	/* ouro_weak_map_each: f(map_key, V &), until it returns false; the key is valid until then */
	template <class F> bool each(F f)
	{
		return ouro_weak_map_each(c(), detail::visit_item<V, F>, &f);
	}

	/* What C knows it as. */
	ouro_weak_map *c() const noexcept
	{
		return detail::known_as<ouro_weak_map>(this);
	}

private:
	static void *p(const ref<V> &v) noexcept { return detail::address(v.get()); }
	static ref<V> own(void *v) noexcept { return ref<V>::adopt(static_cast<V *>(v)); }
};

} // namespace ouro

#endif
