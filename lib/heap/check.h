/*
 * check.h - what a checked build (make CHECKED=1) verifies on every call; nothing otherwise
 *
 * A failed check names the operation, the type and the address, and aborts. It never allocates or locks.
 */
#ifndef OI_CHECK_H
#define OI_CHECK_H

#include "world/object.h"
#include "world/thread.h"

#if OURO_CHECKED
/* The block of an object that has not been freed; dying is fine. */
void oi_check_object(const struct oi_header *h, const char *operation);
/* That, and not dead (unless its finalizer runs). */
void oi_check_live(const struct oi_header *h, const char *operation);
/* That, or this is a callback of the dying. */
void oi_check_usable(const struct oi_header *h, const char *operation);
/* That, and it has a reference to give back. */
void oi_check_release(const struct oi_header *h, const char *operation);
/* If @slot lies in an object, that one is not freed, or (write) not dead. */
void oi_check_slot(const void *slot, const char *operation);
void oi_check_slot_write(const void *slot, const char *operation);
void oi_check_pinned(const char *operation);
/* Internal references never exceed the count: a traverse that reports too much. */
void oi_check_internal(const struct oi_header *h, int64_t references, int64_t internal);
#else
#define oi_check_object(h, operation) ((void)0)
#define oi_check_live(h, operation) ((void)0)
#define oi_check_usable(h, operation) ((void)0)
#define oi_check_release(h, operation) ((void)0)
#define oi_check_slot(slot, operation) ((void)0)
#define oi_check_slot_write(slot, operation) ((void)0)
#define oi_check_pinned(operation) ((void)0)
#endif

#endif
