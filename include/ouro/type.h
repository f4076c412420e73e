/*
 * ouro/type.h - describing a kind of object
 *
 * A type is a static const struct at file scope that the program fills by field name; nothing is
 * registered. It says where the strong references (slots) and the weak cells of an instance lie, so
 * that the collector follows them with a loop instead of a callback, and may do so beside running
 * threads: slots are only ever touched atomically.
 *
 *     struct node { struct node *next, *prev; ouro_weak parent; int value; };
 *     static const ouro_type node_type = {
 *         .name = "node", .size = sizeof(struct node),
 *         .slots = OURO_SLOTS(struct node, next, prev),
 *         .weaks = OURO_WEAKS(struct node, parent),
 *     };
 *
 * C++20 takes it as it is; C++17, which has no designated initializers, fills it in a function:
 *
 *     static const ouro_type node_type = [] {
 *         ouro_type t;
 *         t.name = "node";
 *         t.size = sizeof(node);
 *         t.slots = OURO_SLOTS(node, next, prev);
 *         return t;
 *     }();
 *
 * The struct must stay valid and unchanged while anything is made of it; its callbacks, while
 * objects of it are left. The library keeps a copy of the rest, name included. So a plugin may be
 * closed once its objects are gone, garbage too: ouro_gc_collect(2), ouro_flush. When it is loaded
 * again, with another type where this one was, that is another type; should objects of this one be
 * left all the same, the log names them. (A type that lies in the program, or in what was loaded
 * with it, is known by its address, one in a plugin is compared in full at each call, which takes
 * some 20 ns.)
 *
 * What a finalizer, clear, destroy or watch may do, and what follows:
 *   call the library    Yes, but for ouro_flush and ouro_shutdown (EDEADLK); destroy touches no
 *                       other object. What dies of it dies after it.
 *   block, take locks   Yes: it runs outside every pause, with no lock of the library held. What
 *                       its caller was to do after it is done by others meanwhile; ouro_flush waits
 *                       for it. Up to 8 threads of the library's ("ouro-reaper", "ouro-reaper-2",
 *                       ...) run callbacks; if all of them block, what has no callbacks still dies.
 *   end its thread      Yes, by pthread_exit or deferred cancellation, also on a thread of the
 *                       library's: it counts as having run, and what its thread was at is done by
 *                       others.
 *   throw (C++)         Yes: the exception passes ouro_release, ouro_gc_collect, ... to their
 *                       caller, else as above. On a thread of the library's nobody catches it:
 *                       std::terminate.
 *   longjmp out of it   No: the program is stopped with a message at the next call that shows it.
 *                       If the thread ends before such a call, as above.
 *   switch coroutines   Yes, if it is resumed on the same thread, and not inside a region that this
 *                       thread has pinned since. Until then what that thread lets die is done by
 *                       others. Callbacks may end in any order. (A coroutine's stack is not to lie
 *                       within the stack of a thread.)
 *   fork                Yes. In the child of another thread's fork it counts as having run.
 * A callback that ouro_shutdown calls must return to it: else the program is stopped with a
 * message.
 */
#ifndef OURO_TYPE_H
#define OURO_TYPE_H

#include "base.h"

/*
 * One field: its offset in bytes, and how many adjacent pointers (or weak cells) it has: an array
 * of n counts n.
 */
typedef struct ouro_field {
	uint32_t offset;
	uint32_t count;
} ouro_field;

#define OURO_FIELDS_MAX 16
#define OURO_NAMED_MARK_ { 0x6f75726fu, 0x73656d61u }

typedef const char *ouro_names_ __attribute__((aligned(4)));

/*
 * A list of fields. Fill it with the macros below; an empty one is {0}. The macros keep the names
 * of up to 14 fields, where the last two would be, for drawings; a list that is filled in another
 * way, or was compiled against an older header, has none. (named_ is the macros' own.)
 */
