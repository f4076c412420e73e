/* names.c - package names by number */
#include "names.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_SLOTS = 4096 };

uint32_t names_hash(const char *text, size_t len)
{
	uint32_t hash = 2166136261u; /* FNV-1a */
	for (size_t i = 0; i < len; i++)
		hash = (hash ^ (unsigned char)text[i]) * 16777619u;
	return hash;
}

const char *names_text(const struct names *names, uint32_t name)
{
	return names->text.data + names->name[name].text;
}

static uint32_t *names_slot(const struct names *names, uint32_t hash, const char *text, size_t len)
{
	uint32_t i = hash & (names->n_slots - 1);
	for (;; i = (i + 1) & (names->n_slots - 1)) {
		if (!names->slot[i])
			return &names->slot[i];
		const struct name *n = &names->name[names->slot[i] - 1];
		if (n->hash == hash && n->len == len &&
		    memcmp(names->text.data + n->text, text, len) == 0)
			return &names->slot[i];
	}
}

/* Twice the slots, at most half of them in use. */
static bool names_grow_slots(struct names *names)
{
	uint32_t n_slots = names->n_slots ? names->n_slots * 2 : FIRST_SLOTS;
	uint32_t *slot = calloc(n_slots, sizeof *slot);
	if (!slot)
		return false;
	free(names->slot);
	names->slot = slot;
	names->n_slots = n_slots;
	for (uint32_t i = 0; i < names->n; i++) {
		const struct name *n = &names->name[i];
		*names_slot(names, n->hash, names_text(names, i), n->len) = i + 1;
	}
	return true;
}

static bool names_grow(struct names *names)
{
	if (names->n >= names->n_slots / 2 && !names_grow_slots(names))
		return false;
	if (names->n < names->size)
		return true;
	uint32_t size = names->size ? names->size * 2 : FIRST_SLOTS;
	struct name *name = realloc(names->name, size * sizeof *name);
	if (!name)
		return false;
	names->name = name;
	names->size = size;
	return true;
}

uint32_t names_intern(struct names *names, const char *text, size_t len)
{
	uint32_t hash = names_hash(text, len);
	if (!names_grow(names) || names->text.used > UINT32_MAX / 2)
		return NAMES_NONE;
	uint32_t *slot = names_slot(names, hash, text, len);
	if (*slot)
		return *slot - 1;
	uint32_t offset = (uint32_t)names->text.used;
	buffer_append(&names->text, text, len);
	buffer_append(&names->text, "", 1);
	if (names->text.failed)
		return NAMES_NONE;
	names->name[names->n] =
		(struct name){ offset, (uint32_t)len, hash, NAMES_NONE, NAMES_NONE };
	*slot = ++names->n;
	return names->n - 1;
}

void names_free(struct names *names)
{
	buffer_free(&names->text);
	free(names->name);
	free(names->slot);
	*names = (struct names){ 0 };
}
