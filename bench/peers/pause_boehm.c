/*
 * pause_boehm.c - the work of bench/pause with Boehm's collector, as its manual says to use it: nothing is freed
 *
 * A stop is from asking the threads to stand to letting them go, as ours are; the collector tells when. Sweeping is
 * left to allocation, and is found in the operations. What only memory of the C library refers to would be
 * collected: a table, and the cell that holds the ring, are uncollectable memory, which is scanned.
 */
#include "../pause_run.h"

#ifdef HAVE_GC

#define GC_THREADS
#define GC_NO_THREAD_REDIRECTS /* pause_run.c makes the threads and knows nothing of this */
#include <gc.h>

/* ---- the work ---- */

static inline struct node *new_node(void)
{
	return load_must(GC_MALLOC(sizeof(struct node)));
}

static inline struct node **cycle_at(struct load *l, unsigned table, size_t i)
{
	return (struct node **)l->tables[table] + i;
}

static inline struct node *load_cycle(struct node **cycle)
{
	return __atomic_load_n(cycle, __ATOMIC_ACQUIRE);
}

static inline void replace(struct load *l, size_t i)
{
	struct node *a = new_node(), *b = new_node();
	struct node **cycle = cycle_at(l, l->self, i), *old = load_cycle(cycle);

	a->other = b;
	b->other = a;
	if (l->random) {
		unsigned table = (unsigned)load_index(l, l->n_tables);

		if (old)
			__atomic_store_n(&old->link, NULL, __ATOMIC_RELEASE);
		a->link = load_cycle(cycle_at(l, table, load_index(l, l->n_cycles)));
	}
	__atomic_store_n(cycle, a, __ATOMIC_RELEASE);
}

static inline void operation(struct load *l)
{
	replace(l, load_index(l, l->n_replaced));
	for (unsigned i = 0; i < l->n_acyclic; i++) {
		struct node *n = new_node();

		__asm__ volatile("" : : "r"(n) : "memory");
	}
}

static void churn(struct pause_worker *w)
{
	pause_churn(w, operation);
}

static void *make_table(size_t n_cycles)
{
	return load_must(GC_MALLOC_UNCOLLECTABLE(n_cycles * sizeof(struct node *)));
}

static void drop_table(struct load *l)
{
	GC_FREE(l->tables[l->self]);
}

/* ---- the ring ---- */

static void *make_ring(size_t n)
{
	struct node **ring = load_must(GC_MALLOC_UNCOLLECTABLE(sizeof *ring));
	struct node *last = new_node();

	*ring = last;
	for (size_t i = 1; i < n; i++) {
		struct node *node = new_node();

		node->other = *ring;
		*ring = node;
	}
	last->other = *ring;
	return ring;
}

static void drop_ring(void *ring)
{
	GC_FREE(ring);
}

/* ---- the heap ---- */

/* With the collector's lock held: one at a time. */
static void on_event(GC_EventType event)
{
	static uint64_t asked_ns;

	if (event == GC_EVENT_PRE_STOP_WORLD)
		asked_ns = latency_ns(CLOCK_MONOTONIC);
	else if (event == GC_EVENT_POST_START_WORLD)
		pause_stop(latency_ns(CLOCK_MONOTONIC) - asked_ns, 2);
}

static void start_heap(void)
{
	GC_INIT();
	GC_allow_register_threads();
	GC_set_on_collection_event(on_event);
}

static void enter(void)
{
	struct GC_stack_base base;

	if (GC_get_stack_base(&base) != GC_SUCCESS || GC_register_my_thread(&base) != GC_SUCCESS)
		load_die("the collector does not take the thread");
}

static void leave(void)
{
	GC_unregister_my_thread();
}

int main(int argc, char **argv)
{
	static const struct pause_heap heap = {
		.name = "Boehm", .node_bytes = 192, .links = true, .stops = true, .start = start_heap, .enter = enter,
		.leave = leave, .table = make_table, .replace = replace, .churn = churn, .drop = drop_table,
		.ring = make_ring, .ring_drop = drop_ring,
	};

	return pause_main(argc, argv, &heap);
}

#else

int main(void)
{
	puts("skipped: Boehm is not installed (package libgc-dev)");
	return 0;
}

#endif
