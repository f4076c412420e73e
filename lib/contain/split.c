/*
 * split.c - a lock-free hash table: one list in the order of the hashes' reversed bits, with
 * buckets as entrances (Shalev, Shavit 2006; Michael 2002)
 *
 * The order is that of liburcu's cds_lfht, whose read lock and grace periods are here the gate and
 * limbo: who is pinned may stand at a node that is removed meanwhile, as its object's block waits
 * for a grace period. Why the steps are our own, and not cds_lfht through a flavour of ours:
 * - cds_lfht_destroy wants an emptied table. An object's children go before its destroy runs, and
 *   until then a finalizer may bring it back: there is no moment at which a dying map could empty
 *   its table without harm. Here nothing is to be done: buckets are objects, and die with the map.
 * - It resizes in one read-side section for each order, and on threads of its own: a stop would
 *   wait tens of milliseconds for a table of a million. Here doubling is one allocation, and each
 *   bucket is linked when it is first used.
 * - Its allocations are assertions, and its mutex stays locked in the child of a fork.
 * - ThreadSanitizer and the points of checked builds see nothing inside the shared object.
 *
 * States of an entry's node: made; linked, by the compare-and-swap of its predecessor's link [J1];
 * removed, by REMOVED in its own link, which from then on does not change; unlinked, by
 * whoever passes by with a compare-and-swap of the predecessor's. An unlinked node is not to be
 * reached any more but by who stood there. Nodes of one order are linked at the end of their run,
 * so of two threads that link the same key one meets the other's link.
 * States of a bucket: untouched (order 0); claimed, by the thread that changes order; linked, when
 * that thread has added READY [J3]. Until then others enter by its parent, the bucket without the
 * highest bit, which leads to the same nodes in more steps. Buckets are never removed. The first is
 * ready from the beginning.
 * Between claiming and linking nobody leaves the gate, so the child of a fork finds no bucket
 * claimed by a thread that is gone.
 * Model: tests/models/split.pml.
 */
#include "contain/split.h"

#include "base/perturb.h"
#include "world/object.h"

#define REMOVED ((uintptr_t)1)
/* In order: below all bits of a hash. A bucket comes before the entries of the same bits. */
#define READY UINT64_C(2)
#define ENTRY UINT64_C(4)
#define LOW_BITS UINT64_C(7)

#define FIRST 16 /* buckets of the first table */
#define FIRST_LOG 4
#define CROWDED 4 /* nodes that a walk passes: at one a bucket on average every fiftieth */

struct buckets {
	uint64_t unused[2];
	struct oi_node node[];
};

static const ouro_type buckets_type = {
	.name = "ouro_map buckets",
	.size = offsetof(struct buckets, node),
	.item_size = sizeof(struct oi_node),
	.flags = OURO_ACYCLIC,
};

static uint64_t reverse(uint64_t x)
{
	x = __builtin_bswap64(x);
	x = (x >> 4 & UINT64_C(0x0f0f0f0f0f0f0f0f)) | (x & UINT64_C(0x0f0f0f0f0f0f0f0f)) << 4;
	x = (x >> 2 & UINT64_C(0x3333333333333333)) | (x & UINT64_C(0x3333333333333333)) << 2;
	return (x >> 1 & UINT64_C(0x5555555555555555)) | (x & UINT64_C(0x5555555555555555)) << 1;
}

uint64_t oi_split_order(uint64_t hash)
{
	return (reverse(hash) & ~LOW_BITS) | ENTRY;
}

/* ---- buckets ---- */

bool oi_split_init(struct oi_split *s)
{
	struct buckets *b = ouro_new_items(&buckets_type, FIRST);
	if (!b)
		return false;
	b->node[0].order = READY;
	ouro_slot_give(&s->table[0], b);
	s->n_buckets = FIRST;
	return true;
}

static struct oi_node *bucket_at(struct oi_split *s, uint64_t i)
{
	unsigned k = i < FIRST ? 0 : 64 - FIRST_LOG - (unsigned)__builtin_clzll(i);
	struct buckets *b = oi_load_relaxed(&s->table[k]); /* elsewhere: n_buckets [J2] */
	return &b->node[k ? i - ((uint64_t)FIRST << (k - 1)) : i];
}

static struct oi_node *node_at(uintptr_t link)
{
	return (struct oi_node *)(link & ~REMOVED);
}

/* Where a node of some order goes: between the one whose link it is and @next. */
struct spot {
	uintptr_t *link;
	struct oi_node *next;
	struct oi_node *found; /* the node that matches; then the others say nothing */
	unsigned passed;
};

/*
 * One step of a walk: past the node at spot->next, or it is unlinked. Returns false if the list has
 * changed before it, so that the walk begins anew.
 */
