/*
 * stress_vec - every operation of ouro_vec at once, judged by what each of them answered
 *
 * Goal: what an operation does to one element takes place at one instant; a push finds the element
 * before its own there, a pop the place behind its own empty; nothing is lost.
 * Method: in rounds, threads push, pop, get, set, compare and set, and go through one vector, and
 * note what each operation answered, and when. After a round linear.h decides for each index
 * whether there is an order in which all of that can be right. Which index a popped value had, it
 * says itself, as no value is put twice. Values refer to the vector they are in, and vectors are
 * dropped with what is in them, while collections go on.
 * A failure means: an element was seen after its end or lost, two popped one, a hole; or, at the
 * end, a vector or an element was not freed.
 */
#include "history.h"

enum { WORDS = 48 }; /* indices that are judged; what is pushed beyond is popped again */

/* A pop whose index is not known yet: its value is held until the round is over. */
struct popped {
	size_t op; /* which of the log: after it comes the look behind */
	struct thing *value;
};

struct hands {
	struct worker *w;
	struct rng *r;
	struct log *log;
	ouro_vec *vec;
	struct popped *popped;
	size_t n_popped, room;
};

/* What the seed decides, and what changes from round to round in the hands of one thread. */
static struct {
	unsigned steps, level; /* about so many elements */
	ouro_vec *vec;         /* a slot */
	uint64_t state[WORDS + 1];
	struct log *log; /* of each thread */
	bool last;
	uint64_t rounds;
} run;

static pthread_barrier_t barrier;

/* ---- operations ---- */

static void do_get(struct hands *h, uint32_t i)
{
	struct linear_op op = { .word = i, .kind = LINEAR_GET, .began = linear_tick() };
	struct thing *t = ouro_vec_get(h->vec, i);

	op.ended = linear_tick();
	op.seen = number_of(t);
	log_add(h->log, op);
	drop(t);
}

static void do_set(struct hands *h, uint32_t i)
{
	struct thing *t = thing_new(h->w, h->vec);
	struct linear_op op = { .word = i, .kind = LINEAR_CHANGE, .value = t->number };

	t->i = i;
	op.began = linear_tick();
	int error = ouro_vec_set(h->vec, i, t);
	op.ended = linear_tick();
	CHECK(!error || error == ERANGE, "error %d", error);
	if (error)
		op.kind = LINEAR_GET;
	log_add(h->log, op);
	drop(t);
}

static void do_compare_set(struct hands *h, uint32_t i)
{
	struct thing *expected = ouro_vec_get(h->vec, i), *t = thing_new(h->w, h->vec);
	struct linear_op op = { .word = i, .kind = LINEAR_REPLACE, .value = t->number };

	t->i = i;
	if (expected) {
		op.seen = number_of(expected);
		op.began = linear_tick();
		int error = ouro_vec_compare_set(h->vec, i, expected, t);
		op.ended = linear_tick();
		CHECK(!error || error == EAGAIN || error == ERANGE, "error %d", error);
		if (error == ERANGE)
			op.seen = 0, op.kind = LINEAR_GET;
		else if (error)
			op.kind = LINEAR_ANOTHER;
		log_add(h->log, op);
	}
	drop(expected);
	drop(t);
}

/* Where it went was empty; and what is before it was there. */
static void do_push(struct hands *h)
{
	struct thing *t = thing_new(h->w, h->vec);
	struct linear_op op = { .kind = LINEAR_ADD, .value = t->number, .began = linear_tick() };
	size_t i;
	int error = ouro_vec_push(h->vec, t, &i);

	op.ended = linear_tick();
	CHECK(!error, "error %d", error);
	t->i = op.word = (uint32_t)i;
	log_add(h->log, op);
	op.kind = LINEAR_THERE;
	op.word--;
	if (i)
		log_add(h->log, op);
	drop(t);
}

static void keep_popped(struct hands *h, struct thing *t)
{
	if (h->n_popped == h->room) {
		h->room = h->room ? 2 * h->room : 1024;
		h->popped = realloc(h->popped, h->room * sizeof(*h->popped));
		CHECK(h->popped);
	}
	h->popped[h->n_popped++] = (struct popped){ h->log->n - 2, t };
}

static void do_pop(struct hands *h)
{
	struct linear_op op = { .kind = LINEAR_GET, .began = linear_tick() };
	struct thing *t = ouro_vec_pop(h->vec);

	op.ended = linear_tick();
	if (t) {
		op.kind = LINEAR_TAKE;
		op.seen = number_of(t);
	}
	log_add(h->log, op); /* of nothing: index 0 is empty */
	if (!t)
		return;
	op.kind = LINEAR_GET;
	op.seen = 0;
	log_add(h->log, op);
	keep_popped(h, t);
}

/* Now that all have noted where they put what. */
static void place_popped(struct hands *h)
{
	for (; h->n_popped; h->n_popped--) {
		struct popped *p = &h->popped[h->n_popped - 1];

		h->log->op[p->op].word = p->value->i;
		h->log->op[p->op + 1].word = p->value->i + 1;
		drop(p->value);
	}
}

struct walk {
	struct hands *h;
	uint64_t began;
	size_t first; /* of its looks in the log */
	size_t next;
};

