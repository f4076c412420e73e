/*
 * stress_maps - every operation of ouro_map at once, judged by what each of them answered
 *
 * Goal: each operation on one key takes place at one instant, beside any others; nothing is lost.
 * Method: in rounds, threads work on a few keys that all of them use, and note of each operation
 * when it began, when it had returned and what it answered; a walk counts as one look at each key,
 * ouro_map_clear as one on each. After a round linear.h decides for each key whether there is an
 * order in which all of that can be right. Beside that each thread has keys of its own, which make
 * the map grow and of which it knows what must be there; values refer to the map they are in, and
 * maps are dropped with what is in them, while collections go on.
 * A failure means: a value was seen after its end or lost, two took one, a walk left out what was
 * there, a count went wrong; or, at the end, a map or a value was not freed.
 */
#include "history.h"

enum { HOT_MAX = 24, KEPT = 4, OWN_MAX = 4000 };

/* What the seed decides, and what changes from round to round in the hands of one thread. */
static struct {
	unsigned hot, steps, own, clear_one_in, each_one_in;
	ouro_map *map; /* a slot */
	uint64_t state[HOT_MAX];
	struct log *log; /* of each thread */
	bool cleared;    /* may have been, in this round */
	bool last;
	uint64_t rounds;
} run;

static pthread_barrier_t barrier;

/* ---- keys ---- */

/* Of the hot keys half are numbers, half bytes: none, one, or more; key 0 is the number 0. */
struct hot_key {
	bool is_number;
	size_t size;
	char bytes[64];
};

static struct hot_key hot[HOT_MAX];

static void name_keys(void)
{
	for (unsigned i = 0; i < HOT_MAX; i++) {
		hot[i].is_number = i % 2 == 0;
		hot[i].size = i / 2 * 5 % sizeof(hot[i].bytes);
		memset(hot[i].bytes, (int)('a' + i), sizeof(hot[i].bytes));
	}
}

static unsigned index_of(const ouro_map_item *item)
{
	for (unsigned i = 0; i < run.hot; i++) {
		if (!item->bytes != hot[i].is_number)
			continue;
		if (item->bytes ? item->size == hot[i].size &&
				  !memcmp(item->bytes, hot[i].bytes, item->size)
				: item->number == i)
			return i;
	}
	return UINT32_MAX;
}

static void *get(ouro_map *m, unsigned k)
{
	return hot[k].is_number ? ouro_map_get_int(m, k)
				: ouro_map_get(m, hot[k].bytes, hot[k].size);
}

static int put(ouro_map *m, unsigned k, void *v)
{
	return hot[k].is_number ? ouro_map_put_int(m, k, v)
				: ouro_map_put(m, hot[k].bytes, hot[k].size, v);
}

static int put_if_absent(ouro_map *m, unsigned k, void *v)
{
	return hot[k].is_number ? ouro_map_put_if_absent_int(m, k, v)
				: ouro_map_put_if_absent(m, hot[k].bytes, hot[k].size, v);
}

static int replace(ouro_map *m, unsigned k, const void *expected, void *v)
{
	return hot[k].is_number ? ouro_map_replace_int(m, k, expected, v)
				: ouro_map_replace(m, hot[k].bytes, hot[k].size, expected, v);
}

static void *take(ouro_map *m, unsigned k)
{
	return hot[k].is_number ? ouro_map_take_int(m, k)
				: ouro_map_take(m, hot[k].bytes, hot[k].size);
}

static bool removes(ouro_map *m, unsigned k)
{
	return hot[k].is_number ? ouro_map_remove_int(m, k)
				: ouro_map_remove(m, hot[k].bytes, hot[k].size);
}

/* ---- what a thread has at hand ---- */

struct hands {
	struct worker *w;
	struct rng *r;
	struct log *log;
	ouro_map *map;
	struct thing *kept[KEPT]; /* values it got or made: it may put or expect them again */
	uint64_t own_from, own_to; /* of its own keys these are there, unless somebody cleared */
};

