/*
 * graph.h - a walk over objects: how many references lead to each, what traverse told of, and the
 * stack of those to be visited
 *
 * Trial deletion (trial.c) and the concurrent collections (scan.c, commit.c) walk in the same way,
 * the former in the middle of the latter. So each has a graph of its own, and a byte of its own for
 * each object. What differs is the kind of walk, which is a constant where the functions are
 * inlined:
 *   OI_GRAPH_STOPPED     the side bytes of the region's head: 0 is no member, 1 one without
 *                        references; the highest bit is the caller's mark
 *   OI_GRAPH_CONCURRENT  the bytes of maps.h, which count references to any object
 * A byte that is full stays so. From then on the exact count is in a map of the page, as is the
 * place of an object's notes: few pages need one. Without them garbage of a high in-degree would
 * never be found.
 *
 * Memory is touched ahead by rings (150 ns an object over a cold random graph without, 30 with).
 */
#ifndef OI_GRAPH_H
#define OI_GRAPH_H

#include "base/vector.h"
#include "heap/region.h"
#include "world/object.h"

#define OI_GRAPH_RING 16
#define OI_GRAPH_AHEAD 32

struct oi_page_graph {
	struct oi_page_graph *next; /* in the list of all */
	struct oi_page *page;
	uint32_t degree[OI_BLOCKS]; /* what full bytes have counted */
	uint32_t note[OI_BLOCKS];   /* where in the edges an object's begin; 0: nowhere */
};

struct oi_graph {
	struct oi_vector stack; /* headers to visit */
	/* What traverse told of: for each object the number of references, then these. */
	struct oi_vector edges;
	struct oi_page_graph *maps;
	/* There was no memory for a map: some objects are taken for held from outside. */
	bool guessed;
	size_t n_counted; /* references */
	struct {
		uint8_t *byte; /* NULL: empty */
		const struct oi_header *h;
	} ring[OI_GRAPH_RING];
};

/* ---- counting ---- */

/* Returns what a full byte holds; also those of its bits that count. */
OI_INLINE uint8_t oi_graph_full(enum oi_graph_kind k)
{
	return k == OI_GRAPH_STOPPED ? 0x7f : 0xff;
}

/* Returns what the byte holds of an object without references. */
OI_INLINE uint8_t oi_graph_none(enum oi_graph_kind k)
{
	return k == OI_GRAPH_STOPPED;
}

/* Counts one more than fits into the byte. */
OI_COLD void oi_graph_count_exactly(struct oi_graph *g, enum oi_graph_kind k, uint8_t *byte,
				    const struct oi_header *h);

OI_INLINE void oi_graph_count_one(struct oi_graph *g, enum oi_graph_kind k, uint8_t *byte,
				  const struct oi_header *h)
{
	uint8_t v = *byte;
	if (v < oi_graph_none(k))
		return;
	if (likely(v < oi_graph_full(k) - 1))
		*byte = (uint8_t)(v + 1);
	else
		oi_graph_count_exactly(g, k, byte, h);
}

/*
 * Like oi_graph_count_one, but later: the byte is fetched while others are counted. Before counts
 * are read, call oi_graph_count_rest.
 */
OI_INLINE void oi_graph_count_later(struct oi_graph *g, enum oi_graph_kind k, uint8_t *byte,
				    const struct oi_header *h)
{
	__builtin_prefetch(byte, 1);
	size_t i = g->n_counted++ % OI_GRAPH_RING;
	if (likely(g->ring[i].byte))
		oi_graph_count_one(g, k, g->ring[i].byte, g->ring[i].h);
	g->ring[i].byte = byte;
	g->ring[i].h = h;
}

void oi_graph_count_rest(struct oi_graph *g, enum oi_graph_kind k);
/* Forgets what was still to be counted. */
void oi_graph_drop_rest(struct oi_graph *g);

/* Returns the exact count; -1 if there was no memory for it. */
OI_COLD int64_t oi_graph_degree(enum oi_graph_kind k, const struct oi_header *h);

/* Returns the number of references that were counted; -1 if they are too many to know. */
OI_INLINE int64_t oi_graph_internal(enum oi_graph_kind k, uint8_t byte, const struct oi_header *h)
{
	uint8_t n = byte & oi_graph_full(k);
	return likely(n < oi_graph_full(k)) ? n - oi_graph_none(k) : oi_graph_degree(k, h);
}

/* ---- notes of traverse ---- */

/*
 * Begins a note of what traverse will tell of @h: push that onto the edges, then call
 * oi_graph_end_note with what this returned. Returns 0 if there is no memory.
 */
size_t oi_graph_begin_note(struct oi_graph *g, enum oi_graph_kind k, const struct oi_header *h);
void oi_graph_end_note(struct oi_graph *g, size_t note);
/* Calls fn(child, arg) for each reference that was noted of @h. Returns their number. */
OI_INLINE size_t oi_graph_each_noted(struct oi_graph *g, enum oi_graph_kind k,
				     const struct oi_header *h,
				     void (*fn)(void *child, void *arg), void *arg)
{
	struct oi_page *p = oi_page_of(h);
	size_t first = p->graph[k] ? p->graph[k]->note[oi_block_index(p, h)] : 0;
	size_t n = first ? (size_t)g->edges.data[first - 1] : 0;
	for (size_t i = first; i < first + n; i++)
		fn(oi_object_of(g->edges.data[i]), arg);
	return n;
}

/* ---- visiting ---- */

/* The next of the stack, whose memory is on its way. */
struct oi_ahead {
	struct oi_header *h[OI_GRAPH_AHEAD];
	unsigned first, n;
};

/* Takes one off the stack; fetch(h) is called for those that follow. Returns NULL at the end. */
OI_INLINE struct oi_header *oi_graph_next(struct oi_graph *g, struct oi_ahead *a,
					  void (*fetch)(const struct oi_header *h))
{
	for (; a->n < OI_GRAPH_AHEAD && g->stack.n; a->n++) {
		struct oi_header *h = g->stack.data[--g->stack.n];
		fetch(h);
		a->h[(a->first + a->n) % OI_GRAPH_AHEAD] = h;
	}
	if (!a->n)
		return NULL;
	a->n--;
	return a->h[a->first++ % OI_GRAPH_AHEAD];
}

/* ---- the end ---- */

/* Forgets exact counts and notes of at most @n pages. Returns true if there are more. */
bool oi_graph_forget(struct oi_graph *g, enum oi_graph_kind k, size_t n);

#endif
