/*
 * gdb.c - a program to be looked at by a debugger: test_gdb.sh. It comes to rest in at_rest, with a
 * thread that is pinned, and another that waits for a stop.
 *
 * What the heap has then: a ring of three nodes, of which the first is held by main, has two weak
 * references and is held by row and by hidden, too; row, with three items; hidden, which has a
 * traverse; an old node, which a map has by two keys; an immortal one; one that another thread
 * holds, too. One is gone.
 */
#include <ouro.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "world/world.h"

struct node {
	long number;
	struct node *next, *other;
};
struct row {
	long number;
	struct node *node[];
};
struct hidden {
	long number;
	struct node *node;
};

static const ouro_type node_type = {
	.name = "node",
	.size = sizeof(struct node),
	.slots = OURO_SLOTS(struct node, next, other),
};
static const ouro_type row_type = {
	.name = "row",
	.size = sizeof(struct row),
	.item_size = sizeof(struct node *),
	.item_slots = OURO_ITEM_REFS,
};

static void visit(void *obj, ouro_visitor *v)
{
	ouro_visit(v, ((struct hidden *)obj)->node);
}

static void clear(void *obj)
{
	struct hidden *h = obj;
	ouro_release(h->node);
}

static const ouro_type hidden_type = {
	.name = "hidden",
	.size = sizeof(struct hidden),
	.traverse = visit,
	.clear = clear,
};

/* For the debugger. */
struct node *volatile first, *volatile old, *volatile shared, *volatile gone;
struct node *volatile immortal;
struct row *volatile row;
struct hidden *volatile hidden;
ouro_map *volatile map;
void at_rest(void);

__attribute__((noinline)) void at_rest(void)
{
	__asm__ volatile("");
}

static pthread_barrier_t together;

static struct node *new_node(long number)
{
	struct node *n = ouro_new(&node_type);
	if (!n)
		exit(2);
	n->number = number;
	return n;
}

static void make_ring(void)
{
	first = new_node(1);
	ouro_give(&first->next, new_node(2));
	ouro_give(&first->next->next, new_node(3));
	ouro_store(&first->next->next->next, first);
}

static void make_holders(void)
{
	row = ouro_new_items(&row_type, 3);
	hidden = ouro_new(&hidden_type);
	if (!row || !hidden)
		exit(2);
	ouro_store(&row->node[1], first);
	hidden->node = ouro_retain(first);
	map = ouro_map_new();
	if (!map || ouro_map_put(map, "a \"key\"\n", 8, old) || ouro_map_put_int(map, 77, old))
		exit(2);
}

static void *stand_pinned(void *arg)
{
	ouro_thread_attach("pinned");
	ouro_pin();
	ouro_retain(shared);
	pthread_barrier_wait(&together);
	pause();
	return arg;
}

static void *collect(void *arg)
{
	ouro_thread_attach("collecting");
	pthread_barrier_wait(&together);
	ouro_gc_collect(0);
	return arg;
}

int main(void)
{
	static ouro_weak weak[2];
	pthread_t thread;
	old = new_node(4);
	immortal = new_node(5);
	ouro_immortalize(immortal);
	ouro_gc_collect(2);
	ouro_gc_disable();
	make_ring();
	make_holders();
	shared = new_node(6);
	gone = new_node(7);
	ouro_release(gone);
	for (int i = 0; i < 2; i++)
		ouro_weak_store(&weak[i], first);
	pthread_barrier_init(&together, NULL, 3);
	pthread_create(&thread, NULL, stand_pinned, NULL);
	pthread_create(&thread, NULL, collect, NULL);
	pthread_barrier_wait(&together);
	while (!__atomic_load_n(&oi_world.stopping, __ATOMIC_ACQUIRE))
		usleep(1000);
	at_rest();
	_exit(0);
}
