/*
 * ouro/weak.h - weak references and watches
 *
 * A cell is one word that lives in an object, a global or on a stack; zero bytes are a valid empty
 * cell. It leads to the object's entry in a side table and holds no count. All weak references to
 * all members of a dead cycle expire at one instant: no thread can see one member expired and load
 * another. Do not memcpy a cell. It holds nothing, so the memory that it lies in may go away as it
 * is. Cells may be used by several threads at once.
 */
#ifndef OURO_WEAK_H
#define OURO_WEAK_H

#include "base.h"

OURO_BEGIN_DECLS

typedef struct ouro_weak {
	uint64_t word; /* private: entry index and its generation */
} ouro_weak;

/* Names one watch for ouro_unwatch. Never 0, never used twice in a process's life. */
typedef uint64_t ouro_watch_id;

/*
 * ouro_weak_store - point a cell at an object
 * @obj: borrowed; NULL empties the cell; one that is already dying gives an expired cell
 *
 * Return:  0; EINVAL (cell NULL); ENOMEM leaves the cell as it was.
 * Blocks:  as any call, and for a lock that is held for a moment.
 */
OURO_API int ouro_weak_store(ouro_weak *cell, void *obj);

/*
 * ouro_weak_load - make a counted reference of a weak one
 *
 * Return:  new reference, or NULL for ever once the object is dying, or if the cell is empty.
 * Blocks:  as any call; it takes no lock. If upgrades are all that keeps a dead cycle, one may wait
 *          for the stop that decides about it, for 0.1 s at most (not when pinned, nor in an event
 *          function).
 * Runs:    none, but for one case: if the finalizer of the object ends on another thread at this
 *          moment, the rest of its death may be carried out here, with callbacks.
 */
OURO_API void *ouro_weak_load(ouro_weak *cell) OURO_OWNED;

/*
 * ouro_weak_clear - empty the cell; NULL is fine
 *
 * Blocks:  no.
 */
OURO_API void ouro_weak_clear(ouro_weak *cell);

/*
 * ouro_weak_expired - look whether there is still something to load
 *
 * Return:  true if a load would give NULL now; an empty cell is expired.
 * Blocks:  as any call.
 */
OURO_API bool ouro_weak_expired(const ouro_weak *cell);

/*
 * ouro_weak_is - does the cell refer to @obj? (Java: refersTo)
 * @obj: borrowed; may be NULL
 *
 * No reference is made, so that it neither keeps the object nor counts. An object at the address of
 * one that is gone is another one: the answer is false.
 * Return:  true if a load would give @obj now.
 * Blocks:  as any call.
 */
OURO_API bool ouro_weak_is(const ouro_weak *cell, const void *obj);

/*
 * ouro_watch - have fn(arg) run exactly once when @obj dies (Python: weakref.finalize)
 * @obj: borrowed
 * @id:  where to put the watch's name; may be NULL
 *
 * It runs in ouro_shutdown at the latest (which says when not). The watches of an object run newest
 * first, before its finalizer, outside every pause and with no lock of the library held; they
 * cannot reach the object. A watch added during the finalizer runs before destroy. What they may
 * do, and what follows: ouro/type.h.
 * Return:  0; EINVAL (obj or fn NULL); ENOMEM.
 * Blocks:  as any call, and for a lock that is held for a moment.
 */
OURO_API int ouro_watch(void *obj, void (*fn)(void *arg), void *arg, ouro_watch_id *id);

/*
 * ouro_unwatch - undo a watch
 *
 * Return:  true if the watch will not run; false if it has run, is running, or was undone before.
 * Blocks:  for a lock that is held for a moment; not for a watch that is running.
 */
OURO_API bool ouro_unwatch(ouro_watch_id id);

OURO_END_DECLS

#endif
