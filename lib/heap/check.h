/*
 * check.h - what a checked build (make CHECKED=1) verifies on every call; nothing otherwise
 *
 * A failed check names the operation, the type and the address, and aborts. A check never allocates
 * or locks.
 */
#ifndef OI_CHECK_H
#define OI_CHECK_H

#include "world/object.h"

#if OURO_CHECKED
/*
 * Each aborts unless what it says holds. @h is an object that has not been freed; it may be dying.
 */
void oi_check_object(const struct oi_header *h, const char *operation);
/* Likewise, and it is not dead, or it is used by those to whom its finalizer gave references. */
void oi_check_live(const struct oi_header *h, const char *operation);
/* It is live, as above; or this thread is in a callback, and it has not been freed. */
void oi_check_usable(const struct oi_header *h, const char *operation);
/* It is live, as above, and has a reference to give back. */
void oi_check_release(const struct oi_header *h, const char *operation);
/*
 * If @slot lies in an object, that has not been freed; nor is it dead, unless the slot is only
 * read, by a pinned thread, or this thread is in a callback.
 */
void oi_check_slot(const void *slot, const char *operation);
void oi_check_slot_write(const void *slot, const char *operation);
/* This thread is pinned. */
void oi_check_pinned(const char *operation);
/* Internal references do not exceed the count, as they would if a traverse reported too much. */
void oi_check_internal(const struct oi_header *h, int64_t references, int64_t internal);
/* @obj is NULL, or an object of @type. */
void oi_check_type(const void *obj, const ouro_type *type, const char *operation);
#else
#define oi_check_type(obj, type, operation) ((void)(obj), (void)(type))
#define oi_check_object(h, operation) ((void)0)
#define oi_check_live(h, operation) ((void)0)
#define oi_check_usable(h, operation) ((void)0)
#define oi_check_release(h, operation) ((void)0)
#define oi_check_slot(slot, operation) ((void)0)
#define oi_check_slot_write(slot, operation) ((void)0)
#define oi_check_pinned(operation) ((void)0)
#endif

#endif
