/*
 * stress_churn - objects of all sizes, made, linked, handed about and dropped by threads that did
 * not make them
 *
 * Goal: allocation, foreign release, page hand-over and collection of every size class lose, double
 * or overwrite nothing.
 * Method: threads hold references in hands, pass them on through shared slots and through mailboxes
 * of their own, link them (in cycles too) and drop them; every byte of payload follows from the
 * object's address and is verified before a release and in destroy. A failure means: a block handed
 * out twice, written to after it was freed, or never freed.
 */
#include "stress.h"

enum { LINKS = 3, HANDS = 48, SHARED = 64, MAILBOX = 32 };

struct node {
	struct canary canary;
	struct node *link[LINKS];
	size_t bytes;
	unsigned char data[];
};

static void node_destroy(void *obj);

static const ouro_type node_type = {
	.name = "churn node",
	.size = offsetof(struct node, data),
	.slots = OURO_SLOTS(struct node, link),
	.item_size = 1,
	.destroy = node_destroy,
};

/* Same struct; linked only to leaves that are older, so it can be in no cycle. */
static const ouro_type leaf_type = {
	.name = "churn leaf",
	.size = offsetof(struct node, data),
	.slots = OURO_SLOTS(struct node, link),
	.item_size = 1,
	.destroy = node_destroy,
	.flags = OURO_ACYCLIC,
};

struct mailbox {
	pthread_mutex_t lock;
	unsigned n;
	struct node *letter[MAILBOX];
};

struct churner {
	struct worker *w;
	struct node *hand[HANDS];
};

static struct node *shared[SHARED];
static struct mailbox *mailboxes;
static struct tally bytes_made, bytes_destroyed;
static uint64_t bytes_limit, nodes_limit;

/* ---- payload ---- */

static unsigned char payload_byte(const struct node *n, size_t i)
{
	return (unsigned char)(canary_value(&n->canary) >> (i % 57));
}

/* Large payloads are touched once per 61 bytes. */
static size_t payload_step(const struct node *n)
{
	return n->bytes > 4096 ? 61 : 1;
}

static void payload_fill(struct node *n)
{
	for (size_t i = 0; i < n->bytes; i += payload_step(n)) {
		CHECK(n->data[i] == 0, "%p+%zu: not zeroed", (void *)n, i);
		n->data[i] = payload_byte(n, i);
	}
}

static void payload_verify(const struct node *n)
{
	CHECK(ouro_items(n) == n->bytes, "%p: %zu items", (const void *)n, ouro_items(n));
	for (size_t i = 0; i < n->bytes; i += payload_step(n))
		CHECK(n->data[i] == payload_byte(n, i), "%p+%zu: overwritten", (const void *)n, i);
}

static void node_destroy(void *obj)
{
	struct node *n = obj;

	payload_verify(n);
	tally_add(&bytes_destroyed, n->bytes);
	canary_destroy(&n->canary);
}

static size_t random_bytes(struct rng *r)
{
	unsigned kind = rng_below(r, 2000);

	if (kind == 0)
		return 1000000 + rng_below(r, 200000);
	if (kind < 20)
		return 30000 + rng_below(r, 20000);
	if (kind < 120)
		return rng_below(r, 9000);
	return kind < 500 ? rng_below(r, 1100) : rng_below(r, 80);
}

static struct node *node_new(struct rng *r, const ouro_type *type)
{
	size_t bytes = random_bytes(r);
	struct node *n = make(type, bytes);

	n->bytes = bytes;
	payload_fill(n);
	tally_add(&bytes_made, bytes);
	return n;
}

/* ---- one thread's actions ---- */

static struct node **any_hand(struct churner *c)
{
	return &c->hand[rng_below(&c->w->rng, HANDS)];
}

static struct node **any_shared(struct churner *c)
{
	return &shared[rng_below(&c->w->rng, SHARED)];
}

static struct node **any_link(struct churner *c, struct node *n)
{
	return &n->link[rng_below(&c->w->rng, LINKS)];
}

static bool may_link(const struct node *n)
{
	return n && ouro_typeof(n) == &node_type;
}

/* Puts a new reference (or NULL) into a hand, and verifies and drops what that held. */
static void hold(struct node **hand, struct node *n)
{
	struct node *old = *hand;

	if (n)
		canary_alive(&n->canary);
	if (old) {
		canary_alive(&old->canary);
		payload_verify(old);
	}
	*hand = n;
	ouro_release(old);
}

static void act_new(struct churner *c)
{
	hold(any_hand(c), node_new(&c->w->rng, &node_type));
}

static void act_new_leaf(struct churner *c)
{
	struct node *n = node_new(&c->w->rng, &leaf_type);
	struct node *older = *any_hand(c);

	if (older && !may_link(older))
		ouro_store(&n->link[0], older);
	hold(any_hand(c), n);
}

static void act_drop(struct churner *c)
{
	hold(any_hand(c), NULL);
}

static void act_link(struct churner *c)
{
	struct node *from = *any_hand(c);

	if (may_link(from))
		ouro_store(any_link(c, from), *any_hand(c));
}

static void act_follow(struct churner *c)
{
	struct node *from = *any_hand(c);

	if (from)
		hold(any_hand(c), ouro_load(any_link(c, from)));
}

static void act_cut(struct churner *c)
{
	struct node *from = *any_hand(c);

	if (from)
		hold(any_hand(c), ouro_take(any_link(c, from)));
}

static void act_ring(struct churner *c)
{
	unsigned length = 1 + rng_below(&c->w->rng, 8);
	struct node *first = node_new(&c->w->rng, &node_type);
	struct node *last = ouro_retain(first);

	while (--length) {
		struct node *n = node_new(&c->w->rng, &node_type);
		ouro_store(&last->link[0], n);
		ouro_store(&n->link[1], last);
		ouro_release(last);
		last = n;
	}
	ouro_give(&last->link[0], first);
	hold(any_hand(c), last);
}

