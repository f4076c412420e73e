/* edge.c - places of references, and their names. See edge.h. */
#include "heap/edge.h"

#include <stdio.h>
#include <string.h>

#include "heap/type.h"

const char *oi_edge_names(const ouro_fields *f)
{
	static const uint32_t mark[2] = OURO_NAMED_MARK_;
	bool there = f->n && f->n <= OURO_FIELDS_MAX - 2 &&
		     !memcmp(f->named_.mark, mark, sizeof mark);
	return there ? f->named_.names : NULL;
}

/* ---- visiting ---- */

static uint64_t visit_list(char *base, const ouro_fields *f, uint64_t place, oi_edge_fn fn,
			   void *arg)
{
	for (uint32_t i = 0; i < f->n; i++) {
		void **slot = (void **)(base + f->field[i].offset);
		for (uint32_t k = 0; k < f->field[i].count; k++, place++) {
			void *child = oi_load_acquire(&slot[k]); /* [S1] */
			if (child)
				fn(child, place, arg);
		}
	}
	return place;
}

uint64_t oi_edge_slots_in(const ouro_fields *f)
{
	uint64_t n = 0;
	for (uint32_t i = 0; i < f->n; i++)
		n += f->field[i].count;
	return n;
}

void oi_edge_visit_fixed(struct oi_header *h, const ouro_type *t, oi_edge_fn fn, void *arg)
{
	visit_list(oi_object_of(h), &t->slots, 0, fn, arg);
}

void oi_edge_visit_items(struct oi_header *h, const ouro_type *t, size_t from, size_t to,
			 oi_edge_fn fn, void *arg)
{
	char *items = (char *)oi_object_of(h) + t->size;
	uint64_t place = oi_edge_slots_in(&t->slots) + from * oi_edge_slots_in(&t->item_slots);
	for (size_t i = from; i < to && t->item_slots.n; i++)
		place = visit_list(items + i * t->item_size, &t->item_slots, place, fn, arg);
}

struct told {
	oi_edge_fn fn;
	void *arg;
	uint64_t n;
};

static void count_told(void *child, void *arg)
{
	struct told *told = arg;
	told->fn(child, OI_EDGE_TOLD | told->n++, told->arg);
}

void oi_edge_visit_all(struct oi_header *h, oi_edge_fn fn, void *arg)
{
	const ouro_type *t = oi_type_of(h);
	struct told told = { fn, arg, 0 };
	ouro_visitor v = { count_told, &told };
	oi_edge_visit_fixed(h, t, fn, arg);
	oi_edge_visit_items(h, t, 0, oi_items(h, t), fn, arg);
	if (t->traverse)
		oi_call_traverse(t, h, &v);
}

static void **slot_in(char *base, const ouro_fields *f, uint64_t place)
{
	for (uint32_t i = 0; i < f->n; place -= f->field[i++].count)
		if (place < f->field[i].count)
			return (void **)(base + f->field[i].offset) + place;
	return NULL;
}

void **oi_edge_slot(struct oi_header *h, const ouro_type *t, uint64_t place)
{
	uint64_t fixed = oi_edge_slots_in(&t->slots), each = oi_edge_slots_in(&t->item_slots);
	char *obj = oi_object_of(h);
	if (place < fixed)
		return slot_in(obj, &t->slots, place);
	if ((place & OI_EDGE_TOLD) || !each || (place - fixed) / each >= oi_items(h, t))
		return NULL;
	place -= fixed;
	return slot_in(obj + t->size + place / each * t->item_size, &t->item_slots, place % each);
}

/* ---- names ---- */

/* Returns the length of the @i-th name, which begins at *names; 0 if there is none. */
static int find_name(const char **names, uint32_t i)
{
	const char *s = *names;
	for (; s && i; i--)
		s = (s = strchr(s, ',')) ? s + 1 : NULL;
	if (!s)
		return 0;
	*names = s += strspn(s, " ");
	return (int)strcspn(s, ",");
}

size_t oi_edge_index(char out[OI_EDGE_NAME], size_t n, uint64_t i)
{
	return n + (size_t)snprintf(out + n, OI_EDGE_NAME - n, "[%llu]", (unsigned long long)i);
}

/* Appends the name of the @place-th slot of a list to out, which has @n bytes. */
static size_t append_name(char *out, size_t n, const ouro_fields *f, uint64_t place)
{
	const char *name = oi_edge_names(f);
	uint32_t i = 0;
	for (; i < f->n && place >= f->field[i].count; i++)
		place -= f->field[i].count;
	if (!name || i == f->n)
		return n;
	int length = find_name(&name, i); /* 0: an item that is an array of slots */
	if (length)
		n += (size_t)snprintf(out + n, OI_EDGE_NAME - n, "%s%.*s", n ? "." : "",
				      length < 64 ? length : 64, name);
	return f->field[i].count > 1 ? oi_edge_index(out, n, place) : n;
}

size_t oi_edge_name(char out[OI_EDGE_NAME], const ouro_type *t, uint64_t place)
{
	uint64_t fixed = oi_edge_slots_in(&t->slots), each = oi_edge_slots_in(&t->item_slots);
	out[0] = 0;
	if (place & OI_EDGE_TOLD)
		return 0;
	if (place < fixed)
		return append_name(out, 0, &t->slots, place);
	if (!each)
		return 0;
	place -= fixed;
	return append_name(out, oi_edge_index(out, 0, place / each), &t->item_slots, place % each);
}
