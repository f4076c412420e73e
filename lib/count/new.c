/*
 * new.c - making objects
 *
 * What callbacks make while the heap is shut down counts as finalized from birth: otherwise a
 * finalizer that makes an object of its own type would keep the shutdown from ending. Every
 * allocation comes the slow way then (oi_threads_divert).
 */
#include "count/new.h"

#include <errno.h>
#include <string.h>

#include "base/doors.h"
#include "base/remnant.h"
#include "base/runtime.h"
#include "count/death.h"
#include "count/delay.h"
#include "count/sample.h"
#include "heap/heap.h"
#include "heap/pace.h"
#include "heap/type.h"
#include "world/gate.h"

static size_t n_late;

size_t oi_new_late(void)
{
	return oi_exchange(&n_late, (size_t)0); /* count */
}

static OI_COLD void be_late(struct oi_header *h)
{
	oi_or_acq_rel(&h->flags, (uint8_t)OI_FLAG_FINALIZED); /* owner: it was just made */
	oi_add_relaxed(&n_late, (size_t)1); /* count */
}

/* What is asked for. */
struct order {
	const struct oi_type *d;
	size_t n_items, bytes;
	unsigned bin;
	uint32_t number; /* of its type, or of the twin, if it is sampled */
};

/* The header; its word comes last: until then a collector that walks the page sees a free block. */
OI_INLINE void write_header(struct oi_thread *t, struct oi_header *h, uint32_t type, bool large)
{
	/* Large objects belong to no thread's pages, so they are born merged (INV-H2). */
	uint16_t own = large ? (uint16_t)OI_OWN_MERGED : t->key;
	/* [A1] */
	oi_store_relaxed(&h->counts, large ? (uint64_t)(OI_MERGED | OI_ONE) << 32 : UINT64_C(1));
	oi_store_release(&h->word, (uint64_t)type | (uint64_t)own << 48); /* [A1] */
}

/* The number of items is the last word of the block. */
OI_INLINE void write_items(struct oi_header *h, size_t block_size, size_t n)
{
	*(size_t *)((char *)h + block_size - sizeof(size_t)) = n; /* [A1] */
}

static struct oi_header *try_new(struct oi_thread *t, const struct order *o)
{
	struct oi_header *h = oi_block_alloc(t, o->bytes, o->bin, o->d->tracked);
	if (unlikely(!h))
		return NULL;
	if (o->d->type->item_size)
		write_items(h, oi_page_of(h)->block_size, o->n_items);
	write_header(t, h, o->number, o->bin == OI_BIN_LARGE);
	oi_tally_add(&t->allocated, oi_page_of(h));
	return h;
}

#define AWAIT_MEMORY 100 /* naps */

/* Inside the gate, left and entered again. Returns false if there is nothing to wait for. */
static bool await_memory(struct oi_thread *t)
{
	oi_gate_leave(t);
	bool waited = oi_collect_await_memory(t);
	oi_gate_enter(t);
	return waited;
}

/*
 * Gives back the memory that large objects have left. Tries again even if there is none of it: the
 * tick may have given it back just now.
 */
static struct oi_header *new_after_unmapping(struct oi_thread *t, const struct order *o)
{
	if (t->pin_depth)
		return NULL;
	oi_gate_leave(t);
	oi_remnant_retry(SIZE_MAX);
	oi_gate_enter(t);
	return try_new(t, o);
}

/* There is no memory: a full collection may make some, where the caller can wait for one. */
static OI_NOINLINE struct oi_header *new_after_collection(struct oi_thread *t,
							  const struct order *o)
{
	struct oi_header *h = new_after_unmapping(t, o);
	if (!h && !t->pin_depth && !t->in_finalizer && !t->dying) {
		oi_gate_leave(t);
		oi_collect_for_memory(t);
		oi_gate_enter(t);
		h = try_new(t, o);
		for (int n = 0; !h && n < AWAIT_MEMORY && await_memory(t); n++)
			h = try_new(t, o);
	}
	if (!h)
		errno = ENOMEM;
	return h;
}

/* Fills in bytes and bin. Returns false if that cannot be; errno says why. */
static bool measure(struct order *o)
{
	const ouro_type *type = o->d->type;
	size_t fixed = sizeof(struct oi_header) + (type->item_size ? sizeof(size_t) : 0),
	       items, all;
	o->bytes = o->d->bytes;
	o->bin = o->d->bin;
	if (!o->n_items && o->bin != OI_BIN_LARGE)
		return true;
	if (o->n_items && !type->item_size) {
		errno = EINVAL;
		return false;
	}
	if (__builtin_mul_overflow(o->n_items, type->item_size, &items) ||
	    __builtin_add_overflow(items, type->size, &o->bytes) ||
	    __builtin_add_overflow(o->bytes, fixed, &o->bytes) ||
	    /* room to round up to pages: large.c, region.c */
	    __builtin_add_overflow(o->bytes, OI_PAGE, &all)) {
		errno = EOVERFLOW;
		return false;
	}
	o->bin = o->bytes <= OI_BLOCK_MAX ? oi_bin_of(o->bytes, o->d->tracked) : OI_BIN_LARGE;
	return true;
}

