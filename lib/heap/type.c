/* type.c - checking types, and walking what they declare: items, references, cells. */
#include "heap/type.h"

#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "base/os.h"
#include "heap/heap.h"
#include "world/callback.h"
#include "world/context.h"
#include "world/gate.h"

static bool fields_fit(const ouro_fields *f, size_t size, size_t unit)
{
	if (f->n > OURO_FIELDS_MAX)
		return false;
	for (uint32_t i = 0; i < f->n; i++) {
		size_t end = (size_t)f->field[i].offset + (size_t)f->field[i].count * unit;
		if (!f->field[i].count || f->field[i].offset % unit || end > size)
			return false;
	}
	return true;
}

int oi_type_check(const ouro_type *type)
{
	if (!type || !type->name || !type->size)
		return EINVAL;
	if (type->flags & ~(unsigned)(OURO_ACYCLIC | OURO_TRAVERSE_CONCURRENT | OURO_KEY))
		return EINVAL;
	if ((type->flags & OURO_KEY) && ((type->flags & OURO_ACYCLIC) || !type->slots.n ||
					 type->slots.field[0].count != 1))
		return EINVAL;
	if (type->traverse && !type->clear)
		return EINVAL;
	if (!fields_fit(&type->slots, type->size, sizeof(void *)) ||
	    !fields_fit(&type->weaks, type->size, sizeof(ouro_weak)))
		return EINVAL;
	if (!fields_fit(&type->item_slots, type->item_size, sizeof(void *)) ||
	    !fields_fit(&type->item_weaks, type->item_size, sizeof(ouro_weak)))
		return EINVAL;
	/* Slots in items must be aligned for every item. */
	if ((type->item_slots.n || type->item_weaks.n) &&
	    (type->size % sizeof(void *) || type->item_size % sizeof(void *)))
		return EINVAL;
	return 0;
}

/* ---- items and cells ---- */

/*
 * The number of items is the last word of the block. A plain load: it is written before the header,
 * and never again [A1].
 */
size_t oi_items(const struct oi_header *h, const ouro_type *t)
{
	if (!t->item_size)
		return 0;
	return *(const size_t *)((const char *)h + oi_page_of(h)->block_size - sizeof(size_t));
}

size_t ouro_items(const void *obj)
{
	if (!obj)
		return 0;
	const struct oi_header *h = oi_header_of(obj);
	return oi_items(h, oi_type_of(h));
}

void oi_visit_many(char *obj, const ouro_fields *f, oi_child_fn fn, void *arg)
{
	oi_visit_fields(obj, f, fn, arg);
}

void oi_visit_items_of(struct oi_header *h, const ouro_type *t, oi_child_fn fn, void *arg)
{
	if (t->item_slots.n)
		oi_visit_items((char *)oi_object_of(h) + t->size, 0, oi_items(h, t), t, fn, arg);
}

struct traversal {
	struct oi_thread *t;
	const struct oi_callback *callback; /* what it was in before */
	const ouro_type *left;              /* NULL: it has returned */
};

static void end_traverse(struct traversal *c)
{
	if (unlikely(c->left != NULL))
		oi_abort(
	"the traverse of a \"%s\" did not return: an exception, or the end of its thread, left it",
	c->left->name);
	c->t->callback = c->callback;
	c->t->traversed = NULL;
}

/*
 * Every call that enters the library while callback is not NULL comes by oi_callback_check, which
 * sees what is traversed.
 */
void oi_call_traverse(const ouro_type *type, struct oi_header *h, ouro_visitor *v)
{
	struct oi_thread *t = oi_self;
	__attribute__((cleanup(end_traverse))) struct traversal c = { .t = t,
								      .callback = t->callback,
								      .left = type };
	t->traversed = type;
	t->callback = &oi_in_traverse;
	type->traverse(oi_object_of(h), v);
	c.left = NULL;
}

static const struct oi_header *traversed; /* [X1] */

void oi_call_traverse_of_living(const ouro_type *type, struct oi_header *h, ouro_visitor *v)
{
	/*
	 * [X1] First the store, then a look whether the object is dead. A death does the two the
	 * other way round, with the same fence between: either it sees this traverse, or we see it.
	 * Model: tests/models/fences.pml.
	 */
	oi_store_release(&traversed, h); /* [X1] */
	oi_gate_fence();
	if (!oi_is_dead(h))
		oi_call_traverse(type, h, v);
	oi_store_release(&traversed, (const struct oi_header *)NULL); /* [X1] */
}

void oi_await_traverse(const struct oi_header *h)
{
	oi_assert_outside(oi_self);
	oi_gate_fence(); /* [X1] */
	while (oi_load_acquire(&traversed) == h) /* [X1] */
		oi_sleep_ns(20000);
}

void oi_visit_rest(struct oi_header *h, const ouro_type *t, oi_child_fn fn, void *arg)
{
	oi_visit_items_of(h, t, fn, arg);
	if (t->traverse) {
		ouro_visitor v = { fn, arg };
		oi_call_traverse(t, h, &v);
	}
}

static void clear_cells(char *base, const ouro_fields *f)
{
	for (uint32_t i = 0; i < f->n; i++)
		for (uint32_t k = 0; k < f->field[i].count; k++)
			oi_store_release( /* [W4] */
			    &((ouro_weak *)(base + f->field[i].offset))[k].word, UINT64_C(0));
}

void oi_clear_weaks(struct oi_header *h, const ouro_type *t)
{
	char *obj = oi_object_of(h);
	clear_cells(obj, &t->weaks);
	if (t->item_weaks.n)
		for (size_t i = 0, n = oi_items(h, t); i < n; i++)
			clear_cells(obj + t->size + i * t->item_size, &t->item_weaks);
}

void ouro_visit(ouro_visitor *v, void *child)
{
	if (child)
		v->fn(child, v->arg);
}

const ouro_type *ouro_typeof(const void *obj)
{
	/* elsewhere: the caller has a reference */
	return obj ? oi_type_given[oi_load_relaxed(&oi_header_of(obj)->type)] : NULL;
}
