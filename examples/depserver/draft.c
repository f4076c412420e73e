/* draft.c - a package index as read, and the resolution of the names in it */
#include "draft.h"
#include "stanza.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/*
 * Room for one more entry in an array of *n. Return: the array, perhaps moved; NULL: out of memory.
 */
static void *draft_room(void *array, uint32_t n, uint32_t *size, size_t entry_bytes)
{
	if (n < *size)
		return array;
	uint32_t bigger = *size ? *size * 2 : 1024;
	void *moved = realloc(array, bigger * entry_bytes);
	if (moved)
		*size = bigger;
	return moved;
}

/* Keeps a copy of @text; its offset. Failure shows in d->text.failed. */
static uint32_t draft_keep(struct draft *d, const char *text)
{
	uint32_t offset = (uint32_t)d->text.used;
	buffer_append(&d->text, text, strlen(text) + 1);
	return offset;
}

/*
 * The package of this stanza, new; 0 and no package where the name is missing or was there before.
 */
static int draft_add_package(struct draft *d, const struct stanza *s, uint32_t *package)
{
	const char *text = stanza_value(s, FIELD_PACKAGE);
	*package = NAMES_NONE;
	if (!*text)
		return 0;
	uint32_t name = names_intern(&d->names, text, strlen(text));
	if (name == NAMES_NONE || d->n_packages == PACKAGES_MAX || d->text.used > UINT32_MAX / 2)
		return ENOMEM;
	if (d->names.name[name].package != NAMES_NONE)
		return 0;
	void *room = draft_room(d->package, d->n_packages, &d->packages_size, sizeof *d->package);
	if (!room)
		return ENOMEM;
	d->package = room;
	*package = d->n_packages++;
	d->names.name[name].package = *package;
	d->package[*package] = (struct draft_package){
		.name = name,
		.version = draft_keep(d, stanza_value(s, FIELD_VERSION)),
		.section = draft_keep(d, stanza_value(s, FIELD_SECTION)),
		.size = strtoull(stanza_value(s, FIELD_SIZE), NULL, 10),
	};
	return d->text.failed ? ENOMEM : 0;
}

static int draft_add_relations(struct draft *d, uint32_t package, const char *field,
			       struct pairs *pairs)
{
	const char *text;
	size_t len;
	while ((text = relation_next(&field, &len))) {
		if (!len)
			continue;
		uint32_t name = names_intern(&d->names, text, len);
		if (name == NAMES_NONE || pairs_add(pairs, package, name))
			return ENOMEM;
	}
	return 0;
}

static int draft_add_provides(struct draft *d, uint32_t package, const char *field)
{
	const char *text;
	size_t len;
	while ((text = relation_next(&field, &len))) {
		uint32_t name = names_intern(&d->names, text, len);
		void *room = draft_room(d->provide, d->n_provides, &d->provides_size,
					sizeof *d->provide);
		if (name == NAMES_NONE || !room)
			return ENOMEM;
		d->provide = room;
		uint32_t *first = &d->names.name[name].provide;
		d->provide[d->n_provides] = (struct provide){ package, *first };
		*first = d->n_provides++;
	}
	return 0;
}

static int draft_add(struct draft *d, const struct stanza *s)
{
	uint32_t package;
	int error = draft_add_package(d, s, &package);
	if (error || package == NAMES_NONE)
		return error;
	error = draft_add_provides(d, package, stanza_value(s, FIELD_PROVIDES));
	for (int f = FIELD_DEPENDS; f < FIELD_COUNT && !error; f++) {
		bool depends = f == FIELD_DEPENDS || f == FIELD_PRE_DEPENDS;
		error = draft_add_relations(d, package, stanza_value(s, (enum stanza_field)f),
					    depends ? &d->depend_names : &d->related_names);
	}
	return error;
}

int draft_read(struct draft *d, FILE *in)
{
	struct stanza s = { .in = in };
	int error = 0, more;
	while (!error && (more = stanza_next(&s)) != 0)
		error = more < 0 ? errno : draft_add(d, &s);
	stanza_free(&s);
	return error;
}

/*
 * Adds the edges that one name stands for: the package so called, or else, if asked, all that
 * provide it.
 */
static int draft_resolve(const struct draft *d, struct pair p, bool provided, struct pairs *out)
{
	const struct name *name = &d->names.name[p.to];
	if (name->package != NAMES_NONE)
		return pairs_add(out, p.from, name->package);
	if (!provided)
		return 0;
	int error = 0;
	for (uint32_t i = name->provide; i != NAMES_NONE && !error; i = d->provide[i].next)
		error = pairs_add(out, p.from, d->provide[i].package);
	return error;
}

static int draft_resolve_all(const struct draft *d, const struct pairs *names, bool provided,
			     struct pairs *out)
{
	int error = 0;
	for (size_t i = 0; i < names->n && !error; i++)
		error = draft_resolve(d, names->pair[i], provided, out);
	return error;
}

/* The cycles among real packages, over relations of every kind. */
static int draft_cycles(struct draft *d)
{
	struct pairs pairs = { 0 };
	struct adjacency all = { 0 };
	int error = draft_resolve_all(d, &d->depend_names, false, &pairs);
	if (!error)
		error = draft_resolve_all(d, &d->related_names, false, &pairs);
	if (!error)
		error = adjacency_build(&all, d->n_packages, &pairs);
	if (!error)
		error = adjacency_components(&all, &d->cycles);
	adjacency_free(&all);
	pairs_free(&pairs);
	return error;
}

static int draft_link_kind(struct draft *d, struct pairs *names, bool provided,
			   struct adjacency *out)
{
	struct pairs pairs = { 0 };
	int error = draft_resolve_all(d, names, provided, &pairs);
	if (!error)
		error = adjacency_build(out, d->n_packages, &pairs);
	pairs_free(&pairs);
	return error;
}

int draft_link(struct draft *d)
{
	int error = draft_link_kind(d, &d->depend_names, true, &d->depends);
	if (!error)
		error = draft_link_kind(d, &d->related_names, false, &d->related);
	if (!error)
		error = adjacency_components(&d->depends, &d->depends_cycles);
	return error ? error : draft_cycles(d);
}

void draft_free(struct draft *d)
{
	names_free(&d->names);
	buffer_free(&d->text);
	free(d->package);
	free(d->provide);
	pairs_free(&d->depend_names);
	pairs_free(&d->related_names);
	adjacency_free(&d->depends);
	adjacency_free(&d->related);
	*d = (struct draft){ 0 };
}
