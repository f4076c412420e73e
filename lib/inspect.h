/* inspect.h - listings of objects, and freezing them. */
#ifndef OI_INSPECT_H
#define OI_INSPECT_H

/* A frozen object dies by count. */
void oi_inspect_frozen_died(void);

#endif