/* Keeps @t, a new reference, in the place of another. */
static void keep(struct hands *h, struct thing *t)
{
	struct thing **place = &h->kept[rng_below(h->r, KEPT)];

	drop(*place);
	*place = t;
}

/* Borrowed: mostly a new one, else one that was at hand. */
static struct thing *some_value(struct hands *h)
{
	struct thing **place = &h->kept[rng_below(h->r, KEPT)];

	if (!*place || !rng_one_in(h->r, 4)) {
		drop(*place);
		*place = thing_new(h->w, h->map);
	}
	return *place;
}

static struct linear_op *note(struct hands *h, unsigned k, enum linear_kind kind)
{
	return log_add(h->log, (struct linear_op){ .word = k, .kind = kind });
}

/* ---- operations on a key that all threads use ---- */

static void do_get(struct hands *h, unsigned k)
{
	uint64_t began = linear_tick();
	struct thing *t = get(h->map, k);
	uint64_t ended = linear_tick();
	struct linear_op *op = note(h, k, LINEAR_GET);

	op->began = began, op->ended = ended, op->seen = number_of(t);
	if (t)
		keep(h, t);
}

static void do_put(struct hands *h, unsigned k)
{
	struct thing *t = some_value(h);
	uint64_t began = linear_tick();
	int error = put(h->map, k, t);
	uint64_t ended = linear_tick();
	struct linear_op *op = note(h, k, LINEAR_SET);

	CHECK(!error, "error %d", error);
	op->began = began, op->ended = ended, op->value = t->number;
}

static void do_put_if_absent(struct hands *h, unsigned k)
{
	struct thing *t = some_value(h);
	uint64_t began = linear_tick();
	int error = put_if_absent(h->map, k, t);
	uint64_t ended = linear_tick();
	struct linear_op *op = note(h, k, error ? LINEAR_THERE : LINEAR_ADD);

	CHECK(!error || error == EEXIST, "error %d", error);
	op->began = began, op->ended = ended, op->value = t->number;
}

static void do_replace(struct hands *h, unsigned k)
{
	struct thing *expected = rng_one_in(h->r, 3) ? ouro_retain(some_value(h)) : get(h->map, k);
	struct thing *t = expected ? some_value(h) : NULL;

	if (!expected)
		return;
	uint64_t began = linear_tick();
	int error = replace(h->map, k, expected, t);
	uint64_t ended = linear_tick();
	struct linear_op *op = note(h, k, error ? LINEAR_OTHER : LINEAR_REPLACE);

	CHECK(!error || error == ENOENT, "error %d", error);
	op->began = began, op->ended = ended, op->value = t->number, op->seen = number_of(expected);
	drop(expected);
}

static void do_take(struct hands *h, unsigned k)
{
	uint64_t began = linear_tick();
	struct thing *t = take(h->map, k);
	uint64_t ended = linear_tick();
	struct linear_op *op = note(h, k, t ? LINEAR_TAKE : LINEAR_GET);

	op->began = began, op->ended = ended, op->seen = number_of(t);
	if (t)
		keep(h, t);
}

static void do_remove(struct hands *h, unsigned k)
{
	uint64_t began = linear_tick();
	bool removed = removes(h->map, k);
	uint64_t ended = linear_tick();
	struct linear_op *op = note(h, k, removed ? LINEAR_REMOVE : LINEAR_GET);

	op->began = began, op->ended = ended;
}

/* ---- on all of them ---- */

struct walk {
	struct hands *h;
	uint64_t began;
	size_t first; /* of its looks in the log */
	unsigned met[HOT_MAX];
	uint64_t own; /* met of this thread's own keys */
};

static bool is_mine(const struct hands *h, const ouro_map_item *item)
{
	return !item->bytes && item->number >> 32 == h->w->index + 1u;
}

