/*
 * ouro/auto.h - local variables that hold references, and scopes
 *
 *     OURO_AUTO struct node *n = OURO_NEW(struct node, &node_type);
 *     ouro_set(&n, ouro_load(&n->next));          // the next one; the first is released
 *     return OURO_MOVE(n);                        // the caller's now, and not released here
 *
 * All of it is for a variable that one thread uses, and for C; C++ has ouro.hpp.
 */
#ifndef OURO_AUTO_H
#define OURO_AUTO_H

#include "object.h"
#include "slot.h"
#include "thread.h"

static inline void ouro_auto_set_(void *variable, void *obj)
{
	void *old;
	__builtin_memcpy(&old, variable, sizeof(old));
	__builtin_memcpy(variable, &obj, sizeof(obj));
	ouro_release(old);
}

static inline void ouro_auto_unpin_(const int *pinned)
{
	(void)pinned;
	ouro_unpin();
}

#ifndef __cplusplus

/*
 * ouro_set(&variable, obj) - steals the reference to obj (may be NULL), and releases what the
 *                            variable held, as ouro_release does, once it holds obj
 */
#define ouro_set(variable, obj) ouro_auto_set_((void *)(variable), OURO_SAME_(variable, obj))

/* OURO_NEW(struct t, type) - ouro_new(type) as a struct t *, which type must be of. */
#define OURO_NEW(t, type) ((t *)ouro_new(type))
/* OURO_NEW_ITEMS(struct t, type, n) - the same of ouro_new_items. */
#define OURO_NEW_ITEMS(t, type, n) ((t *)ouro_new_items(type, n))

#else

extern "C++" {
template <class T> inline void ouro_set(T **variable, typename ouro_same_<T>::type *obj)
{
	ouro_auto_set_(variable, obj);
}
}
#define OURO_NEW(t, type) (static_cast<t *>(ouro_new(type)))
#define OURO_NEW_ITEMS(t, type, n) (static_cast<t *>(ouro_new_items(type, n)))

#endif

/* OURO_MOVE(variable) - its reference, which the variable, NULL from now on, has no longer. */
#define OURO_MOVE(variable) \
	__extension__({ \
		__typeof__(variable) ouro_moved_ = (variable); \
		(variable) = NULL; \
		ouro_moved_; \
	})

/*
 * OURO_PINNED; - from here to the end of the scope the thread is pinned: ouro_pin, ouro_unpin. It
 *                is a declaration. Peeked pointers are valid until there.
 */
#define OURO_PINNED OURO_PINNED_(__LINE__)
#define OURO_PINNED_(line) OURO_PINNED_AT_(line)
#define OURO_PINNED_AT_(line) \
	__attribute__((cleanup(ouro_auto_unpin_), unused)) const int ouro_pinned_##line = \
		(ouro_pin(), 1)

#endif
