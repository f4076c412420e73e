/*
 * stress_oracle - what the collector leaves alive against what a walk over the program's own record
 * says
 *
 * Goal: nothing reachable is ever destroyed, nothing unreachable is ever left, every count is
 * exact.
 * Method: rounds. In a round threads mutate a shared random graph by every call there is, while
 * collections run, in half of the rounds full ones without a break. Then all go quiet, keeping or
 * dropping what they hold, asleep or exited; one thread flushes and collects; oracle_walk.h judges.
 * A failure means: the collector or the counts are wrong. The message names the node; the seed
 * replays the operations.
 */
#include "oracle_walk.h"

enum { HANDS = 16, MEMOS = 8 };

/* A private weak cell, and what it was pointed at. */
struct memo {
	ouro_weak cell;
	uint32_t id; /* IDS_MAX: nothing that lives */
};

struct player {
	struct worker w;
	struct node *hand[HANDS];
	struct memo memo[MEMOS];
};

static struct player *players;
static pthread_barrier_t gathering; /* all players and the judge */
static atomic_bool round_over;
static bool exit_first; /* this round the players exit before the judgement, not after it */
static uint64_t nodes_limit;

static struct node **any_hand(struct player *p)
{
	return &p->hand[rng_below(&p->w.rng, HANDS)];
}

static struct node **any_root(struct player *p)
{
	return &roots[rng_below(&p->w.rng, ROOTS)];
}

/* A slot of a node in hand, or a root. Nothing may be dropped from a hand while it is in use. */
static struct node **any_slot(struct player *p)
{
	struct node *n = *any_hand(p);

	return n && !is_leaf(n) && !rng_one_in(&p->w.rng, 3) ? node_slot(n, &p->w.rng) : any_root(p);
}

static ouro_weak *any_cell(struct player *p)
{
	struct node *n = *any_hand(p);

	return n ? node_weak(n, &p->w.rng) : &cells[rng_below(&p->w.rng, CELLS)];
}

/* Puts a new reference (or NULL) into a hand, in the place of another. */
static void hold(struct player *p, struct node *n)
{
	struct node **hand = any_hand(p), *old = *hand;

	if (n)
		canary_alive(&n->canary);
	if (old)
		canary_alive(&old->canary);
	*hand = n;
	ouro_release(old);
}

static struct node *out_of_hand(struct player *p)
{
	struct node **hand = any_hand(p), *n = *hand;

	*hand = NULL;
	return n;
}

/* ---- moves ---- */

static void do_new(struct player *p) { hold(p, node_new(&p->w.rng)); }
static void do_load(struct player *p) { hold(p, ouro_load(any_slot(p))); }
static void do_take(struct player *p) { hold(p, ouro_take(any_slot(p))); }
static void do_store(struct player *p) { ouro_store(any_slot(p), *any_hand(p)); }
static void do_copy(struct player *p) { hold(p, ouro_retain(*any_hand(p))); }
static void do_drop(struct player *p) { hold(p, NULL); }

static void do_give(struct player *p)
{
	struct node *n = out_of_hand(p);

	ouro_give(any_slot(p), n);
}

static void do_exchange(struct player *p)
{
	struct node *n = out_of_hand(p);

	hold(p, ouro_exchange(any_slot(p), n));
}

static void do_compare_exchange(struct player *p)
{
	struct node **slot = any_slot(p);
	struct node *expected = rng_one_in(&p->w.rng, 2) ? ouro_load(slot) : ouro_retain(*any_hand(p));

	ouro_compare_exchange(slot, expected, *any_hand(p));
	ouro_release(expected);
}

static void do_move(struct player *p)
{
	struct node **from = any_slot(p), **to = any_slot(p);

	ouro_give(to, ouro_take(from));
}

static void do_peek(struct player *p)
{
	struct node *n, *kept;

	ouro_pin();
	n = ouro_peek(any_root(p));
	for (unsigned deep = rng_below(&p->w.rng, 5); n && deep; deep--) {
		struct node *next = ouro_peek(&n->link[rng_below(&p->w.rng, LINKS)]);

		canary_there(&n->canary);
		n = next ? next : n;
	}
	kept = ouro_try_retain(n);
	ouro_unpin();
	if (kept)
		hold(p, kept);
}

static void do_bag(struct player *p)
{
	struct node *n = *any_hand(p);

	if (!n || ouro_typeof(n) != &bag_type)
		return;
	struct node *in = rng_one_in(&p->w.rng, 3) ? NULL : ouro_retain(*any_hand(p));
	hold(p, atomic_exchange(&n->bag[rng_below(&p->w.rng, BAG)], in));
}

static void do_ring(struct player *p)
{
	struct node *first = linkable_new(&p->w.rng);
	struct node *last = ouro_retain(first), *n;

	for (unsigned left = rng_below(&p->w.rng, 6); first && left; left--) {
		n = linkable_new(&p->w.rng);
		if (!n)
			break;
		ouro_store(&last->link[0], n);
		ouro_give(&n->link[1], last);
		last = n;
	}
	if (first)
		ouro_give(&last->link[0], first);
	hold(p, last);
}

static void do_weak_store(struct player *p)
{
	CHECK(ouro_weak_store(any_cell(p), *any_hand(p)) == 0);
}

static void do_weak_load(struct player *p)
{
	struct node *n = ouro_weak_load(any_cell(p));

	if (n)
		hold(p, n);
}

static void do_memo(struct player *p)
{
	struct memo *m = &p->memo[rng_below(&p->w.rng, MEMOS)];
	struct node *n = *any_hand(p);

	if (!n)
		return;
	CHECK(ouro_weak_store(&m->cell, n) == 0);
	m->id = n->id;
}

