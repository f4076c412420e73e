/*
 * pause.c - how long are threads held up? Stops, each thread's worst operation, and memory
 *
 * Threads do the work of pause_load.h on live heaps of three sizes. Every single operation is
 * timed, from one time stamp to the next without a gap; every stop is recorded as the library
 * reports it.
 *
 * With more threads than processors the scheduler takes a thread off its processor for milliseconds
 * at a time. The line "not preempted" leaves out the operations during which the system counted an
 * involuntary switch of the thread; peers/pause_malloc does the same loop with nothing but malloc
 * and free. The other peers do the same work with their collectors.
 */
#include "pause_run.h"
#include <ouro.h>

struct table {
	uint64_t n;
	struct node *cycle[];
};

static const ouro_type node_type = {
	.name = "node", .size = sizeof(struct node), .slots = OURO_SLOTS(struct node, other, link),
};

static const ouro_type table_type = {
	.name = "table", .size = offsetof(struct table, cycle),
	.item_size = sizeof(struct node *), .item_slots = OURO_ITEM_REFS,
};

static ouro_stats stats[PAUSE_MOMENTS];

/* ---- the work ---- */

static inline struct node **cycle_at(struct load *l, unsigned table, size_t i)
{
	return ((struct table *)l->tables[table])->cycle + i;
}

static inline struct node *new_node(void)
{
	return load_must(ouro_new(&node_type));
}

static inline void link_to_any(struct load *l, struct node *from)
{
	unsigned table = (unsigned)load_index(l, l->n_tables);

	ouro_give(&from->link, ouro_load(cycle_at(l, table, load_index(l, l->n_cycles))));
}

static inline void unlink_old(struct node **cycle)
{
	struct node *old = ouro_load(cycle);

	if (old)
		ouro_store(&old->link, (struct node *)NULL);
	ouro_release(old);
}

static inline void replace(struct load *l, size_t i)
{
	struct node *a = new_node(), *b = new_node();
	struct node **cycle = cycle_at(l, l->self, i);

	ouro_store(&a->other, b);
	ouro_store(&b->other, a);
	if (l->random) {
		unlink_old(cycle);
		link_to_any(l, a);
	}
	ouro_release(b);
	ouro_give(cycle, a);
}

static inline void operation(struct load *l)
{
	replace(l, load_index(l, l->n_replaced));
	for (unsigned i = 0; i < l->n_acyclic; i++)
		ouro_release(new_node());
}

static void churn(struct pause_worker *w)
{
	pause_churn(w, operation);
}

static void *make_table(size_t n_cycles)
{
	return load_must(ouro_new_items(&table_type, n_cycles));
}

static void drop_table(struct load *l)
{
	ouro_release(l->tables[l->self]);
}

/* ---- the ring ---- */

static void *make_ring(size_t n)
{
	struct node *last = new_node(), *head = ouro_retain(last);

	for (size_t i = 1; i < n; i++) {
		struct node *node = new_node();

		ouro_give(&node->other, head);
		head = node;
	}
	ouro_store(&last->other, head);
	ouro_release(last);
	return head;
}

static void drop_ring(void *ring)
{
	ouro_release(ring);
}

/* ---- the heap ---- */

static void on_event(const ouro_gc_event *event, void *arg)
{
	(void)arg;
	if (event->phase == OURO_PAUSE_STOP)
		pause_stop(event->duration_ns, event->generation);
}

static void start_heap(void)
{
	if (ouro_init(NULL) || ouro_gc_on_event(on_event, NULL))
		load_die("the heap does not start");
}

static void look(int when)
{
	ouro_stats_get(&stats[when]);
}

static void print_collections(const ouro_stats *from, const ouro_stats *to)
{
	printf("collections      %13s %13s %13s\n", "n", "freed", "ms each");
	for (int g = 0; g < 3; g++) {
		uint64_t n = to->collections[g] - from->collections[g];
		uint64_t ns = to->collection_ns[g] - from->collection_ns[g];

		printf("  generation %d     %11llu %13llu %13.3f\n", g, (unsigned long long)n,
		       (unsigned long long)(to->collected[g] - from->collected[g]),
		       n ? (double)ns / (double)n / 1e6 : 0);
	}
}

static double slept_s(void)
{
	return (double)(stats[PAUSE_END].delay_sum_ns - stats[PAUSE_FILLED].delay_sum_ns) / 1e9;
}

static double slept_percent(const struct pause_result *r)
{
	return 100 * slept_s() / (pause_seconds(r) * pause_options.threads);
}

static void page(const struct pause_result *r)
{
	const ouro_stats *filled = &stats[PAUSE_FILLED], *end = &stats[PAUSE_END];
	double n = (double)pause_live(), payload = pause_payload_bytes();

	printf("  of the heap's own: live %.1f, reserved %.1f; at the end: live %.1f MB, reserved %.1f MB\n",
	       ((double)filled->bytes_live - payload) / n, ((double)filled->bytes_reserved - payload) / n,
	       (double)end->bytes_live / (1 << 20), (double)end->bytes_reserved / (1 << 20));
	print_collections(filled, end);
	printf("delays of allocations: %llu, %.1f us each, longest %.1f us\n",
	       (unsigned long long)(end->delays - filled->delays),
	       end->delays > filled->delays
		       ? (double)(end->delay_sum_ns - filled->delay_sum_ns) / (double)(end->delays - filled->delays) / 1000
		       : 0,
	       (double)end->delay_max_ns / 1000);
	/* Beside the idle processors: work was there, and who should do it slept. */
	printf("threads slept for the collector: %.2f s, %.1f %% of their time\n", slept_s(),
	       slept_percent(r));
	printf("until all stood, longest, us %.1f\n", (double)end->stop_max_ns / 1000);
}

static void facts(FILE *f, const struct pause_result *r)
{
	uint64_t dead = stats[PAUSE_END].collected[2] - stats[PAUSE_FILLED].collected[2];

	pause_tsv_fact(f, "slept", slept_percent(r));
	if (dead)
		pause_tsv_fact(f, "collector", 1e9 * pause_background(r) / (double)dead);
	pause_tsv_fact(f, "held", (double)stats[PAUSE_FILLED].bytes_live / (1 << 20));
}

static int close_heap(void)
{
	ouro_report report;
	uint64_t ns = latency_ns(CLOCK_MONOTONIC);

	if (ouro_shutdown(&report))
		load_die("shutdown refused");
	ns = latency_ns(CLOCK_MONOTONIC) - ns;
	printf("shutdown: %zu objects left, %.1f ms\n", report.objects, (double)ns / 1e6);
	return report.objects ? 1 : 0;
}

int main(int argc, char **argv)
{
	static const struct pause_heap heap = {
		.name = "ouro", .node_bytes = 128, .links = true, .stops = true, .young = true,
		.start = start_heap, .table = make_table, .replace = replace, .churn = churn, .drop = drop_table,
		.ring = make_ring, .ring_drop = drop_ring, .look = look,
		.page = page, .facts = facts, .close = close_heap,
	};

	return pause_main(argc, argv, &heap);
}
