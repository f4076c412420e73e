/*
 * ouro/map.h - maps from keys to objects, used by any number of threads at once
 *
 * A map is an object like any other: ouro_map_new returns a reference, slots hold it, the last
 * release ends it, and with it the references to its values. The collector goes through it, so a
 * value may refer to the map it is in. A key is a number of 64 bits, or a string of bytes, which is
 * copied; both may be in one map, and are never equal to each other. A value is a strong reference,
 * not NULL.
 *
 * Each operation on one key takes place at one instant, beside any others: no lock is held, and a
 * reader waits for nobody. Hashes are keyed with a number that is drawn for each process
 * (SipHash-1-3), so that a client who chooses the keys cannot make them collide. A map grows with
 * what is in it, a little at a time; it does not shrink. An entry takes 80 to 112 bytes beside its
 * key of bytes.
 *
 * @map is borrowed everywhere, a counted reference; @key is only read. The functions for numbers
 * end in _int, and do the same.
 * Blocks:  as any call; those that put also as ouro_new, and for as long as memory of the size of
 *          the map's table takes to be allocated.
 * Runs:    where nothing is said, callbacks of the value that was there before, if its last
 *          reference goes.
 */
#ifndef OURO_MAP_H
#define OURO_MAP_H

#include "base.h"

OURO_BEGIN_DECLS

typedef struct ouro_map ouro_map;

/*
 * ouro_map_new - make an empty map
 *
 * Return:  new reference; NULL with errno ENOMEM. It is released with ouro_release.
 * Blocks:  as ouro_new.
 * Runs:    none.
 */
OURO_API ouro_map *ouro_map_new(void) __attribute__((warn_unused_result));

/*
 * ouro_map_get - look a key up
 *
 * Return:  new reference to its value; NULL if the key is not there, or @map is NULL.
 * Blocks:  as ouro_load.
 * Runs:    as ouro_load.
 */
OURO_API void *ouro_map_get(ouro_map *map, const void *key, size_t size)
	__attribute__((warn_unused_result));
OURO_API void *ouro_map_get_int(ouro_map *map, uint64_t key) __attribute__((warn_unused_result));

/*
 * ouro_map_put - set a key's value, whether or not the key is there
 * @value: borrowed
 *
 * Return:  0; EINVAL (a pointer is NULL); ENOMEM, and nothing has changed: a value that the key had
 *          before is still there. A key that is there needs no memory.
 */
OURO_API int ouro_map_put(ouro_map *map, const void *key, size_t size, void *value);
OURO_API int ouro_map_put_int(ouro_map *map, uint64_t key, void *value);

/*
 * ouro_map_put_if_absent - set a key's value if the key is not there
 * @value: borrowed
 *
 * Return:  0; EEXIST if the key is there; EINVAL; ENOMEM.
 */
OURO_API int ouro_map_put_if_absent(ouro_map *map, const void *key, size_t size, void *value);
OURO_API int ouro_map_put_if_absent_int(ouro_map *map, uint64_t key, void *value);

/*
 * ouro_map_replace - set a key's value if the key is there
 * @expected: borrowed: only if this is its value; NULL: whatever it is
 * @value:    borrowed
 *
 * Return:  0; ENOENT if the key is not there, or has another value; EINVAL.
 */
OURO_API int ouro_map_replace(ouro_map *map, const void *key, size_t size, const void *expected,
			      void *value);
OURO_API int ouro_map_replace_int(ouro_map *map, uint64_t key, const void *expected, void *value);

/*
 * ouro_map_take - remove a key
 *
 * Return:  new reference: the map's to the value, now the caller's; NULL if the key was not there.
 *          Of several threads that take one key at once, one gets it.
 * Runs:    none.
 */
OURO_API void *ouro_map_take(ouro_map *map, const void *key, size_t size)
	__attribute__((warn_unused_result));
OURO_API void *ouro_map_take_int(ouro_map *map, uint64_t key) __attribute__((warn_unused_result));

/*
 * ouro_map_remove - remove a key
 *
 * Return:  true if this call removed it.
 */
OURO_API bool ouro_map_remove(ouro_map *map, const void *key, size_t size);
OURO_API bool ouro_map_remove_int(ouro_map *map, uint64_t key);

/*
 * ouro_map_size - how many keys there are
 *
 * Return:  the number, exact when nobody else changes the map; 0 for NULL.
 * Blocks:  no.
 * Runs:    none.
 */
OURO_API size_t ouro_map_size(const ouro_map *map);

/*
 * ouro_map_clear - remove every key that was there when it was called
 *
 * Others may put keys meanwhile; of these some may be removed.
 * Runs:    callbacks of the values whose last references go.
 */
OURO_API void ouro_map_clear(ouro_map *map);

/* One key and its value. Fields may be added at the end: the library alone makes them. */
typedef struct ouro_map_item {
	const void *bytes; /* of the key; NULL: it is a number */
	size_t size;
	uint64_t number;
	void *value; /* borrowed for the call */
} ouro_map_item;

/* It may call anything, also on this map. Return: false ends the walk. */
typedef bool (*ouro_map_visitor)(const ouro_map_item *item, void *arg);

/*
 * ouro_map_each - call fn(item, arg) for each key, in no particular order
 *
 * A key that is there throughout is met exactly once, with a value that it has at that moment. A
 * key that comes or goes meanwhile is met or not; only one that goes and comes back may be met
 * twice. The item and what it points at are valid until fn returns.
 * Return:  false if fn returned false.
 * Blocks:  as any call, and as long as fn.
 * Runs:    fn, outside every pause and with no lock held; and callbacks of values that others
 *          remove meanwhile.
 */
OURO_API bool ouro_map_each(ouro_map *map, ouro_map_visitor fn, void *arg);

OURO_END_DECLS

#endif
