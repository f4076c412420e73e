/* generation.c - young lists, ages, promotion. See generation.h. */
#include "collect/generation.h"

#include <stdio.h>

#include "base/lock.h"
#include "collect/pass.h"
#include "heap/heap.h"
#include "heap/orphan.h"
#include "heap/pace.h"
#include "world/context.h"
#include "world/thread.h"

OI_INLINE bool is_member(const struct oi_header *h)
{
	/* stopped */
	return oi_load_relaxed(&h->own) != OI_OWN_FREE && !oi_is_dead(h) &&
	       !(oi_flags(h) & (OI_FLAG_GARBAGE | OI_FLAG_FROZEN));
}

bool oi_generation_member(const struct oi_header *h)
{
	return is_member(h);
}

int oi_generation_of(struct oi_header *h)
{
	struct oi_page *p = oi_page_of(h);
	size_t i = oi_block_index(p, h);
	uint64_t bit = UINT64_C(1) << (i % 64);
	if (oi_young_bits(p, 0)[i / 64] & bit)
		return 0;
	return oi_young_bits(p, 1)[i / 64] & bit ? 1 : 2;
}

void oi_generation_make_old(struct oi_header *h)
{
	oi_assert_stopped();
	struct oi_side_place at = { 0 };
	size_t i = oi_side_block(&at, h);
	oi_generation_make_old_at(at.young, i);
}

/*
 * Clears the bits of a block that is no member. If its object is dead, and not dismantled yet, its
 * death is still to be counted.
 */
static OI_COLD void leave_out(const struct oi_header *h, uint64_t (*young)[OI_BITMAP], size_t i)
{
	if (oi_is_used(h))
		oi_pace_grown(oi_generation_age_at(young, i), 1);
	oi_generation_make_old_at(young, i);
}

void oi_generation_leave(struct oi_header *h)
{
	oi_assert_stopped();
	struct oi_side_place at = { 0 };
	size_t i = oi_side_block(&at, h);
	/* stopped */
	if (((oi_load_relaxed(&at.young[0][i / 64]) | oi_load_relaxed(&at.young[1][i / 64])) >>
		     (i % 64) &
	     1))
		leave_out(h, at.young, i);
}

/*
 * Adds the members among the blocks whose bits are set, and clears the bits of the others. Returns
 * 1 if all were seen, 0 at the cap, -1 without memory.
 */
static int select_word(struct oi_trial *tr, struct oi_page *p, const struct oi_side_place *at,
		       size_t w, uint64_t bits, size_t cap)
{
	char *first = oi_page_start(p);
	size_t size = p->block_size;
	for (; bits; bits &= bits - 1) {
		size_t i = w * 64 + (size_t)__builtin_ctzll(bits);
		struct oi_header *h = (struct oi_header *)(first + i * size);
		if (tr->members.n >= cap)
			return 0;
		if (!is_member(h))
			leave_out(h, at->young, i);
		else if (!oi_trial_add_at(tr, h, &at->side[i]))
			return -1;
	}
	return 1;
}

/* Returns what select_word does. *empty: no young object is left in the page. */
static int select_page(struct oi_trial *tr, struct oi_page *p, int generation, size_t cap,
		       bool *empty)
{
	struct oi_side_place at = { 0 };
	oi_side_block(&at, oi_page_start(p));
	uint64_t *age0 = at.young[0], *age1 = at.young[1], left = 0;
	for (size_t w = 0; w < (p->bump + 63) / 64; w++) {
		uint64_t bits = generation ? age0[w] | age1[w] : age0[w];
		int result = bits ? select_word(tr, p, &at, w, bits, cap) : 1;
		if (result != 1) {
			*empty = false;
			return result;
		}
		left |= age0[w] | age1[w];
	}
	*empty = !left;
	return 1;
}

/*
 * Selects from the pages from @link up to @end. If that ended early, resume says where; the page
 * there has been seen in part.
 */
static int select_pages(struct oi_trial *tr, struct oi_heap *heap, struct oi_page **link,
			struct oi_page **end, int generation,
			size_t cap)
{
	while (link != end && *link) {
		struct oi_page *p = *link;
		bool empty = true;
		int result = p->state == OI_PAGE_FREE ?
				     1 :
				     select_page(tr, p, generation, cap, &empty);
		if (result != 1) {
			heap->resume = link;
			return result;
		}
		if (empty && !p->current) {
			*link = p->young_next;
			p->on_young = false;
			if (end == &p->young_next)
				end = link;
		} else {
			link = &p->young_next;
		}
	}
	return 1;
}

