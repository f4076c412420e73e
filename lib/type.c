/* type.c - checking types once per thread, and the cells they declare. */
#include "type.h"

#include <errno.h>

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
	if (!type || !type->name || !type->size || (uintptr_t)type > OI_TYPE_MASK)
		return EINVAL;
	if (type->flags & ~(unsigned)OURO_ACYCLIC)
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

const struct oi_type_info *oi_type_learn(struct oi_thread *t, const ouro_type *type)
{
	if (oi_type_check(type))
		return NULL;
	struct oi_type_info *info = oi_type_cached(t, type);
	info->type = type;
	info->tracked = oi_type_tracked(type);
	size_t bytes = 0;
	info->bin = OI_BIN_LARGE;
	if (!__builtin_add_overflow(type->size, sizeof(struct oi_header) + (type->item_size ? sizeof(size_t) : 0), &bytes) &&
	    bytes <= OI_BLOCK_MAX) {
		info->bin = (uint8_t)oi_bin_of(bytes, info->tracked);
		info->bytes = (uint32_t)bytes;
	}
	return info;
}

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
