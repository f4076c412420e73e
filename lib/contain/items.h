/* items.h - maps asked with keys of either kind: of bytes, or numbers. */
#ifndef OI_ITEMS_H
#define OI_ITEMS_H

#include "base/compiler.h"
#include "ouro.h"

OI_INLINE ouro_map_item oi_item_of_bytes(const void *bytes, size_t size)
{
	return (ouro_map_item){ .bytes = bytes ? bytes : "", .size = size };
}

OI_INLINE ouro_map_item oi_item_of_number(uint64_t number)
{
	return (ouro_map_item){ .number = number };
}

/* As the calls of the same names; @k has the key. */
OI_INLINE void *oi_item_get(ouro_map *m, const ouro_map_item *k)
{
	return k->bytes ? ouro_map_get(m, k->bytes, k->size) : ouro_map_get_int(m, k->number);
}

OI_INLINE int oi_item_put(ouro_map *m, const ouro_map_item *k, void *value)
{
	return k->bytes ? ouro_map_put(m, k->bytes, k->size, value) :
			  ouro_map_put_int(m, k->number, value);
}

OI_INLINE int oi_item_add(ouro_map *m, const ouro_map_item *k, void *value)
{
	return k->bytes ? ouro_map_put_if_absent(m, k->bytes, k->size, value) :
			  ouro_map_put_if_absent_int(m, k->number, value);
}

OI_INLINE int oi_item_replace(ouro_map *m, const ouro_map_item *k, const void *expected,
			      void *value)
{
	return k->bytes ? ouro_map_replace(m, k->bytes, k->size, expected, value) :
			  ouro_map_replace_int(m, k->number, expected, value);
}

OI_INLINE void *oi_item_take(ouro_map *m, const ouro_map_item *k)
{
	return k->bytes ? ouro_map_take(m, k->bytes, k->size) : ouro_map_take_int(m, k->number);
}

/* Implemented by map.c: removes the key if @expected is its value. */
bool oi_item_remove_if(ouro_map *m, const ouro_map_item *k, const void *expected);

#endif