/* Selects from where the last selection ended to the end of the list, then from the rest of it. */
static int select_heap(struct oi_trial *tr, struct oi_heap *heap, int generation, size_t cap)
{
	struct oi_page **first = heap->resume ? heap->resume : &heap->young;
	heap->resume = NULL;
	int result = select_pages(tr, heap, first, NULL, generation, cap);
	return result == 1 && first != &heap->young ?
		       select_pages(tr, heap, &heap->young, first, generation, cap) :
		       result;
}

/* Key 0 is nobody's: it stands for the orphans' heap. */
static struct oi_heap *heap_of(size_t key)
{
	return key ? &oi_thread_of_key((uint16_t)key)->heap : &oi_orphans;
}

/*
 * Selects from the heaps of one word of keys that are in @mask. *at: the key where it ended early.
 */
static int select_keys(struct oi_trial *tr, size_t word, uint64_t mask, int generation, size_t cap,
		       size_t *at)
{
	uint64_t *bits = &oi_keysets[OI_KEYS_YOUNG].word[word], left = (*bits | !word) & mask;
	for (; left; left &= left - 1) {
		size_t key = word * 64 + (size_t)__builtin_ctzll(left);
		struct oi_heap *heap = heap_of(key);
		int result = select_heap(tr, heap, generation, cap);
		if (!heap->young)
			oi_store_relaxed(bits, *bits & ~(left & -left)); /* stopped */
		if (result == 1)
			continue;
		*at = key;
		return result;
	}
	return 1;
}

/* Begins at the heap where the last selection ended: so no heap is favoured or starved by a cap. */
static int select_young(struct oi_trial *tr, int generation, size_t cap)
{
	static size_t start;
	size_t first = start / 64;
	uint64_t from = ~UINT64_C(0) << (start % 64);
	int result = select_keys(tr, first, from, generation, cap, &start);
	for (size_t i = 1; i < OI_KEYSET_WORDS && result == 1; i++)
		result = select_keys(tr, (first + i) % OI_KEYSET_WORDS, ~UINT64_C(0), generation,
				     cap, &start);
	if (result == 1)
		result = select_keys(tr, first, ~from, generation, cap, &start);
	return result;
}

bool oi_generation_select(struct oi_trial *tr, int generation, size_t cap, bool *more)
{
	oi_assert_locked(OI_LOCK_COLLECT);
	oi_assert_stopped();
	int result = select_young(tr, generation, cap);
	*more = result == 0;
	if (result == -1)
		oi_trial_give_up(tr);
	return result != -1;
}

bool oi_generation_grow_older(uint64_t (*young)[OI_BITMAP], size_t i, bool straight)
{
	oi_assert_stopped();
	uint64_t bit = UINT64_C(1) << (i % 64), *age0 = &young[0][i / 64],
		 *age1 = &young[1][i / 64];
	if (*age0 & bit) {
		*age0 &= ~bit;
		/* the bit may be set, by an object that had the block before */
		*age1 = straight ? *age1 & ~bit : *age1 | bit;
		return straight;
	}
	bool was_young = *age1 & bit;
	*age1 &= ~bit;
	return was_young;
}

/* ---- all that is young becomes old, a stop for every so many pages ---- */

#define PAGES_AT_A_TIME 1024 /* about 0.1 ms */

/* Writes only what is not zero already: the child of a fork shares these pages. */
static void make_page_old(struct oi_page *p, bool members)
{
	/* NULL if the region is new */
	struct oi_map *map = members ? oi_region_of(p)->map : NULL;
	map = map && map->reciprocal[oi_page_index(p)] ? map : NULL;
	uint64_t *age0 = oi_young_bits(p, 0), *age1 = oi_young_bits(p, 1);
	for (size_t w = 0; w < OI_BITMAP; w++) {
		if (map)
			map->bits[oi_page_index(p)][w].member |= age0[w] | age1[w];
		if (age0[w])
			age0[w] = 0;
		if (age1[w])
			age1[w] = 0;
	}
	if (p->current) {
		p->on_young = false;
		oi_heap_add_young(p);
	} else {
		p->on_young = false;
	}
}

static bool detach_heap(struct oi_vector *lists, struct oi_heap *heap)
{
	if (heap->young && !oi_vector_push(lists, heap->young))
		return false;
	heap->young = NULL;
	heap->resume = NULL;
	return true;
}

/*
 * World stopped. Takes the lists from their heaps; those for which there is no memory stay there.
 */
static void detach_young(struct oi_vector *lists)
{
	struct oi_key_walk walk = { 0 };
	uint16_t key;
	detach_heap(lists, &oi_orphans);
	while ((key = oi_keyset_take(OI_KEYS_YOUNG, &walk)))
		if (!detach_heap(lists, &oi_thread_of_key(key)->heap))
			oi_keyset_add(OI_KEYS_YOUNG, key);
}

