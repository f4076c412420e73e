/*
 * near.c - searching for garbage from where something was let go of
 *
 * A set of objects is garbage if all references to its members are its members', whatever they
 * refer to. So a search that begins at a loose object (count/loose.h) need not follow all that it
 * reaches, and finds out at the cost of the garbage, not of the heap:
 *   expand the object: count what it refers to; then expand whatever all references of which are
 *   explained by what was expanded. While something that was expanded is not explained, guess:
 *   expand what lacks the fewest references. When all are explained, they may be garbage. When
 *   there is nothing to guess, what is not explained leaves, with what it alone explained.
 * It reads what others write, as scan.c does, and its results are never believed either: they
 * become candidates of a pass at once, while the cache has them, and the commit decides
 * (concurrent.c). Where there is much garbage each object is a miss of the cache and of the TLB for
 * each time it is come back to after many others; so it is looked at three times: here; in the
 * check, a part of the list at a time (commit.c), as nothing that one search found refers to what
 * another did; and when it is buried. What a search misses, a full collection finds: what hangs
 * together with young objects, with large ones, or with what only an opaque traverse tells of;
 * garbage of more than MOST objects; and what takes more guesses than a search has.
 *
 * A loose object waits for one round. If it was touched again meanwhile it waits for the next one:
 * what threads work with is alive. One that looks held by few references, perhaps a thread's own,
 * is looked at once more in the next round, and searched from again if that number has changed.
 * What is found in one search is not yet dead in the next one of the round. A reference from there
 * is let go of when it is, and that makes a loose object again.
 * Types of which hardly any search found anything are searched from now and then.
 */
#include "collect/near.h"

#include <string.h>

#include "base/os.h"
#include "collect/commit.h"
#include "count/count.h"
#include "count/loose.h"
#include "world/context.h"
#include "world/gclock.h"

#define MOST 8192    /* objects that one search sees */
#define FEW 4        /* references of what may be guessed */
#define HUB 64       /* references of what is not searched from */
#define ITEMS 64     /* of an object that is expanded */
#define WINDOW 8     /* of what may be guessed, looked at for the best */
#define AHEAD 8
#define FRESH_MOST (1u << 20) /* what is noted beyond them is lost */
#define PART 256     /* objects that are checked together, at least */

enum { SEEN, EXPANDED, LEFT };

struct node {
	struct oi_header *h;
	int32_t references, in;
	uint32_t state;
};

/* ---- the graph that was seen ---- */

static struct node node[MOST];
static uint16_t table[2 * MOST]; /* one more than the index of a node; open addressing */
static uint16_t ready[MOST], low[MOST];
static uint32_t mask;            /* of the part of the table that is in use */
static uint32_t n_nodes, n_ready, first_ready, n_low, first_low;
static int64_t n_unexplained;
static bool full;
static size_t part_began; /* in the list of candidates */

static uint32_t slot_of(const struct oi_header *h)
{
	uint64_t hash = (uintptr_t)h * UINT64_C(0x9e3779b97f4a7c15);
	uint32_t i = (uint32_t)(hash >> 40) & mask;
	while (table[i] && node[table[i] - 1].h != h)
		i = (i + 1) & mask;
	return i;
}

static void forget_nodes(void)
{
	mask = 63;
	memset(table, 0, (mask + 1) * sizeof *table);
	n_nodes = n_ready = first_ready = n_low = first_low = 0;
	n_unexplained = 0;
	full = false;
}

static void widen(void)
{
	mask = 4 * mask + 3 < 2 * MOST ? 4 * mask + 3 : 2 * MOST - 1;
	memset(table, 0, (mask + 1) * sizeof *table);
	for (uint32_t i = 0; i < n_nodes; i++)
		table[slot_of(node[i].h)] = (uint16_t)(i + 1);
}

static struct node *find_node(const struct oi_header *h)
{
	uint32_t i = slot_of(h);
	return table[i] ? &node[table[i] - 1] : NULL;
}

