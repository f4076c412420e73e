/* debug.c - the collector's debug flags, and the garbage that SAVEALL keeps. */
#include "collect/debug.h"

#include <errno.h>
#include <string.h>

#include "base/lock.h"
#include "base/runtime.h"
#include "collect/gctrace.h"
#include "count/count.h"
#include "count/death.h"
#include "world/callback.h"
#include "world/gate.h"

static unsigned debug_flags;
static uint64_t n_kept[3];
static struct oi_vector saved; /* headers, one reference each; under the lock */

void oi_debug_report(const struct oi_garbage *g,
		     void (*say)(const char *format, ...) OI_PRINTF(1, 2))
{
	unsigned flags = oi_load_relaxed(&debug_flags); /* recheck: a setting */
	if (!g)
		return;
	if (flags & OURO_DEBUG_COLLECTABLE)
		for (size_t i = 0; i < g->objects.n; i++)
			say("collectable \"%s\" at %p", oi_type_of(g->objects.data[i])->name,
			    oi_object_of(g->objects.data[i]));
	if (flags & OURO_DEBUG_GCTRACE)
		oi_gctrace_line(g, say);
	if (flags & OURO_DEBUG_STATS)
		say("collection of generation %d: %zu objects examined, %zu unreachable, %llu us",
		    g->generation, g->n_examined, g->objects.n,
		    (unsigned long long)(g->found_ns / 1000));
}

bool oi_debug_save(struct oi_garbage *g)
{
	/* recheck: a setting */
	if (!(oi_load_relaxed(&debug_flags) & OURO_DEBUG_SAVEALL) || oi_runtime.shutting_down)
		return false;
	size_t n = 0;
	oi_lock(OI_LOCK_SAVED);
	for (; n < g->objects.n; n++) {
		struct oi_header *h = g->objects.data[n];
		if (!oi_vector_push(&saved, h)) /* the collector's reference becomes the list's */
			break;
		/* owner: these bits are the garbage's */
		oi_and_acq_rel(&h->flags, (uint8_t)~(OI_FLAG_GARBAGE | OI_FLAG_SEALED));
	}
	/* under the lock: a fork's child finds each in one of them */
	g->objects.n -= n;
	if (g->objects.n)
		memmove(g->objects.data, g->objects.data + n,
			g->objects.n * sizeof *g->objects.data);
	oi_unlock(OI_LOCK_SAVED);
	oi_add_relaxed(&n_kept[g->generation], n); /* count */
	for (size_t i = 0; i < g->objects.n; i++)
		oi_and_acq_rel(&((struct oi_header *)g->objects.data[i])->flags, /* owner */
			       (uint8_t)~(OI_FLAG_GARBAGE | OI_FLAG_SEALED));
	return true;
}

bool oi_debug_any(void)
{
	return oi_load_relaxed(&debug_flags) & ~(unsigned)OURO_DEBUG_GCTRACE; /* recheck */
}

void oi_debug_start(void)
{
	/* recheck */
	oi_store_relaxed(&debug_flags, oi_gctrace_start() ? (unsigned)OURO_DEBUG_GCTRACE : 0u);
}

uint64_t oi_debug_kept(int generation)
{
	return oi_load_relaxed(&n_kept[generation]); /* count */
}

void oi_debug_shutdown(void)
{
	ouro_gc_garbage_clear();
	oi_vector_free(&saved);
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
	oi_lock(OI_LOCK_SAVED);
	struct oi_header *h = i < saved.n ? saved.data[i] : NULL;
	if (h)
		oi_retain(t, h);
	oi_unlock(OI_LOCK_SAVED);
	oi_gate_leave(t);
	return h ? oi_object_of(h) : NULL;
}

static size_t garbage_kept(void)
{
	oi_lock(OI_LOCK_SAVED);
	size_t n = saved.n;
	oi_unlock(OI_LOCK_SAVED);
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
	oi_lock(OI_LOCK_SAVED);
	struct oi_vector v = saved;
	saved = (struct oi_vector){ 0 };
	oi_unlock(OI_LOCK_SAVED);
	for (size_t i = 0; i < v.n; i++)
		ouro_release(oi_object_of(v.data[i]));
	oi_vector_free(&v);
}
