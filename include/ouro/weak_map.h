/*
 * ouro/weak_map.h - maps from keys to objects that they do not keep (Python: WeakValueDictionary)
 *
 * As the maps of ouro/map.h, but a value is referred to weakly: when it dies the key is not there
 * any more, at the same instant at which weak references to it expire, for a dead cycle that of all
 * its members. The entry goes right after that, by a watch of the value's (ouro/weak.h), so a map
 * keeps nothing of what is dead: where callbacks wait (OURO_FINALIZERS_MANUAL), or a fork has cut
 * off that watch, until the watch runs, or somebody asks for the key. A value that is put later is
 * never removed by the death of one before. A value may be in several maps, and under several keys;
 * when a map dies nothing of it stays with the values.
 *
 * An entry takes 250 to 300 bytes, and its key of bytes twice.
 *
 * @map is borrowed everywhere, a counted reference; @key is only read. The functions for numbers
 * end in _int, and do the same. In a checked build a call stops the program if @map is something
 * else.
 * Blocks:  as any call; those that put as ouro_new, and those that put or remove for a lock that is
 *          held for a moment.
 */
#ifndef OURO_WEAK_MAP_H
#define OURO_WEAK_MAP_H

#include "base.h"
#include "map.h"

OURO_BEGIN_DECLS

typedef struct ouro_weak_map ouro_weak_map;

/*
 * ouro_weak_map_new - make an empty map
 *
 * Return:  new reference; NULL with errno ENOMEM. It is released with ouro_release.
 * Blocks:  as ouro_new.
 * Runs:    none.
 */
OURO_API ouro_weak_map *ouro_weak_map_new(void) OURO_OWNED;

/*
 * ouro_weak_map_get - look a key up
 *
 * Return:  new reference to its value; NULL if the key is not there, or @map is NULL. A value that
 *          is dying is never brought back.
 * Blocks:  as ouro_weak_load.
 * Runs:    as ouro_weak_load.
 */
OURO_API void *ouro_weak_map_get(ouro_weak_map *map, const void *key, size_t size) OURO_OWNED;
OURO_API void *ouro_weak_map_get_int(ouro_weak_map *map, uint64_t key) OURO_OWNED;

/*
 * ouro_weak_map_put - set a key's value, whether or not the key is there
 * @value: borrowed
 *
 * Return:  0; EINVAL (a pointer is NULL); ENOMEM, and nothing has changed.
 * Runs:    none.
 */
OURO_API int ouro_weak_map_put(ouro_weak_map *map, const void *key, size_t size, void *value);
OURO_API int ouro_weak_map_put_int(ouro_weak_map *map, uint64_t key, void *value);

/*
 * ouro_weak_map_put_if_absent - set a key's value if the key is not there
 * @value: borrowed
 *
 * Return:  0; EEXIST if the key is there, with a value that lives; EINVAL; ENOMEM.
 * Runs:    none.
 */
OURO_API int ouro_weak_map_put_if_absent(ouro_weak_map *map, const void *key, size_t size,
					 void *value);
OURO_API int ouro_weak_map_put_if_absent_int(ouro_weak_map *map, uint64_t key, void *value);

/*
 * ouro_weak_map_get_or_create - look a key up, and make its value if it is not there
 *
 * As ouro_map_get_or_create: the factory runs once, however many ask at a time, and all of them get
 * what it returns, counted. When they have released it, and nobody else holds it, the key is not
 * there any more.
 * Return:  new reference; NULL with errno as ouro_map_get_or_create.
 * Blocks:  if the key is not there, for as long as the factory takes.
 * Runs:    the factory, outside every pause and with no lock held; and callbacks of what it made,
 *          if that is not used.
 */
OURO_API void *ouro_weak_map_get_or_create(ouro_weak_map *map, const void *key, size_t size,
					   ouro_map_factory factory, void *arg) OURO_OWNED;
OURO_API void *ouro_weak_map_get_or_create_int(ouro_weak_map *map, uint64_t key,
					       ouro_map_factory factory, void *arg) OURO_OWNED;

/*
 * ouro_weak_map_remove - remove a key
 *
 * Return:  true if this call removed it, and its value lived.
 * Runs:    none.
 */
OURO_API bool ouro_weak_map_remove(ouro_weak_map *map, const void *key, size_t size);
OURO_API bool ouro_weak_map_remove_int(ouro_weak_map *map, uint64_t key);

/*
 * ouro_weak_map_size - how many entries there are
 *
 * Those of values that are just dying are counted until the watch has run.
 * Return:  the number, exact when nobody changes the map and nothing dies; 0 for NULL.
 * Blocks:  no.
 * Runs:    none.
 */
OURO_API size_t ouro_weak_map_size(const ouro_weak_map *map);

/*
 * ouro_weak_map_clear - remove every key that was there when it was called
 *
 * Runs:    none.
 */
OURO_API void ouro_weak_map_clear(ouro_weak_map *map);

/*
 * ouro_weak_map_each - call fn(item, arg) for each key whose value lives, in no particular order
 *
 * As ouro_map_each. The value lives until fn returns.
 * Return:  false if fn returned false.
 * Blocks:  as any call, and as long as fn.
 * Runs:    fn, outside every pause and with no lock held; and callbacks of a value whose last other
 *          reference went while fn ran.
 */
OURO_API bool ouro_weak_map_each(ouro_weak_map *map, ouro_map_visitor fn, void *arg);

OURO_END_DECLS

#endif