/* World stopped. */
static void make_some_old(struct oi_vector *lists, bool members)
{
	for (size_t n = 0; lists->n && n < PAGES_AT_A_TIME; n++) {
		struct oi_page *p = lists->data[lists->n - 1];
		if (p->young_next)
			lists->data[lists->n - 1] = p->young_next;
		else
			lists->n--;
		make_page_old(p, members);
	}
}

/* true: some pages are in no heap's list */
static bool detached;

void oi_generation_make_all_old(struct oi_vector *lists, bool members)
{
	oi_assert_unpinned(oi_self);
	bool begun = false;
	do {
		struct oi_stop stop;
		oi_pass_stop(&stop);
		if (!begun)
			detach_young(lists);
		begun = true;
		make_some_old(lists, members);
		detached = lists->n != 0;
		if (!detached)
			oi_generation_recount();
		oi_pass_start(&stop);
	} while (lists->n);
	oi_vector_trim(lists, 512);
}

void oi_generation_inherit(struct oi_vector *lists)
{
	oi_assert_stopped();
	for (; lists->n; lists->n--) {
		struct oi_page **end = &oi_orphans.young;
		while (*end)
			end = &(*end)->young_next;
		*end = lists->data[lists->n - 1];
	}
	if (detached)
		oi_generation_recount();
	detached = false;
	oi_vector_trim(lists, 512);
}

/* ---- how many young objects there are ---- */

static void count_ages_of(const struct oi_page *p, size_t w, uint64_t bits, uint64_t age0,
		       int64_t n[2])
{
	for (; bits; bits &= bits - 1) {
		size_t bit = (size_t)__builtin_ctzll(bits);
		if (oi_is_used(oi_block_at(p, w * 64 + bit)))
			n[age0 >> bit & 1 ? 0 : 1]++;
	}
}

static void count_ages(const struct oi_page *p, int64_t n[2])
{
	uint64_t *age0 = oi_young_bits(p, 0), *age1 = oi_young_bits(p, 1);
	for (size_t w = 0; w < (p->bump + 63) / 64; w++)
		count_ages_of(p, w, age0[w] | age1[w], age0[w], n);
}

static void count_heap(const struct oi_heap *heap, int64_t n[2])
{
	for (struct oi_page *p = heap->young; p; p = p->young_next)
		if (p->state != OI_PAGE_FREE)
			count_ages(p, n);
}

bool oi_generation_population(int64_t n[2])
{
	oi_assert_stopped();
	n[0] = n[1] = 0;
	for (size_t word = 0; word < OI_KEYSET_WORDS; word++)
		for (uint64_t bits = oi_keysets[OI_KEYS_YOUNG].word[word] | !word; bits;
		     bits &= bits - 1)
			count_heap(heap_of(word * 64 + (size_t)__builtin_ctzll(bits)), n);
	return !detached;
}

#if OURO_CHECKED
bool oi_generation_select_all(struct oi_trial *tr)
{
	oi_for_each_page(p)
		for (uint32_t i = 0; p->tracked && i < p->bump; i++) {
			struct oi_header *h = oi_block_at(p, i);
			if (oi_generation_member(h) && !oi_trial_add(tr, h))
				return false;
		}
	return true;
}
#endif

void oi_generation_recount(void)
{
	oi_assert_stopped();
	int64_t n[2], before = oi_pace.aged[0] + oi_pace.aged[1], unflushed[2];
	oi_generation_population(n);
	oi_pace_unflushed(unflushed);
	for (int age = 0; age < 2; age++)
		oi_store_relaxed(&oi_pace.aged[age], n[age] - unflushed[age]); /* stopped */
	before -= n[0] + n[1] - unflushed[0] - unflushed[1];
	oi_add_relaxed(&oi_pace.old_new, before > 0 ? (uint64_t)before : 0); /* count */
}

const char *oi_generation_check(void)
{
	oi_assert_stopped();
	oi_assert_locked(OI_LOCK_COLLECT);
	static char text[128];
	int64_t n[2], unflushed[2];
	if (!oi_generation_population(n))
		return NULL;
	oi_pace_unflushed(unflushed);
	for (int age = 0; age < 2; age++) {
		/* stopped */
		int64_t counted = oi_load_relaxed(&oi_pace.aged[age]) + unflushed[age];
		snprintf(text, sizeof text,
			 "INV-P1: %lld objects of age %d are counted, and there are %lld",
			 (long long)counted, age,
			 (long long)n[age]);
		if (counted != n[age])
			return text;
	}
	return NULL;
}
