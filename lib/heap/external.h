/* external.h - what objects own outside of the heap, by their types. */
#ifndef OI_EXTERNAL_H
#define OI_EXTERNAL_H

#include "base/compiler.h"

/* Returns how many bytes objects of that type own, as far as the program says; never below 0. */
uint64_t oi_external_of(uint32_t type);
/* Nobody else uses the heap. The next one begins at 0. */
void oi_external_shutdown(void);

#endif
