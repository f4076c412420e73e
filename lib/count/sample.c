/*
 * sample.c - allocation sites, sampled by bytes
 *
 * The draw. Each thread counts down the bytes that it makes, from a number that is distributed
 * exponentially with the mean sample_bytes; the object at which it comes below 0 is sampled, and
 * the next number is drawn. So each byte is as likely as any other, whatever the order of sizes: as
 * in tcmalloc (its sampler) and Go (nextSample). The number comes of von
 * Neumann's comparisons (1951; Knuth, The Art of Computer Programming, 3.4.1), which need no
 * logarithm.
 *
 * Stretches. To count makes ouro_new a fifth slower. So small objects, of up to a KiB, are counted
 * in one of SHARE stretches, SHARE times as densely (where sample_bytes is 64 KiB or more). A
 * stretch goes from one visit to the slow way of ouro_new to the VISITS-th after it, and whether it
 * counts is a throw of dice when it begins: so what the program does in it, and how long it takes,
 * makes no difference. (Visits because of a sample are none: a stretch that counts must not be the
 * shorter one.) While types are counted, the thread keeps them at addresses that are no type's
 * (type.h), and so comes another way through ouro_new (new.c).
 *
 * The table. An object's sample is found by its address, as the header has no room; a site by its
 * stack. Both are chained hash tables, of indices into chunks that are mapped when they are needed,
 * up to a bound; what finds no room is dropped, and counted. A lock guards all of it: it is taken
 * once for sample_bytes made, and for the death of what was sampled.
 *
 * To ask who called takes longer than all the rest. So a site says where its return addresses lay
 * on the stack, and those that had samples last are looked at first: whether the addresses lie
 * there again (callers.c).
 *
 * A sample comes into the table after its object was made, by the thread that has its only
 * reference. It leaves when the object does for good (oi_death_destroy): one that its finalizer
 * brings back is still there, and one that is garbage but not yet freed, too.
 */
#include "count/sample.h"

#include <string.h>

#include "base/lock.h"
#include "base/os.h"
#include "world/context.h"

#define SAMPLES_CHUNK 4096
#define SAMPLES_CHUNKS 256 /* a million samples, 32 MiB with what leads to them */
#define SITES_CHUNK 256
#define SITES_CHUNKS 64    /* 16 384 sites, 7 MiB */
#define BUCKETS ((size_t)1 << 17)
#define SITE_BUCKETS 4096
#define RECENT 1024
#define RECENT_WAYS 4

#define STRETCHES_FROM 65536
#define SHARE 8
#define VISITS 4

struct kept {
	const struct oi_header *h;
	uint64_t bytes : 62, chosen : 1, large : 1;
	uint32_t site, next; /* of the next in its chain, or of the next that is unused */
};

/* Indices begin at 1; 0 is none. All under the lock. */
static struct {
	uint32_t *bucket; /* mapped with the first sample */
	struct kept *kept[SAMPLES_CHUNKS];
	struct oi_site *site[SITES_CHUNKS];
	uint32_t site_bucket[SITE_BUCKETS];
	uint32_t recent[RECENT][RECENT_WAYS]; /* sites, the last one first */
	uint32_t n_kept, unused, n_sites;
	uint64_t n_live, n_dropped; /* read without the lock */
} table;
static uint32_t era; /* under the lock; read without */

/* ---- the draw ---- */

/* xorshift64*: Marsaglia 2003, Vigna 2016. */
static uint32_t random_32(struct oi_thread *t)
{
	uint64_t x = t->sample.seed;
	x ^= x >> 12;
	x ^= x << 25;
	x ^= x >> 27;
	t->sample.seed = x;
	return (uint32_t)(x * UINT64_C(0x2545f4914f6cdd1d) >> 32);
}

/* Returns a number with the exponential distribution of mean 1. */
static double exponential(struct oi_thread *t)
{
	for (double whole = 0;; whole++) {
		uint32_t first = random_32(t), last = first, n = 1;
		for (uint32_t next; (next = random_32(t)) < last; n++)
			last = next;
		if (n % 2) /* numbers in descending order, before the first that is not smaller */
			return whole + first * 0x1p-32;
	}
}

