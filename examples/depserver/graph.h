/*
 * graph.h - the package graph as ouro objects
 *
 *   root (static slot) -> index -> packages, by number
 *                         index -> a map (ouro_map) -> packages, by name
 *                         index -> recently computed closures -> the index
 *   package -> its index
 *   package -> edge arrays -> packages, in both directions
 *
 * So every object of the graph lies on a cycle: no count ever falls to zero by dropping the root,
 * and the whole graph is left to the collector. A package keeps the graph that it belongs to alive,
 * whatever the root is then.
 *
 * Once published the graph does not change but for the cache: the closure cells and index->recent.
 * Hence the payload may be read plainly and the slots be peeked; pins are cut to a few hundred
 * peeks.
 */
#ifndef DEPSERVER_GRAPH_H
#define DEPSERVER_GRAPH_H

#include "draft.h"

#include <ouro.h>

enum { GRAPH_RECENT = 1024, GRAPH_PINNED_STEPS = 256 };

struct package;

/* An array of references; of a package: what it depends on, what depends on it. */
struct edges {
	size_t n;
	struct package *to[];
};

/*
 * All that a package needs, directly or not, without itself: by number, since the one reference to
 * the index holds them all.
 */
struct closure {
	struct index *index;
	size_t n;
	uint32_t member[];
};

struct package {
	struct index *index;
	struct edges *depends, *rdepends, *related, *rrelated; /* NULL: none */
	ouro_weak closure;                                     /* computed before and still alive */
	uint64_t size;
	uint32_t number, name_len;
	uint32_t version, section; /* offsets in text */
	char text[];               /* name, version, section, each with its NUL */
};

struct index {
	ouro_map *by_name;
	struct closure *recent[GRAPH_RECENT]; /* keeps the last few closures from dying at once */
	uint32_t n_packages, copies;
	uint64_t n_depends, n_related; /* edges */
	/* of one copy: */
	uint32_t n_names; /* ever mentioned, also of virtual and missing packages */
	struct components depends_cycles, cycles;
	uint64_t load_ns;
	char source[64];
	struct package *package[];
};

/*
 * graph_build - objects from a linked draft
 * @copies: of each package, 1 or more: they depend on those of the same copy. The second of "acl"
 *          is called "acl@2".
 *
 * Return:  new reference; NULL with errno ENOMEM, or EOVERFLOW: more packages than there may be.
 */
struct index *graph_build(const struct draft *d, uint32_t copies);

/* graph_publish - make @x (borrowed; NULL: none) what queries see; what they saw is released */
void graph_publish(struct index *x);
/* graph_current - Return: new reference, NULL: none */
struct index *graph_current(void);
/*
 * graph_hold - see that what a thread holds is the current graph
 * @held: in and out: a reference of the calling thread's own; NULL: none
 *
 * To load the root for each query would be a count that all threads write. This is a look.
 * Return:  *held, borrowed.
 */
struct index *graph_hold(struct index **held);
/*
 * graph_find - a package by name, or as "key:N"
 * @x: borrowed; NULL: nothing is found
 *
 * Return:  new reference; NULL: none.
 */
struct package *graph_find(struct index *x, const char *key, size_t len);
/* graph_package - @obj, if it is a package; else NULL */
const struct package *graph_package(const void *obj);

#endif