#ifdef __cplusplus
extern "C++" {
typedef struct ouro_fields {
	struct named {
		ouro_field field[OURO_FIELDS_MAX - 2];
		ouro_names_ names;
		uint32_t mark[2];
	};
	uint32_t n;
	union {
		ouro_field field[OURO_FIELDS_MAX];
		named named_;
	};
	constexpr ouro_fields() : n(0), field{} {}
	template <size_t N>
	constexpr ouro_fields(uint32_t count, const ouro_field (&f)[N]) : n(count), field{}
	{
		for (size_t i = 0; i < N; i++)
			field[i] = f[i];
	}
	template <size_t N>
	constexpr ouro_fields(const char *names, uint32_t count, const ouro_field (&f)[N])
	    : n(count), named_{ {}, names, OURO_NAMED_MARK_ }
	{
		static_assert(N <= OURO_FIELDS_MAX - 2, "no room for names");
		for (size_t i = 0; i < N; i++)
			named_.field[i] = f[i];
	}
} ouro_fields;
}
#else
typedef union ouro_fields {
	struct {
		uint32_t n;
		ouro_field field[OURO_FIELDS_MAX];
	};
	struct {
		uint32_t n;
		ouro_field field[OURO_FIELDS_MAX - 2];
		ouro_names_ names;
		uint32_t mark[2];
	} named_;
} ouro_fields;
#endif

/* Handed to traverse; opaque. */
typedef struct ouro_visitor ouro_visitor;

/* Values of ouro_type.flags. */
enum {
	/* Instances are never part of a cycle: the collector neither lists nor traverses them. */
	OURO_ACYCLIC = 1u << 0,
	/*
	 * traverse may run at any time, on a thread of the library's, beside threads that use the
	 * object. That is a promise:
	 * - it loads what others may be changing atomically, takes no lock they hold, and follows
	 *   no memory that may be freed before clear or destroy of this object;
	 * - a reference leaves what it visits only by being released, or after another one to the
	 *   same object was retained: the program never moves the very reference somewhere else.
	 * Arrays that are filled before the object is stored anywhere, and then left alone, keep
	 * it. Without the promise, see traverse below.
	 */
	OURO_TRAVERSE_CONCURRENT = 1u << 1,
	/*
	 * Instances may be keys of an ouro_key_map. The first field of slots is one pointer,
	 * which is the library's; the program leaves it alone. Not together with OURO_ACYCLIC.
	 */
	OURO_KEY = 1u << 2,
};

typedef struct ouro_type {
	/* For reports and dumps; not NULL. */
	const char *name OURO_ZERO_;
	/*
	 * Bytes of the fixed part, > 0. Trailing items begin here: give offsetof(struct t, items).
	 */
	size_t size OURO_ZERO_;
	/* Strong references in the fixed part: OURO_SLOTS. */
	ouro_fields slots OURO_ZERO_;
	/* ouro_weak cells in the fixed part: OURO_WEAKS; they are cleared when the object dies. */
	ouro_fields weaks OURO_ZERO_;
	/* Bytes of one trailing item; 0: the type has none. */
	size_t item_size OURO_ZERO_;
	/* Strong references in one item: OURO_ITEM_SLOTS or OURO_ITEM_REFS. */
	ouro_fields item_slots OURO_ZERO_;
	/* Weak cells in one item: OURO_ITEM_WEAKS. */
	ouro_fields item_weaks OURO_ZERO_;

	/*
	 * For references that slots cannot say, in addition to them: ouro_visit(v, child) for each
	 * strong reference the object holds. It runs only while the world is stopped (or, with
	 * OURO_TRAVERSE_CONCURRENT, at any time). A stop keeps threads out of the library and
	 * waits for pinned ones; the program's own code goes on beside it. So a thread may just be
	 * filling in what it has made, which was zeroed, or changing it. Either it does that
	 * pinned. Or it stores atomically what traverse reads (the number of references after
	 * them, with release), and traverse loads that likewise (with acquire); then memory that
	 * traverse may be at goes in clear or destroy alone.
	 * traverse changes, allocates and locks nothing, and calls nothing else of the library. It
	 * needs clear. Reporting a reference that is not
	 * counted breaks memory safety (a checked build aborts on it). It must return: if an
	 * exception, pthread_exit or cancellation leaves it, or longjmp, or if it calls the
	 * library, the program is stopped with a message, the latter two at the next call that
	 * shows it. A full collection stops the world for half of pause_budget_ns at a time to run
	 * it on all such objects, and once for as long as it takes to run it on those that look
	 * like garbage.
	 */
	void (*traverse)(void *obj, ouro_visitor *v) OURO_ZERO_;
	/* Drops what traverse visits. Once, before destroy, whichever way the object died. */
	void (*clear)(void *obj) OURO_ZERO_;
	/*
	 * At most once per object. Weak references and watches to it are done before it starts; its
	 * own references are intact, and so are those of every other member of a dead cycle until
	 * all their finalizers have run. It may resurrect the object by storing a reference to it,
	 * call anything, block, and take the program's locks: it runs outside every pause with no
	 * lock of the library held.
	 */
	void (*finalize)(void *obj) OURO_ZERO_;
	/*
	 * Frees what the object owns outside the heap (malloc, fd). Exactly once, last; it must not
	 * touch other objects.
	 */
	void (*destroy)(void *obj) OURO_ZERO_;
	/* OURO_ACYCLIC, OURO_TRAVERSE_CONCURRENT, OURO_KEY */
	unsigned flags OURO_ZERO_;
} ouro_type;