static bool has_stretches(void)
{
	return oi_runtime.config.sample_bytes >= STRETCHES_FROM;
}

static void draw(struct oi_thread *t)
{
	t->sample.left = (int64_t)(exponential(t) * (double)oi_runtime.config.sample_bytes);
}

static void draw_small(struct oi_thread *t)
{
	double mean = (double)oi_runtime.config.sample_bytes;
	mean = has_stretches() ? mean / SHARE : mean;
	t->sample.left_small = (int64_t)(exponential(t) * mean);
}

/* What the cache knows of small types, and of those with items, is to be counted, or not to be. */
static void set_counting(struct oi_thread *t, bool on)
{
	if (t->sample.counts_small == on)
		return;
	t->sample.counts_small = on;
	for (struct oi_type_cache *c = t->types; c < t->types + OI_TYPE_CACHE; c++)
		if (c->bytes <= OI_TYPE_COUNTED_FROM)
			c->type = oi_type_toggled(c->type);
}

void oi_sample_visit(struct oi_thread *t)
{
	if (has_stretches() && ++t->sample.visits % VISITS == 0)
		set_counting(t, random_32(t) % SHARE == 0);
}

void oi_sample_join(struct oi_thread *t)
{
	if (!oi_sampling())
		return;
	oi_os_random(&t->sample.seed, sizeof t->sample.seed);
	t->sample.seed |= 1; /* not 0 */
	t->sample.visits = 0;
	t->sample.due = false;
	t->sample.knows_stack = false;
	t->sample.counts_small = !has_stretches() || random_32(t) % SHARE == 0;
	draw(t);
	draw_small(t);
}

bool oi_sample_choose(struct oi_thread *t, struct oi_sample *s, size_t bytes, bool large)
{
	s->bytes = bytes;
	s->large = large;
	s->chosen = !oi_sample_passes(t, bytes);
	s->era = oi_load_relaxed(&era); /* recheck: oi_sample_note, under the lock */
	if (s->chosen && bytes <= OI_TYPE_COUNTED_FROM)
		draw_small(t);
	else if (s->chosen)
		draw(t);
	return s->chosen || large;
}

/* ---- the table, under the lock ---- */

static struct kept *kept_at(uint32_t i)
{
	return &table.kept[(i - 1) / SAMPLES_CHUNK][(i - 1) % SAMPLES_CHUNK];
}

static struct oi_site *site_at(uint32_t i)
{
	return &table.site[(i - 1) / SITES_CHUNK][(i - 1) % SITES_CHUNK];
}

static uint32_t *chain_for(const struct oi_header *h)
{
	return &table.bucket[(uintptr_t)h / 16 * UINT64_C(0x9e3779b97f4a7c15) >> 47];
}

/* Returns where the index of the object's entry is, or that of none. The buckets are there. */
static uint32_t *find_kept(const struct oi_header *h)
{
	uint32_t *link = chain_for(h);
	while (*link && kept_at(*link)->h != h)
		link = &kept_at(*link)->next;
	return link;
}

/* FNV-1a, a word at a time. */
static uint32_t hash_of(void *const *pc, unsigned n)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);
	for (unsigned i = 0; i < n; i++)
		hash = (hash ^ (uintptr_t)pc[i]) * UINT64_C(0x100000001b3);
	return (uint32_t)(hash ^ hash >> 32);
}

static uint32_t add_site(const struct oi_callers *c, uint32_t hash)
{
	uint32_t i = table.n_sites;
	struct oi_site **chunk = &table.site[i / SITES_CHUNK];
	if (i == SITES_CHUNK * SITES_CHUNKS ||
	    (!*chunk && !(*chunk = oi_os_map_list(SITES_CHUNK * sizeof **chunk))))
		return 0;
	struct oi_site *s = site_at(table.n_sites = i + 1);
	s->hash = hash;
	s->callers = *c;
	s->next = table.site_bucket[hash % SITE_BUCKETS];
	return table.site_bucket[hash % SITE_BUCKETS] = i + 1;
}