/*
 * Inside the gate, which it may leave and enter again. A page that has been begun, or a large
 * object, is a reason to look at the lag, whatever its type.
 */
static void pace(struct oi_thread *t, const struct order *o)
{
	size_t pages = o->bin == OI_BIN_LARGE ? (o->bytes + OI_PAGE - 1) / OI_PAGE : t->heap.turned;
	bool look = pages;
	t->heap.turned = false;
	if (pages)
		oi_limbo_turn(t);
	if (o->d->tracked && o->bin == OI_BIN_LARGE)
		oi_delay_allocated_large(t);
	else if (o->d->tracked)
		look |= oi_pace_count_allocated(t);
	if (look)
		oi_delay_allocated(t, pages);
}

/*
 * Counts the object that is ordered, if this heap samples. Returns true if it is to be noted once
 * it is made.
 */
static bool choose(struct oi_thread *t, struct order *o, struct oi_sample *s)
{
	bool large = o->bin == OI_BIN_LARGE;
	size_t bytes = large ? (o->bytes + 15) & ~(size_t)15 : oi_class_bytes(o->bin % OI_CLASSES);
	uint32_t twin;
	if (likely(!oi_sampling()) || likely(!oi_sample_choose(t, s, bytes, large)) ||
	    !(twin = oi_type_twin(o->number)))
		return false;
	o->number = twin;
	return true;
}

/* Inside the gate, which it leaves. Returns NULL if it cannot; errno says why. */
static OI_NOINLINE void *make(struct oi_thread *t, const ouro_type *type, size_t n_items)
{
	struct order o = { .d = oi_type_find(t, type), .n_items = n_items };
	struct oi_header *h = NULL;
	struct oi_sample sample = { .from = __builtin_return_address(0),
				    .at = OI_RETURN_ADDRESS_AT };
	bool sampled = false;
	if (oi_sampling()) {
		if (!t->sample.due)
			oi_sample_visit(t);
		t->sample.due = false;
	}
	/* If the thread is pinned, what is in limbo waits for this very thread. */
	if (unlikely(t->limbo.n_sealed >= OI_LIMBO_MUCH) && !t->pin_depth)
		oi_limbo_catch_up(t);
	if (unlikely(t->deaths.waiting) && !t->dying)
		oi_death_catch_up(t, OI_BLOCKS);
	if (o.d && measure(&o)) {
		o.number = (uint32_t)(o.d - oi_types);
		sampled = choose(t, &o, &sample);
		h = try_new(t, &o);
		if (!h)
			h = new_after_collection(t, &o);
	}
	if (h) {
		/* elsewhere: set before a callback of the shutdown runs */
		if (unlikely(oi_load_relaxed(&oi_runtime.shutting_down)) && type->finalize)
			be_late(h);
		pace(t, &o);
	}
	oi_gate_leave(t);
	if (unlikely(sampled) && h)
		oi_sample_note(t, &sample, h);
	return h ? oi_object_of(h) : NULL;
}

static OI_NOINLINE void *make_slow(const ouro_type *type, size_t n_items)
{
	struct oi_thread *t = oi_self;
	if (!t && !(t = oi_thread_first_call(true))) {
		errno = ENOMEM;
		return NULL;
	}
	oi_gate_enter(t);
	return make(t, type, n_items);
}

/*
 * Most calls are for a type that this thread has made objects of before, and have a free block at
 * hand. They take no stack frame: what is rarer is a tail call.
 */
#define QUICK_MAX (OI_ZERO_MAX + sizeof(struct oi_header))

/* Inside the gate, which it leaves: its quota is used up. */
static OI_NOINLINE void *paced(struct oi_thread *t, struct oi_header *h)
{
	oi_delay_allocated(t, 0);
	oi_gate_leave(t);
	return oi_object_of(h);
}

/* The last steps, inside the gate, which they leave. */
OI_INLINE void *made(struct oi_thread *t, const struct oi_type_cache *c, struct oi_header *h,
		     unsigned bin)
{
	write_header(t, h, c->number, false);
	oi_own_add(&t->allocated.n[bin], 1);
	if (c->tracked && oi_pace_count_allocated(t))
		return paced(t, h);
	oi_gate_leave(t);
	return oi_object_of(h);
}