static bool meet(const ouro_map_item *item, void *arg)
{
	struct walk *walk = arg;
	unsigned k = index_of(item);
	const struct thing *t = item->value;

	canary_alive(&t->canary);
	if (k == UINT32_MAX) {
		walk->own += is_mine(walk->h, item);
		return true;
	}
	walk->met[k]++;
	struct linear_op *op = note(walk->h, k, LINEAR_GET);
	op->began = walk->began, op->seen = t->number;
	return true;
}

static void do_each(struct hands *h)
{
	struct walk walk = { .h = h, .began = linear_tick(), .first = h->log->n };

	CHECK(ouro_map_each(h->map, meet, &walk));
	for (unsigned k = 0; k < run.hot; k++)
		if (!walk.met[k])
			note(h, k, LINEAR_GET)->began = walk.began;
	uint64_t ended = linear_tick();
	for (size_t i = walk.first; i < h->log->n; i++)
		h->log->op[i].ended = ended;
	CHECK(run.clear_one_in || walk.own == h->own_to - h->own_from, "%llu of %llu met",
	      (unsigned long long)walk.own, (unsigned long long)(h->own_to - h->own_from));
}

static void do_clear(struct hands *h)
{
	uint64_t began = linear_tick();

	ouro_map_clear(h->map);
	uint64_t ended = linear_tick();
	for (unsigned k = 0; k < run.hot; k++) {
		struct linear_op *op = note(h, k, LINEAR_CLEAR);

		op->began = began, op->ended = ended;
	}
}

/* ---- keys of one's own: of them each thread knows what must be there ---- */

static uint64_t own_key(const struct hands *h, uint64_t i)
{
	return ((uint64_t)(h->w->index + 1) << 32) + i;
}

static void put_own(struct hands *h)
{
	for (unsigned n = rng_below(h->r, 200); n && h->own_to - h->own_from < run.own; n--) {
		struct thing *t = thing_new(h->w, h->map);

		CHECK(ouro_map_put_if_absent_int(h->map, own_key(h, h->own_to), t) == 0);
		t->number = h->own_to++;
		drop(t);
	}
}

static void take_own(struct hands *h)
{
	for (unsigned n = rng_below(h->r, 200); n && h->own_from < h->own_to; n--) {
		struct thing *t = ouro_map_take_int(h->map, own_key(h, h->own_from));

		CHECK(t || run.clear_one_in, "key %llu is lost", (unsigned long long)h->own_from);
		CHECK(!t || t->number == h->own_from);
		CHECK(!ouro_map_get_int(h->map, own_key(h, h->own_from)));
		h->own_from++;
		drop(t);
	}
}

static void get_own(struct hands *h)
{
	uint64_t n = h->own_to - h->own_from;
	uint64_t i = n ? h->own_from + rng_next(h->r) % n : 0;
	struct thing *t = n ? ouro_map_get_int(h->map, own_key(h, i)) : NULL;

	CHECK(!n || t || run.clear_one_in, "key %llu is lost", (unsigned long long)i);
	CHECK(!t || t->number == i);
	drop(t);
}

/* ---- a round ---- */

static void operate(struct hands *h)
{
	unsigned k = rng_below(h->r, run.hot);

	switch (rng_below(h->r, 16)) {
	case 0: case 1: case 2: do_get(h, k); break;
	case 3: case 4: do_put(h, k); break;
	case 5: case 6: do_put_if_absent(h, k); break;
	case 7: case 8: case 9: do_replace(h, k); break;
	case 10: case 11: do_take(h, k); break;
	case 12: do_remove(h, k); break;
	case 13: put_own(h); break;
	case 14: take_own(h); break;
	default: get_own(h); break;
	}
}

static void work(struct hands *h)
{
	for (unsigned n = 0; n < run.steps; n++, h->w->ops++) {
		operate(h);
		if (rng_one_in(h->r, run.each_one_in))
			do_each(h);
		if (run.clear_one_in && rng_one_in(h->r, run.clear_one_in))
			do_clear(h);
		if (rng_one_in(h->r, 1000))
			CHECK(ouro_gc_collect((int)rng_below(h->r, 3)) >= 0);
		if (rng_one_in(h->r, 50))
			sched_yield();
	}
}

