/* debug.c - the collector's debug flags, and the garbage that SAVEALL keeps. */
#include "collect/debug.h"

#include <errno.h>
#include <string.h>

#include "base/lock.h"
#include "base/runtime.h"
#include "count/count.h"
#include "count/death.h"
#include "world/callback.h"
#include "world/gate.h"

static unsigned debug_flags;
static uint64_t n_kept[3];
static struct oi_vector garbage; /* headers, one reference each; under the lock */

void oi_debug_report(const struct oi_set *s, void (*say)(const char *format, ...) OI_PRINTF(1, 2))
{
	unsigned flags = oi_load_relaxed(&debug_flags); /* recheck: a setting */
	if (!s)
		return;
	if (flags & OURO_DEBUG_COLLECTABLE)
		for (size_t i = 0; i < s->objects.n; i++)
			say("collectable \"%s\" at %p", oi_type_of(s->objects.data[i])->name,
			    oi_object_of(s->objects.data[i]));
	if (flags & OURO_DEBUG_STATS)
		say("collection of generation %d: %zu objects examined, %zu unreachable, %llu us",
		    s->generation, s->n_examined, s->objects.n,
		    (unsigned long long)(s->found_ns / 1000));
}

bool oi_debug_save(struct oi_set *s)
{
	/* recheck: a setting */
	if (!(oi_load_relaxed(&debug_flags) & OURO_DEBUG_SAVEALL) || oi_runtime.shutting_down)
		return false;
	size_t n = 0;
	oi_lock(OI_LOCK_GARBAGE);
	for (; n < s->objects.n; n++) {
		struct oi_header *h = s->objects.data[n];
		if (!oi_vector_push(&garbage, h)) /* the set's hold becomes the list's reference */
			break;
		/* owner: these bits are the set's */
		oi_and_acq_rel(&h->flags, (uint8_t)~(OI_FLAG_GARBAGE | OI_FLAG_SEALED));
	}
	/* under the lock: a fork's child finds each in one of them */
	s->objects.n -= n;
	if (s->objects.n)
		memmove(s->objects.data, s->objects.data + n,
			s->objects.n * sizeof *s->objects.data);
	oi_unlock(OI_LOCK_GARBAGE);
	oi_add_relaxed(&n_kept[s->generation], n); /* count */
	for (size_t i = 0; i < s->objects.n; i++)
		oi_and_acq_rel(&((struct oi_header *)s->objects.data[i])->flags, /* owner */
			       (uint8_t)~(OI_FLAG_GARBAGE | OI_FLAG_SEALED));
	return true;
}

bool oi_debug_any(void)
{
	return oi_load_relaxed(&debug_flags); /* recheck */
}

uint64_t oi_debug_kept(int generation)
{
	return oi_load_relaxed(&n_kept[generation]); /* count */
}

void oi_debug_shutdown(void)
{
	ouro_gc_garbage_clear();
	oi_vector_free(&garbage);
	for (int g = 0; g < 3; g++)
		oi_store_relaxed(&n_kept[g], 0); /* count */
	oi_store_relaxed(&debug_flags, 0); /* recheck */
}

/* ---- public ---- */

void ouro_gc_set_debug(unsigned flags)
{
	oi_current();
	oi_store_relaxed(&debug_flags, flags); /* recheck: from the next collection on */
}

unsigned ouro_gc_get_debug(void)
{
	return oi_load_relaxed(&debug_flags); /* recheck: a setting */
}

/* Returns the i-th, with a reference, so that it survives if the list is cleared meanwhile. */
static void *garbage_at(size_t i)
{
	struct oi_thread *t = oi_enter(); /* first: no thread waits at a gate with the lock */
	oi_lock(OI_LOCK_GARBAGE);
	struct oi_header *h = i < garbage.n ? garbage.data[i] : NULL;
	if (h)
		oi_retain(t, h);
	oi_unlock(OI_LOCK_GARBAGE);
	oi_gate_leave(t);
	return h ? oi_object_of(h) : NULL;
}

static size_t garbage_kept(void)
{
	oi_lock(OI_LOCK_GARBAGE);
	size_t n = garbage.n;
	oi_unlock(OI_LOCK_GARBAGE);
	return n;
}

/* In case the visitor was left. */
static void let_go_visited(void **obj)
{
	if (*obj)
		oi_death_release_aside(oi_self, oi_header_of(*obj));
}

ssize_t ouro_gc_garbage(ouro_object_visitor fn, void *arg)
{
	oi_current();
	if (!fn) {
		errno = EINVAL;
		return -1;
	}
	ssize_t n = 0;
	size_t most = garbage_kept(); /* the visitor may collect, and more be kept, without end */
	__attribute__((cleanup(let_go_visited))) void *obj = NULL;
	for (size_t i = 0; i < most && (obj = garbage_at(i)); i++) {
		bool go_on = oi_callback_visit(oi_self, fn, obj, arg);
		void *visited = obj;
		obj = NULL;
		ouro_release(visited);
		n++;
		if (!go_on)
			break;
	}
	return n;
}

void ouro_gc_garbage_clear(void)
{
	oi_current();
	oi_lock(OI_LOCK_GARBAGE);
	struct oi_vector v = garbage;
	garbage = (struct oi_vector){ 0 };
	oi_unlock(OI_LOCK_GARBAGE);
	for (size_t i = 0; i < v.n; i++)
		ouro_release(oi_object_of(v.data[i]));
	oi_vector_free(&v);
}
