/* sized.h - structs that grow: copies between a program's layout of one and the library's. */
#ifndef OI_SIZED_H
#define OI_SIZED_H

#include "base/compiler.h"

/*
 * Fills @out, @size bytes in the program's layout, from @full, @known bytes in the library's.
 * Fields that only the library knows are left out; those that only the program knows become 0.
 */
void oi_sized_out(void *out, size_t size, const void *full, size_t known);
/*
 * Fills @full, which holds the defaults, from @in. Returns false, with nothing changed, if the
 * program asks for what the library does not know: a field beyond @known is not 0.
 */
bool oi_sized_in(void *full, size_t known, const void *in, size_t size);

#endif