static bool same_callers(const struct oi_callers *a, const struct oi_callers *b)
{
	return a->n == b->n && !memcmp(a->pc, b->pc, a->n * sizeof *a->pc);
}

/* Finds or makes the site of these callers; returns 0 if there is no room. */
static uint32_t site_of(const struct oi_callers *c)
{
	uint32_t hash = hash_of(c->pc, c->n), i = table.site_bucket[hash % SITE_BUCKETS];
	for (; i; i = site_at(i)->next)
		if (site_at(i)->hash == hash && same_callers(&site_at(i)->callers, c)) {
			site_at(i)->callers = *c; /* where they lie now */
			return i;
		}
	return add_site(c, hash);
}

/* Where the site may be found that such an object was last made at: RECENT_WAYS in a row. */
static uint32_t *recent_for(const struct oi_thread *t, const struct oi_sample *s)
{
	uint64_t key = (uintptr_t)s->from ^ (t->sample.stack.to - s->at) << 32;
	return table.recent[key * UINT64_C(0x9e3779b97f4a7c15) >> 54];
}

/* Returns the site at which this thread is, if its stack says so: callers.c. 0: it does not. */
static uint32_t site_again(const struct oi_thread *t, const struct oi_sample *s)
{
	uint32_t *recent = recent_for(t, s);
	for (unsigned i = 0; i < RECENT_WAYS && recent[i]; i++)
		if (oi_callers_again(&site_at(recent[i])->callers, s->at, &t->sample.stack))
			return recent[i];
	return 0;
}

static void note_recent(const struct oi_thread *t, const struct oi_sample *s, uint32_t site)
{
	uint32_t *recent = recent_for(t, s);
	memmove(recent + 1, recent, (RECENT_WAYS - 1) * sizeof *recent);
	recent[0] = site;
}

/* Returns an entry that is unused, or 0 if there is no room. */
static uint32_t take_kept(void)
{
	uint32_t i = table.unused;
	if (i) {
		table.unused = kept_at(i)->next;
		return i;
	}
	i = table.n_kept;
	struct kept **chunk = &table.kept[i / SAMPLES_CHUNK];
	if (i == SAMPLES_CHUNK * SAMPLES_CHUNKS ||
	    (!*chunk && !(*chunk = oi_os_map_list(SAMPLES_CHUNK * sizeof **chunk))))
		return 0;
	return table.n_kept = i + 1;
}

static bool have_buckets(void)
{
	if (!table.bucket)
		table.bucket = oi_os_map_list(BUCKETS * sizeof *table.bucket);
	return table.bucket;
}

static void take_out(uint32_t *link)
{
	uint32_t i = *link;
	struct kept *e = kept_at(i);
	struct oi_site *s = site_at(e->site);
	if (e->chosen) {
		s->live--;
		s->live_bytes -= e->bytes;
	}
	*link = e->next;
	e->next = table.unused;
	table.unused = i;
	oi_store_relaxed(&table.n_live, table.n_live - 1); /* count */
}

static bool put_in(const struct oi_sample *sample, const struct oi_header *h, uint32_t site)
{
	uint32_t i;
	if (!site || !have_buckets() || !(i = take_kept()))
		return false;
	struct oi_site *s = site_at(site);
	uint32_t *bucket = chain_for(h);
	*kept_at(i) = (struct kept){ .h = h, .bytes = sample->bytes, .chosen = sample->chosen,
				       .large = sample->large, .site = site,
				       .next = *bucket };
	*bucket = i;
	oi_store_relaxed(&table.n_live, table.n_live + 1); /* count */
	if (sample->chosen) {
		s->live++;
		s->live_bytes += sample->bytes;
		s->made++;
		s->made_bytes += sample->bytes;
	}
	return true;
}

/* ---- what happens to objects ---- */

/* Under the lock. */
static void note_at(const struct oi_sample *s, const struct oi_header *h, uint32_t site)
{
	if (s->era != era || !put_in(s, h, site))
		oi_store_relaxed(&table.n_dropped, table.n_dropped + 1); /* count */
}