/* Judges key @k, and notes what is there now. Nobody changes the map meanwhile. */
static void judge(struct linear *l, unsigned k)
{
	struct linear_op now = { .word = k, .kind = LINEAR_GET, .began = linear_tick() };
	struct thing *t = get(run.map, k);

	now.ended = linear_tick();
	now.seen = number_of(t);
	drop(t);
	log_judge(l, run.log, stress.threads, k, run.state[k], now);
	run.state[k] = now.seen;
}

struct sum {
	size_t n;
	uint64_t hot;
};

static bool count_one(const ouro_map_item *item, void *arg)
{
	struct sum *sum = arg;
	unsigned k = index_of(item);

	sum->n++;
	if (k != UINT32_MAX) {
		const struct thing *t = item->value;

		CHECK(!(sum->hot >> k & 1), "key %u is met twice", k);
		CHECK(run.state[k] == t->number, "key %u", k);
		sum->hot |= UINT64_C(1) << k;
	}
	return true;
}

/* By one thread, when all keys have been judged and nothing changes. */
static void end_round(struct rng *r)
{
	struct sum sum = { 0 };

	ouro_map_each(run.map, count_one, &sum);
	for (unsigned k = 0; k < run.hot; k++)
		CHECK(!run.state[k] == !(sum.hot >> k & 1), "key %u is there, and is not met", k);
	CHECK(sum.n == ouro_map_size(run.map), "%zu met, %zu counted", sum.n,
	      ouro_map_size(run.map));
	run.rounds++;
	if (rng_one_in(r, 4)) {
		memset(run.state, 0, sizeof(run.state));
		run.cleared = true;
		ouro_give(&run.map, ouro_map_new());
		CHECK(run.map);
	} else {
		run.cleared = false;
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
		h.map = ouro_load(&run.map);
		if (run.cleared)
			h.own_from = h.own_to;
		pthread_barrier_wait(&barrier);
		work(&h);
		ouro_release(h.map);
		pthread_barrier_wait(&barrier);
		for (unsigned k = w->index; k < run.hot; k += stress.threads)
			judge(&l, k);
		pthread_barrier_wait(&barrier);
		if (w->index == 0)
			end_round(&w->rng);
		pthread_barrier_wait(&barrier);
	}
	for (unsigned i = 0; i < KEPT; i++)
		drop(h.kept[i]);
	free(h.log->op);
	linear_stop(&l);
}

static void decide(struct rng *r)
{
	run.hot = 1 + rng_below(r, HOT_MAX);
	run.steps = (unsigned)stress_cut(20000 / stress.threads) + 50;
	run.own = rng_one_in(r, 3) ? 0 : 1 + rng_below(r, OWN_MAX);
	run.each_one_in = 200 + rng_below(r, 2000);
	run.clear_one_in = rng_one_in(r, 2) ? 0 : 200 + rng_below(r, 2000);
	run.log = calloc(stress.threads, sizeof(*run.log));
	CHECK(run.log);
}

int main(int argc, char **argv)
{
	uint64_t ops;

	stress_begin(argc, argv, "stress_maps");
	struct rng rng = rng_of(1);
	ouro_config cfg = stress_config(&rng);

	linear_self_check();
	name_keys();
	decide(&rng);
	CHECK(ouro_init(&cfg) == 0);
	CHECK(pthread_barrier_init(&barrier, NULL, stress.threads) == 0);
	ouro_give(&run.map, ouro_map_new());
	CHECK(run.map);
	ops = stress_run(hammer);
	ouro_give(&run.map, NULL);
	pthread_barrier_destroy(&barrier);
	free(run.log);
	log_check_judged();
	return stress_end(0, "%.2f M operations, %.2f M judged, %llu not, %llu rounds, %u keys",
			  (double)ops / 1e6, (double)tally_sum(&log_judged) / 1e6,
			  (unsigned long long)tally_sum(&log_given_up),
			  (unsigned long long)run.rounds, run.hot);
}