static OI_NOINLINE void *make_larger(struct oi_thread *t, const struct oi_type_cache *c,
				     struct oi_page *p)
{
	if (unlikely(!c->bytes)) /* not of one size */
		return make(t, c->type, 0);
	struct oi_header *h = oi_block_take(p, c->bytes, c->tracked);
	return made(t, c, h, c->bin);
}

/* Inside the gate, which it leaves: the next object is sampled. */
static OI_NOINLINE void *make_sampled(struct oi_thread *t, const ouro_type *type, size_t n)
{
	t->sample.due = true;
	return make(t, type, n);
}

static OI_NOINLINE void *make_counted_larger(struct oi_thread *t, const struct oi_type_cache *c,
					     const ouro_type *type, struct oi_page *p)
{
	if (unlikely(!c->bytes)) /* not of one size */
		return make(t, type, 0);
	if (unlikely(!oi_sample_passes(t, p->block_size)))
		return make_sampled(t, type, 0);
	return make_larger(t, c, p);
}

/* For one of a plugin, or that is new to the thread. */
static OI_NOINLINE void *make_unknown(struct oi_thread *t, const struct oi_type_cache *c,
				      const ouro_type *type)
{
	struct oi_page *p = t->heap.bin[c->bin].current;
	if (!oi_type_is_unloadable(c, type) || !p || !p->free || (size_t)c->bytes - 1 >= QUICK_MAX)
		return make(t, type, 0);
	if (oi_sampling() && !oi_sample_passes(t, p->block_size))
		return make_sampled(t, type, 0);
	return made(t, c, oi_block_take(p, c->bytes, c->tracked), c->bin);
}

/* For a type that the cache has, though not at its address, or has not. */
static OI_NOINLINE void *make_other(struct oi_thread *t, const struct oi_type_cache *c,
				    const ouro_type *type, struct oi_page *p)
{
	size_t bytes = c->bytes;
	if (unlikely(!oi_type_is_counted(c, type)))
		return make_unknown(t, c, type);
	if (unlikely(!p) || unlikely(!p->free))
		return make(t, type, 0);
	if (bytes - 1 >= QUICK_MAX)
		return make_counted_larger(t, c, type, p);
	if (unlikely(!oi_sample_passes_small(t, p->block_size)))
		return make_sampled(t, type, 0);
	return made(t, c, oi_block_take(p, bytes, c->tracked), c->bin);
}

void *ouro_new(const ouro_type *type)
{
	struct oi_thread *t = oi_mine;
	if (unlikely(!oi_gate_try_enter(t)))
		return make_slow(type, 0);
	const struct oi_type_cache *c = oi_type_cached(t, type);
	struct oi_page *p = t->heap.bin[c->bin].current;
	size_t bytes = c->bytes;
	if (unlikely(c->type != type))
		return make_other(t, c, type, p);
	if (unlikely(!p) || unlikely(!p->free))
		return make(t, type, 0);
	if (bytes - 1 >= QUICK_MAX)
		return make_larger(t, c, p);
	return made(t, c, oi_block_take(p, bytes, c->tracked), c->bin);
}

/*
 * The cache has the type; @counted: the heap samples. The quick way is for objects that are zeroed
 * without a call.
 */
OI_INLINE void *make_items(struct oi_thread *t, const struct oi_type_cache *c,
			   const ouro_type *type, size_t n, bool counted)
{
	if (unlikely(!c->number) || !type->item_size || n > QUICK_MAX ||
	    type->item_size > QUICK_MAX)
		return make(t, type, n);
	size_t fixed = oi_types[c->number].bytes, bytes = fixed + n * type->item_size;
	if (unlikely(!fixed) || bytes > OI_SMALL_MAX) /* !fixed: the fixed part alone is large */
		return make(t, type, n);
	unsigned bin = oi_bin_of(bytes, c->tracked);
	struct oi_page *p = t->heap.bin[bin].current;
	if (unlikely(!p) || unlikely(!p->free))
		return make(t, type, n);
	if (counted && unlikely(!oi_sample_passes_small(t, p->block_size)))
		return make_sampled(t, type, n);
	struct oi_header *h = oi_block_take(p, bytes, c->tracked);
	write_items(h, oi_small_block(bytes), n);
	return made(t, c, h, bin);
}

static OI_NOINLINE void *make_other_items(struct oi_thread *t, const struct oi_type_cache *c,
					  const ouro_type *type, size_t n)
{
	if (!oi_type_is_counted(c, type))
		return make(t, type, n);
	return make_items(t, c, type, n, true);
}

void *ouro_new_items(const ouro_type *type, size_t n)
{
	struct oi_thread *t = oi_mine;
	if (unlikely(!oi_gate_try_enter(t)))
		return make_slow(type, n);
	const struct oi_type_cache *c = oi_type_cached(t, type);
	if (unlikely(c->type != type))
		return make_other_items(t, c, type, n);
	return make_items(t, c, type, n, false);
}
