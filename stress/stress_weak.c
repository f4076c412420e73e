/*
 * stress_weak - weak upgrade against the last release and against the cycle collector
 *
 * Goal: a load gives an intact object or NULL; NULL is for ever; the members of a dead cycle expire
 * at one instant; a watch runs exactly once.
 * Method: "stations" hold weak cells to one object, or to both members of a two-node cycle. Their
 * keeper makes an object, points the cells at it, lets go of it, waits for its watch and begins
 * again with a new incarnation; readers load the cells all the time. Two more families of cells, in
 * objects and on stacks, are stored and loaded by everybody. A failure means: an upgrade won
 * against a death, a cycle died piecemeal, or an entry of the side table was reused early.
 */
#include "stress.h"

enum { STATIONS_EACH = 8, SHARED = 6, STATIONS_MAX = 256 * STATIONS_EACH };

struct node {
	struct canary canary;
	uint64_t incarnation;
	struct node *peer;
	ouro_weak weak[2];
};

static const ouro_type node_type = {
	.name = "weak node",
	.size = sizeof(struct node),
	.slots = OURO_SLOTS(struct node, peer),
	.weaks = OURO_WEAKS(struct node, weak),
	.destroy = canary_only,
};

/*
 * The keeper counts incarnation up to odd before it touches the cells, to even when they stand: a reader that
 * finds the same even number before and after its loads has loaded from that incarnation.
 */
struct station {
	ouro_weak cell[2];
	_Atomic uint64_t incarnation;
	_Atomic unsigned due, ran; /* watches of this incarnation: set, run */
	bool pair;
	struct node *held; /* the keeper's reference; NULL: dropped */
};

static struct station stations[STATIONS_MAX];
static unsigned n_stations;
static struct node *shared[SHARED];
static struct tally upgrades, expiries;

static struct node *node_new(uint64_t incarnation)
{
	struct node *n = make(&node_type, 0);

	n->incarnation = incarnation;
	return n;
}

/* ---- keepers ---- */

static void watch_ran(void *arg)
{
	struct station *s = arg;
	unsigned due = atomic_load(&s->due); /* before the keeper may reset it */

	CHECK(atomic_fetch_add(&s->ran, 1) < due, "a watch ran twice");
}

static void add_watches(struct station *s, struct node *n, struct rng *r)
{
	for (unsigned left = 1 + rng_below(r, 2); left; left--) {
		ouro_watch_id id;

		atomic_fetch_add(&s->due, 1);
		CHECK(ouro_watch(n, watch_ran, s, &id) == 0);
		if (!rng_one_in(r, 4))
			continue;
		CHECK(ouro_unwatch(id), "the object lives: its watch cannot have run");
		CHECK(!ouro_unwatch(id), "undone twice");
		atomic_fetch_sub(&s->due, 1);
	}
}

/* Cells in the members themselves, to each other and to themselves. */
static void link_pair(struct node *a, struct node *b)
{
	ouro_store(&a->peer, b);
	ouro_store(&b->peer, a);
	CHECK(ouro_weak_store(&a->weak[0], b) == 0);
	CHECK(ouro_weak_store(&b->weak[0], a) == 0);
	CHECK(ouro_weak_store(&b->weak[1], b) == 0);
}

static void station_open(struct station *s, struct rng *r)
{
	uint64_t incarnation = atomic_load(&s->incarnation) + 2;
	struct node *a, *b;

	atomic_store(&s->incarnation, incarnation - 1);
	atomic_store(&s->due, 0);
	atomic_store(&s->ran, 0);
	s->pair = rng_one_in(r, 2);
	a = node_new(incarnation);
	b = s->pair ? node_new(incarnation) : ouro_retain(a);
	if (s->pair)
		link_pair(a, b);
	add_watches(s, a, r);
	if (s->pair)
		add_watches(s, b, r);
	CHECK(ouro_weak_store(&s->cell[0], a) == 0);
	CHECK(ouro_weak_store(&s->cell[1], b) == 0);
	ouro_release(b);
	s->held = a;
	atomic_store(&s->incarnation, incarnation);
}

/* Lets go: here, or by way of a shared slot, where somebody else drops the last reference. */
static void station_close(struct station *s, struct rng *r)
{
	if (rng_one_in(r, 2))
		drop(s->held);
	else
		ouro_give(&shared[rng_below(r, SHARED)], s->held);
	s->held = NULL;
}

static bool station_dead(struct station *s)
{
	return atomic_load(&s->ran) == atomic_load(&s->due) && ouro_weak_expired(&s->cell[0]) &&
	       ouro_weak_expired(&s->cell[1]);
}

static void keep(struct station *s, struct rng *r)
{
	if (s->held)
		station_close(s, r);
	else if (station_dead(s))
		station_open(s, r);
}