/* Outside the lock it asks the unwinder. */
static void note_new(const struct oi_thread *t, const struct oi_sample *s,
		     const struct oi_header *h)
{
	struct oi_callers c;
	oi_callers(&c, s->from, s->at);
	oi_lock(OI_LOCK_SITES);
	uint32_t site = s->era == era ? site_of(&c) : 0;
	if (site)
		note_recent(t, s, site);
	note_at(s, h, site);
	oi_unlock(OI_LOCK_SITES);
}

void oi_sample_note(struct oi_thread *t, const struct oi_sample *s, const struct oi_header *h)
{
	oi_assert_outside(oi_self);
	if (!t->sample.knows_stack) {
		t->sample.stack = oi_stack_of_thread();
		t->sample.knows_stack = true;
	}
	oi_lock(OI_LOCK_SITES);
	uint32_t site = s->era == era ? site_again(t, s) : 0;
	if (site)
		note_at(s, h, site);
	oi_unlock(OI_LOCK_SITES);
	if (!site)
		note_new(t, s, h);
}

void oi_sample_died(const struct oi_header *h)
{
	oi_assert_outside(oi_self);
	oi_lock(OI_LOCK_SITES);
	uint32_t *link = table.bucket ? find_kept(h) : NULL;
	if (link && *link) /* else it was dropped */
		take_out(link);
	oi_unlock(OI_LOCK_SITES);
}

void oi_sample_shutdown(void)
{
	oi_lock(OI_LOCK_SITES);
	for (unsigned i = 0; i < SAMPLES_CHUNKS && table.kept[i]; i++)
		oi_os_unmap_list(table.kept[i], SAMPLES_CHUNK * sizeof **table.kept);
	for (unsigned i = 0; i < SITES_CHUNKS && table.site[i]; i++)
		oi_os_unmap_list(table.site[i], SITES_CHUNK * sizeof **table.site);
	if (table.bucket)
		oi_os_unmap_list(table.bucket, BUCKETS * sizeof *table.bucket);
	memset(&table, 0, sizeof table);
	oi_store_relaxed(&era, era + 1); /* recheck: oi_sample_note, under the lock */
	oi_unlock(OI_LOCK_SITES);
}

/* ---- reading ---- */

bool oi_sample_site(uint32_t number, struct oi_site *out)
{
	oi_lock(OI_LOCK_SITES);
	bool found = number < table.n_sites;
	if (found)
		*out = *site_at(number + 1);
	oi_unlock(OI_LOCK_SITES);
	if (found && out->callers.n) /* the call, which that is the return from */
		out->callers.pc[0] = (char *)out->callers.pc[0] - 1;
	return found;
}

struct oi_sample_counts oi_sample_counts(void)
{
	return (struct oi_sample_counts){
		.live = oi_load_relaxed(&table.n_live),       /* count */
		.dropped = oi_load_relaxed(&table.n_dropped), /* count */
	};
}

/* Returns exp(-x), to 1 % of itself and more exactly where that matters; x >= 0. */
static double decay(double x)
{
	double y = x < 512 ? 1 - x / 1024 : 0;
	for (unsigned i = 0; i < 10; i++)
		y *= y;
	return y;
}

/* Returns for how many bytes a sample stands. */
static uint64_t estimate(const struct kept *e)
{
	double bytes = (double)e->bytes, mean = (double)oi_runtime.config.sample_bytes;
	return e->large ? e->bytes : (uint64_t)(bytes / (1 - decay(bytes / mean)));
}

void oi_sample_held(const struct oi_header *h)
{
	oi_lock(OI_LOCK_SITES);
	uint32_t *link = table.bucket ? find_kept(h) : NULL;
	if (link && *link) {
		struct oi_site *s = site_at(kept_at(*link)->site);
		s->held++;
		s->held_bytes += estimate(kept_at(*link));
	}
	oi_unlock(OI_LOCK_SITES);
}
