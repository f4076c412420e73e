/* census.h - the last census of objects by type. */
#ifndef OI_CENSUS_H
#define OI_CENSUS_H

#include "base/compiler.h"

struct oi_census_row {
	uint32_t number; /* of the type; 0: before the first */
	const char *name;
	uint64_t objects, bytes;
};

/* Goes on to the next type that had objects; returns false if there is none. Takes no lock. */
bool oi_census_next(struct oi_census_row *row);
/* Returns how long ago it was taken; 0 if there was none. */
uint64_t oi_census_age_ns(void);
void oi_census_shutdown(void);

#endif
