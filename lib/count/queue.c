/*
 * queue.c - what waits for a thread of the program's
 *
 * The entries are objects, in a list that hangs in a slot: so the queue is as safe against forks,
 * collections and threads that leave as any other structure of a program's, and this file needs
 * nothing but public calls. Whoever puts pushes in front of `in`; the one that runs takes all of
 * that, turns it round into `out`, and takes from there.
 */
#include <errno.h>

#include "ouro.h"

struct entry {
	struct entry *next;
	void *obj;
	void (*fn)(void *obj);
};

static const ouro_type entry_type = {
	.name = "ouro_queue entry", .size = sizeof(struct entry),
	.slots = OURO_SLOTS(struct entry, next, obj),
};

int ouro_queue_put(ouro_queue *queue, void *obj, void (*fn)(void *obj))
{
	if (!queue || !obj || !fn)
		return EINVAL;
	struct entry *e = ouro_new(&entry_type), *first;
	if (!e)
		return ENOMEM;
	e->fn = fn;
	ouro_store(&e->obj, obj);
	do {
		first = ouro_load((struct entry **)&queue->in);
		ouro_give(&e->next, first);
	} while (!ouro_compare_give(&queue->in, (void *)first, (void *)e));
	if (!first && queue->wake)
		queue->wake(queue->arg);
	return 0;
}

static void turn_round(ouro_queue *queue)
{
	struct entry *e = ouro_take(&queue->in), *next;
	for (; e; e = next) {
		next = ouro_take(&e->next);
		ouro_give(&e->next, (struct entry *)ouro_take(&queue->out));
		ouro_give(&queue->out, (void *)e);
	}
}

/* Returns a new reference to the first entry, which is no longer in the queue. */
static struct entry *take_next(ouro_queue *queue)
{
	if (!queue->out)
		turn_round(queue);
	struct entry *e = ouro_take(&queue->out);
	if (e)
		ouro_give(&queue->out, (void *)ouro_take(&e->next));
	return e;
}

/* Returns false if there is none. Both go also if an exception leaves the function. */
static bool run_first(ouro_queue *queue)
{
	OURO_AUTO struct entry *e = take_next(queue);
	if (!e)
		return false;
	OURO_AUTO void *obj = ouro_take(&e->obj);
	e->fn(obj);
	return true;
}

size_t ouro_queue_run(ouro_queue *queue, size_t max)
{
	size_t n = 0;
	while (queue && n < max && run_first(queue))
		n++;
	return n;
}
