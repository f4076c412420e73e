/*
 * names.h - package names seen while reading an index, each once, by number: a hash table over one
 * block of text
 */
#ifndef DEPSERVER_NAMES_H
#define DEPSERVER_NAMES_H

#include "buffer.h"

#include <stdint.h>

#define NAMES_NONE UINT32_MAX

struct name {
	uint32_t text;    /* offset of its bytes, NUL-terminated */
	uint32_t len, hash;
	uint32_t package; /* the package of that name; NAMES_NONE: a virtual one, or none at all */
	uint32_t provide; /* the first of the packages that provide it; NAMES_NONE */
};

struct names {
	struct buffer text;
	struct name *name;
	uint32_t n, size;
	uint32_t *slot; /* open addressing; 0: free, else number + 1 */
	uint32_t n_slots;
};

uint32_t names_hash(const char *text, size_t len);
/* names_intern - the number of a name, new or known. Return: NAMES_NONE: out of memory. */
uint32_t names_intern(struct names *names, const char *text, size_t len);
const char *names_text(const struct names *names, uint32_t name);
void names_free(struct names *names);

#endif
