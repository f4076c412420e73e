/*
 * linear.h - is there an order in which these operations on one word could have taken place?
 *
 * A history is a list of operations, each with the moments at which it began and had returned. It
 * is linearizable if an instant can be chosen for each, between the two, so that in the order of
 * those instants each gave the answer it gave. That is decided exactly, by going through the
 * moments in their order with the set of all the states in which the word may be: a state is the
 * value, and which of the operations under way have had their instant already ("just-in-time
 * linearization", G. Lowe, Testing for linearizability, 2017). An operation gets its instant when
 * it returns at the latest; one that changes nothing gets it as soon as its answer is right, which
 * loses nothing.
 *
 * A word is 0 (nothing is there) or the number of a value.
 */
#ifndef STRESS_LINEAR_H
#define STRESS_LINEAR_H

#include "stress.h"

enum linear_kind {
	LINEAR_GET,     /* saw @seen */
	LINEAR_SET,     /* put @value, whatever was there */
	LINEAR_ADD,     /* put @value, as nothing was there */
	LINEAR_THERE,   /* found that something was there */
	LINEAR_CHANGE,  /* put @value in the place of something */
	LINEAR_REPLACE, /* put @value in the place of @seen */
	LINEAR_OTHER,   /* found that it was not @seen, or that nothing was there */
	LINEAR_ANOTHER, /* found that something else than @seen was there */
	LINEAR_TAKE,    /* emptied it, and got @seen, which is not 0 */
	LINEAR_REMOVE,  /* emptied it of something */
	LINEAR_CLEAR,   /* emptied it at one instant, and perhaps at more */
};

struct linear_op {
	uint64_t began, ended; /* by linear_tick */
	uint64_t seen, value;
	uint32_t word;
	uint32_t kind;
};

/*
 * Moments. Under ThreadSanitizer the counter orders nothing in its eyes, so that it hides no race;
 * there moments mean something only on machines that order it anyway, as x86 does.
 */
static _Atomic uint64_t linear_clock = 1;

static inline uint64_t linear_tick(void)
{
	if (STRESS_TSAN)
		return atomic_fetch_add_explicit(&linear_clock, 1, memory_order_relaxed);
	return atomic_fetch_add(&linear_clock, 1);
}

/* Returns whether the operation can take place now, with what the word is afterwards in *@word. */
static inline bool linear_step(const struct linear_op *op, uint64_t *word)
{
	uint64_t was = *word;

	switch ((enum linear_kind)op->kind) {
	case LINEAR_GET: return was == op->seen;
	case LINEAR_SET: *word = op->value; return true;
	case LINEAR_ADD: *word = op->value; return !was;
	case LINEAR_THERE: return was;
	case LINEAR_CHANGE: *word = op->value; return was;
	case LINEAR_REPLACE: *word = op->value; return was && was == op->seen;
	case LINEAR_ANOTHER: return was && was != op->seen;
	case LINEAR_OTHER: return !was || was != op->seen;
	case LINEAR_TAKE: *word = 0; return was && was == op->seen;
	case LINEAR_REMOVE: *word = 0; return was;
	case LINEAR_CLEAR: *word = 0; return true;
	}
	return false;
}

static inline bool linear_only_looks(const struct linear_op *op)
{
	return op->kind == LINEAR_GET || op->kind == LINEAR_THERE || op->kind == LINEAR_OTHER ||
	       op->kind == LINEAR_ANOTHER;
}

/* One way it may have been: the word now, and which of those under way have had their instant. */
struct linear_way {
	uint64_t word, done;
};

/* More ways than that are not followed: the history is given up, and counted as such. */
enum { LINEAR_WAYS = 1 << 14, LINEAR_UNDER_WAY = 64 };

struct linear_ways {
	size_t n;
	struct linear_way way[LINEAR_WAYS];
	uint32_t place[LINEAR_WAYS];     /* of each in the table */
	uint32_t table[2 * LINEAR_WAYS]; /* by their hash: index + 1 */
};

struct linear {
	struct linear_ways *now, *next;
	const struct linear_op *under_way[LINEAR_UNDER_WAY];
	uint64_t used; /* which of those there are */
	bool given_up;
};

/* What was found of a history. */
enum linear_answer { LINEAR_NO, LINEAR_YES, LINEAR_GAVE_UP };

