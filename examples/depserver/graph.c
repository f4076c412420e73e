/* graph.c - the package graph as ouro objects: building, publishing, finding */
#include "graph.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const ouro_type edges_type = {
	.name = "edges",
	.size = offsetof(struct edges, to),
	.item_size = sizeof(struct package *),
	.item_slots = OURO_ITEM_REFS,
};

static const ouro_type package_type = {
	.name = "package",
	.size = offsetof(struct package, text),
	.slots = OURO_SLOTS(struct package, index, depends, rdepends, related, rrelated),
	.weaks = OURO_WEAKS(struct package, closure),
	.item_size = 1,
};

static const ouro_type table_type = {
	.name = "table",
	.size = offsetof(struct table, bucket),
	.item_size = sizeof(struct package *),
	.item_slots = OURO_ITEM_REFS,
};

static const ouro_type index_type = {
	.name = "index",
	.size = offsetof(struct index, package),
	.slots = OURO_SLOTS(struct index, table, recent),
	.item_size = sizeof(struct package *),
	.item_slots = OURO_ITEM_REFS,
};

/* The root: what queries see. */
static struct index *graph_root;

static struct package *build_package(const struct draft *d, const struct draft_package *from)
{
	const struct name *name = &d->names.name[from->name];
	const char *version = d->text.data + from->version;
	const char *section = d->text.data + from->section;
	size_t version_size = strlen(version) + 1, section_size = strlen(section) + 1;
	size_t bytes = name->len + 1 + version_size + section_size;
	struct package *p = ouro_new_items(&package_type, bytes);
	if (!p)
		return NULL;
	p->hash = name->hash;
	p->name_len = name->len;
	p->version = name->len + 1;
	p->section = p->version + (uint32_t)version_size;
	p->size = from->size;
	memcpy(p->text, names_text(&d->names, from->name), name->len);
	memcpy(p->text + p->version, version, version_size);
	memcpy(p->text + p->section, section, section_size);
	return p;
}

static int build_packages(struct index *x, const struct draft *d)
{
	for (uint32_t i = 0; i < d->n_packages; i++) {
		struct package *p = build_package(d, &d->package[i]);
		if (!p)
			return ENOMEM;
		p->number = i;
		ouro_store(&p->index, x);
		ouro_give(&x->package[i], p);
	}
	return 0;
}

static int build_table(struct index *x)
{
	uint64_t n = 16;
	while (n < (uint64_t)x->n_packages * 2)
		n *= 2;
	struct table *t = ouro_new_items(&table_type, n);
	if (!t)
		return ENOMEM;
	t->mask = n - 1;
	for (uint32_t i = 0; i < x->n_packages; i++) {
		struct package *p = x->package[i]; /* read plainly: nobody else can reach it yet */
		uint64_t b = p->hash & t->mask;
		while (t->bucket[b])
			b = (b + 1) & t->mask;
		ouro_store(&t->bucket[b], p);
	}
	ouro_give(&x->table, t);
	return 0;
}

/* The edge array of node @i, for the slot @slot of its package. */
static int build_edges(struct index *x, const struct adjacency *a, uint32_t i, struct edges **slot)
{
	uint32_t begin = a->start[i], n = a->start[i + 1] - begin;
	if (!n)
		return 0;
	struct edges *e = ouro_new_items(&edges_type, n);
	if (!e)
		return ENOMEM;
	e->n = n;
	for (uint32_t k = 0; k < n; k++)
		ouro_store(&e->to[k], x->package[a->to[begin + k]]);
	ouro_give(slot, e);
	return 0;
}

static int build_relations(struct index *x, const struct draft *d, const struct adjacency *rdepends,
			   const struct adjacency *rrelated)
{
	int error = 0;
	for (uint32_t i = 0; i < x->n_packages && !error; i++) {
		struct package *p = x->package[i];
		error = build_edges(x, &d->depends, i, &p->depends);
		if (!error)
			error = build_edges(x, rdepends, i, &p->rdepends);
		if (!error)
			error = build_edges(x, &d->related, i, &p->related);
		if (!error)
			error = build_edges(x, rrelated, i, &p->rrelated);
	}
	return error;
}

static int build_all(struct index *x, const struct draft *d)
{
	struct adjacency rdepends = { 0 }, rrelated = { 0 };
	int error = adjacency_reverse(&rdepends, &d->depends);
	if (!error)
		error = adjacency_reverse(&rrelated, &d->related);
	if (!error)
		error = build_packages(x, d);
	if (!error)
		error = build_table(x);
	if (!error)
		error = build_relations(x, d, &rdepends, &rrelated);
	adjacency_free(&rdepends);
	adjacency_free(&rrelated);
	return error;
}

struct index *graph_build(const struct draft *d)
{
	struct index *x = ouro_new_items(&index_type, d->n_packages);
	if (!x)
		return NULL;
	x->n_packages = d->n_packages;
	x->n_depends = d->depends.start[d->n_packages];
	x->n_related = d->related.start[d->n_packages];
	x->n_names = d->names.n;
	x->depends_cycles = d->depends_cycles;
	x->cycles = d->cycles;
	int error = build_all(x, d);
	if (!error)
		return x;
	ouro_release(x); /* a heap of cycles already, if it got far: the collector's */
	errno = error;
	return NULL;
}

void graph_publish(struct index *x)
{
	ouro_store(&graph_root, x);
}

struct index *graph_current(void)
{
	return ouro_load(&graph_root);
}

/* The number in "key:N", modulo @n; false if that is not its form. */
static bool key_number(const char *key, size_t len, uint32_t n, uint32_t *number)
{
	uint64_t value = 0;
	if (len < 5 || memcmp(key, "key:", 4) != 0)
		return false;
	for (size_t i = 4; i < len; i++) {
		if (key[i] < '0' || key[i] > '9')
			return false;
		value = (value * 10 + (uint64_t)(key[i] - '0')) % n;
	}
	*number = (uint32_t)value;
	return true;
}

/*
 * Pinned. @x may be dying; its table is then still there to read, and what it leads to fails to be
 * retained.
 */
static struct package *find_pinned(const struct index *x, const char *key, size_t len)
{
	uint32_t number;
	if (key_number(key, len, x->n_packages, &number))
		return ouro_peek(&x->package[number]);
	const struct table *t = ouro_peek(&x->table);
	uint32_t hash = names_hash(key, len);
	for (uint64_t b = hash; t; b++) {
		struct package *p = ouro_peek(&t->bucket[b & t->mask]);
		if (!p)
			return NULL;
		if (p->hash == hash && p->name_len == len && memcmp(p->text, key, len) == 0)
			return p;
	}
	return NULL;
}

/*
 * Between the peek at the root and the retain the graph may be replaced and die; the search is then
 * repeated in the new one. A dying graph may also have lost the references on the way: "not found"
 * counts only if the root stayed the same.
 */
struct package *graph_find(const char *key, size_t len)
{
	struct package *found;
	bool again;
	ouro_pin();
	do {
		const struct index *x = ouro_peek(&graph_root);
		struct package *p = x ? find_pinned(x, key, len) : NULL;
		found = ouro_try_retain(p);
		again = !found && x != ouro_peek(&graph_root);
		if (again)
			ouro_safepoint();
	} while (again);
	ouro_unpin();
	return found;
}
