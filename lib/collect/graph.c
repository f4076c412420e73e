/* graph.c - what few objects need of a walk. See graph.h. */
#include "collect/graph.h"

#include "base/os.h"

/* Several threads may count in one map, each of which has a graph. [V3] its page before itself. */
static struct oi_page_graph *make_map(struct oi_graph *g, enum oi_graph_kind k, struct oi_page *p)
{
	struct oi_page_graph *map = oi_os_map_list(sizeof *map), *other = NULL;
	if (!map) {
		g->guessed = true;
		return NULL;
	}
	map->page = p;
	if (!oi_cas(&p->graph[k], &other, map)) { /* [V3] */
		oi_os_unmap_list(map, sizeof *map);
		return other;
	}
	map->next = g->maps;
	return g->maps = map;
}

/* Returns NULL if there is no memory. */
static struct oi_page_graph *map_of(struct oi_graph *g, enum oi_graph_kind k, struct oi_page *p)
{
	struct oi_page_graph *map = oi_load_acquire(&p->graph[k]); /* [V3] */
	return map ? map : make_map(g, k, p);
}

/* Without memory @h counts as held from outside, which is conservative. */
void oi_graph_count_exactly(struct oi_graph *g, enum oi_graph_kind k, uint8_t *byte,
			    const struct oi_header *h)
{
	struct oi_page *p = oi_page_of(h);
	struct oi_page_graph *map = map_of(g, k, p);
	bool first = *byte != oi_graph_full(k);
	*byte = oi_graph_full(k);
	if (map)
		oi_add_relaxed(&map->degree[oi_block_index(p, h)], /* count */
			       first ? (uint32_t)(oi_graph_full(k) - oi_graph_none(k)) : 1u);
}

void oi_graph_count_rest(struct oi_graph *g, enum oi_graph_kind k)
{
	for (unsigned i = 0; i < OI_GRAPH_RING; i++)
		if (g->ring[i].byte)
			oi_graph_count_one(g, k, g->ring[i].byte, g->ring[i].h);
	oi_graph_drop_rest(g);
}

void oi_graph_drop_rest(struct oi_graph *g)
{
	for (unsigned i = 0; i < OI_GRAPH_RING; i++)
		g->ring[i].byte = NULL;
}

int64_t oi_graph_degree(enum oi_graph_kind k, const struct oi_header *h)
{
	struct oi_page *p = oi_page_of(h);
	return p->graph[k] ? (int64_t)p->graph[k]->degree[oi_block_index(p, h)] : -1;
}

size_t oi_graph_begin_note(struct oi_graph *g, enum oi_graph_kind k, const struct oi_header *h)
{
	struct oi_page *p = oi_page_of(h);
	struct oi_page_graph *map = map_of(g, k, p);
	size_t first = g->edges.n + 1;
	if (!map || first > UINT32_MAX || !oi_vector_push(&g->edges, NULL)) {
		g->guessed = true;
		return 0;
	}
	map->note[oi_block_index(p, h)] = (uint32_t)first;
	return first;
}

void oi_graph_end_note(struct oi_graph *g, size_t note)
{
	g->edges.data[note - 1] = (void *)(g->edges.n - note);
}

bool oi_graph_forget(struct oi_graph *g, enum oi_graph_kind k, size_t n)
{
	for (struct oi_page_graph *map; n-- && (map = g->maps);) {
		g->maps = map->next;
		map->page->graph[k] = NULL;
		oi_os_unmap_list(map, sizeof *map);
	}
	return g->maps != NULL;
}
