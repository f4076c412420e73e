/*
 * typebook.c - what the library knows of each type: its number, and a copy of what the program said
 *
 * Objects hold a number. It leads to a copy of the type and of its names, so that only calls to
 * which the program gives its own type read that: it may lie in a plugin, which is closed while
 * objects of the type are left. Numbers and copies are never given back.
 * A type is known by its address and by all that it says. If another type lies at the address of an
 * earlier one, in a plugin that was built anew and loaded again, it gets a number of its own. If
 * objects of the earlier one are left, the log says so: their callbacks may be gone.
 * A thread keeps the numbers of types by address alone, as ouro_new may look at nothing more; but
 * only of types that lie where nothing is unloaded (loader.c). Others are kept at odd addresses,
 * which are no type's, and compared in full at each call; the cache says with which number.
 */
#include "heap/type.h"
#include "world/context.h"

#include <errno.h>
#include <string.h>

#include "base/loader.h"
#include "base/log.h"
#include "base/os.h"
#include "base/runtime.h"
#include "heap/edge.h"
#include "heap/heap.h"
#include "heap/walk.h"
#include "world/gate.h"

#define NAME_MAX_ 255 /* bytes of a name that are kept, and compared */
#define NAMES_MAX 1023 /* of the names of one list of fields */
#define LISTS 4

struct oi_type oi_types[OI_TYPES_MAX];
const ouro_type *oi_type_given[OI_TYPES_MAX];
static uint32_t n_types = 1;

/* ---- copies: never given back, so they lie one after the other ---- */

#define SLAB ((size_t)64 << 10)
struct slab {
	size_t used;
	char bytes[SLAB - sizeof(size_t)];
};
static struct slab *slab;

static void *take_slab(size_t bytes)
{
	struct slab *s = oi_load_acquire(&slab); /* [T3] */
	bytes = (bytes + 7) & ~(size_t)7;
	for (;;) {
		size_t at = s ? oi_add_relaxed(&s->used, bytes) : SLAB; /* count */
		if (at + bytes <= sizeof s->bytes)
			return s->bytes + at;
		struct slab *more = oi_os_map(sizeof *more);
		if (!more)
			return NULL;
		if (oi_cas(&slab, &s, more)) /* [T3] release: a slab that is mapped */
			s = more;
		else
			oi_os_unmap(more, sizeof *more);
	}
}

struct copy {
	ouro_type type;
	const char *given_name; /* not to be read */
	char text[];            /* its name, then those of its fields */
};

/* Copies a text to *to, which moves on. */
static const char *copy_text(char **to, const char *text, size_t max)
{
	size_t n = strnlen(text, max);
	char *copied = memcpy(*to, text, n);
	copied[n] = 0;
	*to += n + 1;
	return copied;
}

/* The lists of a type. */
static void lists_of(ouro_type *type, ouro_fields *list[LISTS])
{
	list[0] = &type->slots;
	list[1] = &type->weaks;
	list[2] = &type->item_slots;
	list[3] = &type->item_weaks;
}

/* Returns how many bytes copy_names takes. */
static size_t names_bytes(ouro_type *type)
{
	ouro_fields *list[LISTS];
	size_t bytes = 0;
	lists_of(type, list);
	for (unsigned i = 0; i < LISTS; i++)
		if (oi_edge_names(list[i]))
			bytes += strnlen(oi_edge_names(list[i]), NAMES_MAX) + 1;
	return bytes;
}

static void copy_names(ouro_type *type, char *to)
{
	ouro_fields *list[LISTS];
	lists_of(type, list);
	for (unsigned i = 0; i < LISTS; i++)
		if (oi_edge_names(list[i]))
			list[i]->named_.names = copy_text(&to, oi_edge_names(list[i]), NAMES_MAX);
}

/* Returns NULL if there is no memory. */
static const ouro_type *copy(const ouro_type *type)
{
	ouro_type given = *type;
	size_t bytes = strnlen(type->name, NAME_MAX_) + 1 + names_bytes(&given);
	struct copy *c = take_slab(sizeof *c + bytes);
	if (!c)
		return NULL;
	char *to = c->text;
	c->type = given;
	c->type.name = copy_text(&to, type->name, NAME_MAX_);
	c->given_name = type->name;
	copy_names(&c->type, to);
	return &c->type;
}

/* ---- comparing ---- */

