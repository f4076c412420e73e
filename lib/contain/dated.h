/* dated.h - values with a time to live: what the slot of an entry holds in a map that has one. */
#ifndef OI_DATED_H
#define OI_DATED_H

#include "base/compiler.h"
#include "base/os.h"

#define OI_FOR_EVER UINT64_MAX

/* Neither changes once it is made. */
struct oi_dated {
	void *value;    /* a slot */
	uint64_t until; /* when it is over, by oi_now_ns */
};

/*
 * @value: borrowed. @ns: how long it lives from now on. Returns a new reference, or NULL without
 * memory.
 */
struct oi_dated *oi_dated_new(void *value, uint64_t ns);
/*
 * In a pinned region. Returns a new reference to the value of what @slot holds, or NULL if that is
 * nothing, or its time is over.
 */
void *oi_dated_load(void **slot);

/* Returns true if that is the number of the type of dated values. */
bool oi_dated_is(uint32_t type);

/* Returns true if the time of @held, a dated value, is over some day. */
OI_INLINE bool oi_dated_ends(const void *held)
{
	const struct oi_dated *d = held;
	return d->until != OI_FOR_EVER;
}

/* Returns true if it is. */
OI_INLINE bool oi_dated_late(const void *held)
{
	const struct oi_dated *d = held;
	return oi_dated_ends(held) && d->until <= oi_now_ns();
}

/* Returns the value, borrowed for as long as @held is. */
OI_INLINE void *oi_dated_value(const void *held)
{
	const struct oi_dated *d = held;
	return oi_load_relaxed(&d->value); /* elsewhere: the slot that showed it [S1] */
}

#endif
