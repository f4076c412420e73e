/* plugin.h - what host and plugin agree on. */
#ifndef PLUGIN_H
#define PLUGIN_H

#include <ouro.h>

enum { POINTS = 1024 };

struct shape {
	struct shape *neighbour; /* a slot */
	double *points;          /* POINTS of them */
};

/* What the host looks up in the plugin: "shape_type", "shape_new". */
extern const ouro_type shape_type;
struct shape *shape_new(void);

#endif
