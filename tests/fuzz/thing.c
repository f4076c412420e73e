/* thing.c - the objects of a fuzzed program, and what their callbacks tell the model */
#include "thing.h"

struct thing *thing_address[MODEL_OBJECTS];

static void destroy(void *obj)
{
	struct thing *x = obj;
	if (x->canary != THING_CANARY)
		model_broken("destroy: no canary at %p", obj);
	model_lock();
	int kind = model.object[x->id].kind;
	model_destroyed(x->id, kind == THING_FINALIZED || kind == THING_LAZARUS);
	thing_address[x->id] = NULL;
	model_unlock();
	x->canary = 0;
}

static void finalize(void *obj)
{
	struct thing *x = obj;
	model_lock();
	model_finalized(thing_id(x), false);
	model_unlock();
}

static void rise(void *obj)
{
	struct thing *x = obj;
	ouro_retain(x);
	model_lock();
	bool ending = model.ending;
	model_finalized(thing_id(x), !ending);
	model_unlock();
	if (ending)
		ouro_release(x);
}

/* A stop keeps threads out of the library, not from filling in what they have made. */
static void visit(void *obj, ouro_visitor *v)
{
	ouro_visit(v, __atomic_load_n(&((struct thing *)obj)->slot[0], __ATOMIC_ACQUIRE));
}

static void clear(void *obj)
{
	struct thing *x = obj, *child = x->slot[0];
	x->slot[0] = NULL;
	ouro_release(child);
}

#define SLOTS .slots = OURO_SLOTS(struct thing, slot), .size = sizeof(struct thing)
#define KEYED .slots = OURO_SLOTS(struct thing, values, slot), .size = sizeof(struct thing), \
	      .flags = OURO_KEY
#define ITEMS .size = sizeof(struct thing), .item_size = sizeof(struct thing *), \
	      .item_slots = OURO_ITEM_REFS
static const ouro_type type[THING_KINDS] = {
	{ .name = "plain", SLOTS },
	{ .name = "destroyed", KEYED, .destroy = destroy },
	{ .name = "finalized", KEYED, .finalize = finalize, .destroy = destroy },
	{ .name = "lazarus", KEYED, .finalize = rise, .destroy = destroy },
	{ .name = "traversed", .size = sizeof(struct thing), .traverse = visit, .clear = clear,
	  .destroy = destroy },
	{ .name = "items", ITEMS, .destroy = destroy },
	{ .name = "large", ITEMS, .destroy = destroy },
	{ .name = "leaf", .size = sizeof(struct thing), .flags = OURO_ACYCLIC, .destroy = destroy },
};

struct thing *thing_new(enum thing_kind kind, int id, struct thing *child)
{
	size_t items = kind == THING_LARGE ? THING_LARGE_ITEMS : MODEL_SLOTS;
	struct thing *x = type[kind].item_size ? ouro_new_items(&type[kind], items) :
						 ouro_new(&type[kind]);
	if (!x)
		return NULL;
	x->canary = THING_CANARY;
	x->id = id;
	if (kind == THING_TRAVERSED)
		__atomic_store_n(&x->slot[0], child, __ATOMIC_RELEASE);
	return x;
}

bool thing_has_slots(enum thing_kind kind)
{
	return kind != THING_LEAF && kind != THING_TRAVERSED;
}

bool thing_is_key(enum thing_kind kind)
{
	return kind == THING_DESTROYED || kind == THING_FINALIZED || kind == THING_LAZARUS;
}

bool thing_tells(enum thing_kind kind)
{
	return kind != THING_PLAIN;
}

struct thing **thing_slot(struct thing *x, enum thing_kind kind, int i)
{
	if (kind == THING_ITEMS)
		return &x->items[i];
	/* the first, one in the middle, the last */
	return kind == THING_LARGE ? &x->items[i * (THING_LARGE_ITEMS - 1) / (MODEL_SLOTS - 1)] :
				     &x->slot[i];
}

int thing_id(const struct thing *x)
{
	if (!x)
		return MODEL_NONE;
	if (x->canary != THING_CANARY || x->id < 0 || x->id >= MODEL_OBJECTS)
		model_broken("%p is no object any more", (const void *)x);
	return x->id;
}
