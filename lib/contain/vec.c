/*
 * vec.c - ouro_vec: growable arrays of references
 *
 * An element lies in a place (places.c), a slot that does not move when there are more. An element
 * is there if its slot is not NULL: so who gets or sets one looks at nothing else, and a slot that
 * was popped is not set any more, as setting is a compare-and-swap of an element. Those below n are
 * there, and none beyond; n and the slot at the end change in the hands of the one thread that has
 * made busy true:
 *   push  the slot at n, which is NULL, gets the element: now it is there; then n goes up
 *   pop   the slot below n is taken: now it is not there; then n goes down
 * A thread has busy inside the gate alone, and needs no memory there and runs nobody's code: so no
 * child of a fork finds it taken by a thread that is gone. Who finds it taken leaves the gate and
 * comes back, lest a stop waits for both.
 */
#include <errno.h>
#include <sched.h>

#include "base/perturb.h"
#include "contain/parts.h"
#include "contain/places.h"
#include "heap/check.h"
#include "ouro.h"

struct ouro_vec {
	struct oi_places places;
	uint64_t n;
	uint32_t busy;
};

static const ouro_type vec_type = {
	.name = "ouro_vec",
	.size = sizeof(struct ouro_vec),
	.slots = OURO_SLOTS(struct ouro_vec, places.part),
};

#define CHECK(v) oi_check_type(v, &vec_type, __func__)

/* Returns the slot of @i, or NULL if there never was one. */
static void **slot_at(ouro_vec *vec, size_t i)
{
	return vec ? oi_place_there(&vec->places, i) : NULL;
}

/* ---- the end of it: in a pinned region ---- */

static bool try_busy(ouro_vec *vec)
{
	uint32_t free = 0;
	return oi_cas(&vec->busy, &free, 1u); /* [J6] */
}

static void end_busy(ouro_vec *vec)
{
	oi_store_release(&vec->busy, 0u); /* [J6] */
}

/* Puts the element, whose reference it takes, at @n. Returns false if that is not the end. */
static bool push_at(ouro_vec *vec, uint64_t n, void **slot, void *value)
{
	bool pushed = false;
	ouro_pin();
	if (try_busy(vec)) {
		pushed = vec->n == n;
		if (pushed) {
			ouro_slot_give(slot, value);
			oi_point("vec: busy");
			oi_store_release(&vec->n, n + 1); /* [J6] */
		}
		end_busy(vec);
	}
	ouro_unpin();
	return pushed;
}

/* Returns false if another thread is at it. */
static bool try_pop(ouro_vec *vec, void **value)
{
	*value = NULL;
	ouro_pin();
	bool mine = try_busy(vec);
	if (mine) {
		uint64_t n = vec->n;
		if (n) {
			*value = ouro_slot_take(oi_place(&vec->places, n - 1));
			oi_point("vec: busy");
			oi_store_release(&vec->n, n - 1); /* [J6] */
		}
		end_busy(vec);
	}
	ouro_unpin();
	return mine;
}

/* ---- public ---- */

size_t ouro_vec_size(const ouro_vec *vec)
{
	CHECK(vec);
	return vec ? oi_load_acquire(&vec->n) : 0; /* [J6] */
}

int ouro_vec_reserve(ouro_vec *vec, size_t n)
{
	CHECK(vec);
	if (!vec)
		return EINVAL;
	for (uint64_t i = 0; i < n; i += OI_PLACES_TOGETHER)
		if (!oi_place_make(&vec->places, i))
			return ENOMEM;
	return 0;
}

ouro_vec *ouro_vec_new(size_t capacity)
{
	struct ouro_vec *vec = ouro_new(&vec_type);
	if (vec && oi_places_init(&vec->places) && !ouro_vec_reserve(vec, capacity))
		return vec;
	ouro_release(vec);
	errno = ENOMEM;
	return NULL;
}

void *ouro_vec_get(ouro_vec *vec, size_t i)
{
	CHECK(vec);
	void **slot = slot_at(vec, i);
	return slot ? ouro_slot_load(slot) : NULL;
}

int ouro_vec_set(ouro_vec *vec, size_t i, void *value)
{
	CHECK(vec);
	if (!vec || !value)
		return EINVAL;
	void **slot = slot_at(vec, i);
	for (;;) {
		void *old OURO_AUTO = slot ? ouro_slot_load(slot) : NULL;
		if (!old)
			return ERANGE;
		if (ouro_slot_compare_exchange(slot, old, value))
			return 0;
	}
}

int ouro_vec_compare_set(ouro_vec *vec, size_t i, const void *expected, void *value)
{
	CHECK(vec);
	if (!vec || !expected || !value)
		return EINVAL;
	void **slot = slot_at(vec, i);
	for (;;) {
		if (slot && ouro_slot_compare_exchange(slot, expected, value))
			return 0;
		void *there OURO_AUTO = slot ? ouro_slot_load(slot) : NULL;
		if (there != expected)
			return there ? EAGAIN : ERANGE;
	}
}

int ouro_vec_push(ouro_vec *vec, void *value, size_t *i)
{
	CHECK(vec);
	if (!vec || !value)
		return EINVAL;
	for (;;) {
		uint64_t n = oi_load_acquire(&vec->n); /* [J6]; it is looked at again */
		void **slot = oi_place_make(&vec->places, n);
		if (!slot)
			return ENOMEM;
		ouro_retain(value);
		if (push_at(vec, n, slot, value)) {
			if (i)
				*i = n;
			return 0;
		}
		ouro_release(value);
		sched_yield();
	}
}

void *ouro_vec_pop(ouro_vec *vec)
{
	void *value = NULL;
	CHECK(vec);
	while (vec && !try_pop(vec, &value))
		sched_yield();
	return value;
}

void ouro_vec_clear(ouro_vec *vec)
{
	CHECK(vec);
	for (size_t n = ouro_vec_size(vec); n; n--) {
		void *value OURO_AUTO = ouro_vec_pop(vec);
		if (!value)
			return;
	}
}

bool ouro_vec_each(ouro_vec *vec, ouro_vec_visitor fn, void *arg)
{
	CHECK(vec);
	for (size_t i = 0;; i++) {
		void *value OURO_AUTO = ouro_vec_get(vec, i);
		if (!value)
			return true;
		if (!fn(i, value, arg))
			return false;
	}
}

bool oi_vec_is(uint32_t type)
{
	return oi_type_given[type] == &vec_type;
}
