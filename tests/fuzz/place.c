/* place.c - changing and reading the model's places, around the calls that do the same */
#include "place.h"
#include "thing.h"

#include <errno.h>

bool place_begins(struct model_place *p, int *old)
{
	model_lock();
	bool ok = model_begin(p, old);
	model_unlock();
	return ok;
}

void place_ends(struct model_place *p, int value)
{
	model_lock();
	model_end(p, value);
	model_unlock();
}

void place_must_be(int is, int should, const char *what)
{
	if (is != should)
		model_broken("%s: object %d, and it should be %d", what, is, should);
}

void place_must_answer(int error, int should, const char *what)
{
	if (error != should && error != ENOMEM)
		model_broken("%s answers %d, and should %d", what, error, should);
}

struct glance place_glance(const struct model_place *p)
{
	return (struct glance){ p->version, p->value, !p->busy };
}

bool place_unchanged(const struct model_place *p, const struct glance *g)
{
	return g->sure && p->version == g->version;
}

struct glance place_look(const struct model_place *p)
{
	model_lock();
	struct glance g = place_glance(p);
	model_unlock();
	return g;
}

void place_seen(const struct model_place *p, const struct glance *g, int id, const char *what)
{
	model_lock();
	bool sure = place_unchanged(p, g);
	model_unlock();
	if (sure)
		place_must_be(id, g->value, what);
}

bool key_is_number(int k)
{
	return k % 2 == 0;
}

const char *key_bytes(int k)
{
	static const char bytes[] = "kkkkkkkkkkkkkkkk";
	return bytes + sizeof bytes - 1 - k;
}

bool place_meet_key(const ouro_map_item *item, void *arg)
{
	struct place_meeting *m = arg;
	uint64_t k = item->bytes ? item->size : item->number;
	if (k >= MODEL_KEYS || key_is_number((int)k) != !item->bytes)
		model_broken("%s: a key that nobody put", m->what);
	m->times[k]++;
	m->id[k] = thing_id(item->value);
	return true;
}