/* Up to 16 fields each. The field macros take the struct and its member names. */
#define OURO_SLOTS(type, ...) OURO_FIELDS_(#__VA_ARGS__, OURO_SLOT_FIELD_, type, __VA_ARGS__)
#define OURO_WEAKS(type, ...) OURO_FIELDS_(#__VA_ARGS__, OURO_WEAK_FIELD_, type, __VA_ARGS__)
#define OURO_ITEM_SLOTS(type, ...) OURO_FIELDS_(#__VA_ARGS__, OURO_SLOT_FIELD_, type, __VA_ARGS__)
#define OURO_ITEM_WEAKS(type, ...) OURO_FIELDS_(#__VA_ARGS__, OURO_WEAK_FIELD_, type, __VA_ARGS__)
/* For .item_slots where an item is itself one reference. */
#define OURO_ITEM_REFS OURO_BARE_LIST_(, 1, { 0, 1 })
/* For .item_weaks where an item is itself one cell. */
#define OURO_ITEM_CELLS OURO_ITEM_REFS

OURO_BEGIN_DECLS

/*
 * ouro_visit - report one strong reference; only inside traverse
 * @v:     what traverse was given
 * @child: borrowed; may be NULL
 *
 * Blocks:  no.
 */
OURO_API void ouro_visit(ouro_visitor *v, void *child);

/*
 * ouro_type_retire - say that a type is not used any more, before its memory or its code goes
 *
 * For a plugin, before dlclose: when this answers 0 no callback of the type will run any more, and
 * the library reads nothing of it until an object is made of it again, which nobody may do
 * meanwhile. Cycles that are dead and not found yet count: ouro_gc_collect(2) before.
 * Return:  0, also for a type that nothing was ever made of; EBUSY while instances are left, also
 *          such as only wait for their callbacks; EINVAL (NULL); EDEADLK when pinned, inside a
 *          callback, or in an event function between GC_START and GC_STOP.
 * Blocks:  as ouro_flush, and for stops, each within half of pause_budget_ns, one walk over the
 *          heap in all.
 * Runs:    callbacks of what was dead already.
 */
OURO_API int ouro_type_retire(const ouro_type *type);

OURO_END_DECLS

/* ---- how the macros work; nothing below is for programs ---- */

#define OURO_SLOT_FIELD_(t, f) \
	{ (uint32_t)offsetof(t, f), (uint32_t)(sizeof(((t *)0)->f) / sizeof(void *)) }
#define OURO_WEAK_FIELD_(t, f) \
	{ (uint32_t)offsetof(t, f), (uint32_t)(sizeof(((t *)0)->f) / sizeof(uint64_t)) }
