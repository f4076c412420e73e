/*
 * ouro/key_map.hpp - ouro::key_map<K, V>: values that go with an object
 *
 *     struct user {
 *             ouro::key_slot values; // the library's
 *             ouro::slot<user> boss;
 *             OURO_TYPE(user, values, boss)
 *     };
 *
 *     ouro::ref<ouro::key_map<user, account>> accounts = ouro::key_map<user, account>::make();
 *     accounts->put(u, ouro::make<account>());        // as long as both u and the map are there
 *
 * The key is the object itself. A class whose objects may be keys has a key_slot as its first slot,
 * or, if its ouro_type is written in C, the flag OURO_KEY. What ouro/contain.hpp says of exceptions
 * holds here, too; an object that may not be a key throws std::invalid_argument in put.
 */
#ifndef OURO_KEY_MAP_HPP
#define OURO_KEY_MAP_HPP

#include "contain.hpp"
#include "key_map.h"

namespace ouro {

/* Objects of type K to objects of type V, which go with their keys: ouro/key_map.h. */
template <class K, class V> class key_map {
public:
	/* C makes it: there is only its address. */
	key_map() = delete;
	key_map(const key_map &) = delete;
	key_map &operator=(const key_map &) = delete;

	/* ouro_key_map_new */
	[[nodiscard]] static ref<key_map> make()
	{
		return ref<key_map>::adopt(detail::made<key_map>(ouro_key_map_new()));
	}

	/* ouro_key_map_get: empty if the key is not there */
	[[nodiscard]] ref<V> get(const K *key)
	{
		void *v = ouro_key_map_get(c(), key);
		return ref<V>::adopt(static_cast<V *>(v));
	}
	[[nodiscard]] ref<V> get(const ref<K> &key) { return get(key.get()); }

	/* ouro_key_map_put */
	void put(K *key, const ref<V> &v) { check(ouro_key_map_put(c(), key, p(v))); }
	void put(const ref<K> &key, const ref<V> &v) { put(key.get(), v); }

	/* ouro_key_map_put_if_absent: false if the key is there */
	bool put_if_absent(K *key, const ref<V> &v)
	{
		int error = ouro_key_map_put_if_absent(c(), key, p(v));
		check(error == EEXIST ? 0 : error);
		return error == 0;
	}
	bool put_if_absent(const ref<K> &key, const ref<V> &v)
	{
		return put_if_absent(key.get(), v);
	}

	/* ouro_key_map_remove: true if this call removed it */
	bool remove(const K *key) { return ouro_key_map_remove(c(), key); }
	bool remove(const ref<K> &key) { return remove(key.get()); }

	/* ouro_key_map_size, ouro_key_map_clear */
	std::size_t size() const noexcept { return ouro_key_map_size(c()); }
	void clear() { ouro_key_map_clear(c()); }

	/* ouro_key_map_each: f(K &, V &), until it returns false */
	template <class F> bool each(F f)
	{
		return ouro_key_map_each(c(), visit<F>, &f);
	}

	/* What C knows it as. */
	ouro_key_map *c() const noexcept
	{
		return detail::known_as<ouro_key_map>(this);
	}

private:
	static void *p(const ref<V> &v) noexcept { return detail::address(v.get()); }
	static void check(int error) { detail::check<detail::refused::key>(error); }
	template <class F> static bool visit(void *key, void *value, void *f)
	{
		return (*static_cast<F *>(f))(*static_cast<K *>(key), *static_cast<V *>(value));
	}
};

} // namespace ouro

#endif
