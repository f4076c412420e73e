/*
 * dated.c - values with a time to live
 *
 * Value and time change together, by the compare-and-swap of one slot, as they are one object. So
 * whoever finds that the time is over, however late, takes out what it has looked at, or nothing:
 * never a value that came later.
 */
#include "contain/dated.h"

#include "base/perturb.h"
#include "world/object.h"
#include "ouro.h"

static const ouro_type dated_type = {
	.name = "ouro_map value",
	.size = sizeof(struct oi_dated),
	.slots = OURO_SLOTS(struct oi_dated, value),
};

struct oi_dated *oi_dated_new(void *value, uint64_t ns)
{
	struct oi_dated *d = ouro_new(&dated_type);
	if (!d)
		return NULL;
	uint64_t now = oi_now_ns();
	d->until = ns < OI_FOR_EVER - now ? now + ns : OI_FOR_EVER;
	ouro_slot_store(&d->value, value);
	return d;
}

/*
 * What is peeked may be replaced, and die with its value, before that is retained: then the slot
 * says so, and is read again. If it still holds what has lost its value, it lies in an entry that
 * is dying.
 */
void *oi_dated_load(void **slot)
{
	for (;;) {
		struct oi_dated *d = ouro_slot_peek(slot);
		if (!d || oi_dated_late(d))
			return NULL;
		oi_point("map: dated");
		void *value = ouro_slot_load(&d->value);
		if (value || ouro_slot_peek(slot) == d)
			return value;
	}
}

bool oi_dated_is(uint32_t type)
{
	return oi_type_given[type] == &dated_type;
}
