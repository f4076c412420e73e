/*
 * ouro/object.h - making objects and counting references to them
 *
 * Counts are biased (Choi, Shull, Torrellas 2018; CPython >= 3.13): the thread that made an object
 * counts with plain adds, all others with atomic ones.
 *
 * Death. The release that drops the last reference carries out the death before it returns: weak
 * references and watches, finalizer, children, clear, destroy. Releases made on the way are queued
 * to the outermost one, so the stack stays small however deep the structure. Past
 * ouro_config.release_batch objects the rest is left for later: if the next of them has no
 * callbacks, to this thread, which gets on with it as it makes objects, and to a background thread
 * if it has not for 4 to 8 ms; else to the background thread at once. ouro_flush and
 * ouro_gc_collect wait for it. Where another thread's last release needs the maker's part of the
 * count, the death follows within 10 ms, whatever the maker is doing (asleep in a system call
 * included), unless it is pinned.
 *
 * A count that would overflow saturates: the object becomes immortal, and the log says so.
 */
#ifndef OURO_OBJECT_H
#define OURO_OBJECT_H

#include "type.h"

OURO_BEGIN_DECLS

/*
 * ouro_release - count down; the last one carries out the death (see above)
 * @obj: stolen; may be NULL
 *
 * It cannot fail: what has no memory to be queued is found later.
 * Blocks:  as any call, and as long as the callbacks it runs.
 * Runs:    callbacks, if it was the last reference; up to release_batch objects die on this thread.
 */
OURO_API void ouro_release(void *obj);

/*
 * ouro_new - make an object, zeroed
 *
 * Return:  new reference; NULL with errno ENOMEM (the system, ouro_config.heap_limit or 65 535
 *          types are exhausted) or EINVAL (bad type: no name, size 0, a field that is misaligned or
 *          outside its size, traverse without clear, unknown flags).
 * Blocks:  as any call; for milliseconds where threads make garbage faster than it is collected
 *          (ouro_stats.delays; not when pinned or inside a callback); and without memory, or at
 *          heap_limit, for a full collection, and some 0.2 s for callbacks of what it found (not
 *          when pinned, inside a callback, or in an event function between GC_START and GC_STOP).
 * Runs:    no callbacks, as the caller may hold any lock: those of what a collection at heap_limit
 *          found are the background thread's, or wait for ouro_run_finalizers in manual mode. Such
 *          a collection does run event functions and traverse.
 */
OURO_API void *ouro_new(const ouro_type *type) OURO_NEW_REFERENCE;

/*
 * ouro_new_items - make an object with @n trailing items, all zeroed
 * @n: 0 is fine; fixed for the life of the object
 *
 * Return:  as ouro_new; also EOVERFLOW (size + n * item_size does not fit) and EINVAL (n > 0, and
 *          the type has no items).
 * Blocks:  as ouro_new, also in what it runs.
 */
OURO_API void *ouro_new_items(const ouro_type *type, size_t n) OURO_NEW_REFERENCE;

/*
 * ouro_items - how many trailing items @obj (borrowed) was made with
 *
 * Return:  0 for NULL and for types without items.
 * Blocks:  no.
 */
OURO_API size_t ouro_items(const void *obj);

/*
 * ouro_retain - count up
 * @obj: borrowed; may be NULL
 *
 * Return:  @obj, now also a new reference. It cannot fail.
 * Blocks:  as any call.
 */
OURO_API void *ouro_retain(void *obj) OURO_NOTHROW;

/*
 * ouro_try_retain - make a counted reference of a peeked pointer
 * @obj: from ouro_peek, within the same pinned region; or borrowed; may be NULL
 *
 * Return:  new reference; NULL if the object is dying, or @obj is NULL.
 * Blocks:  as any call.
 * Runs:    none, but for one case: if the finalizer of @obj ends on another thread at this moment,
 *          the rest of its death may be carried out here, with callbacks.
 */
OURO_API void *ouro_try_retain(void *obj) OURO_OWNED;

/*
 * ouro_refcount - how many counted references there are to @obj (borrowed)
 *
 * Return:  the number, exact when nobody else is changing it (unlike Python's, the call itself adds
 *          none); SIZE_MAX if the object is immortal; 0 for NULL.
 * Blocks:  as any call.
 */
OURO_API size_t ouro_refcount(const void *obj);

/*
 * ouro_typeof - the type @obj (borrowed or peeked) was made with
 *
 * Return:  the pointer that ouro_new was given; NULL for NULL.
 * Blocks:  no.
 */
OURO_API const ouro_type *ouro_typeof(const void *obj);

/*
 * ouro_immortalize - @obj is never counted again and never dies before ouro_shutdown
 * @obj: borrowed; may be NULL
 *
 * Blocks:  as any call.
 */
OURO_API void ouro_immortalize(void *obj);

/*
 * ouro_flush - wait until all that was dead at the call has been finalized and destroyed, whichever
 *              thread does it
 *
 * And all that died of it: objects that others drop meanwhile are not waited for. Callbacks that
 * make objects of which others die, without end, it follows until twice as many are gone as there
 * were at the call, and some; the log says so. In manual finalizer mode it leaves what waits for
 * ouro_run_finalizers.
 * Return:  0; EDEADLK inside a finalizer, clear, destroy or watch, when pinned, in an event
 *          function between GC_START and GC_STOP, or in the log function when a collection tells of
 *          what it has found (OURO_DEBUG_*).
 * Blocks:  until then: for callbacks that other threads are in as long as these take, and for
 *          pinned threads that have something of it to do.
 * Runs:    callbacks of what was waiting.
 */
OURO_API int ouro_flush(void);

OURO_END_DECLS

static inline void ouro_auto_release_(void *variable)
{
	void *obj;
	__builtin_memcpy(&obj, variable, sizeof(obj));
	ouro_release(obj);
}

/*
 * Before a local pointer variable: it is released at the end of its scope, as by ouro_release.
 * Initialise it.
 */
#define OURO_AUTO __attribute__((cleanup(ouro_auto_release_)))

#endif
