/*
 * stress_slots - a few slots, hammered by every operation at once
 *
 * Goal: each slot operation is atomic against all the others, in static slots and in slots of
 * shared objects.
 * Method: all threads load, store, give, take, exchange, compare and exchange, peek and try to
 * retain on the same dozen slots. A counted reference must be to an object that is not destroyed; a
 * peeked one to memory that is not reused while the pin lasts. A failure means: a lost or doubled
 * count, or memory recycled under a reader.
 */
#include "stress.h"

enum { ROOTS = 4, BOXES = 2, BOX_SLOTS = 3, ITEM_SLOTS = 2 };

struct thing {
	struct canary canary;
	uint64_t serial; /* never the same twice */
	struct thing *child;
};

struct box {
	struct canary canary;
	struct thing *slot[BOX_SLOTS];
	struct thing *item[];
};

static const ouro_type thing_type = {
	.name = "thing",
	.size = sizeof(struct thing),
	.slots = OURO_SLOTS(struct thing, child),
	.destroy = canary_only,
};

static const ouro_type box_type = {
	.name = "box",
	.size = offsetof(struct box, item),
	.slots = OURO_SLOTS(struct box, slot),
	.item_size = sizeof(struct thing *),
	.item_slots = OURO_ITEM_REFS,
	.destroy = canary_only,
};

static struct thing *roots[ROOTS];
static struct box *boxes[BOXES]; /* replaced now and then */

static struct thing *thing_new(struct worker *w)
{
	struct thing *t = make(&thing_type, 0);

	t->serial = ((uint64_t)w->index << 48) + ++w->ops;
	return t;
}

static struct box *box_new(void)
{
	struct box *b = make(&box_type, ITEM_SLOTS);

	return b;
}

static void linger(struct rng *r)
{
	if (rng_one_in(r, 200))
		sched_yield();
	else
		for (volatile unsigned i = rng_below(r, 60); i; i--)
			;
}

static void peek_and_retain(struct worker *w, struct thing **slot)
{
	struct thing *t, *kept = NULL;
	uint64_t serial;

	ouro_pin();
	t = ouro_peek(slot);
	if (t) {
		serial = t->serial;
		canary_there(&t->canary);
		linger(&w->rng);
		kept = ouro_try_retain(t);
		CHECK(!kept || kept == t);
		canary_there(&t->canary);
		CHECK(t->serial == serial, "%p: reused while pinned", (void *)t);
	}
	ouro_unpin();
	drop(kept);
}

/* The path peek -> child, two deep, with a safepoint that ends all of it. */
static void peek_child(struct worker *w, struct thing **slot)
{
	struct thing *t, *child, *kept = NULL;

	ouro_pin();
	t = ouro_peek(slot);
	child = t ? ouro_peek(&t->child) : NULL;
	if (child) {
		linger(&w->rng);
		canary_there(&child->canary);
		kept = ouro_try_retain(child);
	}
	ouro_safepoint();
	t = ouro_peek(slot);
	if (t)
		canary_there(&t->canary);
	ouro_unpin();
	drop(kept);
}

/* A child goes in before anybody else sees the parent; an old child may close a cycle. */
static struct thing *thing_with_child(struct worker *w, struct thing **slot)
{
	struct thing *t = thing_new(w);

	if (rng_one_in(&w->rng, 2))
		ouro_give(&t->child, thing_new(w));
	else
		ouro_give(&t->child, ouro_load(slot));
	return t;
}

static void compare_exchange(struct worker *w, struct thing **slot)
{
	struct thing *expected = ouro_load(slot);
	struct thing *t = rng_one_in(&w->rng, 4) ? NULL : thing_new(w);

	if (!ouro_compare_exchange(slot, expected, t))
		linger(&w->rng);
	drop(expected);
	drop(t);
}

static void move(struct worker *w, struct thing **slot, struct thing **other)
{
	struct thing *t = ouro_take(slot);

	if (t)
		canary_alive(&t->canary);
	linger(&w->rng);
	drop(ouro_exchange(other, t));
}

static void mutate_child(struct thing **slot, struct thing **other)
{
	struct thing *t = ouro_load(slot);

	if (t) {
		canary_alive(&t->canary);
		ouro_give(&t->child, ouro_load(other));
	}
	ouro_release(t);
}

static void operate(struct worker *w, struct thing **slot, struct thing **other)
{
	struct thing *t;

	switch (rng_below(&w->rng, 12)) {
	case 0: drop(ouro_load(slot)); break;
	case 1: t = thing_new(w), ouro_store(slot, t), drop(t); break;
	case 2: ouro_give(slot, thing_new(w)); break;
	case 3: drop(ouro_take(slot)); break;
	case 4: drop(ouro_exchange(slot, thing_new(w))); break;
	case 5: compare_exchange(w, slot); break;
	case 6: peek_and_retain(w, slot); break;
	case 7: peek_child(w, slot); break;
	case 8: ouro_give(slot, thing_with_child(w, other)); break;
	case 9: move(w, slot, other); break;
	case 10: mutate_child(slot, other); break;
	default: t = ouro_load(slot), ouro_store(other, t), drop(t); break;
	}
}

static struct thing **any_root(struct worker *w)
{
	return &roots[rng_below(&w->rng, ROOTS)];
}

static struct thing **any_slot(struct worker *w, struct box *box)
{
	unsigned i = rng_below(&w->rng, BOX_SLOTS + ITEM_SLOTS + 1);

	if (!box || i == BOX_SLOTS + ITEM_SLOTS)
		return any_root(w);
	return i < BOX_SLOTS ? &box->slot[i] : &box->item[i - BOX_SLOTS];
}

static void rare(struct worker *w)
{
	if (rng_one_in(&w->rng, 4))
		CHECK(ouro_gc_collect((int)rng_below(&w->rng, 3)) >= 0);
	else
		ouro_give(&boxes[rng_below(&w->rng, BOXES)], box_new());
}

static void hammer(struct worker *w)
{
	while (!stress_over()) {
		struct box *box = ouro_load(&boxes[rng_below(&w->rng, BOXES)]);

		for (int i = 0; i < 16; i++, w->ops++)
			operate(w, any_slot(w, box), any_slot(w, box));
		ouro_release(box);
		if (rng_one_in(&w->rng, 100))
			rare(w);
	}
}

int main(int argc, char **argv)
{
	uint64_t ops;

	stress_begin(argc, argv, "stress_slots");
	struct rng rng = rng_of(1);
	ouro_config cfg = stress_config(&rng);

	CHECK(ouro_init(&cfg) == 0);
	for (int i = 0; i < BOXES; i++)
		ouro_give(&boxes[i], box_new());
	ops = stress_run(hammer);
	for (int i = 0; i < BOXES; i++)
		ouro_store(&boxes[i], NULL);
	for (int i = 0; i < ROOTS; i++)
		drop(ouro_take(&roots[i]));
	return stress_end(0, "%.2f M operations", (double)ops / 1e6);
}
