/* new.h - making objects. */
#ifndef OI_NEW_H
#define OI_NEW_H

#include "base/compiler.h"

/* How many objects with a finalizer were made since the shutdown of the heap began; it is zero again afterwards. */
size_t oi_new_late(void);

#endif
