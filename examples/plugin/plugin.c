/*
 * plugin.c - a plugin that brings a type of its own, with callbacks
 *
 *     cc -shared -fPIC -o plugin.so plugin.c $(pkg-config --cflags --libs ouro)
 */
#include <ouro.h>
#include <stdlib.h>

#include "plugin.h"

static void destroy(void *obj)
{
	struct shape *s = obj;
	free(s->points);
	ouro_external_bytes(s, -(int64_t)(POINTS * sizeof(*s->points)));
}

const ouro_type shape_type = {
	.name = "shape", .size = sizeof(struct shape), .slots = OURO_SLOTS(struct shape, neighbour),
	.destroy = destroy,
};

struct shape *shape_new(void)
{
	OURO_AUTO struct shape *s = OURO_NEW(struct shape, &shape_type);
	if (!s || !(s->points = calloc(POINTS, sizeof(*s->points))))
		return NULL;
	/* 8 KiB that the collector should know of */
	ouro_external_bytes(s, POINTS * sizeof(*s->points));
	return OURO_MOVE(s);
}
