/* place.h - changing and reading the model's places, around the calls that do the same */
#ifndef FUZZ_PLACE_H
#define FUZZ_PLACE_H

#include "model.h"

#include <ouro.h>

/* As model_begin and model_end, with the lock. */
bool place_begins(struct model_place *p, int *old);
void place_ends(struct model_place *p, int value);

/* Two objects, MODEL_NONE included; two answers, of which ENOMEM may always be. */
void place_must_be(int is, int should, const char *what);
void place_must_answer(int error, int should, const char *what);

/* What a place held when nobody changed it. */
struct glance {
	uint32_t version;
	int value;
	bool sure;
};

/* Under the lock. */
struct glance place_glance(const struct model_place *p);
/* Under the lock: was it the same all the time since? */
bool place_unchanged(const struct model_place *p, const struct glance *g);
/* The same as place_glance, with the lock. */
struct glance place_look(const struct model_place *p);
/* @id was read since: it must be what is there, unless somebody has changed that. */
void place_seen(const struct model_place *p, const struct glance *g, int id, const char *what);

/* Keys: half are numbers, half bytes, as many as the number. */
bool key_is_number(int k);
const char *key_bytes(int k);

/* What a walk through a container has met: each place how often, and as which object. */
struct place_meeting {
	const char *what; /* it is called */
	int times[MODEL_KEYS], id[MODEL_KEYS];
};

/* For ouro_map_each and its like; @arg: a struct place_meeting. */
bool place_meet_key(const ouro_map_item *item, void *arg);

#endif
