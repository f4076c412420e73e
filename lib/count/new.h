/* new.h - making objects. */
#ifndef OI_NEW_H
#define OI_NEW_H

#include "base/compiler.h"

/*
 * Returns how many objects with a finalizer were made since the shutdown of the heap began, and
 * counts anew.
 */
size_t oi_new_late(void);

#endif
