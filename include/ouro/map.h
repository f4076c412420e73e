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
 * end in _int, and do the same. In a checked build a call stops the program if @map is something
 * else.
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

/* One key and its value. Fields may be added at the end: the library alone makes them. */
typedef struct ouro_map_item {
	const void *bytes; /* of the key; NULL: it is a number */
	size_t size;
	uint64_t number;
	void *value; /* borrowed for the call */
} ouro_map_item;

/*
 * Maps with limits: caches. They are maps in all else, and cost a little more.
 *   max_entries  A put of a new key that makes more evicts an entry before it returns, unless
 *                others have: at no instant are there more keys than max_entries and one for each
 *                thread that is in such a put. (In the child of a fork there is room for fewer by as
 *                many as were in one.) Which one goes is decided by the CLOCK algorithm
 *                (Corbato 1968): one that nobody has asked for since the last look; and after some
 *                dozens that somebody has, the next.
 *   ttl_ns       Once so much time has gone by since its put (of CLOCK_MONOTONIC), an entry is as
 *                good as not there, for every call but ouro_map_size and ouro_map_clear. A put
 *                over a value begins its time anew; in such a map it needs memory, too.
 * Entries whose time is over are removed by puts that meet them, and else by a thread of the
 * library's, a quarter of the shortest time to live that the map has been given after that at the
 * latest, or a second; in the child of a fork from the next put on. While it looks it holds the
 * map, so that the last release of one may be there. At a map in which nothing is left whose time
 * will be over it does not look.
 */
typedef enum ouro_map_reason {
	OURO_MAP_FULL = 1,    /* there were more than max_entries */
	OURO_MAP_EXPIRED = 2, /* its time was over */
} ouro_map_reason;

/*
 * It is told of each value that was evicted, once, when it is out of the map: by the thread that
 * did it, which is in a put, or the library's, with no lock of the library's held and outside of
 * every pause. It may call anything, also on this map; a put of its own may evict, and call it
 * again, inside. What was removed, replaced or cleared by a call of the program's it is not told
 * of, nor of what goes with the map. The item and what it points at are valid until it returns.
 */
typedef void (*ouro_map_evicted)(const ouro_map_item *item, ouro_map_reason reason, void *arg);

/* Fields may be added at the end (ouro/base.h). All 0: no limits. */
typedef struct ouro_map_options {
	size_t max_entries OURO_ZERO_; /* 0: no limit */
	uint64_t ttl_ns OURO_ZERO_; /* 0: no limit, and no ouro_map_put_for */
	ouro_map_evicted on_evict OURO_ZERO_; /* may be NULL */
	void *on_evict_arg OURO_ZERO_;
	/* An object, borrowed, that the map keeps, so that on_evict_arg may lie in it; may be NULL. */
	void *keeps OURO_ZERO_;
} ouro_map_options;

/* As a time to live: none. Of a map: only entries of ouro_map_put_for have one. */
#define OURO_MAP_FOR_EVER UINT64_MAX

/*
 * ouro_map_new_with - make an empty map with limits
 * @options: NULL: as ouro_map_new
 *
 * ouro_map_new_sized does the same; @size: sizeof *@options.
 * Return:  new reference; NULL with errno ENOMEM or EINVAL (a field that this library does not know
 *          is not 0).
 * Blocks:  as ouro_new.
 * Runs:    none.
 */
OURO_API ouro_map *ouro_map_new_sized(const ouro_map_options *options, size_t size)
	__attribute__((warn_unused_result));
static inline __attribute__((warn_unused_result)) ouro_map *
ouro_map_new_with(const ouro_map_options *options)
{
	return ouro_map_new_sized(options, sizeof(ouro_map_options));
}

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
 * ouro_map_put_for - set a key's value, with a time to live of its own
 * @value:  borrowed
 * @ttl_ns: how long it lives from now on; 0: as long as the map's; OURO_MAP_FOR_EVER
 *
 * Return:  0; EINVAL, also if the map has no ttl_ns; ENOMEM, and nothing has changed.
 */
OURO_API int ouro_map_put_for(ouro_map *map, const void *key, size_t size, void *value,
			      uint64_t ttl_ns);
OURO_API int ouro_map_put_for_int(ouro_map *map, uint64_t key, void *value, uint64_t ttl_ns);

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

/*
 * It makes the value of a key: returns a new reference, which goes into the map, or NULL, with
 * errno if there is more to say. The item has no value.
 */
typedef void *(*ouro_map_factory)(const ouro_map_item *item, void *arg);

/*
 * ouro_map_get_or_create - look a key up, and make its value if it is not there
 *
 * factory(item, arg) runs once, however many threads ask for the key at a time: on one of them,
 * while the others sleep until it returns. What it returns is what all of them get; NULL, too, with
 * its errno: whoever asks after that runs the next. If the key is put by another call meanwhile,
 * that value stays, and all of them get it.
 * If it is left by an exception, pthread_exit or cancellation, these go on from here, and one of
 * the others runs its own; likewise if its thread is not in the child of a fork. It may not be left
 * by longjmp: the program is stopped with a message at the next call that shows it.
 * It may call anything, also on this map, ouro_map_get_or_create with other keys included; in it
 * ouro_shutdown answers EDEADLK, and ouro_thread_detach does nothing. If it never returns, those
 * who ask for its key never do; nobody else notices.
 * Return:  new reference; NULL with errno EINVAL (a pointer is NULL); ENOMEM, and what the factory
 *          made is released; EDEADLK if the key is not there and this thread is pinned, or is in
 *          a factory that this one's would wait for, itself or by way of others, or would have to
 *          wait in a finalizer, clear, destroy or watch; else what the factory left in errno, or
 *          ENOENT.
 * Blocks:  if the key is not there, for as long as the factory takes.
 * Runs:    the factory, outside every pause and with no lock held; and callbacks of what it made,
 *          if that is not used.
 */
OURO_API void *ouro_map_get_or_create(ouro_map *map, const void *key, size_t size,
				      ouro_map_factory factory, void *arg)
	__attribute__((warn_unused_result));
OURO_API void *ouro_map_get_or_create_int(ouro_map *map, uint64_t key, ouro_map_factory factory,
					  void *arg) __attribute__((warn_unused_result));

OURO_END_DECLS

#endif
