/* parts.h - what a look at the heap knows of containers, and of what they are made of. */
#ifndef OI_PARTS_H
#define OI_PARTS_H

#include "base/compiler.h"

/*
 * All answer for objects of the type with that number. A container's own slots lead to parts alone,
 * be they maps of its own.
 */
enum oi_container { OI_NO_CONTAINER, OI_IS_MAP, OI_IS_WEAK_MAP, OI_IS_KEY_MAP, OI_IS_VEC };
enum oi_container oi_container_of(uint32_t type);
/* Returns true for what is always a part of a container, and no object that the program knows. */
bool oi_is_part(uint32_t type);

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