/* Returns the node of @h, which is made if there is none; NULL if there is no room. */
static struct node *node_of(struct oi_header *h)
{
	uint32_t i = slot_of(h);
	if (table[i])
		return &node[table[i] - 1];
	if (n_nodes == MOST) {
		full = true;
		return NULL;
	}
	int64_t references = oi_references(h);
	bool odd = references < 0 || references > INT32_MAX || (oi_flags(h) & OI_FLAG_IMMORTAL);
	struct node *n = &node[n_nodes++];
	*n = (struct node){ .h = h, .references = odd ? INT32_MAX : (int32_t)references };
	table[i] = (uint16_t)n_nodes;
	if (n->references <= FEW)
		low[n_low++] = (uint16_t)(n - node);
	if (2 * n_nodes > mask)
		widen();
	return n;
}

static void see(void *child, void *arg)
{
	struct oi_header *h = oi_header_of(child);
	struct oi_place at;
	(void)arg;
	if (!oi_place_of(h, &at))
		return;
	struct node *n = node_of(h);
	if (!n || ++n->in != n->references)
		return;
	if (n->state == EXPANDED)
		n_unexplained--;
	else if (n_ready < MOST)
		ready[n_ready++] = (uint16_t)(n - node);
}

/* Returns the type of an object that can be expanded, or NULL. */
static const struct oi_type *look_inside(const struct oi_header *h, struct oi_place *at)
{
	if (!oi_place_of(h, at))
		return NULL;
	const struct oi_type *d = oi_pass_look(h, OI_FLAG_GARBAGE | OI_FLAG_FROZEN);
	if (d && unlikely(!d->flat) &&
	    (oi_type_opaque(d->type) || (d->type->item_slots.n && oi_items(h, d->type) > ITEMS)))
		return NULL;
	return d;
}

static void visit_children(struct oi_header *h, const struct oi_type *d, oi_child_fn fn)
{
	oi_visit_fixed(h, d, fn, NULL);
	if (likely(d->flat))
		return;
	oi_visit_items_of(h, d->type, fn, NULL);
	if (d->type->traverse)
		oi_pass_call_traverse(h, d->type, fn, NULL);
}

/* Returns false if that is impossible: it stays unexplained, or is held by something else. */
static bool expand(struct oi_pass *p, struct node *n)
{
	struct oi_place at;
	const struct oi_type *d = look_inside(n->h, &at);
	if (!d) {
		n->state = LEFT;
		return false;
	}
	n->state = EXPANDED;
	p->n_members++;
	n_unexplained += n->in != n->references;
	visit_children(n->h, d, see);
	return true;
}

/* Returns what lacks the fewest references, or NULL. */
static struct node *best_guess(void)
{
	struct node *best = NULL;
	while (first_low < n_low && node[low[first_low]].state != SEEN)
		first_low++;
	for (uint32_t i = first_low; i < n_low && i < first_low + WINDOW; i++) {
		struct node *n = &node[low[i]];
		if (n->state == SEEN &&
		    (!best || n->references - n->in < best->references - best->in))
			best = n;
	}
	return best;
}

static void leave_node(struct node *n)
{
	n->state = LEFT;
	ready[n_ready++] = (uint16_t)(n - node);
}

static void unsee(void *child, void *arg)
{
	struct node *n = find_node(oi_header_of(child));
	(void)arg;
	if (n && n->state == EXPANDED && n->in-- == n->references)
		leave_node(n);
}

/* What is not explained leaves, with what it explained. */
static void peel(struct oi_pass *p)
{
	n_ready = 0;
	for (uint32_t i = 0; i < n_nodes; i++)
		if (node[i].state == EXPANDED && node[i].in != node[i].references)
			leave_node(&node[i]);
	while (n_ready) {
		struct node *n = &node[ready[--n_ready]];
		struct oi_place at;
		const struct oi_type *d = look_inside(n->h, &at);
		if (d)
			visit_children(n->h, d, unsee);
		oi_pass_step(p, 16);
	}
}

/* ---- what is learnt ---- */

#define TYPES 1024
static struct yield {
	uint32_t tried, paid;     /* searches */
	uint32_t guessed, hit;    /* those in which there was a guess */
} yields[TYPES];

