/* dot.c - the graph below an object, for Graphviz: read in one stop, written afterwards. */
#include <errno.h>

#include "collect/trial.h"
#include "count/count.h"
#include "heap/candidate.h"
#include "heap/edge.h"
#include "heap/heap.h"
#include "heap/type.h"
#include "inspect/output.h"
#include "world/gate.h"
#include "world/gclock.h"

struct graph {
	/* members: headers, in the order found; side bytes say which are in it */
	struct oi_trial nodes;
	struct oi_vector edges; /* object, what it refers to, place */
	void *from;
	size_t max;
	bool ok, cut;
};

static void add_edge(void *child, uint64_t place, void *arg)
{
	struct graph *g = arg;
	struct oi_header *h = oi_header_of(child);
	bool known = *oi_side_of(h) != 0;
	if (!known && g->nodes.members.n >= g->max) {
		g->cut = true;
		child = NULL;
	} else if (!known) {
		g->ok = g->ok && oi_trial_add(&g->nodes, h);
	}
	g->ok = g->ok && oi_vector_push(&g->edges, g->from) && oi_vector_push(&g->edges, child) &&
		oi_vector_push(&g->edges, (void *)place);
}

/* World stopped. Gives every node a reference, so that it can be described afterwards. */
static void read_graph(struct graph *g, struct oi_header *root)
{
	g->cut = !g->max;
	g->ok = g->cut || oi_trial_add(&g->nodes, root);
	for (size_t i = 0; i < g->nodes.members.n && g->ok; i++) {
		struct oi_header *h = g->nodes.members.data[i];
		g->from = oi_object_of(h);
		if (oi_is_whole(h))
			oi_edge_visit_all(h, add_edge, g);
	}
	for (size_t i = 0; i < g->nodes.members.n; i++) {
		struct oi_header *h = g->nodes.members.data[i];
		*oi_side_of(h) = 0;
		oi_publish(h);
		oi_before_mutation(h);
		oi_store_relaxed(&h->shared, oi_load_relaxed(&h->shared) + OI_ONE); /* stopped */
	}
}

static void print_name(FILE *f, const char *s)
{
	for (; *s; s++) {
		if (*s == '"' || *s == '\\')
			fputc('\\', f);
		fputc(*s, f);
	}
}

static void print_edge(FILE *f, void *const edge[3])
{
	char name[OI_EDGE_NAME];
	if (edge[1])
		fprintf(f, "\t\"%p\" -> \"%p\"", edge[0], edge[1]);
	else
		fprintf(f, "\t\"%p\" -> \"...\"", edge[0]);
	if (oi_edge_name(name, oi_type_of(oi_header_of(edge[0])), (uint64_t)edge[2])) {
		fprintf(f, " [label=\"");
		print_name(f, name);
		fprintf(f, "\"]");
	}
	fprintf(f, ";\n");
}

static int print_graph(FILE *f, const struct graph *g)
{
	struct oi_output out = oi_output_begin(f);
	fprintf(f, "digraph ouro {\n\tnode [shape=box];\n");
	for (size_t i = 0; i < g->nodes.members.n; i++) {
		struct oi_header *h = g->nodes.members.data[i];
		fprintf(f, "\t\"%p\" [label=\"", oi_object_of(h));
		print_name(f, oi_type_of(h)->name);
		fprintf(f, "\\n%lld\"];\n", (long long)oi_references(h) - 1);
	}
	if (g->cut)
		fprintf(f, "\t\"...\" [shape=plaintext];\n");
	for (size_t i = 0; i < g->edges.n; i += 3)
		print_edge(f, &g->edges.data[i]);
	fprintf(f, "}\n");
	return oi_output_end(&out);
}

int ouro_dump_dot(FILE *f, const void *root, size_t max)
{
	struct oi_thread *t = oi_current();
	if (!f || !root)
		return EINVAL;
	if (t->pin_depth || oi_collect_locked_by_me())
		return EDEADLK;
	struct graph g = { .max = max };
	int error = ENOMEM;
	struct oi_stop stop;
	oi_collect_lock(); /* the side bytes */
	oi_world_stop(&stop, OURO_STOP_LISTING);
	read_graph(&g, oi_header_of(root));
	oi_world_start(&stop);
	oi_collect_unlock();
	if (g.ok)
		error = print_graph(f, &g);
	for (size_t i = 0; i < g.nodes.members.n; i++)
		ouro_release(oi_object_of(g.nodes.members.data[i]));
	oi_trial_free(&g.nodes);
	oi_vector_free(&g.edges);
	return error;
}
