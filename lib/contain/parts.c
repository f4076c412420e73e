/* parts.c - what a look at the heap knows of containers. See parts.h. */
#include "contain/parts.h"

#include "contain/dated.h"
#include "contain/map.h"
#include "contain/places.h"
#include "contain/split.h"

enum oi_container oi_container_of(uint32_t type)
{
	return oi_map_is_map(type)  ? OI_IS_MAP :
	       oi_vec_is(type)      ? OI_IS_VEC :
	       oi_weak_map_is(type) ? OI_IS_WEAK_MAP :
	       oi_key_map_is(type)  ? OI_IS_KEY_MAP : OI_NO_CONTAINER;
}

bool oi_is_part(uint32_t type)
{
	return oi_map_is_entry(type) || oi_places_are(type) || oi_split_is_table(type) ||
	       oi_dated_is(type) || oi_weak_map_is_part(type) || oi_key_map_is_part(type) ||
	       oi_promise_is(type);
}

bool oi_leads_to_part(uint32_t type, uint64_t place)
{
	enum oi_container what = oi_container_of(type);
	return what == OI_IS_MAP ? oi_map_place_is_part(place) : what != OI_NO_CONTAINER;
}