static bool meet(size_t i, void *value, void *arg)
{
	struct walk *walk = arg;
	struct linear_op op = { .word = (uint32_t)i, .kind = LINEAR_GET, .began = walk->began };

	CHECK(i == walk->next++);
	op.seen = number_of(value);
	log_add(walk->h->log, op);
	return true;
}

static void do_each(struct hands *h)
{
	struct walk walk = { .h = h, .began = linear_tick(), .first = h->log->n };

	CHECK(ouro_vec_each(h->vec, meet, &walk));
	struct linear_op end = { .word = (uint32_t)walk.next, .kind = LINEAR_GET };
	end.began = walk.began;
	log_add(h->log, end);
	uint64_t ended = linear_tick();
	for (size_t i = walk.first; i < h->log->n; i++)
		h->log->op[i].ended = ended;
}

/* ---- a round ---- */

static void operate(struct hands *h)
{
	size_t size = ouro_vec_size(h->vec);
	uint32_t i = rng_below(h->r, (unsigned)size + 2);

	if (rng_one_in(h->r, 3)) /* where pushes and pops are */
		i = (uint32_t)(size ? size - rng_below(h->r, 2) : 0);
	switch (rng_below(h->r, 8)) {
	case 0: case 1: do_get(h, i); break;
	case 2: do_set(h, i); break;
	case 3: do_compare_set(h, i); break;
	default: rng_below(h->r, 2 * run.level) >= size ? do_push(h) : do_pop(h); break;
	}
}

static void work(struct hands *h)
{
	for (unsigned n = 0; n < run.steps; n++, h->w->ops++) {
		operate(h);
		if (rng_one_in(h->r, 300))
			do_each(h);
		if (rng_one_in(h->r, 1000))
			CHECK(ouro_gc_collect((int)rng_below(h->r, 3)) >= 0);
		if (rng_one_in(h->r, 50))
			sched_yield();
	}
}

/* Judges index @i, and notes what is there now. Nobody changes the vector meanwhile. */
static void judge(struct linear *l, uint32_t i)
{
	struct linear_op now = { .word = i, .kind = LINEAR_GET, .began = linear_tick() };
	struct thing *t = ouro_vec_get(run.vec, i);

	now.ended = linear_tick();
	now.seen = number_of(t);
	drop(t);
	log_judge(l, run.log, stress.threads, i, run.state[i], now);
	run.state[i] = now.seen;
}

/* By one thread, when all has been judged and nothing changes. */
static void end_round(struct rng *r)
{
	size_t n = 0;

	while (n < WORDS && run.state[n])
		n++;
	for (size_t i = n; i < WORDS; i++)
		CHECK(!run.state[i], "a hole before %zu", i);
	CHECK(n == WORDS || ouro_vec_size(run.vec) == n, "%zu there, %zu counted", n,
	      ouro_vec_size(run.vec));
	run.rounds++;
	if (rng_one_in(r, 4)) {
		memset(run.state, 0, sizeof(run.state));
		ouro_give(&run.vec, ouro_vec_new(rng_below(r, 2) ? 0 : 100));
		CHECK(run.vec);
	}
	run.last = stress_over();
}

static void hammer(struct worker *w)
{
	struct hands h = { .w = w, .r = &w->rng, .log = &run.log[w->index] };
	struct linear l;

	linear_start(&l);
	while (!run.last) {
		h.log->n = 0;
		h.vec = ouro_load(&run.vec);
		pthread_barrier_wait(&barrier);
		work(&h);
		ouro_release(h.vec);
		pthread_barrier_wait(&barrier);
		place_popped(&h);
		pthread_barrier_wait(&barrier);
		for (unsigned i = w->index; i < WORDS; i += stress.threads)
			judge(&l, i);
		pthread_barrier_wait(&barrier);
		if (w->index == 0)
			end_round(&w->rng);
		pthread_barrier_wait(&barrier);
	}
	free(h.popped);
	free(h.log->op);
	linear_stop(&l);
}

int main(int argc, char **argv)
{
	uint64_t ops;

	stress_begin(argc, argv, "stress_vec");
	struct rng rng = rng_of(1);
	ouro_config cfg = stress_config(&rng);

	linear_self_check();
	run.steps = (unsigned)stress_cut(20000 / stress.threads) + 50;
	run.level = 1 + rng_below(&rng, WORDS / 2);
	run.log = calloc(stress.threads, sizeof(*run.log));
	CHECK(run.log);
	CHECK(ouro_init(&cfg) == 0);
	CHECK(pthread_barrier_init(&barrier, NULL, stress.threads) == 0);
	ouro_give(&run.vec, ouro_vec_new(0));
	CHECK(run.vec);
	ops = stress_run(hammer);
	ouro_give(&run.vec, NULL);
	pthread_barrier_destroy(&barrier);
	free(run.log);
	log_check_judged();
	return stress_end(0, "%.2f M operations, %.2f M judged, %llu not, %llu rounds",
			  (double)ops / 1e6, (double)tally_sum(&log_judged) / 1e6,
			  (unsigned long long)tally_sum(&log_given_up),
			  (unsigned long long)run.rounds);
}
