/*
 * watch.c - functions to run once when an object dies
 *
 * Watches are cold: a lock guards the table of their ids and the lists of the entries. The death of
 * an object without an entry never takes it. Each watch runs or is undone once: both begin by
 * taking its id out of the table, under the lock, and whoever finds it there has it. An id is {row
 * of the table, version}, so an old id is told from a new one.
 *
 * There may be millions of one object. They are taken, and the table grows, inside a gate: so
 * neither looks at each. A list that a death has taken is told from an entry's by its first watch,
 * whose entry is NULL; ouro_unwatch takes the others out of either.
 *
 * The table and the watches lie on mapped pages, and watches that are done with are kept for later
 * ones: no malloc, for the reason in garbage.h.
 */
#include "count/watch.h"

#include <errno.h>

#include "base/lock.h"
#include "base/os.h"
#include "count/delay.h"
#include "count/weak.h"
#include "heap/check.h"
#include "heap/entry.h"
#include "world/callback.h"
#include "world/context.h"
#include "world/gate.h"

struct oi_watch {
	struct oi_watch *next, *previous;
	/* On whose list it is; NULL for the first on one that a death has taken. */
	struct oi_weak_entry *entry;
	void (*fn)(void *arg);
	void *arg;
	/* For the first on a list that was suspended: whose they are, how far its death is... */
	struct oi_header *before;
	size_t cursor;
	struct oi_watch *chained; /* ... and the next such list */
	uint32_t row;
};

struct row {
	struct oi_watch *watch;
	uint32_t version;
	uint32_t next_free;
};

static struct row *rows;
static uint32_t n_rows, first_free;  /* index 0 is none */
static uint32_t n_begun = 1;         /* rows beyond have not been used yet, and are zero */
static struct oi_watch *unused;      /* linked through next */

#define WATCHES_BYTES 4096

/* Under the lock, like all that follows up to ouro_watch. */
static bool grow(void)
{
	size_t bytes = n_rows * sizeof *rows, new_bytes = bytes ? bytes * 2 : 4096;
	struct row *s = bytes ? oi_os_remap_list(rows, bytes, new_bytes) :
				oi_os_map_list(new_bytes);
	if (!s)
		return false;
	rows = s;
	n_rows = (uint32_t)(new_bytes / sizeof *s);
	return true;
}

static bool have_row(void)
{
	return first_free || n_begun < n_rows || grow();
}

/* There is one: have_slot. */
static uint32_t take_row(void)
{
	uint32_t i = first_free;
	if (i)
		first_free = rows[i].next_free;
	else
		rows[i = n_begun++].version = 1;
	return i;
}

static void put_unused(struct oi_watch *w)
{
	oi_assert_locked(OI_LOCK_WATCHES);
	w->next = unused;
	unused = w;
}

static bool more_watches(void)
{
	struct oi_watch *w = oi_os_map_list(WATCHES_BYTES);
	if (w)
		oi_os_root(w, WATCHES_BYTES); /* they hold their arguments; never unmapped */
	for (size_t i = 0; w && i < WATCHES_BYTES / sizeof *w; i++)
		put_unused(&w[i]);
	return w;
}

/* The watch's id is spent. */
static void retire_id(struct oi_watch *w)
{
	oi_assert_locked(OI_LOCK_WATCHES);
	struct row *s = &rows[w->row];
	s->watch = NULL;
	if (++s->version == 0)
		return;
	s->next_free = first_free;
	first_free = w->row;
}

static void unlink_watch(struct oi_watch *w)
{
	oi_assert_locked(OI_LOCK_WATCHES);
	if (w->previous)
		w->previous->next = w->next;
	else
		w->entry->watches = w->next;
	if (w->next)
		w->next->previous = w->previous;
}

