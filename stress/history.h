/*
 * history.h - what threads put and take, what they note of their operations, and the judgement on
 * one word (linear.h)
 */
#ifndef STRESS_HISTORY_H
#define STRESS_HISTORY_H

#include "linear.h"

struct thing {
	struct canary canary;
	uint64_t number; /* never the same twice */
	uint32_t i;      /* stress_vec: where it was put, if it was */
	void *in;        /* what it was meant for, now and then */
};

static const ouro_type thing_type = {
	.name = "thing",
	.size = sizeof(struct thing),
	.slots = OURO_SLOTS(struct thing, in),
	.destroy = canary_only,
};

static inline struct thing *thing_new(struct worker *w, void *in)
{
	static _Thread_local uint64_t made;
	struct thing *t = make(&thing_type, 0);

	t->number = ((uint64_t)(w->index + 1) << 40) + ++made;
	if (rng_one_in(&w->rng, 4))
		ouro_store(&t->in, in);
	return t;
}

static inline uint64_t number_of(const struct thing *t)
{
	if (t)
		canary_alive(&t->canary);
	return t ? t->number : 0;
}

struct log {
	struct linear_op *op;
	size_t n, room;
};

static inline struct linear_op *log_add(struct log *log, struct linear_op op)
{
	if (log->n == log->room) {
		log->room = log->room ? 2 * log->room : 1024;
		log->op = realloc(log->op, log->room * sizeof(*log->op));
		CHECK(log->op);
	}
	log->op[log->n] = op;
	return &log->op[log->n++];
}

static inline void __attribute__((noreturn))
log_tell_wrong(uint32_t word, const struct linear_op *wrong, const struct log *all)
{
	for (const struct linear_op *op = all->op; op < all->op + all->n; op++)
		if (op->ended + 60 > wrong->began && op->began < wrong->ended + 60)
			fprintf(stderr, "%c [%llu, %llu] kind %u seen %llx value %llx\n",
				op == wrong ? '>' : ' ', (unsigned long long)op->began,
				(unsigned long long)op->ended, op->kind,
				(unsigned long long)op->seen, (unsigned long long)op->value);
	stress_fail(__FILE__, __LINE__, "linearizable", " word %u: no order explains these", word);
}

static struct tally log_judged, log_given_up;

/*
 * log_judge - is there an order for what @n logs say of @word?
 * @was: what it was before
 * @now: a look at it, by who makes sure that nothing changes meanwhile
 */
static inline void log_judge(struct linear *l, const struct log *logs, unsigned n, uint32_t word,
			     uint64_t was, struct linear_op now)
{
	struct log all = { 0 };
	const struct linear_op *wrong;

	for (unsigned i = 0; i < n; i++)
		for (size_t k = 0; k < logs[i].n; k++)
			if (logs[i].op[k].word == word)
				log_add(&all, logs[i].op[k]);
	log_add(&all, now);
	enum linear_answer answer = linear_check(l, was, all.op, all.n, &wrong);
	if (answer == LINEAR_NO)
		log_tell_wrong(word, wrong, &all);
	tally_add(answer == LINEAR_YES ? &log_judged : &log_given_up, all.n);
	free(all.op);
}

/* Of the ways it may have been there can be too many to follow, but not often. */
static inline void log_check_judged(void)
{
	CHECK(tally_sum(&log_judged) / 20 >= tally_sum(&log_given_up));
}

#endif
