/*
 * ouro/key_map.h - values that go with an object (ephemerons; Python: WeakKeyDictionary)
 *
 * The key is an object itself, this one and no other that looks like it. An entry lives as long as
 * its key and its map both do, and keeps neither: with the key's death it goes, at the instant at
 * which weak references to the key expire, and one that is put while the key is dying goes at once.
 * (So of a key that its finalizer brings back the entries are gone; what went with it is released
 * when it next gets an entry, or dies.) A value may refer
 * to its key, also by way of others: that is a cycle like any other, and is collected. But a value
 * that refers to the map keeps the map as long as its key lives.
 *
 * Only objects whose type says so may be keys: one with the flag OURO_KEY (ouro/type.h), whose
 * first slot is the library's. There the key holds what goes with it in all maps, so a lookup takes
 * longer with each further map that the key is in; put has to copy that list for a new entry. An
 * entry takes 250 to 300 bytes.
 *
 *     struct user { void *ouro_values; struct user *boss; };
 *     static const ouro_type user_type = {
 *         .name = "user", .size = sizeof(struct user), .flags = OURO_KEY,
 *         .slots = OURO_SLOTS(struct user, ouro_values, boss),
 *     };
 *
 * @map, @key and @value are borrowed everywhere, counted references. Each operation on one key
 * takes place at one instant, beside any others; no lock is held. In a checked build a call stops
 * the program if @map is something else.
 * Blocks:  as any call; put and put_if_absent as ouro_new.
 * Runs:    where nothing is said, callbacks of a value whose last reference goes.
 */
#ifndef OURO_KEY_MAP_H
#define OURO_KEY_MAP_H

#include "base.h"

OURO_BEGIN_DECLS

typedef struct ouro_key_map ouro_key_map;

/*
 * ouro_key_map_new - make an empty map
 *
 * Return:  new reference; NULL with errno ENOMEM. It is released with ouro_release.
 * Blocks:  as ouro_new.
 * Runs:    none.
 */
OURO_API ouro_key_map *ouro_key_map_new(void) OURO_OWNED;

/*
 * ouro_key_map_get - look a key up
 *
 * Return:  new reference to its value; NULL if the key is not there, may not be one, or a pointer
 *          is NULL.
 * Blocks:  as ouro_load.
 * Runs:    as ouro_load.
 */
OURO_API void *ouro_key_map_get(ouro_key_map *map, const void *key) OURO_OWNED;

/*
 * ouro_key_map_put - set a key's value, whether or not the key is there
 *
 * Return:  0; EINVAL (a pointer is NULL, or the type of the key has no OURO_KEY); ENOMEM, and
 *          nothing has changed. A key that is there needs no memory.
 */
OURO_API int ouro_key_map_put(ouro_key_map *map, void *key, void *value);

/*
 * ouro_key_map_put_if_absent - set a key's value if the key is not there
 *
 * Return:  0; EEXIST if the key is there; EINVAL; ENOMEM.
 */
OURO_API int ouro_key_map_put_if_absent(ouro_key_map *map, void *key, void *value);

/*
 * ouro_key_map_remove - remove a key
 *
 * Return:  true if this call removed it.
 */
OURO_API bool ouro_key_map_remove(ouro_key_map *map, const void *key);

/*
 * ouro_key_map_size - how many keys there are
 *
 * Those of keys that are just dying are counted for a moment; of one that its finalizer has brought
 * back, until it next gets an entry, or dies. If the map itself was brought back, keys that it had
 * before and that die then are counted until the next ouro_key_map_each or clear.
 * Return:  the number, exact when nobody changes the map and no key dies; 0 for NULL.
 * Blocks:  no.
 * Runs:    none.
 */
OURO_API size_t ouro_key_map_size(const ouro_key_map *map);

/*
 * ouro_key_map_clear - remove every key that was there when it was called
 *
 * Others may put keys meanwhile; of these some may be removed.
 */
OURO_API void ouro_key_map_clear(ouro_key_map *map);

/* It may call anything, also on this map. Return: false ends the walk. */
typedef bool (*ouro_key_map_visitor)(void *key, void *value, void *arg);

/*
 * ouro_key_map_each - call fn(key, value, arg) for each key that lives, in no particular order
 *
 * As ouro_map_each. Key and value live until fn returns.
 * Return:  false if fn returned false.
 * Blocks:  as any call, and as long as fn.
 * Runs:    fn, outside every pause and with no lock held; and callbacks of keys and values whose
 *          last other references went while fn ran.
 */
OURO_API bool ouro_key_map_each(ouro_key_map *map, ouro_key_map_visitor fn, void *arg);

OURO_END_DECLS

#endif