int ouro_watch(void *obj, void (*fn)(void *arg), void *arg, ouro_watch_id *id)
{
	if (!obj || !fn)
		return EINVAL;
	struct oi_thread *t = oi_enter();
	struct oi_header *h = oi_header_of(obj);
	oi_check_usable(h, "ouro_watch");
	struct oi_weak_entry *e = oi_weak_entry_of(t, h);
	oi_lock(OI_LOCK_WATCHES);
	bool ok = e && have_row() && (unused || more_watches());
	if (ok) {
		struct oi_watch *w = unused;
		unused = w->next;
		*w = (struct oi_watch){ .fn = fn, .arg = arg, .entry = e, .next = e->watches };
		if (w->next)
			w->next->previous = w;
		e->watches = w;
		w->row = take_row();
		rows[w->row].watch = w;
		if (id)
			*id = (uint64_t)rows[w->row].version << 32 | w->row;
	}
	oi_unlock(OI_LOCK_WATCHES);
	oi_gate_leave(t);
	return ok ? 0 : ENOMEM;
}

bool ouro_unwatch(ouro_watch_id id)
{
	uint32_t i = (uint32_t)id;
	oi_lock(OI_LOCK_WATCHES);
	struct oi_watch *w = i < n_rows && rows[i].version == id >> 32 ? rows[i].watch : NULL;
	struct oi_watch *mine = w && (w->entry || w->previous) ? w : NULL;
	if (w)
		retire_id(w);
	if (mine) {
		unlink_watch(mine);
		put_unused(mine);
	} else if (w) {
		w->fn = NULL; /* a death has it first on its list, and will put it back */
	}
	oi_unlock(OI_LOCK_WATCHES);
	return w != NULL;
}

/* @w, if there is one, is the first on a list that a death has taken. */
static void be_first(struct oi_watch *w)
{
	if (!w)
		return;
	w->entry = NULL;
	w->previous = NULL;
}

struct oi_watch *oi_watch_take(struct oi_weak_entry *e)
{
	oi_lock(OI_LOCK_WATCHES);
	struct oi_watch *list = e->watches;
	e->watches = NULL;
	be_first(list);
	oi_unlock(OI_LOCK_WATCHES);
	return list;
}

bool oi_watch_run_one(struct oi_thread *t, struct oi_watch **list)
{
	oi_assert_outside(t);
	struct oi_watch *w = *list;
	oi_lock(OI_LOCK_WATCHES);
	*list = w->next;
	be_first(w->next);
	void (*fn)(void *arg) = w->fn;
	void *arg = w->arg;
	if (fn)
		retire_id(w);
	put_unused(w);
	oi_unlock(OI_LOCK_WATCHES);
	if (!fn)
		return false;
	oi_callback(t, fn, arg, NULL);
	if (t->internal)
		oi_delay_progress();
	return true;
}

struct oi_header *oi_watch_suspend(struct oi_watch *list, struct oi_header *h, size_t cursor)
{
	list->before = h;
	list->cursor = cursor;
	return (struct oi_header *)list;
}

struct oi_header *oi_watch_resume(const struct oi_watch *list, size_t *cursor)
{
	*cursor = list->cursor;
	return list->before;
}

void oi_watch_chain(struct oi_watch *list, struct oi_watch **chain)
{
	list->chained = *chain;
	*chain = list;
}

struct oi_watch *oi_watch_unchain(struct oi_watch **chain)
{
	struct oi_watch *first = *chain;
	*chain = first->chained;
	return first;
}

/*
 * By then all have run but those that watches went on adding. The table of ids stays, so that an id
 * from before names nothing, and so do the watches' pages.
 */
void oi_watch_shutdown(void)
{
	oi_lock(OI_LOCK_WATCHES);
	for (uint32_t i = 1; i < n_rows; i++)
		if (rows[i].watch) {
			put_unused(rows[i].watch);
			rows[i].watch = NULL;
			rows[i].version++;
			rows[i].next_free = first_free;
			first_free = i;
		}
	oi_unlock(OI_LOCK_WATCHES);
}
