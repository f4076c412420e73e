/*
 * edge.h - which slot of an object a reference lies in: as a number, its place, and as a name
 *
 * The slots of the fixed part have the places 0, 1, ..; then come those of item 0, of item 1, ...
 * What traverse tells of has OI_EDGE_TOLD and a number in the order of that call.
 */
#ifndef OI_EDGE_H
#define OI_EDGE_H

#include "world/object.h"

#define OI_EDGE_TOLD (UINT64_C(1) << 47)
#define OI_EDGE_NAME 128 /* bytes; longer names are cut */

typedef void (*oi_edge_fn)(void *child, uint64_t place, void *arg);

/* Returns the names that the macros of the header have put into a list of fields, or NULL. */
const char *oi_edge_names(const ouro_fields *f);

/* Returns how many slots such a list has. */
uint64_t oi_edge_slots_in(const ouro_fields *f);

/* Calls @fn for each reference in the fixed part; in the items from @from up to, not with, @to. */
void oi_edge_visit_fixed(struct oi_header *h, const ouro_type *t, oi_edge_fn fn, void *arg);
void oi_edge_visit_items(struct oi_header *h, const ouro_type *t, size_t from, size_t to,
			 oi_edge_fn fn, void *arg);
/* Like oi_visit_all: for each of an object. */
void oi_edge_visit_all(struct oi_header *h, oi_edge_fn fn, void *arg);

/* Returns the slot of an object at that place; NULL if it has none, or traverse tells of it. */
void **oi_edge_slot(struct oi_header *h, const ouro_type *t, uint64_t place);

/*
 * Writes the name of a place: "next", "child[3]", "[7]", "[7].key"; "" if it is not known. Returns
 * its length.
 */
size_t oi_edge_name(char out[OI_EDGE_NAME], const ouro_type *t, uint64_t place);
/* Appends "[i]" to a name of @n bytes, which may be 0. Returns the length then. */
size_t oi_edge_index(char out[OI_EDGE_NAME], size_t n, uint64_t i);

#endif