static struct yield *yield_of(const struct oi_header *h)
{
	return &yields[oi_load_relaxed(&h->type) % TYPES]; /* elsewhere: look */
}

static void count_yield(uint32_t *n, uint32_t *good, bool is_good)
{
	if (*n >= 1024) {
		*n /= 2;
		*good /= 2;
	}
	++*n;
	*good += is_good;
}

static void learn_yield(struct yield *y, bool guessed, bool paid)
{
	count_yield(&y->tried, &y->paid, paid);
	if (guessed)
		count_yield(&y->guessed, &y->hit, paid);
}

/* Returns the share of the good ones, in 1/1024; while little is known, @first. */
static uint32_t share(uint32_t n, uint32_t good, uint32_t first)
{
	return n < 64 ? first : good * 1024 / n;
}

/* Returns how many guesses a search from an object of that type is worth; -1: not even none. */
static int guesses(const struct yield *y, uint32_t nth)
{
	uint32_t hit = share(y->guessed, y->hit, 128);
	if (share(y->tried, y->paid, 1024) < 20 && nth % 16)
		return -1;
	return hit >= 256 ? 128 : hit >= 51 || nth % 32 == 0 ? 32 : hit >= 20 ? 8 : 0;
}

/* ---- rounds ---- */

/* again, next: triples, see below */
static struct oi_vector taken, fresh, waiting, found, again, next;
static struct oi_near_statistics total;

static void swap(struct oi_vector *a, struct oi_vector *b)
{
	struct oi_vector old = *a;
	*a = *b;
	*b = old;
}

/*
 * What is looked at again: the object, the one node that was not explained, and its references
 * then. Of what was young, or touched: no node, and any number.
 */
static void put_off(void *obj, struct oi_header *held, int64_t references)
{
	if (oi_vector_push(&next, obj) && oi_vector_push(&next, held) &&
	    oi_vector_push(&next, (void *)(intptr_t)references))
		return;
	next.n -= next.n % 3;
}

/* Returns true if a part of what was found will be old later. */
static bool any_found_young(void)
{
	for (uint32_t i = 0; i < n_nodes; i++) {
		struct oi_place at;
		if (node[i].state == EXPANDED && oi_place_of(node[i].h, &at) &&
		    oi_is_young_beside(at.page, at.block))
			return true;
	}
	return false;
}

/* Returns true if the object of the node is on the lists, a candidate, and a member in the maps. */
static bool take_found(struct oi_pass *p, struct oi_header *h)
{
	struct oi_place at;
	/* There may have been safepoints since it was expanded. */
	if (!oi_place_of(h, &at) || !oi_pass_look(h, OI_FLAG_GARBAGE | OI_FLAG_FROZEN) ||
	    oi_is_young_beside(at.page, at.block))
		return false;
	oi_pass_push(p, &found, h);
	if (p->failed || !oi_commit_flag(p, h, &at))
		return false;
	oi_map_bits(&at)->member |= oi_map_bit(&at);
	oi_pass_push(p, p->list, h);
	if (p->failed)
		oi_unflag(h);
	return !p->failed;
}

/* What was found refers to nothing that is found later, or is referred to by it. */
static void take_all_found(struct oi_pass *p)
{
	size_t n = 0;
	for (uint32_t i = 0; i < n_nodes; i++)
		n += node[i].state == EXPANDED && take_found(p, node[i].h);
	oi_own_add(&total.found, n);
	if (p->list->n - part_began >= PART) {
		part_began = p->list->n;
		oi_pass_push(p, &p->parts, (void *)part_began);
	}
}

/* If one node alone is not explained, for want of one reference or two, that may be a thread's. */
static void note_held(struct oi_header *root)
{
	if (n_unexplained != 1)
		return;
	for (uint32_t i = 0; i < n_nodes; i++) {
		struct node *n = &node[i];
		if (n->state != EXPANDED || n->in == n->references)
			continue;
		if (n->references - n->in <= 2 && n->references > n->in)
			put_off(oi_object_of(root), n->h, n->references);
		return;
	}
}

