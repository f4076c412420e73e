/* sized.h - structs that grow: copies between a program's layout of one and the library's. */
#ifndef OI_SIZED_H
#define OI_SIZED_H

#include "base/compiler.h"

/*
 * Fills @out, @size bytes in the program's layout, from @full, @known bytes in the library's: what only the library knows is left out,
 * what only the program knows is 0.
 */
void oi_sized_out(void *out, size_t size, const void *full, size_t known);
/*
 * Fills @full, which holds the defaults, from @in. False, and nothing is changed: the program asks, with something that is not
 * 0, for what the library does not know.
 */
bool oi_sized_in(void *full, size_t known, const void *in, size_t size);

#endif