static bool same_fields(const ouro_fields *a, const ouro_fields *b)
{
	uint64_t differ = a->n ^ b->n;
	for (uint32_t i = 0; !differ && i < a->n; i++)
		differ = (a->field[i].offset ^ b->field[i].offset) |
			 (a->field[i].count ^ b->field[i].count);
	return !differ;
}

static bool same_callbacks(const ouro_type *a, const ouro_type *b)
{
	return a->traverse == b->traverse && a->clear == b->clear && a->finalize == b->finalize &&
	       a->destroy == b->destroy;
}

/* A name whose text has changed in its place does not make another type. */
static bool same_name(const ouro_type *known, const ouro_type *type)
{
	const struct copy *c = caa_container_of(known, struct copy, type);
	return c->given_name == type->name || !strncmp(known->name, type->name, NAME_MAX_);
}

static bool same(const ouro_type *known, const ouro_type *type)
{
	return known->size == type->size && known->item_size == type->item_size &&
	       known->flags == type->flags && same_callbacks(known, type) &&
	       same_fields(&known->slots, &type->slots) &&
	       same_fields(&known->weaks, &type->weaks) &&
	       same_fields(&known->item_slots, &type->item_slots) &&
	       same_fields(&known->item_weaks, &type->item_weaks) && same_name(known, type);
}

/* ---- numbers ---- */

#define CHAINS 1024
/* Heads, by the hash of the address; types are only ever put in front. */
static uint32_t chain[CHAINS];

static uint32_t *chain_of(const ouro_type *type)
{
	return &chain[((uintptr_t)type >> 4) * UINT64_C(0x9e3779b97f4a7c15) >> 54];
}

/* Notes the offsets of the slots one by one, if they are few and not far apart. */
static void describe_slots(struct oi_type *d, const ouro_fields *f)
{
	for (uint32_t i = 0; i < f->n; i++)
		for (uint32_t k = 0; k < f->field[i].count; k++) {
			size_t word = f->field[i].offset / sizeof(void *) + k;
			if (d->n_slots == sizeof d->slot / sizeof *d->slot || word > UINT16_MAX) {
				d->n_slots = OI_SLOTS_MANY;
				return;
			}
			d->slot[d->n_slots++] = (uint16_t)word;
		}
}

static struct oi_type describe(const ouro_type *type)
{
	struct oi_type d = { .tracked = oi_type_tracked(type), .bin = OI_BIN_LARGE };
	size_t bytes;
	if (!__builtin_add_overflow(
		type->size, sizeof(struct oi_header) + (type->item_size ? sizeof(size_t) : 0),
		&bytes) &&
	    bytes <= OI_BLOCK_MAX) {
		d.bin = (uint8_t)oi_bin_of(bytes, d.tracked);
		d.bytes = (uint32_t)bytes;
	}
	d.silent = !oi_type_has_callbacks(type) && !type->weaks.n && !type->item_weaks.n;
	d.simple = d.silent && !type->item_slots.n;
	d.flat = !type->item_slots.n && !type->traverse;
	d.stays = oi_loader_keeps(type);
	describe_slots(&d, &type->slots);
	return d;
}

static uint32_t find(uint32_t i, const ouro_type *type)
{
	while (i && !(oi_type_given[i] == type && same(oi_types[i].type, type)))
		i = oi_types[i].next;
	return i;
}

/* Returns a number that nobody has; 0 if there are no more. */
static uint32_t take_number(void)
{
	/* recheck: first, so that the count does not pass its range */
	if (oi_load_relaxed(&n_types) >= OI_TYPES_MAX)
		return 0;
	uint32_t number = oi_add_relaxed(&n_types, 1u); /* count */
	if (number < OI_TYPES_MAX)
		return number;
	oi_store_relaxed(&n_types, (uint32_t)OI_TYPES_MAX); /* count: no more are given */
	return 0;
}

/*
 * Two threads that come with a new type at the same time give it two numbers, which is harmless; so
 * there is no lock to be taken at a fork.
 */
static uint32_t number_new(const ouro_type *type, uint32_t first)
{
	/* recheck: first, since a copy that is made is never given back */
	if (oi_load_relaxed(&n_types) >= OI_TYPES_MAX)
		return 0;
	struct oi_type d = describe(type);
	uint32_t number = (d.type = copy(type)) ? take_number() : 0;
	if (!number)
		return 0;
	/* [T2], also what follows; whoever has an object of the type: by [A1] or [S1] */
	oi_types[number] = d;
	oi_type_given[number] = type;
	do
		oi_types[number].next = first;
	/* [T2] release: the description before its number */
	while (!oi_cas(chain_of(type), &first, number));
	return number;
}