static bool search_near(struct oi_pass *p, struct oi_header *h, int budget, bool repeat,
			bool *guessed)
{
	forget_nodes();
	struct node *root = node_of(h);
	if (root->references > HUB || !expand(p, root))
		return false;
	while (!full && !p->failed) {
		struct node *n;
		oi_pass_step(p, 24);
		if (first_ready < n_ready) {
			n = &node[ready[first_ready++]];
			if (n->state == SEEN)
				expand(p, n);
		} else if (n_unexplained && budget-- > 0 && (n = best_guess())) {
			expand(p, n);
			*guessed = true;
		} else {
			break;
		}
	}
	if (n_unexplained) {
		if (repeat)
			note_held(h);
		peel(p);
	}
	if (root->state != EXPANDED)
		return false;
	if (unlikely(any_found_young())) {
		if (repeat)
			put_off(oi_object_of(h), NULL, -1);
		return false;
	}
	take_all_found(p);
	return true;
}

/* @h may be any word that looks like an address. Returns true if it is an object's. */
static bool is_object(void *obj, struct oi_place *at)
{
	struct oi_header *h = oi_header_of(obj);
	return oi_map_covers(obj) && oi_map_covers(h) && oi_place_of(h, at) &&
	       at->page->state != OI_PAGE_LARGE &&
	       at->block < oi_load_acquire(&at->page->bump) && /* [A1] */
	       oi_block_at(at->page, at->block) == h;
}

static void search_from(struct oi_pass *p, void *obj, bool repeat)
{
	struct oi_place at;
	if (!is_object(obj, &at))
		return;
	struct oi_header *h = oi_header_of(obj);
	if (!oi_pass_look(h, OI_FLAG_GARBAGE | OI_FLAG_FROZEN | OI_FLAG_IMMORTAL))
		return;
	if (oi_map_open(&at))
		return; /* it was found */
	if (unlikely(oi_is_young_beside(at.page, at.block))) {
		if (repeat)
			put_off(obj, NULL, -1);
		return;
	}
	static uint32_t nth;
	struct yield *y = yield_of(h);
	int budget = guesses(y, nth++);
	if (budget < 0)
		return;
	oi_own_add(&total.searches, 1);
	bool guessed = false, paid = search_near(p, h, budget, repeat, &guessed);
	learn_yield(y, guessed, paid);
}

static void fetch_child(void *child, void *arg)
{
	(void)arg;
	__builtin_prefetch(oi_header_of(child), 1);
}

/* Fetches a root, and what an earlier one that has been fetched refers to. */
static void fetch_ahead(void *const *word, size_t left)
{
	struct oi_place at;
	if (left > 2 * AHEAD)
		__builtin_prefetch(oi_header_of(word[2 * AHEAD]), 1);
	if (left > AHEAD && is_object(word[AHEAD], &at)) {
		struct oi_header *h = oi_header_of(word[AHEAD]);
		const struct oi_type *d = oi_pass_look(h, OI_FLAG_GARBAGE | OI_FLAG_FROZEN);
		if (d)
			oi_visit_fixed(h, d, fetch_child, NULL);
	}
}

/* ---- what was touched again ---- */

#define BITS 16 /* for each fresh one: 6 of 100 seem touched that are not */
#define TOUCHED_MIN 4096

static uint64_t *touched;
static size_t n_touched; /* words, a power of two */

static uint64_t *touched_word(const void *obj, uint64_t *bit)
{
	uint64_t hash = (uintptr_t)obj * UINT64_C(0x9e3779b97f4a7c15) >> 24;
	*bit = UINT64_C(1) << (hash % 64);
	return &touched[hash / 64 & (n_touched - 1)];
}

/* Makes room for @n. Without memory there is the less of it: more seem touched. */
static void clear_touched(size_t n)
{
	size_t want = TOUCHED_MIN;
	while (want < n * BITS / 64)
		want *= 2;
	if (n_touched < want) {
		uint64_t *new = oi_os_map_list(want * sizeof *new);
		if (new && touched)
			oi_os_unmap_list(touched, n_touched * sizeof *touched);
		if (new) {
			touched = new;
			n_touched = want;
			return;
		}
	}
	if (touched)
		memset(touched, 0, n_touched * sizeof *touched);
}

