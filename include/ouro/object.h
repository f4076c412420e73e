/*
 * ouro/object.h - making objects and counting references to them
 *
 * Counts are biased (Choi, Shull, Torrellas 2018; CPython >= 3.13): the thread that made an object counts with plain
 * adds, all others with atomic ones.
 *
 * Death. The release that drops the last reference carries out the death before it returns: weak references and watches,
 * finalizer, children, clear, destroy. Releases made on the way are queued to the outermost one, so the stack stays
 * small however deep the structure. Past ouro_config.release_batch objects the rest is left for later: if the next of them has
 * no callbacks, to this thread, which gets on with it as it makes objects, and to a background thread if it has not for
 * 4 to 8 ms; else to the background thread at once. ouro_flush and ouro_gc_collect wait for it.
 * Where another thread's last release needs the maker's part of the count, the death follows within 10 ms, whatever the
 * maker is doing (asleep in a system call included).
 *
 * A count that would overflow saturates: the object becomes immortal, and the log says so.
 */
#ifndef OURO_OBJECT_H
#define OURO_OBJECT_H

#include "type.h"

OURO_BEGIN_DECLS

/*
 * ouro_new - make an object, zeroed
 *
 * Return:  new reference; NULL with errno ENOMEM (system, ouro_config.heap_limit or 65 535 types exhausted) or EINVAL (bad
 *          type: no name, size 0, a field outside its size, traverse without clear, unknown flags).
 * Blocks:  at heap_limit it runs a full collection first, unless pinned or inside a callback. No finalizer, watch, clear or destroy runs
 *          on the way, as the caller may hold any lock: these are the background thread's, for which it waits some 0.2 s at
 *          most; in manual mode they wait for ouro_run_finalizers.
 */
OURO_API void *ouro_new(const ouro_type *type) __attribute__((warn_unused_result));

/*
 * ouro_new_items - make an object with @n trailing items, all zeroed
 * @n: 0 is fine; fixed for the life of the object
 *
 * Return:  as ouro_new; also EOVERFLOW (size + n * item_size does not fit) and EINVAL (n > 0, type without items).
 */
OURO_API void *ouro_new_items(const ouro_type *type, size_t n) __attribute__((warn_unused_result));

/* ouro_items - how many trailing items @obj (borrowed) was made with; 0 for types without items */
OURO_API size_t ouro_items(const void *obj);

/* ouro_retain - count up; @obj borrowed, may be NULL. Return: @obj, now also a new reference. Never blocks. */
OURO_API void *ouro_retain(void *obj);

/* ouro_release - count down; steals @obj, may be NULL. The last one carries out the death (see above). */
OURO_API void ouro_release(void *obj);

/*
 * ouro_try_retain - make a counted reference of a peeked pointer
 * @obj: from ouro_peek, within the same pinned region; or borrowed; may be NULL
 *
 * Return:  new reference, or NULL if the object is dying.
 */
OURO_API void *ouro_try_retain(void *obj);

/*
 * ouro_refcount - how many counted references there are to @obj (borrowed)
 *
 * Return:  exact when nobody else is changing it (unlike Python's, the call itself adds none); SIZE_MAX: immortal.
 */
OURO_API size_t ouro_refcount(const void *obj);

/* ouro_typeof - the type @obj (borrowed or peeked) was made with */
OURO_API const ouro_type *ouro_typeof(const void *obj);

/* ouro_immortalize - @obj (borrowed) is never counted again and never dies before ouro_shutdown */
OURO_API void ouro_immortalize(void *obj);

/*
 * ouro_flush - wait until all that was dead at the call has been finalized and destroyed, whichever thread does it
 *
 * And all that died of it: objects that others drop meanwhile are not waited for. It waits for a callback that another thread is in
 * for as long as that takes. Callbacks that make objects of which others die, without end, it follows until twice as many
 * are gone as there were at the call, and some; the log says so. Callbacks of what was waiting may run on this thread.
 * In manual finalizer mode, all but what waits for ouro_run_finalizers.
 * Return:  0; EDEADLK inside a finalizer, clear, destroy or watch, when pinned, in an event function between GC_START and GC_STOP, or
 *          in the log function when ouro_gc_collect tells of what it has found (OURO_DEBUG_*).
 */
OURO_API int ouro_flush(void);

OURO_END_DECLS

static inline void ouro_auto_release_(void *variable)
{
	ouro_release(*(void **)variable);
}

/* Before a local pointer variable: it is released at the end of its scope. Initialise it. */
#define OURO_AUTO __attribute__((cleanup(ouro_auto_release_)))

#endif