#define OURO_FIELDS_(names, F, t, ...) \
	OURO_LIST_(__VA_ARGS__)(names, OURO_COUNT_(__VA_ARGS__), \
				OURO_MAP_(OURO_COUNT_(__VA_ARGS__), F, t, __VA_ARGS__))
#ifdef __cplusplus
#define OURO_BARE_LIST_(names, count, ...) { count, { __VA_ARGS__ } }
#define OURO_NAMED_LIST_(names, count, ...) { names, count, { __VA_ARGS__ } }
#else
#define OURO_BARE_LIST_(names, count, ...) { { count, { __VA_ARGS__ } } }
#define OURO_NAMED_LIST_(names, count, ...) \
	{ .named_ = { count, { __VA_ARGS__ }, names, OURO_NAMED_MARK_ } }
#endif
/* Of 15 and 16 fields the names have no room. */
#define OURO_LIST_(...) \
	OURO_COUNT_PICK_(__VA_ARGS__, OURO_BARE_LIST_, OURO_BARE_LIST_, OURO_NAMED_LIST_, \
			 OURO_NAMED_LIST_, OURO_NAMED_LIST_, OURO_NAMED_LIST_, OURO_NAMED_LIST_, \
			 OURO_NAMED_LIST_, OURO_NAMED_LIST_, OURO_NAMED_LIST_, OURO_NAMED_LIST_, \
			 OURO_NAMED_LIST_, OURO_NAMED_LIST_, OURO_NAMED_LIST_, OURO_NAMED_LIST_, \
			 OURO_NAMED_LIST_, 0)
#define OURO_COUNT_(...) \
	OURO_COUNT_PICK_(__VA_ARGS__, 16, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0)
#define OURO_COUNT_PICK_(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, count, ...) count
#define OURO_MAP_(count, F, t, ...) OURO_MAP_N_(count, F, t, __VA_ARGS__)
#define OURO_MAP_N_(count, F, t, ...) OURO_MAP_##count##_(F, t, __VA_ARGS__)
#define OURO_MAP_1_(F, t, a) F(t, a)
#define OURO_MAP_2_(F, t, a, ...) F(t, a), OURO_MAP_1_(F, t, __VA_ARGS__)
#define OURO_MAP_3_(F, t, a, ...) F(t, a), OURO_MAP_2_(F, t, __VA_ARGS__)
#define OURO_MAP_4_(F, t, a, ...) F(t, a), OURO_MAP_3_(F, t, __VA_ARGS__)
#define OURO_MAP_5_(F, t, a, ...) F(t, a), OURO_MAP_4_(F, t, __VA_ARGS__)
#define OURO_MAP_6_(F, t, a, ...) F(t, a), OURO_MAP_5_(F, t, __VA_ARGS__)
#define OURO_MAP_7_(F, t, a, ...) F(t, a), OURO_MAP_6_(F, t, __VA_ARGS__)
#define OURO_MAP_8_(F, t, a, ...) F(t, a), OURO_MAP_7_(F, t, __VA_ARGS__)
#define OURO_MAP_9_(F, t, a, ...) F(t, a), OURO_MAP_8_(F, t, __VA_ARGS__)
#define OURO_MAP_10_(F, t, a, ...) F(t, a), OURO_MAP_9_(F, t, __VA_ARGS__)
#define OURO_MAP_11_(F, t, a, ...) F(t, a), OURO_MAP_10_(F, t, __VA_ARGS__)
#define OURO_MAP_12_(F, t, a, ...) F(t, a), OURO_MAP_11_(F, t, __VA_ARGS__)
#define OURO_MAP_13_(F, t, a, ...) F(t, a), OURO_MAP_12_(F, t, __VA_ARGS__)
#define OURO_MAP_14_(F, t, a, ...) F(t, a), OURO_MAP_13_(F, t, __VA_ARGS__)
#define OURO_MAP_15_(F, t, a, ...) F(t, a), OURO_MAP_14_(F, t, __VA_ARGS__)
#define OURO_MAP_16_(F, t, a, ...) F(t, a), OURO_MAP_15_(F, t, __VA_ARGS__)

#endif
