/* parts.h - what a look at the heap knows of containers, and of what they are made of. */
#ifndef OI_PARTS_H
#define OI_PARTS_H

#include "base/compiler.h"

/* All answer for objects of the type with that number. */
enum oi_container { OI_NO_CONTAINER, OI_IS_MAP, OI_IS_WEAK_MAP, OI_IS_KEY_MAP, OI_IS_VEC };
enum oi_container oi_container_of(uint32_t type);
/* Returns true for what is always a part of a container, and no object that the program knows. */
bool oi_is_part(uint32_t type);

/*
 * Returns true if it is a container, and what its slot at @place (edge.h) leads to is a part of it,
 * be that a map.
 */
bool oi_leads_to_part(uint32_t type, uint64_t place);

/* Implemented by vec.c, weak_map.c, key_map.c and promise.c. */
bool oi_vec_is(uint32_t type);
bool oi_weak_map_is(uint32_t type);
bool oi_weak_map_is_part(uint32_t type);
bool oi_key_map_is(uint32_t type);
bool oi_key_map_is_part(uint32_t type);
/* The list of what goes with a key, in the key's slot. */
bool oi_key_map_is_list(uint32_t type);
bool oi_promise_is(uint32_t type);

#endif