static bool pass(struct spot *at)
{
	struct oi_node *node = at->next;
	uintptr_t next = oi_load_acquire(&node->next), expected = (uintptr_t)node; /* [J1] */
	if (!(next & REMOVED)) {
		at->link = &node->next;
		at->passed++;
	} else if (!oi_cas(at->link, &expected, next & ~REMOVED)) { /* [J1] */
		return false;
	}
	at->next = node_at(next);
	return true;
}

static bool matches(const struct oi_node *node, uint64_t order, oi_match_fn match, const void *key)
{
	/* elsewhere: the link that led here [J1] */
	return match && oi_load_relaxed(&node->order) == order &&
	       !(oi_load_acquire(&node->next) & REMOVED) && match(node, key); /* [J1] */
}

/* The end of the run of @order, on from @bucket; what is removed on the way is unlinked. */
static struct spot seek(struct oi_node *bucket, uint64_t order, oi_match_fn match, const void *key)
{
	struct spot at;
again:
	at = (struct spot){ .link = &bucket->next };
	at.next = node_at(oi_load_acquire(at.link)); /* [J1] */
	/* elsewhere: the link that led here [J1] */
	while (at.next && oi_load_relaxed(&at.next->order) <= order) {
		if (matches(at.next, order, match, key)) {
			at.found = at.next;
			break;
		}
		if (!pass(&at))
			goto again;
	}
	return at;
}

static bool link_at(const struct spot *at, struct oi_node *node)
{
	uintptr_t expected = (uintptr_t)at->next;
	oi_store_relaxed(&node->next, expected); /* elsewhere: the next line [J1] */
	return oi_cas(at->link, &expected, (uintptr_t)node); /* [J1] */
}

static struct oi_node *entrance(struct oi_split *s, uint64_t i);

/* Returns the bucket, or the nearest before it, if another thread is linking it just now. */
static OI_COLD struct oi_node *make_ready(struct oi_split *s, uint64_t i, struct oi_node *bucket)
{
	uint64_t high = UINT64_C(1) << (63 - __builtin_clzll(i)), order = 0;
	struct oi_node *parent = entrance(s, i & ~high);
	if (!oi_cas(&bucket->order, &order, reverse(i))) /* [J3] */
		return parent;
	oi_point("split: claimed");
	struct spot at;
	do
		at = seek(parent, reverse(i), NULL, NULL);
	while (!link_at(&at, bucket));
	oi_store_release(&bucket->order, reverse(i) | READY); /* [J3] */
	return bucket;
}

static struct oi_node *entrance(struct oi_split *s, uint64_t i)
{
	struct oi_node *bucket = bucket_at(s, i);
	if (likely(oi_load_acquire(&bucket->order) & READY)) /* [J3] */
		return bucket;
	return make_ready(s, i, bucket);
}

static struct oi_node *entrance_of(struct oi_split *s, uint64_t order)
{
	return entrance(s, reverse(order) & (oi_load_acquire(&s->n_buckets) - 1)); /* [J2] */
}

/* ---- nodes ---- */

struct oi_node *oi_split_find(struct oi_split *s, uint64_t order, oi_match_fn match,
			      const void *key)
{
	struct oi_node *node = entrance_of(s, order);
	do {
		if (matches(node, order, match, key))
			return node;
		node = node_at(oi_load_acquire(&node->next)); /* [J1] */
		/* elsewhere: the link that led here [J1] */
	} while (node && oi_load_relaxed(&node->order) <= order);
	return NULL;
}

struct oi_node *oi_split_insert(struct oi_split *s, struct oi_node *node, oi_match_fn match,
				const void *key, bool *crowded)
{
	struct spot at;
	do
		at = seek(entrance_of(s, node->order), node->order, match, key);
	while (!at.found && !link_at(&at, node));
	*crowded = at.passed >= CROWDED;
	return at.found;
}

void oi_split_remove(struct oi_split *s, struct oi_node *node)
{
	oi_or_acq_rel(&node->next, REMOVED); /* [J1] */
	oi_perturb();
	seek(entrance_of(s, node->order), node->order, NULL, NULL);
}

/* ---- growing ---- */

void oi_split_grow(struct oi_split *s)
{
	uint64_t n = oi_load_acquire(&s->n_buckets); /* [J2] */
	unsigned k = 64 - FIRST_LOG - (unsigned)__builtin_clzll(n);
	if (k == OI_SPLIT_TABLES)
		return;
	void *b OURO_AUTO = ouro_new_items(&buckets_type, n);
	if (!b)
		return;
	/* Of two threads at this one puts its table there. */
	ouro_slot_compare_exchange(&s->table[k], NULL, b);
	oi_cas(&s->n_buckets, &n, n * 2); /* [J2] */
}

bool oi_split_is_table(uint32_t type)
{
	return oi_type_given[type] == &buckets_type;
}