/* ---- readers ---- */

static bool load_cell(struct station *s, int i, uint64_t incarnation, struct rng *r)
{
	struct node *n = ouro_weak_load(&s->cell[i]);
	bool found = n;

	if (n) {
		canary_alive(&n->canary);
		CHECK(n->incarnation >= incarnation, "an older incarnation came back");
		tally_add(&upgrades, 1);
	} else {
		tally_add(&expiries, 1);
	}
	if (n && rng_one_in(r, 16))
		ouro_give(&shared[rng_below(r, SHARED)], n);
	else
		drop(n);
	return found;
}

/* Where the first of two loads gives NULL, so must the other, whichever is first, and any later one. */
static void read_station(struct station *s, struct rng *r)
{
	uint64_t incarnation = atomic_load(&s->incarnation);
	int first = (int)rng_below(r, 2);

	if (incarnation % 2 || load_cell(s, first, incarnation, r))
		return;
	bool other = load_cell(s, !first, incarnation, r);
	bool again = load_cell(s, first, incarnation, r);
	bool expired = ouro_weak_expired(&s->cell[first]);

	if (atomic_load(&s->incarnation) != incarnation)
		return;
	CHECK(!other, "one cell of an incarnation expired, the other loaded afterwards");
	CHECK(!again, "an expired cell loaded");
	CHECK(expired, "an expired cell is not expired");
}

/* ---- cells in shared objects and on the stack, stored and loaded by everybody ---- */

static void stack_cell(struct rng *r)
{
	ouro_weak cell = { 0 };
	struct node *n = ouro_load(&shared[rng_below(r, SHARED)]);
	struct node *back;

	CHECK(ouro_weak_store(&cell, n) == 0);
	back = ouro_weak_load(&cell);
	CHECK(back == n, "a held object expired");
	ouro_release(back);
	drop(n);
	back = ouro_weak_load(&cell);
	CHECK(!back || back == n);
	drop(back);
	ouro_weak_clear(&cell);
	CHECK(ouro_weak_expired(&cell) && !ouro_weak_load(&cell));
}

static void object_cell(struct rng *r)
{
	struct node *holder = ouro_load(&shared[rng_below(r, SHARED)]);
	struct node *target = ouro_load(&shared[rng_below(r, SHARED)]);

	if (holder && rng_one_in(r, 2))
		CHECK(ouro_weak_store(&holder->weak[rng_below(r, 2)], target) == 0);
	else if (holder)
		drop(ouro_weak_load(&holder->weak[rng_below(r, 2)]));
	drop(target);
	drop(holder);
}

static void act(struct worker *w, struct station *own)
{
	struct rng *r = &w->rng;

	switch (rng_below(r, 12)) {
	case 0: keep(&own[rng_below(r, STATIONS_EACH)], r); break;
	case 1: stack_cell(r); break;
	case 2: object_cell(r); break;
	case 3: ouro_store(&shared[rng_below(r, SHARED)], NULL); break;
	case 4:
		if (rng_one_in(r, 60))
			CHECK(ouro_gc_collect((int)rng_below(r, 3)) >= 0);
		break;
	default: read_station(&stations[rng_below(r, n_stations)], r); break;
	}
}

static void run(struct worker *w)
{
	struct station *own = &stations[w->index * STATIONS_EACH];

	for (; !stress_over(); w->ops++)
		act(w, own);
	for (int i = 0; i < STATIONS_EACH; i++)
		if (own[i].held)
			station_close(&own[i], &w->rng);
}

static void check_watches(void)
{
	for (unsigned i = 0; i < n_stations; i++) {
		struct station *s = &stations[i];

		CHECK(ouro_weak_expired(&s->cell[0]) && ouro_weak_expired(&s->cell[1]));
		CHECK(atomic_load(&s->ran) == atomic_load(&s->due), "%u watches of %u ran",
		      atomic_load(&s->ran), atomic_load(&s->due));
		ouro_weak_clear(&s->cell[0]);
		ouro_weak_clear(&s->cell[1]);
	}
}

int main(int argc, char **argv)
{
	uint64_t ops;

	stress_begin(argc, argv, "stress_weak");
	struct rng rng = rng_of(1);
	ouro_config cfg = stress_config(&rng);

	n_stations = stress.threads * STATIONS_EACH;
	CHECK(ouro_init(&cfg) == 0);
	ops = stress_run(run);
	for (int i = 0; i < SHARED; i++)
		ouro_store(&shared[i], NULL);
	stress_settle();
	check_watches();
	return stress_end(0, "%.2f M operations, %llu upgrades, %llu expiries", (double)ops / 1e6,
			  (unsigned long long)tally_sum(&upgrades), (unsigned long long)tally_sum(&expiries));
}
