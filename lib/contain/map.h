/* map.h - what a look at the heap shows of a map. */
#ifndef OI_MAP_H
#define OI_MAP_H

#include "world/object.h"

/* Each returns true if that is the number of the type of maps, or of their entries. */
bool oi_map_is_map(uint32_t type);
bool oi_map_is_entry(uint32_t type);
/* Returns true if what a map's slot at @place (edge.h) leads to is a part of the map. */
bool oi_map_place_is_part(uint64_t place);

#define OI_MAP_KEY_NAME 80
/*
 * Writes what an entry's key is called: [7], ["name"]; bytes that are not printable as \x00, a long
 * key cut. Returns its length; 0, and "", if @h is not an entry, or its key is not there yet.
 */
size_t oi_map_key_name(char out[OI_MAP_KEY_NAME], const struct oi_header *h);

#endif
