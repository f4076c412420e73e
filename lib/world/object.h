/*
 * object.h - the 16 bytes before every object, and how counts are kept in them
 *
 * own (16 bits) is compared whole with the calling thread's key: equal means "I made it, it is not
 * merged, and no collector is concerned with it", so the fast path of retain and release is that
 * compare and a plain add to local. Every other value sends the operation its slow way: 0 (merged:
 * all counting is atomic, in shared), another thread's key, immortal, free. Bit 15 is a collector's
 * flag (OI_OWN_CANDIDATE, candidate.h): when set, it diverts every operation on the object, at no
 * cost to operations on others.
 *
 * shared is a signed count of 29 bits above three state bits:
 *   (none)  biased: the owner counts in local; count may be what foreign threads added
 *   QUEUED  biased, and in its owner's merge queue, which holds one reference; count may be
 *           negative
 *   MERGED  everybody counts here; local says nothing any more, own is 0 (or immortal)
 *   DEAD    (with MERGED) sticky: the count reached 0 and one thread won the object's death. Failed
 *           attempts to retain may add to the count and take it away again.
 * INV-C1 (outside operations) references = local + count, plus nothing: the queue's reference is
 * counted.
 * INV-C2 (always) DEAD implies MERGED.
 * INV-C3 (outside operations) biased implies local > 0 or QUEUED or count > 0.
 */
#ifndef OI_OBJECT_H
#define OI_OBJECT_H

#include "base/compiler.h"
#include "ouro.h"

struct oi_header {
	union {
		uint64_t word; /* published last (release) by the allocator */
		struct {
			uint16_t type;     /* number of its type: oi_types */
			uint8_t touched;   /* oi_touch; only ever set */
			uint8_t noted;     /* owner: solo.c */
			uint8_t flags;     /* OI_FLAG_*: any thread, atomic or */
			uint8_t published; /* any thread with a reference; only ever set, plainly */
			uint16_t own;
		};
	};
	union {
		uint64_t counts; /* both at once: the allocator */
		struct {
			uint32_t local;  /* owner, or whoever holds its gate shut */
			uint32_t shared; /* any thread */
		};
	};
};
_Static_assert(sizeof(struct oi_header) == 16, "the object header is 16 bytes");
_Static_assert(offsetof(struct oi_header, own) == 6 && offsetof(struct oi_header, shared) == 12,
	       "little endian layout");

/*
 * What the library knows of a type; made once, never changed, never given back. Objects hold its
 * number instead of an address of 48 bits so that local has 32: a load forwarded from a store of
 * 16 bits takes 3 ns, of 32 bits 1.5.
 */
struct oi_type {
	const ouro_type *type; /* a copy: the program's may be gone with its plugin (typebook.c) */
	uint32_t next;  /* in its hash chain: typebook.c */
	uint32_t bytes; /* of the block without items */
	uint8_t bin;    /* OI_BIN_LARGE or an index into oi_heap.bin */
	bool tracked : 1; /* instances are traversable */
	bool silent : 1;  /* no callbacks, no weak cells: nothing to call or to empty at a death */
	bool simple : 1;  /* nor slots in items: dies without leaving the gate */
	bool flat : 1;    /* all its references are in the slots of the fixed part */
	bool sampled : 1; /* a twin, of the type whose number is next: oi_type_twin */
	bool stays : 1;   /* the program's own lies where nothing is unloaded */
	uint8_t n_slots; /* of the fixed part; OI_SLOTS_MANY: look at the type */
	uint16_t slot[6]; /* their offsets, in words */
} __attribute__((aligned(32)));
#define OI_TYPES_MAX 65536
#define OI_SLOTS_MANY 255
/* By number; 0: none. */
extern struct oi_type oi_types[OI_TYPES_MAX] __attribute__((aligned(OI_LINE))) OI_HIDDEN;
/* The program's own types; nothing is read there but in ouro_new. */
extern const ouro_type *oi_type_given[OI_TYPES_MAX] OI_HIDDEN;

enum {
	OI_OWN_MERGED = 0,
	OI_OWN_KEY_MAX = 0x7ff0, /* thread keys are 1.. */
	OI_OWN_GONE = 0x7ffd,    /* dismantled: its memory waits for a grace period */
	OI_OWN_IMMORTAL = 0x7ffe,
	OI_OWN_FREE = 0x7fff,
	OI_OWN_CANDIDATE = 0x8000
};

enum {
	OI_MERGED = 1,
	OI_QUEUED = 2,
	OI_DEAD = 4,
	OI_ONE = 8
};
#define OI_COUNT_MAX (1 << 27)  /* an object beyond it becomes immortal; the word holds twice it */
/*
 * An immortal object has IMMORTAL_BIAS more than was counted. More than OI_SEEN_MAX in shared may
 * be one: Note [SEEN].
 */
#define OI_IMMORTAL_BIAS (1 << 25)
#define OI_SEEN_MAX (1 << 24)
#define OI_LOCAL_MAX (1u << 26) /* then half of local moves to shared */