/* Adds what was noted to the fresh ones. */
static void gather_notes(void)
{
	oi_loose_take(&taken);
	if (!fresh.n)
		swap(&fresh, &taken);
	for (size_t i = 0; i < taken.n && fresh.n < FRESH_MOST; i++)
		if (!oi_vector_push(&fresh, taken.data[i]))
			break;
	taken.n = 0;
}

void oi_near_keep_up(void)
{
	if (oi_loose_waiting() >= OI_LOOSE_FIRST / 2 && oi_concurrent_locked_by_me())
		gather_notes();
}

void oi_near_take(void)
{
	oi_assert_locked(OI_LOCK_CONCURRENT);
	uint64_t bit, *word;
	gather_notes();
	clear_touched(fresh.n);
	for (size_t i = 0; i < fresh.n && touched; i++) {
		word = touched_word(fresh.data[i], &bit);
		*word |= bit;
	}
}

/* If it was, it is among the fresh ones, or something else with the same bit is. */
static bool was_touched(void *obj)
{
	uint64_t bit, *word = touched ? touched_word(obj, &bit) : NULL;
	return word && *word & bit;
}

static void search_again(struct oi_pass *p, size_t i)
{
	void *obj = again.data[i];
	struct oi_header *held = again.data[i + 1];
	struct oi_place at;
	if (was_touched(obj))
		return; /* it is among the fresh ones */
	if (held && !is_object(oi_object_of(held), &at))
		return;
	/* If it is gone, nothing is read of its block, which may be another's, or nobody's. */
	if (held && oi_pass_look(held, OI_FLAG_GARBAGE) &&
	    oi_references(held) == (intptr_t)again.data[i + 2])
		return;
	search_from(p, obj, false);
}

void oi_near_find(struct oi_pass *p)
{
	oi_assert_unpinned(p->t);
	part_began = 0;
	oi_gate_enter(p->t);
	for (size_t i = 0; i < again.n && !p->failed; i += 3) {
		search_again(p, i);
		oi_pass_step(p, 8);
	}
	for (size_t i = 0; i < waiting.n && !p->failed; i++) {
		fetch_ahead(&waiting.data[i], waiting.n - i);
		if (was_touched(waiting.data[i]))
			put_off(waiting.data[i], NULL, -1);
		else
			search_from(p, waiting.data[i], true);
		oi_pass_step(p, 8);
	}
	again.n = waiting.n = 0;
	swap(&again, &next);
	swap(&waiting, &fresh);
	oi_own_add(&total.looked_at, p->n_members);
	oi_gate_leave(p->t);
}

void oi_near_clear(void)
{
	for (size_t i = 0; i < found.n; i++) {
		struct oi_place at;
		if (oi_place_of(found.data[i], &at))
			oi_map_bits(&at)->member = oi_map_bits(&at)->mark = 0;
	}
	found.n = 0;
}

size_t oi_near_waiting(void)
{
	oi_assert_locked(OI_LOCK_CONCURRENT);
	return waiting.n;
}

static void free_lists(void)
{
	struct oi_vector *list[] = { &taken, &fresh, &waiting, &found, &again, &next };
	for (size_t i = 0; i < sizeof list / sizeof *list; i++)
		oi_vector_free(list[i]);
	if (touched)
		oi_os_unmap_list(touched, n_touched * sizeof *touched);
	touched = NULL;
	n_touched = 0;
}

void oi_near_forget(void)
{
	oi_loose_forget();
	free_lists();
}

void oi_near_shutdown(void)
{
	free_lists();
	memset(yields, 0, sizeof yields);
	total = (struct oi_near_statistics){ 0 };
}

void oi_near_statistics(struct oi_near_statistics *out)
{
	out->searches = oi_load_relaxed(&total.searches); /* count */
	out->looked_at = oi_load_relaxed(&total.looked_at); /* count */
	out->found = oi_load_relaxed(&total.found); /* count */
}
