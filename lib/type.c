/* type.c - checking types once per thread, their numbers, and the cells they declare. */
#include "type.h"

#include <errno.h>
#include <string.h>

#include "heap.h"

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
	if (type->flags & ~(unsigned)(OURO_ACYCLIC | OURO_TRAVERSE_CONCURRENT))
		return EINVAL;
	if (type->traverse && !type->clear)
		return EINVAL;
	if (!fields_fit(&type->slots, type->size, sizeof(void *)) || !fields_fit(&type->weaks, type->size, sizeof(ouro_weak)))
		return EINVAL;
	if (!fields_fit(&type->item_slots, type->item_size, sizeof(void *)) ||
	    !fields_fit(&type->item_weaks, type->item_size, sizeof(ouro_weak)))
		return EINVAL;
	/* Slots in items must be aligned for every item. */
	if ((type->item_slots.n || type->item_weaks.n) && (type->size % sizeof(void *) || type->item_size % sizeof(void *)))
		return EINVAL;
	return 0;
}

/* ---- numbers ---- */

#define CHAINS 1024

struct oi_type oi_types[OI_TYPES_MAX];
static uint32_t n_types = 1;
static uint32_t chain[CHAINS]; /* heads, by the hash of the address; types are only ever put in front */

static uint32_t *chain_of(const ouro_type *type)
{
	return &chain[((uintptr_t)type >> 4) * UINT64_C(0x9e3779b97f4a7c15) >> 54];
}

/* The offsets of the slots one by one, if they are few and not far apart. */
static void describe_slots(struct oi_type *d)
{
	const ouro_fields *f = &d->type->slots;
	for (uint32_t i = 0; i < f->n; i++)
		for (uint32_t k = 0; k < f->field[i].count; k++) {
			size_t word = f->field[i].offset / sizeof(void *) + k;
			if (d->n_slots == sizeof d->slot / sizeof *d->slot || word > UINT16_MAX) {
				d->n_slots = OI_SLOTS_MANY;
				return;
			}
			d->slot[d->n_slots++] = (uint16_t)word;
		}
}

static struct oi_type describe(const ouro_type *type)
{
	struct oi_type d = { .type = type, .tracked = oi_type_tracked(type), .bin = OI_BIN_LARGE };
	size_t bytes;
	if (!__builtin_add_overflow(type->size, sizeof(struct oi_header) + (type->item_size ? sizeof(size_t) : 0), &bytes) &&
	    bytes <= OI_BLOCK_MAX) {
		d.bin = (uint8_t)oi_bin_of(bytes, d.tracked);
		d.bytes = (uint32_t)bytes;
	}
	d.silent = !oi_type_has_callbacks(type) && !type->weaks.n && !type->item_weaks.n;
	d.simple = d.silent && !type->item_slots.n;
	d.flat = !type->item_slots.n && !type->traverse;
	describe_slots(&d);
	return d;
}

/* A type whose address was that of another one before, in a shared object since closed, gets a number of its own. */
static bool same(const struct oi_type *a, const struct oi_type *b)
{
	return a->type == b->type && a->bytes == b->bytes && a->bin == b->bin && a->tracked == b->tracked &&
	       a->silent == b->silent && a->simple == b->simple && a->flat == b->flat && a->n_slots == b->n_slots &&
	       !memcmp(a->slot, b->slot, sizeof a->slot);
}

/* Two threads that come with a new type at the same time give it two numbers, which is harmless: no lock to fork under. */
static uint32_t number_of(const struct oi_type *d)
{
	uint32_t *head = chain_of(d->type), first = oi_load_acquire(head); /* [T2] */
	for (uint32_t i = first; i; i = oi_types[i].next)
		if (same(&oi_types[i], d))
			return i;
	uint32_t number = oi_add_relaxed(&n_types, 1u); /* count */
	if (number >= OI_TYPES_MAX) {
		oi_store_relaxed(&n_types, (uint32_t)OI_TYPES_MAX);
		return 0;
	}
	oi_types[number] = *d;
	do
		oi_types[number].next = first;
	while (!oi_cas(head, &first, number)); /* [T2] release: the description before its number */
	return number;
}

uint32_t oi_type_learn(struct oi_thread *t, const ouro_type *type)
{
	if (oi_type_check(type)) {
		errno = EINVAL;
		return 0;
	}
	struct oi_type d = describe(type);
	uint32_t number = number_of(&d);
	if (!number)
		errno = ENOMEM;
	else
		*oi_type_cached(t, type) = (struct oi_type_cache){
			type, number, d.bin == OI_BIN_LARGE || type->item_size ? 0 : (uint16_t)d.bytes, d.bin, d.tracked,
		};
	return number;
}

/* ---- items and cells ---- */

/* The number of items is the last word of the block. */
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

void oi_visit_rest(struct oi_header *h, const ouro_type *t, oi_child_fn fn, void *arg)
{
	oi_visit_items_of(h, t, fn, arg);
	if (t->traverse) {
		ouro_visitor v = { fn, arg };
		t->traverse(oi_object_of(h), &v);
	}
}

static void clear_cells(char *base, const ouro_fields *f)
{
	for (uint32_t i = 0; i < f->n; i++)
		for (uint32_t k = 0; k < f->field[i].count; k++)
			ouro_weak_clear((ouro_weak *)(base + f->field[i].offset) + k);
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
	return obj ? oi_type_of(oi_header_of(obj)) : NULL;
}
