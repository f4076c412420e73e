/*
 * draft.h - a package index as read: plain arrays, before it becomes ouro objects
 *
 * draft_read takes in stanzas; relations name packages that may come later, or never. draft_link
 * then resolves the names.
 */
#ifndef DEPSERVER_DRAFT_H
#define DEPSERVER_DRAFT_H

#include "adjacency.h"
#include "names.h"

#include <stdio.h>

enum { PACKAGES_MAX = 16 * 1000 * 1000 };

struct draft_package {
	uint32_t name;
	uint32_t version, section; /* offsets in text, NUL-terminated */
	uint64_t size;
};

struct provide {
	uint32_t package, next; /* next: another one of the same name; NAMES_NONE */
};

struct draft {
	struct names names;
	struct buffer text;
	struct draft_package *package;
	uint32_t n_packages, packages_size;
	struct provide *provide;
	uint32_t n_provides, provides_size;
	/* as read: from a package to a name */
	struct pairs depend_names, related_names;
	/* as linked: from a package to a package */
	struct adjacency depends; /* Depends, Pre-Depends; for a virtual package: its providers */
	struct adjacency related; /* Recommends, Suggests, Enhances, Breaks; real packages only */
	struct components depends_cycles;
	struct components cycles; /* of both kinds, by real names only */
};

/* Both: 0 or an errno value. The draft begins as zero bytes; draft_free it in any case. */
int draft_read(struct draft *d, FILE *in);
int draft_link(struct draft *d);
void draft_free(struct draft *d);

#endif
