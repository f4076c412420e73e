/* keyset.c - the sets of threads that have something to be looked at. See keyset.h. */
#include "world/keyset.h"

struct oi_keyset oi_keysets[OI_KEYS];

void oi_keysets_add(uint16_t key)
{
	for (unsigned i = 0; i < OI_KEYS; i++)
		oi_keyset_add((enum oi_keys)i, key);
}
