/*
 * ouro/slot.h - strong references inside objects, and in globals
 *
 * A slot is an ordinary typed pointer field, touched only through these calls, each of which is
 * atomic and safe against any other thread doing any of them to the same slot. The macros
 * (templates in C++) keep the pointer's type. A static variable used as a slot is a root. A slot
 * may be read plainly only where no other thread can reach it.
 *
 * Writing to a slot needs a counted reference to the object it lies in: through a merely peeked
 * container, retain it first (ouro_try_retain). A checked build aborts on a store into a dead
 * object.
 *
 *   ouro_load(&n->next)         returns a new reference to what is there, or NULL (acquire)
 *   ouro_store(&n->next, x)     retains x (borrowed, may be NULL), releases what was there
 *                               (release)
 *   ouro_give(&n->next, x)      like store, but steals the caller's reference to x
 *   ouro_take(&n->next)         leaves NULL; returns the slot's reference, now the caller's
 *   ouro_exchange(&n->next, x)  steals x; returns what was there, now the caller's reference
 *   ouro_compare_exchange(&n->next, expect, x)
 *                               if the slot holds expect: retains x, stores it, releases expect,
 *                               and returns true; else returns false, and nothing has changed
 *   ouro_compare_give(&n->next, expect, x)
 *                               like compare_exchange, but steals the caller's reference to x if
 *                               it returns true; else that is still the caller's
 *   ouro_peek(&n->next)         returns an uncounted pointer, valid until this thread's next
 *                               unpin or safepoint; only when pinned. The object may be dying:
 *                               its plain payload stays readable, what destroy frees may be gone
 *
 * None of them can fail.
 * Blocks:  ouro_peek does not; the others as any call, and store, give, compare_exchange and
 *          compare_give as long as the callbacks they run.
 * Runs:    store, give, compare_exchange and compare_give release a reference: callbacks, if it was
 *          the last one.
 *          take, exchange and peek run none. load runs none but for one case: if the finalizer of
 *          the object ends on another thread at this moment, the rest of its death may be carried
 *          out here, with callbacks.
 */
#ifndef OURO_SLOT_H
#define OURO_SLOT_H

#include "base.h"

OURO_BEGIN_DECLS

/*
 * The functions behind the macros; each returns what its macro does. @slot is the address of a
 * pointer field.
 */
OURO_API void *ouro_slot_load(void *slot) OURO_OWNED;
OURO_API void ouro_slot_store(void *slot, void *obj);
OURO_API void ouro_slot_give(void *slot, void *obj);
OURO_API void *ouro_slot_take(void *slot) OURO_OWNED;
OURO_API void *ouro_slot_exchange(void *slot, void *obj) OURO_OWNED;
OURO_API bool ouro_slot_compare_exchange(void *slot, const void *expected, void *obj);
OURO_API bool ouro_slot_compare_give(void *slot, const void *expected, void *obj) OURO_OWNED;
OURO_API void *ouro_slot_peek(const void *slot);

OURO_END_DECLS

#ifndef __cplusplus

/*
 * The conditional is never evaluated to its second half: it makes the compiler compare the two
 * pointer types.
 */
#define OURO_SLOT_TYPE_(slot) __typeof__(*(slot))
#define OURO_SAME_(slot, obj) ((void *)(1 ? (obj) : *(slot)))
#define OURO_SAME_CONST_(slot, obj) ((const void *)(1 ? (obj) : *(slot)))

#define ouro_load(slot) ((OURO_SLOT_TYPE_(slot))ouro_slot_load((void *)(slot)))
#define ouro_store(slot, obj) ouro_slot_store((void *)(slot), OURO_SAME_(slot, obj))
#define ouro_give(slot, obj) ouro_slot_give((void *)(slot), OURO_SAME_(slot, obj))
#define ouro_take(slot) ((OURO_SLOT_TYPE_(slot))ouro_slot_take((void *)(slot)))
#define ouro_exchange(slot, obj) \
	((OURO_SLOT_TYPE_(slot))ouro_slot_exchange((void *)(slot), OURO_SAME_(slot, obj)))
#define ouro_compare_exchange(slot, expected, obj) \
	ouro_slot_compare_exchange((void *)(slot), OURO_SAME_CONST_(slot, expected), \
				   OURO_SAME_(slot, obj))
#define ouro_compare_give(slot, expected, obj) \
	ouro_slot_compare_give((void *)(slot), OURO_SAME_CONST_(slot, expected), \
			       OURO_SAME_(slot, obj))
#define ouro_peek(slot) ((OURO_SLOT_TYPE_(slot))ouro_slot_peek((const void *)(slot)))

#else

extern "C++" { /* also where a program has put the include into its extern "C" */

/* The second pointer is not deduced, so that nullptr and derived pointers convert. */
template <class T> struct ouro_same_ { typedef T type; };

template <class T> OURO_OWNED inline T *ouro_load(T **slot)
{
	return static_cast<T *>(ouro_slot_load(slot));
}
template <class T> inline void ouro_store(T **slot, typename ouro_same_<T>::type *obj)
{
	ouro_slot_store(slot, obj);
}
template <class T> inline void ouro_give(T **slot, typename ouro_same_<T>::type *obj)
{
	ouro_slot_give(slot, obj);
}
template <class T> OURO_OWNED inline T *ouro_take(T **slot)
{
	return static_cast<T *>(ouro_slot_take(slot));
}
template <class T>
OURO_OWNED inline T *ouro_exchange(T **slot, typename ouro_same_<T>::type *obj)
{
	return static_cast<T *>(ouro_slot_exchange(slot, obj));
}
template <class T>
inline bool ouro_compare_exchange(T **slot, const typename ouro_same_<T>::type *expected,
				  typename ouro_same_<T>::type *obj)
{
	return ouro_slot_compare_exchange(slot, expected, obj);
}
template <class T>
OURO_OWNED inline bool ouro_compare_give(T **slot, const typename ouro_same_<T>::type *expected,
					 typename ouro_same_<T>::type *obj)
{
	return ouro_slot_compare_give(slot, expected, obj);
}
template <class T> inline T *ouro_peek(T *const *slot)
{
	return static_cast<T *>(ouro_slot_peek(slot));
}

}

#endif
#endif
