/* graph.c - the package graph as ouro objects: building, publishing, finding */
#include "graph.h"

#include <errno.h>
#include <stdio.h>
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

static const ouro_type index_type = {
	.name = "index",
	.size = offsetof(struct index, package),
	.slots = OURO_SLOTS(struct index, by_name, recent),
	.item_size = sizeof(struct package *),
	.item_slots = OURO_ITEM_REFS,
};

/* The root: what queries see. */
static struct index *graph_root;

/* What the name of a package of copy @copy ends with. */
struct suffix {
	char text[16];
	size_t len;
};

static struct suffix suffix_of(uint32_t copy)
{
	struct suffix s = { .len = 0 };
	if (copy)
		s.len = (size_t)snprintf(s.text, sizeof s.text, "@%u", copy + 1);
	return s;
}

static struct package *build_package(const struct draft *d, const struct draft_package *from,
				     const struct suffix *suffix)
{
	const struct name *name = &d->names.name[from->name];
	const char *version = d->text.data + from->version;
	const char *section = d->text.data + from->section;
	size_t version_size = strlen(version) + 1, section_size = strlen(section) + 1;
	size_t name_len = name->len + suffix->len;
	size_t bytes = name_len + 1 + version_size + section_size;
	struct package *p = ouro_new_items(&package_type, bytes);
	if (!p)
		return NULL;
	p->name_len = (uint32_t)name_len;
	p->version = p->name_len + 1;
	p->section = p->version + (uint32_t)version_size;
	p->size = from->size;
	memcpy(p->text, names_text(&d->names, from->name), name->len);
	memcpy(p->text + name->len, suffix->text, suffix->len);
	memcpy(p->text + p->version, version, version_size);
	memcpy(p->text + p->section, section, section_size);
	return p;
}

static int build_packages(struct index *x, const struct draft *d, uint32_t copy)
{
	struct suffix suffix = suffix_of(copy);
	int error = 0;
	for (uint32_t i = 0; i < d->n_packages && !error; i++) {
		OURO_AUTO struct package *p = build_package(d, &d->package[i], &suffix);
		if (!p)
			return ENOMEM;
		p->number = copy * d->n_packages + i;
		ouro_store(&p->index, x);
		ouro_store(&x->package[p->number], p);
		error = ouro_map_put(x->by_name, p->text, p->name_len, p);
	}
	return error;
}

/* The edge array of node @i, for the slot @slot of its package; @packages: those of its copy. */
static int build_edges(struct package **packages, const struct adjacency *a, uint32_t i,
		       struct edges **slot)
{
	uint32_t begin = a->start[i], n = a->start[i + 1] - begin;
	if (!n)
		return 0;
	struct edges *e = ouro_new_items(&edges_type, n);
	if (!e)
		return ENOMEM;
	e->n = n;
	for (uint32_t k = 0; k < n; k++)
		ouro_store(&e->to[k], packages[a->to[begin + k]]);
	ouro_give(slot, e);
	return 0;
}

/* The edges of one copy's packages, which nobody else can reach yet: they are read plainly. */
static int build_relations(struct package **packages, const struct draft *d,
			   const struct adjacency *rdepends, const struct adjacency *rrelated)
{
	int error = 0;
	for (uint32_t i = 0; i < d->n_packages && !error; i++) {
		struct package *p = packages[i];
		error = build_edges(packages, &d->depends, i, &p->depends);
		if (!error)
			error = build_edges(packages, rdepends, i, &p->rdepends);
		if (!error)
			error = build_edges(packages, &d->related, i, &p->related);
		if (!error)
			error = build_edges(packages, rrelated, i, &p->rrelated);
	}
	return error;
}

static int build_copies(struct index *x, const struct draft *d, const struct adjacency *rdepends,
			const struct adjacency *rrelated)
{
	int error = 0;
	for (uint32_t copy = 0; copy < x->copies && !error; copy++) {
		error = build_packages(x, d, copy);
		if (!error)
			error = build_relations(x->package + (size_t)copy * d->n_packages, d,
						rdepends, rrelated);
	}
	return error;
}

static int build_all(struct index *x, const struct draft *d)
{
	struct adjacency rdepends = { 0 }, rrelated = { 0 };
	ouro_map *by_name = ouro_map_new();
	int error = by_name ? 0 : ENOMEM;
	ouro_give(&x->by_name, by_name);
	if (!error)
		error = adjacency_reverse(&rdepends, &d->depends);
	if (!error)
		error = adjacency_reverse(&rrelated, &d->related);
	if (!error)
		error = build_copies(x, d, &rdepends, &rrelated);
	adjacency_free(&rdepends);
	adjacency_free(&rrelated);
	return error;
}

struct index *graph_build(const struct draft *d, uint32_t copies)
{
	uint64_t n = (uint64_t)d->n_packages * copies;
	if (n > PACKAGES_MAX)
		return errno = EOVERFLOW, NULL;
	struct index *x = ouro_new_items(&index_type, n);
	if (!x)
		return NULL;
	x->n_packages = (uint32_t)n;
	x->copies = copies;
	x->n_depends = (uint64_t)d->depends.start[d->n_packages] * copies;
	x->n_related = (uint64_t)d->related.start[d->n_packages] * copies;
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

struct index *graph_hold(struct index **held)
{
	ouro_pin();
	bool current = ouro_peek(&graph_root) == *held;
	ouro_unpin();
	if (!current) {
		ouro_release(*held);
		*held = graph_current();
	}
	return *held;
}

struct package *graph_find(struct index *x, const char *key, size_t len)
{
	uint32_t number;
	if (!x)
		return NULL;
	if (key_number(key, len, x->n_packages, &number))
		return ouro_load(&x->package[number]);
	return ouro_map_get(x->by_name, key, len);
}

const struct package *graph_package(const void *obj)
{
	return ouro_typeof(obj) == &package_type ? obj : NULL;
}
