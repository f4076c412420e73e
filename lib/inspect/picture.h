/*
 * picture.h - which objects there are and what refers to what, read in short stops
 *
 * Each object is looked at in one stop, different ones in different stops, between which the
 * program goes on. So a picture has each object that is there throughout, and each reference that
 * stays; of what is made, dropped or moved meanwhile it may have something or nothing.
 */
#ifndef OI_PICTURE_H
#define OI_PICTURE_H

#include "base/vector.h"
#include "world/object.h"

/* In oi_seen.flags. */
enum {
	OI_SEEN_IMMORTAL = 1,
	OI_SEEN_FROZEN = 2,
	OI_SEEN_DYING = 4, /* dead, and not yet gone */
	OI_SEEN_NAMED = 8, /* an entry of a map: behind its edges is what its key is called */
	OI_SEEN_REACHED = 16, /* for who works on the picture */
	OI_SEEN_PART = 32, /* of a container: the program does not know it as an object */
};

/* An object, as it was when it was looked at. They are in the order of their addresses. */
struct oi_seen {
	uint64_t header : 48;
	uint64_t type : 16; /* its number */
	uint64_t edge : 48; /* the first of its edges; they are in a row */
	uint64_t flags : 16;
	uint32_t references; /* that the program has, objects and threads; 0 if it is immortal */
	uint32_t held;       /* how many edges lead to it */
	uint32_t n_edges;
	uint32_t units;      /* its block, in units of 16 bytes */
};

#define OI_NOBODY UINT64_MAX
struct oi_seen_edge {
	uint64_t to;    /* which of the objects; OI_NOBODY: none that is in the picture */
	uint64_t place; /* edge.h */
};

struct oi_picture {
	struct oi_vector seen, edges, text;
	struct oi_vector pages; /* where the objects of each begin among them */
	uint64_t n, n_edges;
	uint64_t stops;
};

OI_INLINE struct oi_seen *oi_picture_seen(const struct oi_picture *p, uint64_t i)
{
	return (struct oi_seen *)p->seen.data + i;
}

OI_INLINE struct oi_seen_edge *oi_picture_edge(const struct oi_picture *p, uint64_t i)
{
	return (struct oi_seen_edge *)p->edges.data + i;
}

/* Returns how many references to it no object in the picture has. */
OI_INLINE uint32_t oi_picture_outside(const struct oi_seen *s)
{
	return s->references > s->held ? s->references - s->held : 0;
}

OI_INLINE const ouro_type *oi_picture_type(const struct oi_seen *s)
{
	return oi_types[s->type].type;
}

/* Returns the name of the key of an entry, which must be NAMED. */
const char *oi_picture_key(const struct oi_picture *p, const struct oi_seen *s);

/*
 * Outside the gate, not pinned. Takes a picture into *p, which is empty; @keys: with names for the
 * keys of maps. Each stop looks at OI_PICTURE_OBJECTS objects at most, and lasts half the pause
 * budget or a little more; after it the program has as long for itself. Returns false if there is
 * no memory.
 */
#define OI_PICTURE_OBJECTS 2048
bool oi_picture_take(struct oi_picture *p, bool keys);
void oi_picture_free(struct oi_picture *p);

/* Returns which one the object is; OI_NOBODY if it is not in the picture. */
uint64_t oi_picture_find(const struct oi_picture *p, const void *obj);

/*
 * In a stop. Returns the header of the object that lies at that address now, whatever it is; NULL
 * if none does.
 */
struct oi_header *oi_picture_now(const struct oi_seen *s);

#endif