static void act_list(struct churner *c)
{
	struct node *head = NULL;

	for (unsigned length = rng_below(&c->w->rng, 60); length; length--) {
		struct node *n = node_new(&c->w->rng, &node_type);
		ouro_give(&n->link[0], head);
		head = n;
	}
	hold(any_hand(c), head);
}

static void act_publish(struct churner *c)
{
	ouro_store(any_shared(c), *any_hand(c));
}

static void act_fetch(struct churner *c)
{
	hold(any_hand(c), ouro_load(any_shared(c)));
}

static void act_swap(struct churner *c)
{
	struct node **hand = any_hand(c);
	struct node *mine = *hand;

	*hand = NULL;
	hold(hand, ouro_exchange(any_shared(c), mine));
}

static void act_post(struct churner *c)
{
	struct mailbox *box = &mailboxes[rng_below(&c->w->rng, stress.threads)];
	struct node **hand = any_hand(c);

	pthread_mutex_lock(&box->lock);
	if (*hand && box->n < MAILBOX) {
		box->letter[box->n++] = *hand;
		*hand = NULL;
	}
	pthread_mutex_unlock(&box->lock);
}

static void act_collect_post(struct churner *c)
{
	struct mailbox *box = &mailboxes[c->w->index];
	struct node *n = NULL;

	pthread_mutex_lock(&box->lock);
	if (box->n)
		n = box->letter[--box->n];
	pthread_mutex_unlock(&box->lock);
	if (n)
		hold(any_hand(c), n);
}

/* Rare ones: what concerns the whole heap. A visited object may be one whose maker has not filled it yet. */
static bool visit_one(void *obj, void *arg)
{
	void *kept = ouro_retain(obj);

	CHECK(ouro_typeof(kept) == &node_type || ouro_typeof(kept) == &leaf_type);
	CHECK(ouro_refcount(kept) > 0);
	ouro_release(kept);
	return --*(int *)arg > 0;
}

static void act_heap(struct churner *c)
{
	struct node *n = *any_hand(c);
	int left = 50;

	switch (rng_below(&c->w->rng, 7)) {
	case 0: CHECK(ouro_gc_collect((int)rng_below(&c->w->rng, 3)) >= 0); break;
	case 1: ouro_gc_freeze(); break;
	case 2: ouro_gc_unfreeze(); break;
	case 3: CHECK(ouro_gc_objects((int)rng_below(&c->w->rng, 4) - 1, visit_one, &left) >= 0); break;
	case 4: CHECK(!n || ouro_gc_referents(n, visit_one, &left) >= 0); break;
	case 5: CHECK(!n || ouro_gc_referrers(n, visit_one, &left) >= 0); break;
	default: CHECK(ouro_gc_set_threshold((int)rng_below(&c->w->rng, 2000) - 1, 2, 1) == 0); break;
	}
}

static void (*const actions[])(struct churner *) = {
	act_new, act_new, act_new, act_new_leaf, act_new_leaf, act_drop, act_drop, act_link, act_link,
	act_follow, act_cut, act_ring, act_list, act_publish, act_fetch, act_swap, act_post, act_post,
	act_collect_post, act_collect_post,
};

/* ---- the run ---- */

static bool too_much(void)
{
	uint64_t destroyed = tally_sum(&bytes_destroyed);

	return stress_live() > nodes_limit || tally_sum(&bytes_made) - destroyed > bytes_limit;
}

static void drop_hands(struct churner *c)
{
	for (int i = 0; i < HANDS; i++)
		hold(&c->hand[i], NULL);
}

/* The graph remembers its history unless somebody cuts it. */
static void shred(struct churner *c)
{
	drop_hands(c);
	for (int i = 0; i < SHARED; i++)
		ouro_store(&shared[i], NULL);
	ouro_gc_unfreeze();
	if (too_much() && rng_one_in(&c->w->rng, stress.threads))
		CHECK(ouro_gc_collect(2) >= 0);
}

static void churn(struct worker *w)
{
	struct churner c = { .w = w };

	while (!stress_over()) {
		actions[rng_below(&w->rng, sizeof(actions) / sizeof(actions[0]))](&c);
		if (++w->ops % 64 == 0 && too_much())
			shred(&c);
		if (rng_one_in(&w->rng, 3000))
			act_heap(&c);
	}
	drop_hands(&c);
}

static void empty_mailboxes(void)
{
	for (unsigned i = 0; i < stress.threads; i++)
		while (mailboxes[i].n)
			hold(&mailboxes[i].letter[--mailboxes[i].n], NULL);
}

int main(int argc, char **argv)
{
	uint64_t ops;

	stress_begin(argc, argv, "stress_churn");
	struct rng rng = rng_of(1);
	ouro_config cfg = stress_config(&rng);

	nodes_limit = 20000 + stress_cut(100000);
	bytes_limit = stress_cut(512u << 20);
	mailboxes = calloc(stress.threads, sizeof(*mailboxes));
	CHECK(mailboxes);
	for (unsigned i = 0; i < stress.threads; i++)
		pthread_mutex_init(&mailboxes[i].lock, NULL);
	CHECK(ouro_init(&cfg) == 0);
	ops = stress_run(churn);
	empty_mailboxes();
	for (int i = 0; i < SHARED; i++)
		ouro_store(&shared[i], NULL);
	ouro_gc_unfreeze();
	free(mailboxes);
	return stress_end(0, "%.2f M operations", (double)ops / 1e6);
}
