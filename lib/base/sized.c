/*
 * sized.c - structs that grow
 *
 * Fields are added at the end of the structs that a program fills or receives, under the same
 * soname. So that a program built against an older header has no memory overwritten, the inline
 * functions of the headers pass the size of the struct that they were compiled with (ouro_stats_get
 * calls ouro_stats_get_sized). The symbols without a size are in unsized.c.
 * Other structs: ouro_gc_event is made by the library and passed by address, so an older listener
 * sees its beginning; ouro_type is the program's and read by the library: a field behind flags may
 * only be read if a new bit of flags says that it is there.
 */
#include "base/sized.h"

#include <string.h>

void oi_sized_out(void *out, size_t size, const void *full, size_t known)
{
	size_t n = size < known ? size : known;
	memcpy(out, full, n);
	memset((char *)out + n, 0, size - n);
}

bool oi_sized_in(void *full, size_t known, const void *in, size_t size)
{
	for (size_t i = known; i < size; i++)
		if (((const char *)in)[i])
			return false;
	memcpy(full, in, size < known ? size : known);
	return true;
}
