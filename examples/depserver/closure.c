/*
 * closure.c - transitive dependencies, cached
 *
 * The package leads to its closure by a weak cell only: a cached closure must not live as long as
 * the package. What keeps it for a while is the ring index->recent; when it is pushed out of there
 * and no query holds it, it dies by count and the cell is empty again. Two threads may compute the
 * same closure at once; the later one stays in the cell.
 *
 * Each thread has a ring of its own, its share of index->recent: so it is the maker of a closure that
 * pushes it out, and counts are biased towards the maker.
 */
#include "closure.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const ouro_type closure_type = {
	.name = "closure",
	.size = offsetof(struct closure, member),
	.slots = OURO_SLOTS(struct closure, index),
	.item_size = sizeof(uint32_t),
};

static bool scratch_ready(struct closure_scratch *s, uint32_t n)
{
	if (s->size < n) {
		closure_scratch_free(s);
		s->seen = calloc(n, sizeof *s->seen);
		s->queue = malloc(n * sizeof *s->queue);
		if (!s->seen || !s->queue)
			return closure_scratch_free(s), false;
		s->size = n;
	}
	if (++s->round == 0) { /* after 2^32 rounds: old marks could be taken for new ones */
		for (uint32_t i = 0; i < s->size; i++)
			s->seen[i] = 0;
		s->round = 1;
	}
	return true;
}

void closure_scratch_free(struct closure_scratch *scratch)
{
	free(scratch->seen);
	free(scratch->queue);
	scratch->seen = scratch->queue = NULL;
	scratch->size = scratch->round = 0;
}

/* Pinned: queues what @p depends on and was not seen. Return: the queue's new length. */
static uint32_t walk_package(const struct package *p, struct closure_scratch *s, uint32_t tail,
			     uint32_t *steps)
{
	const struct edges *e = ouro_peek(&p->depends);
	size_t n = e ? e->n : 0;
	for (size_t i = 0; i < n; i++) {
		uint32_t number = ouro_peek(&e->to[i])->number;
		if (s->seen[number] == s->round)
			continue;
		s->seen[number] = s->round;
		s->queue[tail++] = number;
	}
	*steps += (uint32_t)n + 1;
	return tail;
}

/*
 * Breadth first, by package numbers: they outlive the safepoints that cut the pin, which peeked
 * pointers do not. @x is held by the caller. Return: how many packages are in the queue; the first
 * is the one it began with.
 */
static uint32_t walk(const struct index *x, uint32_t start, struct closure_scratch *s)
{
	uint32_t tail = 0, steps = 0;
	s->queue[tail++] = start;
	s->seen[start] = s->round;
	ouro_pin();
	for (uint32_t head = 0; head < tail; head++) {
		if (steps > GRAPH_PINNED_STEPS) {
			ouro_safepoint();
			steps = 0;
		}
		tail = walk_package(ouro_peek(&x->package[s->queue[head]]), s, tail, &steps);
	}
	ouro_unpin();
	return tail;
}

static struct closure *closure_build(struct index *x, const uint32_t *numbers, uint32_t n)
{
	struct closure *c = ouro_new_items(&closure_type, n);
	if (!c)
		return NULL;
	ouro_store(&c->index, x);
	c->n = n;
	memcpy(c->member, numbers, n * sizeof *numbers);
	return c;
}

/* Without memory for the cell the closure is merely not cached. */
static void closure_keep(struct index *x, struct package *p, struct closure *c,
			 struct closure_scratch *s)
{
	uint32_t i = s->kept++ % (GRAPH_RECENT / s->threads);
	ouro_store(&x->recent[i * s->threads + s->thread], c);
	(void)ouro_weak_store(&p->closure, c);
}

struct closure *closure_of(struct package *p, struct closure_scratch *scratch, bool *cached)
{
	struct closure *c = ouro_weak_load(&p->closure);
	*cached = c != NULL;
	if (c)
		return c;
	OURO_AUTO struct index *x = ouro_load(&p->index);
	if (!scratch_ready(scratch, x->n_packages))
		return errno = ENOMEM, NULL;
	uint32_t n = walk(x, p->number, scratch);
	c = closure_build(x, scratch->queue + 1, n - 1);
	if (c)
		closure_keep(x, p, c, scratch);
	return c;
}
