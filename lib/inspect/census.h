/* census.h - the last census of objects by type. */
#ifndef OI_CENSUS_H
#define OI_CENSUS_H

#include "base/compiler.h"

struct oi_census_row {
	uint32_t number; /* of the type; 0: before the first */
	const char *name;
	uint64_t objects, bytes;
	uint64_t external; /* bytes outside, of now */
};

/* Goes on to the next type that had objects; returns false if there is none. Takes no lock. */
bool oi_census_next(struct oi_census_row *row);
/*
 * Fills in those with the most bytes, external ones included, the largest first: at most @n > 0;
 * and the sum of all others. Returns how many it has filled in.
 */
size_t oi_census_largest(struct oi_census_row *rows, size_t n, struct oi_census_row *others);
/* Returns how long ago it was taken; 0 if there was none. */
uint64_t oi_census_age_ns(void);
void oi_census_shutdown(void);

#endif