static void do_collect(struct player *p)
{
	if (rng_one_in(&p->w.rng, 60))
		CHECK(ouro_gc_collect((int)rng_below(&p->w.rng, 3)) >= 0);
}

static void (*const moves[])(struct player *) = {
	do_new, do_new, do_new, do_new, do_load, do_load, do_take, do_store, do_store, do_store, do_copy,
	do_drop, do_drop, do_give, do_give, do_exchange, do_compare_exchange, do_move, do_peek, do_peek,
	do_bag, do_ring, do_weak_store, do_weak_load, do_memo, do_collect,
};

/* ---- a round ---- */

static void drop_hands(struct player *p, unsigned one_in)
{
	for (int i = 0; i < HANDS; i++) {
		if (!rng_one_in(&p->w.rng, one_in))
			continue;
		ouro_release(p->hand[i]);
		p->hand[i] = NULL;
	}
}

/* The graph remembers its history unless somebody cuts it. */
static void shred(struct player *p)
{
	drop_hands(p, 1);
	for (int i = 0; i < ROOTS; i++)
		ouro_store(&roots[i], NULL);
	if (stress_live() > 2 * nodes_limit)
		CHECK(ouro_gc_collect(2) >= 0);
}

static void play(struct worker *w)
{
	struct player *p = &players[w->index];

	while (!atomic_load_explicit(&round_over, memory_order_relaxed)) {
		moves[rng_below(&w->rng, sizeof(moves) / sizeof(moves[0]))](p);
		if (++w->ops % 256 == 0 && stress_live() > nodes_limit)
			shred(p);
	}
	drop_hands(p, 1 + rng_below(&w->rng, 3));
	if (exit_first)
		return;
	pthread_barrier_wait(&gathering);
	pthread_barrier_wait(&gathering);
}

static void judge(void)
{
	stress_settle();
	walk_begin();
	for (int i = 0; i < ROOTS; i++)
		walk_see(roots[i]);
	for (unsigned i = 0; i < stress.threads; i++)
		for (int k = 0; k < HANDS; k++)
			walk_see(players[i].hand[k]);
	walk_end();
	for (unsigned i = 0; i < stress.threads; i++)
		for (int k = 0; k < MEMOS; k++)
			walk_check_memo(&players[i].memo[k].cell, &players[i].memo[k].id);
	stress_check_live(walk.n);
	walk_renumber();
}

/* Collections from outside, for the length of a round: now and then, or full ones without a break. */
static void disturb(struct rng *r, uint64_t ns)
{
	uint64_t end = stress_now_ns() + ns;
	bool full = rng_one_in(r, 2);

	while (stress_now_ns() < end) {
		if (!full)
			stress_sleep_ns(rng_below(r, 20000000));
		CHECK(ouro_gc_collect(full ? 2 : (int)rng_below(r, 3)) >= 0);
	}
}

static uint64_t join_players(void)
{
	uint64_t ops = 0;

	for (unsigned i = 0; i < stress.threads; i++)
		ops += worker_join(&players[i].w);
	return ops;
}

static uint64_t play_round(struct rng *r, uint64_t number)
{
	uint64_t ops = 0;

	atomic_store(&round_over, false);
	exit_first = rng_one_in(r, 2);
	for (unsigned i = 0; i < stress.threads; i++)
		worker_start(&players[i].w, i, number * 1000 + i, play);
	disturb(r, 50000000 + rng_below(r, 150000000));
	atomic_store(&round_over, true);
	if (exit_first)
		ops = join_players();
	else
		pthread_barrier_wait(&gathering);
	for (unsigned i = 0; i < stress.threads && rng_one_in(r, 3); i++)
		drop_hands(&players[i], 2);
	judge();
	if (!exit_first) {
		pthread_barrier_wait(&gathering);
		ops = join_players();
	}
	return ops;
}

static void forget_all(void)
{
	for (unsigned i = 0; i < stress.threads; i++) {
		drop_hands(&players[i], 1);
		for (int k = 0; k < MEMOS; k++)
			ouro_weak_clear(&players[i].memo[k].cell);
	}
	for (int i = 0; i < ROOTS; i++)
		ouro_store(&roots[i], NULL);
	for (int i = 0; i < CELLS; i++)
		ouro_weak_clear(&cells[i]);
}

int main(int argc, char **argv)
{
	uint64_t ops = 0, rounds = 0, end;

	stress_begin(argc, argv, "stress_oracle");
	struct rng rng = rng_of(1);
	ouro_config cfg = stress_config(&rng);

	end = stress_now_ns() + (uint64_t)(stress.seconds * 1e9);
	nodes_limit = 3000 + rng_below(&rng, (unsigned)stress_cut(30000));
	alive = calloc(IDS_MAX, sizeof(*alive));
	players = calloc(stress.threads, sizeof(*players));
	CHECK(alive && players && pthread_barrier_init(&gathering, NULL, stress.threads + 1) == 0);
	for (unsigned i = 0; i < stress.threads; i++)
		for (int k = 0; k < MEMOS; k++)
			players[i].memo[k].id = IDS_MAX;
	walk_init();
	CHECK(ouro_init(&cfg) == 0);
	while (stress_now_ns() < end)
		ops += play_round(&rng, ++rounds);
	forget_all();
	stress_settle();
	walk_free();
	free(players);
	return stress_end(0, "%llu rounds, %.2f M operations", (unsigned long long)rounds, (double)ops / 1e6);
}