/* ---- twins, of which sampled objects are: sample.h ---- */

static uint32_t twins[OI_TYPES_MAX]; /* by the number of the type; 0: none */

/*
 * A twin says the same of its objects, but that they are sampled, and that something is to be seen
 * to when they die. No chain leads to it.
 */
uint32_t oi_type_twin(uint32_t number)
{
	uint32_t twin = oi_load_acquire(&twins[number]), other = 0; /* [T2] */
	if (twin || !(twin = take_number()))
		return twin;
	oi_types[twin] = oi_types[number];
	oi_types[twin].next = number;
	oi_types[twin].sampled = true;
	oi_types[twin].silent = oi_types[twin].simple = false;
	oi_type_given[twin] = oi_type_given[number];
	/* [T2] release: the description before its number */
	return oi_cas(&twins[number], &other, twin) ? twin : other;
}

/* ---- one that was there before ---- */

struct left {
	uint32_t number, twin;
	size_t n;
};

static bool count_left(void *arg, struct oi_page *p)
{
	struct left *left = arg;
	for (uint32_t i = 0; i < p->bump; i++) {
		const struct oi_header *h = oi_block_at(p, i);
		left->n += oi_is_used(h) && (h->type == left->number || h->type == left->twin);
	}
	return true;
}

/*
 * Returns about how many objects of the type are left: it goes through the heap, which changes
 * meanwhile, in stops within the pause budget.
 */
static size_t n_left(uint32_t number)
{
	/* [T2]: an object of a twin's that is made meanwhile is one that may be missed anyway */
	uint32_t twin = oi_load_acquire(&twins[number]);
	struct left left = { .number = number, .twin = twin ? twin : number };
	struct oi_walk walk = { .region = NULL };
	while (!oi_walk_in_stop(&walk, oi_runtime.config.pause_budget_ns / 2, count_left, &left))
		continue;
	return left.n;
}

/* Outside the gate. @number is another type, at the address of one that is new. */
static void warn_of(uint32_t number)
{
	const struct oi_type *d = &oi_types[number];
	size_t n = n_left(number);
	if (n)
		oi_log(
		    "another type lies where \"%s\" did, at %p, and %zu objects of that are left%s",
		    d->type->name, (const void *)oi_type_given[number], n,
		    oi_type_has_callbacks(d->type) ? ": the callbacks that they have may be gone" :
						     "");
}

bool oi_type_has_instances(const ouro_type *type)
{
	/* [T2] */
	for (uint32_t i = oi_load_acquire(chain_of(type)); i; i = oi_types[i].next)
		if (oi_type_given[i] == type && n_left(i))
			return true;
	return false;
}

/* ---- learning ---- */

/* Outside the gate, but perhaps pinned: then it cannot stop the world to look for objects. */
static uint32_t look_up(struct oi_thread *t, const ouro_type *type)
{
	uint32_t first = oi_load_acquire(chain_of(type)), number = find(first, type); /* [T2] */
	if (number)
		return number;
	number = number_new(type, first);
	for (uint32_t i = first; number && i && !t->pin_depth; i = oi_types[i].next)
		if (oi_type_given[i] == type)
			warn_of(i);
	return number;
}

static uint32_t learn_type(struct oi_thread *t, const ouro_type *type)
{
	if (oi_type_check(type)) {
		errno = EINVAL;
		return 0;
	}
	oi_gate_leave(t);
	uint32_t number = look_up(t, type);
	oi_gate_enter(t);
	if (!number)
		errno = ENOMEM;
	return number;
}

bool oi_type_unchanged(const struct oi_type_cache *c, const ouro_type *type)
{
	return same(oi_types[c->number].type, type);
}

uint32_t oi_type_learn(struct oi_thread *t, const ouro_type *type)
{
	oi_assert_inside(t);
	uint32_t number = learn_type(t, type);
	if (!number)
		return 0;
	const struct oi_type *d = &oi_types[number];
	uint16_t bytes = d->bin == OI_BIN_LARGE || type->item_size ? 0 : (uint16_t)d->bytes;
	const ouro_type *known = oi_type_counts(t, bytes) ? oi_type_counted(type) : type;
	*oi_type_cached(t, type) = (struct oi_type_cache){
		d->stays ? known : oi_type_marked(type),
		number,
		bytes,
		d->bin,
		d->tracked,
	};
	return number;
}