enum {
	OI_FLAG_WEAK = 1,       /* has an entry in the side table */
	OI_FLAG_FINALIZED = 2,
	OI_FLAG_FINALIZING = 4, /* DEAD, and its finalizer runs: it may be used, and resurrected */
	OI_FLAG_GARBAGE = 8,    /* found dead by a collection and not yet cleared */
	OI_FLAG_FROZEN = 16,
	OI_FLAG_STRAY = 32,     /* no memory to queue it; a walk of pages finds it: stray.c */
	OI_FLAG_IMMORTAL = 64,
	/* Garbage that no finalizer can bring back: only garbage refers to it. */
	OI_FLAG_SEALED = 128
};

OI_INLINE struct oi_header *oi_header_of(const void *obj)
{
	return (struct oi_header *)((char *)(uintptr_t)obj - sizeof(struct oi_header));
}

OI_INLINE void *oi_object_of(struct oi_header *h)
{
	return h + 1;
}

OI_INLINE const struct oi_type *oi_described(const struct oi_header *h)
{
	uint32_t number = oi_load_relaxed(&h->type); /* elsewhere: however h was got */
	const struct oi_type *d = &oi_types[number];
	__asm__("" : "+r"(d)); /* one address, not the sum of two in each use */
	return d;
}

OI_INLINE const ouro_type *oi_type_of(const struct oi_header *h)
{
	return oi_described(h)->type;
}

OI_INLINE int32_t oi_shared_count(uint32_t shared)
{
	return (int32_t)shared >> 3;
}

OI_INLINE uint8_t oi_flags(const struct oi_header *h)
{
	/* elsewhere: single bits that only matter to the thread that set them, or in a stop */
	return oi_load_relaxed(&h->flags);
}

OI_INLINE bool oi_is_dead(const struct oi_header *h)
{
	return oi_load_relaxed(&h->shared) & OI_DEAD; /* recheck */
}

/* Returns true if the block is neither free, nor gone and waiting for a grace period. In a stop. */
OI_INLINE bool oi_is_used(const struct oi_header *h)
{
	uint16_t own = oi_load_relaxed(&h->own); /* stopped */
	return own != OI_OWN_FREE && own != OI_OWN_GONE;
}

/* Called before a reference to it becomes reachable for other threads: a slot, a weak reference. */
OI_INLINE void oi_publish(struct oi_header *h)
{
	if (!oi_load_relaxed(&h->published)) /* owner or recheck: all writers store 1 */
		oi_store_relaxed(&h->published, 1);
}

/*
 * By a thread that is not its owner, in an operation that lowers its count or takes a reference to
 * it out of a slot. [U1] The owner looks behind a grace period, which ends after that operation.
 */
OI_INLINE void oi_touch(struct oi_header *h)
{
	if (unlikely(!oi_load_relaxed(&h->touched))) /* recheck: all writers store 1 */
		oi_store_relaxed(&h->touched, (uint8_t)1); /* [U1] */
}

/* Returns true if instances are traversable. */
OI_INLINE bool oi_type_tracked(const ouro_type *t)
{
	return !(t->flags & OURO_ACYCLIC) && (t->slots.n || t->item_slots.n || t->traverse);
}

OI_INLINE bool oi_type_has_callbacks(const ouro_type *t)
{
	return t->finalize || t->clear || t->destroy;
}

/* Returns true if user code may have to run when it dies. */
OI_INLINE bool oi_has_callbacks(const struct oi_header *h)
{
	const struct oi_type *d = oi_described(h);
	return (!d->silent && oi_type_has_callbacks(d->type)) || (oi_flags(h) & OI_FLAG_WEAK);
}

/* Returns true if nothing but its references has to be seen to when it dies. */
OI_INLINE bool oi_is_silent(const struct oi_header *h)
{
	return oi_described(h)->silent && !(oi_flags(h) & OI_FLAG_WEAK);
}

/*
 * Returns true if its slots refer to what they name. Those of an object that is being taken apart,
 * dead by count or garbage, do not: a released reference stays in its slot, and what it referred to
 * may be gone. (Before that comes the finalizer, which may use all.) For walks that follow whatever
 * they reach, in a stop.
 */
OI_INLINE bool oi_is_whole(const struct oi_header *h)
{
	uint8_t flags = oi_flags(h);
	bool garbage_goes = (flags & (OI_FLAG_GARBAGE | OI_FLAG_SEALED)) ==
			(OI_FLAG_GARBAGE | OI_FLAG_SEALED);
	return !garbage_goes && (!oi_is_dead(h) || (flags & OI_FLAG_FINALIZING));
}

/* Returns true if its death runs no user code, nor anything else that must leave the gate. */
OI_INLINE bool oi_dies_inside(const struct oi_type *d, uint8_t flags)
{
	return likely(d->simple) && likely(!(flags & OI_FLAG_WEAK));
}

size_t oi_items(const struct oi_header *h, const ouro_type *t);

#endif
