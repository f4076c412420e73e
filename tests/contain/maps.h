/* maps.h - what the tests of maps, with limits and without, put into them. */
#ifndef TEST_MAPS_H
#define TEST_MAPS_H

#include "fixture.h"

/* Puts a new object of that number. */
static inline void put_new(ouro_map *m, uint64_t key)
{
	struct node *n OURO_AUTO = make_of(&counted_type, (int)key);

	if (ouro_map_put_int(m, key, n) != 0)
		abort();
}

/* An object of this type brings back the map to its left. */
static ouro_map *risen;

static void rise(void *obj)
{
	struct node *n = obj;

	ouro_slot_store(&risen, n->left);
}

static const ouro_type rising_type = {
	.name = "rising", .size = sizeof(struct node),
	.slots = OURO_SLOTS(struct node, left, right), .finalize = rise,
};

#endif
