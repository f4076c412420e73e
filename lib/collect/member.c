/* member.c - how members of a type are gone through. */
#include "collect/member.h"

/* Returns true if the slots of the type are all in the fixed part, one after another. */
static bool has_row(const struct oi_type *d)
{
	if (!d->flat || d->n_slots == OI_SLOTS_MANY)
		return false;
	for (unsigned i = 0; i < d->n_slots; i++)
		if (d->slot[i] != d->slot[0] + i)
			return false;
	return true;
}

struct oi_member_kind oi_member_kind_of(uint16_t number)
{
	const struct oi_type *d = &oi_types[number];
	return (struct oi_member_kind){ .number = number,
			      .plain = d->silent && (d->flat || !d->type->traverse),
			      .row = has_row(d),
			      .first = d->slot[0],
			      .n_slots = d->n_slots };
}
