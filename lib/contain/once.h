/* once.h - a value that is made once, however many ask for it at a time. See once.c. */
#ifndef OI_ONCE_H
#define OI_ONCE_H

#include "base/compiler.h"
#include "ouro.h"

/* What a kind of map does with a key: returns a new reference or NULL; 0, EEXIST or ENOMEM. */
struct oi_once {
	void *(*get)(void *map, const ouro_map_item *key);
	int (*add)(void *map, const ouro_map_item *key, void *value);
	ouro_map_factory factory;
	void *arg;
};

/*
 * Returns a new reference to the value of @key in @map, which is made if need be; NULL with errno.
 * @pending: a slot of the map's, for a map of what is being made.
 */
void *oi_once(void *map, ouro_map **pending, const ouro_map_item *key, const struct oi_once *how);

#endif