static inline void linear_empty(struct linear_ways *w)
{
	while (w->n)
		w->table[w->place[--w->n]] = 0;
}

/* Gives their instant to those that only look and are right as it is now. */
static inline struct linear_way linear_looked(const struct linear *l, struct linear_way way)
{
	for (uint64_t left = l->used & ~way.done; left; left &= left - 1) {
		unsigned i = (unsigned)__builtin_ctzll(left);

		if (linear_only_looks(l->under_way[i]) && linear_step(l->under_way[i], &way.word))
			way.done |= UINT64_C(1) << i;
	}
	return way;
}

/* Returns whether it is a new one. */
static inline bool linear_note(struct linear *l, struct linear_ways *w, struct linear_way way)
{
	size_t at = mix64(way.word * 0x9e3779b97f4a7c15u ^ way.done) % (2 * LINEAR_WAYS);

	for (; w->table[at]; at = (at + 1) % (2 * LINEAR_WAYS)) {
		const struct linear_way *there = &w->way[w->table[at] - 1];

		if (there->word == way.word && there->done == way.done)
			return false;
	}
	if (w->n == LINEAR_WAYS) {
		l->given_up = true;
		return false;
	}
	w->way[w->n] = way;
	w->place[w->n] = (uint32_t)at;
	w->table[at] = (uint32_t)++w->n;
	return true;
}

static inline void linear_begins(struct linear *l, const struct linear_op *op)
{
	struct linear_ways *from = l->now;
	unsigned i = l->used == UINT64_MAX ? LINEAR_UNDER_WAY : (unsigned)__builtin_ctzll(~l->used);

	if (i == LINEAR_UNDER_WAY) {
		l->given_up = true;
		return;
	}
	l->under_way[i] = op;
	l->used |= UINT64_C(1) << i;
	if (!linear_only_looks(op))
		return;
	linear_empty(l->next);
	for (size_t n = 0; n < from->n; n++)
		linear_note(l, l->next, linear_looked(l, from->way[n]));
	l->now = l->next;
	l->next = from;
}

/* Of those under way, the ones that may have an instant more. */
static inline uint64_t linear_again(const struct linear *l, uint64_t done)
{
	uint64_t again = 0;

	for (uint64_t left = l->used & done; left; left &= left - 1)
		if (l->under_way[__builtin_ctzll(left)]->kind == LINEAR_CLEAR)
			again |= left & -left;
	return again;
}

/*
 * All ways on from each, by any of the operations under way in any order, in which @op has its
 * instant at last; those in which it has had it go on as they are.
 */
static inline void linear_ends(struct linear *l, const struct linear_op *op)
{
	struct linear_ways *from = l->now;
	unsigned mine = 0;

	while (l->under_way[mine] != op)
		mine++;
	uint64_t bit = UINT64_C(1) << mine;
	linear_empty(l->next);
	for (size_t n = 0; n < from->n && !l->given_up; n++) { /* it grows meanwhile */
		struct linear_way way = from->way[n];

		if (way.done & bit) {
			linear_note(l, l->next, (struct linear_way){ way.word, way.done & ~bit });
			if (op->kind != LINEAR_CLEAR) /* its last may come behind others' */
				continue;
		}
		uint64_t left = (l->used & ~way.done) | linear_again(l, way.done);
		for (; left; left &= left - 1) {
			unsigned i = (unsigned)__builtin_ctzll(left);
			struct linear_way on = { way.word, way.done | UINT64_C(1) << i };

			if (linear_step(l->under_way[i], &on.word))
				linear_note(l, from, linear_looked(l, on));
		}
	}
	l->under_way[mine] = NULL;
	l->used &= ~bit;
	l->now = l->next;
	l->next = from;
}

struct linear_event {
	uint64_t at;
	const struct linear_op *op;
	bool ends;
};

static inline int linear_by_time(const void *a, const void *b)
{
	uint64_t x = ((const struct linear_event *)a)->at, y = ((const struct linear_event *)b)->at;

	return x < y ? -1 : x > y;
}

static inline void linear_start(struct linear *l)
{
	l->now = calloc(1, sizeof(*l->now));
	l->next = calloc(1, sizeof(*l->next));
	CHECK(l->now && l->next);
}

static inline void linear_stop(struct linear *l)
{
	free(l->now);
	free(l->next);
}

