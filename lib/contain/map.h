/* map.h - what a look at the heap shows of a map. */
#ifndef OI_MAP_H
#define OI_MAP_H

#include "world/object.h"

/*
 * Returns true if objects of the type with that number are parts of a map, which the program does
 * not know as objects.
 */
bool oi_map_is_part(uint32_t type);
/* Returns true if it is the number of maps' own type. */
bool oi_map_is_map(uint32_t type);

#define OI_MAP_KEY_NAME 80
/*
 * Writes what an entry's key is called: [7], ["name"]; bytes that are not printable as \x00, a long
 * key cut. Returns its length; 0, and "", if @h is not an entry, or its key is not there yet.
 */
size_t oi_map_key_name(char out[OI_MAP_KEY_NAME], const struct oi_header *h);

#endif
