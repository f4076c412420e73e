/* check.c - what a checked build verifies on every call. */
#include "heap/check.h"

#if OURO_CHECKED

#include "base/log.h"
#include "heap/region.h"
#include "world/thread.h"

static const char *type_name_of(const struct oi_header *h)
{
	const ouro_type *t = oi_type_of(h);
	return t && t->name ? t->name : "?";
}

void oi_check_object(const struct oi_header *h, const char *operation)
{
	if ((uintptr_t)h % 16 || !oi_region_contains(h) || oi_page_number(h) < OI_FIRST_PAGE)
		oi_abort("%s: %p is not an object", operation, (void *)(h + 1));
	if (oi_load_relaxed(&h->own) == OI_OWN_FREE) /* recheck: a diagnosis */
		oi_abort("%s: the \"%s\" at %p has been freed", operation, type_name_of(h),
			 (void *)(h + 1));
}

/*
 * Returns true if the object is dead. While its finalizer runs, and until what that did is decided
 * (the flag goes before DEAD does), those to whom the finalizer gave references may use the object:
 * they are counted.
 */
static bool is_gone(const struct oi_header *h)
{
	uint32_t s = oi_load_relaxed(&h->shared); /* recheck: a diagnosis */
	return (s & OI_DEAD) && !(oi_flags(h) & OI_FLAG_FINALIZING) && oi_shared_count(s) <= 0;
}

void oi_check_live(const struct oi_header *h, const char *operation)
{
	oi_check_object(h, operation);
	if (is_gone(h))
		oi_abort("%s: the \"%s\" at %p is dead", operation, type_name_of(h),
			 (void *)(h + 1));
}

void oi_check_usable(const struct oi_header *h, const char *operation)
{
	if (oi_self->in_callback)
		oi_check_object(h, operation);
	else
		oi_check_live(h, operation);
}

void oi_check_release(const struct oi_header *h, const char *operation)
{
	oi_check_object(h, operation);
	if (is_gone(h))
		oi_abort("%s: the \"%s\" at %p is dead: it was released once too often", operation,
			 type_name_of(h), (void *)(h + 1));
	uint32_t s = oi_load_relaxed(&h->shared); /* recheck: a diagnosis */
	if ((s & OI_MERGED) && oi_shared_count(s) <= 0 &&
	    oi_load_relaxed(&h->own) != OI_OWN_IMMORTAL) /* recheck: a diagnosis */
		oi_abort(
		    "%s: the \"%s\" at %p has no reference left: it was released once too often",
		    operation, type_name_of(h), (void *)(h + 1));
}

static void check_container(const void *slot, const char *operation, bool dying_is_fine)
{
	struct oi_header *h = oi_region_block(slot);
	if (!h)
		return;
	if (oi_load_relaxed(&h->own) == OI_OWN_FREE) /* recheck: a diagnosis */
		oi_abort("%s: the slot at %p lies in a \"%s\" at %p that has been freed",
			 operation, slot, type_name_of(h), (void *)(h + 1));
	if (!dying_is_fine && is_gone(h) && !oi_self->in_callback)
		oi_abort("%s: the slot at %p lies in a dead \"%s\" at %p", operation, slot,
			 type_name_of(h), (void *)(h + 1));
}

/* A container that was peeked at may be dying; a thread that is not pinned has peeked at none. */
void oi_check_slot(const void *slot, const char *operation)
{
	check_container(slot, operation, oi_self->pin_depth != 0);
}

void oi_check_slot_write(const void *slot, const char *operation)
{
	check_container(slot, operation, false);
}

void oi_check_pinned(const char *operation)
{
	if (!oi_self || !oi_self->pin_depth)
		oi_abort("%s: outside a pinned region", operation);
}

void oi_check_internal(const struct oi_header *h, int64_t references, int64_t internal)
{
	if (internal > references)
		oi_abort("collection: %lld references to the \"%s\" at %p were reported, but it has only %lld: a traverse that "
			 "reports a reference it does not hold",
			 (long long)internal, type_name_of(h), (void *)(h + 1),
			 (long long)references);
}

void oi_check_type(const void *obj, const ouro_type *type, const char *operation)
{
	if (!obj)
		return;
	const struct oi_header *h = oi_header_of(obj);
	oi_check_object(h, operation);
	if (oi_type_given[h->type] != type)
		oi_abort("%s: the \"%s\" at %p is no \"%s\"", operation, type_name_of(h), obj,
			 type->name);
}

#endif