/*
 * linear_check - is this history of one word, which was @word before it, linearizable?
 * @wrong: for LINEAR_NO: the operation at whose return no way was left
 */
static inline enum linear_answer
linear_check(struct linear *l, uint64_t word, const struct linear_op *op, size_t n,
	     const struct linear_op **wrong)
{
	struct linear_event *event = malloc((2 * n + 1) * sizeof(*event));
	size_t i;

	CHECK(event);
	for (i = 0; i < n; i++) {
		event[2 * i] = (struct linear_event){ op[i].began, &op[i], false };
		event[2 * i + 1] = (struct linear_event){ op[i].ended, &op[i], true };
	}
	qsort(event, 2 * n, sizeof(*event), linear_by_time);
	l->used = 0;
	l->given_up = false;
	linear_empty(l->now);
	linear_note(l, l->now, (struct linear_way){ word, 0 });
	for (i = 0; i < 2 * n && l->now->n && !l->given_up; i++)
		(event[i].ends ? linear_ends : linear_begins)(l, event[i].op);
	*wrong = i ? event[i - 1].op : NULL;
	free(event);
	return l->given_up ? LINEAR_GAVE_UP : l->now->n ? LINEAR_YES : LINEAR_NO;
}

/* linear_self_check - the judge itself: wrong histories must be refused, and the others not */
static inline void linear_self_check(void)
{
	enum { GET = LINEAR_GET, SET = LINEAR_SET, ADD = LINEAR_ADD, TAKE = LINEAR_TAKE,
	       REPLACE = LINEAR_REPLACE, CLEAR = LINEAR_CLEAR };
	static const struct {
		bool right;
		size_t n;
		struct linear_op op[4]; /* began, ended, seen, value, word, kind */
	} known[] = {
		{ true, 2, { { 1, 3, 0, 7, 0, SET }, { 2, 4, 7, 0, 0, GET } } },
		{ true, 2, { { 1, 3, 0, 7, 0, SET }, { 2, 4, 0, 0, 0, GET } } },
		/* seen after it was taken */
		{ false, 3, { { 1, 2, 0, 7, 0, SET }, { 3, 4, 7, 0, 0, TAKE },
			    { 5, 6, 7, 0, 0, GET } } },
		/* taken by two */
		{ false, 3, { { 1, 2, 0, 7, 0, SET }, { 3, 5, 7, 0, 0, TAKE },
			    { 4, 6, 7, 0, 0, TAKE } } },
		/* not seen though it was there throughout */
		{ false, 2, { { 1, 2, 0, 7, 0, ADD }, { 3, 4, 0, 0, 0, GET } } },
		/* both found nothing there; or the other did when it had been taken */
		{ false, 2, { { 1, 3, 0, 7, 0, ADD }, { 2, 4, 0, 8, 0, ADD } } },
		{ true, 3, { { 1, 5, 0, 7, 0, ADD }, { 2, 4, 0, 8, 0, ADD },
			    { 3, 6, 7, 0, 0, TAKE } } },
		/* new, then old again */
		{ false, 4, { { 1, 2, 0, 7, 0, SET }, { 3, 8, 7, 8, 0, REPLACE },
			   { 4, 5, 8, 0, 0, GET }, { 6, 7, 7, 0, 0, GET } } },
		/* cleared, or not yet there then */
		{ true, 3, { { 1, 4, 0, 0, 0, CLEAR }, { 2, 3, 0, 7, 0, SET },
			    { 5, 6, 7, 0, 0, GET } } },
		{ true, 4, { { 1, 2, 0, 7, 0, SET }, { 3, 7, 0, 0, 0, CLEAR },
			    { 4, 5, 0, 8, 0, ADD }, { 8, 9, 0, 0, 0, GET } } },
		{ false, 3, { { 1, 2, 0, 7, 0, SET }, { 3, 4, 0, 0, 0, CLEAR },
			    { 5, 6, 7, 0, 0, GET } } },
	};
	struct linear l;

	linear_start(&l);
	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++) {
		const struct linear_op *wrong;

		CHECK(linear_check(&l, 0, known[i].op, known[i].n, &wrong) ==
		      (known[i].right ? LINEAR_YES : LINEAR_NO), "history %zu", i);
	}
	linear_stop(&l);
}

#endif
