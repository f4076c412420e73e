/*
 * ouro_malloc.c - the functions of ouro that examples/depserver calls, with plain malloc and nothing reclaimed
 *
 * The same sources of the server linked with this instead of the library are its peer: no counts, no collector, no
 * stops. It is no server that anybody could run, but what the library's share in a request is measured against: memory
 * grows with every request, every closure and every graph that was replaced. Left out with reclamation: finalizers,
 * destroy, limits, statistics (zeros), and the checks of types and sizes. The server frees its buffers as ever.
 *
 * To never free is not free of cost either: each page is one that the system has to clear first.
 */
#include "../../examples/depserver/graph.h"

#include <errno.h>
#include <ouro.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* ---- objects: as malloc gives them, without a header ---- */

void *ouro_new(const ouro_type *type)
{
	return calloc(1, type->size);
}

void *ouro_new_items(const ouro_type *type, size_t n)
{
	return calloc(1, type->size + n * type->item_size);
}

void *ouro_try_retain(void *obj)
{
	return obj;
}

void ouro_release(void *obj)
{
	(void)obj;
}

/* ---- slots: pointers; release and acquire, so that whoever finds an object finds it filled ---- */

void *ouro_slot_load(void *slot)
{
	return atomic_load_explicit((void *_Atomic *)slot, memory_order_acquire);
}

void *ouro_slot_peek(const void *slot)
{
	return atomic_load_explicit((void *_Atomic *)slot, memory_order_acquire);
}

void ouro_slot_store(void *slot, void *obj)
{
	atomic_store_explicit((void *_Atomic *)slot, obj, memory_order_release);
}

void ouro_slot_give(void *slot, void *obj)
{
	ouro_slot_store(slot, obj);
}

/* ---- weak cells: pointers too ---- */

/*
 * A closure dies when it is pushed out of the ring of the last GRAPH_RECENT, and must then be computed again. Here none
 * does: without anything that expires, the cells would make a cache of all packages, and most requests another and far
 * shorter work. So the cells themselves are kept in such a ring, and emptied when they leave it.
 */
static ouro_weak *_Atomic recent[GRAPH_RECENT];
static _Atomic size_t recent_next;

static void weak_set(ouro_weak *cell, void *obj)
{
	__atomic_store_n(&cell->word, (uint64_t)(uintptr_t)obj, __ATOMIC_RELEASE);
}

int ouro_weak_store(ouro_weak *cell, void *obj)
{
	size_t i = atomic_fetch_add_explicit(&recent_next, 1, memory_order_relaxed) % GRAPH_RECENT;
	ouro_weak *old = atomic_exchange_explicit(&recent[i], cell, memory_order_relaxed);

	if (old)
		weak_set(old, NULL);
	weak_set(cell, obj);
	return 0;
}

void *ouro_weak_load(ouro_weak *cell)
{
	return (void *)(uintptr_t)__atomic_load_n(&cell->word, __ATOMIC_ACQUIRE);
}

/* ---- maps: a table with open addressing, filled by one thread before others see it ---- */

struct place {
	const void *key;
	size_t size;
	void *value; /* NULL: free */
};

struct ouro_map {
	struct place *place;
	size_t n, used; /* n: a power of two */
};

ouro_map *ouro_map_new(void)
{
	return calloc(1, sizeof(ouro_map));
}

/* The key's place, or the free one where it would go; there is one. */
static struct place *place_of(const ouro_map *map, const void *key, size_t size)
{
	for (size_t i = names_hash(key, size);; i++) {
		struct place *p = &map->place[i & (map->n - 1)];

		if (!p->value || (p->size == size && memcmp(p->key, key, size) == 0))
			return p;
	}
}

/* Twice the places; at most half of them are used. */
static int map_grow(ouro_map *map)
{
	ouro_map more = { .n = map->n ? map->n * 2 : 16, .used = map->used };

	more.place = calloc(more.n, sizeof *more.place);
	if (!more.place)
		return ENOMEM;
	for (size_t i = 0; i < map->n; i++)
		if (map->place[i].value)
			*place_of(&more, map->place[i].key, map->place[i].size) = map->place[i];
	free(map->place);
	*map = more;
	return 0;
}

/* The server's keys are names inside their packages, so they are not copied. */
int ouro_map_put(ouro_map *map, const void *key, size_t size, void *value)
{
	if (map->used >= map->n / 2 && map_grow(map))
		return ENOMEM;
	struct place *p = place_of(map, key, size);
	map->used += !p->value;
	*p = (struct place){ key, size, value };
	return 0;
}

void *ouro_map_get(ouro_map *map, const void *key, size_t size)
{
	return map->n ? place_of(map, key, size)->value : NULL;
}

/* ---- the rest has nothing to do ---- */

void ouro_pin(void)
{
}

void ouro_unpin(void)
{
}

void ouro_safepoint(void)
{
}

ssize_t ouro_gc_collect(int generation)
{
	(void)generation;
	return 0;
}

bool ouro_gc_disable(void)
{
	return false;
}

bool ouro_gc_is_enabled(void)
{
	return false;
}

int ouro_init_sized(const ouro_config *config, size_t size)
{
	(void)config;
	(void)size;
	return 0;
}

int ouro_shutdown_sized(ouro_report *report, size_t size)
{
	if (report)
		memset(report, 0, size);
	return 0;
}

int ouro_gc_on_event(ouro_gc_listener fn, void *arg)
{
	(void)fn;
	(void)arg;
	return 0;
}

int ouro_gc_off_event(ouro_gc_listener fn, void *arg)
{
	return ouro_gc_on_event(fn, arg);
}

int ouro_trace_start(FILE *f)
{
	(void)f;
	return ENOTSUP;
}

int ouro_trace_stop(void)
{
	return ENOENT;
}

int ouro_trace_write(FILE *f)
{
	(void)f;
	return ENOENT;
}

int ouro_snapshot_write(FILE *f)
{
	(void)f;
	return ENOENT;
}

ssize_t ouro_gc_path(void *obj, ouro_path_visitor fn, void *arg)
{
	(void)obj;
	(void)fn;
	(void)arg;
	errno = ENOTSUP;
	return -1;
}

/* Only of what is visited, and nothing is. */
const ouro_type *ouro_typeof(const void *obj)
{
	(void)obj;
	return NULL;
}

int ouro_stats_write(FILE *f, ouro_stats_format format)
{
	(void)format;
	return fputs("# EOF\n", f) < 0 ? EIO : 0;
}

ssize_t ouro_type_stats_sized(ouro_type_stat *out, size_t n, size_t size)
{
	(void)out;
	(void)n;
	(void)size;
	return 0;
}

void ouro_stats_get_sized(ouro_stats *out, size_t size)
{
	memset(out, 0, size);
}

const char *ouro_version(void)
{
	return "none, malloc";
}
