/*
 * thread.c - the registry: records, keys, names
 *
 * A record is type-stable: it is made once, never given back, and used again by later threads, so
 * that a pointer got from a key is always good to look at. The registry lock guards the list of
 * attached records and is held throughout a stop, so a thread that attaches or leaves during a
 * stop simply waits for it to end; that thread is outside its gate then, and keeps nobody waiting.
 * How a thread comes and goes is in attach.c.
 */
#include "world/thread.h"

#include <string.h>
#include <unistd.h>

#include "base/flight.h"
#include "base/holdup.h"
#include "base/lock.h"
#include "base/os.h"
#include "world/gate.h"
#include "world/object.h"
#include "world/park.h"
#include "world/threads.h"

#define KEYS (OI_OWN_KEY_MAX + 1)
#define RECORDS 15 /* mapped at a time */

__thread struct oi_thread *oi_self;
__thread struct oi_thread *oi_mine = &oi_nobody;
struct oi_thread oi_nobody = { .entry = &oi_nobody.rest, .request = OI_REQUEST_NOBODY };
CDS_LIST_HEAD(oi_threads);
static CDS_LIST_HEAD(unused); /* records: under the lock */

static struct oi_thread *record[KEYS]; /* by key; only grows */
static uint32_t n_records = 1;         /* release after the record is in place [T1] */
static size_t n_attached;              /* without the library's own */

/*
 * Records for threads whose first call cannot fail, while there is no memory for a record; pages
 * are untouched until then. Under the lock.
 */
#define STORE 64
static struct oi_thread store[STORE];
static uint32_t n_stored_used;

void oi_registry_lock(void)
{
	oi_lock(OI_LOCK_REGISTRY);
}

bool oi_registry_trylock(void)
{
	return oi_trylock(OI_LOCK_REGISTRY);
}

void oi_registry_unlock(void)
{
	oi_unlock(OI_LOCK_REGISTRY);
}

void oi_thread_become(struct oi_thread *t)
{
	oi_self = t;
	oi_mine = t ? t : &oi_nobody;
}

struct oi_thread *oi_thread_of_key(uint16_t key)
{
	return oi_load_acquire(&record[key]); /* [T1] */
}

struct oi_thread *oi_thread_record(size_t i)
{
	return i + 1 < oi_load_acquire(&n_records) ? record[i + 1] : NULL; /* [T1] */
}

size_t oi_threads_count(void)
{
	return oi_load_relaxed(&n_attached); /* count */
}

static struct oi_thread *from_store(void)
{
	return n_stored_used < STORE ? &store[n_stored_used++] : NULL;
}

/*
 * Under the lock. A record is a page and a bit; several are mapped together, as alone each would
 * take two pages. All zero, which is what an empty heap, limbo and queue are.
 */
static struct oi_thread *map_record(void)
{
	static struct oi_thread *next;
	static unsigned n;
	if (!n) {
		struct oi_thread *some = oi_os_map(RECORDS * sizeof *some);
		if (!some)
			return NULL;
		next = some;
		n = RECORDS;
	}
	n--;
	return next++;
}

struct oi_thread *oi_thread_find(bool anyhow)
{
	oi_assert_locked(OI_LOCK_REGISTRY);
	if (!cds_list_empty(&unused)) {
		struct oi_thread *t = cds_list_first_entry(&unused, struct oi_thread, link);
		cds_list_del(&t->link);
		return t;
	}
	struct oi_thread *t = n_records < KEYS ? map_record() : NULL;
	if (!t && !(n_records < KEYS && anyhow && (t = from_store())))
		return NULL;
	t->key = (uint16_t)n_records;
	oi_store_release(&record[n_records], t); /* [T1] */
	oi_store_release(&n_records, n_records + 1);
	return t;
}

void oi_thread_give_back(struct oi_thread *t)
{
	oi_assert_locked(OI_LOCK_REGISTRY);
	t->attached = false;
	cds_list_add(&t->link, &unused);
}

/* The lock of names is held throughout no stop, so that a pinned thread may be renamed. */
void oi_thread_set_name(struct oi_thread *t, const char *name)
{
	char new_name[sizeof t->name];
	if (!name)
		oi_thread_name(new_name);
	else
		strncpy(new_name, name, sizeof new_name - 1);
	new_name[sizeof new_name - 1] = 0;
	oi_lock(OI_LOCK_NAMES);
	memcpy(t->name, new_name, sizeof t->name);
	oi_unlock(OI_LOCK_NAMES);
}

void oi_thread_get_name(struct oi_thread *t, char name[OI_NAME])
{
	oi_lock(OI_LOCK_NAMES);
	memcpy(name, t->name, OI_NAME);
	oi_unlock(OI_LOCK_NAMES);
}

void oi_thread_link(struct oi_thread *t, bool internal)
{
	oi_assert_locked(OI_LOCK_REGISTRY);
	t->attached = true;
	oi_store_relaxed(&t->internal, internal); /* recheck: flush looks at it without the lock */
	oi_holdup_ours = internal;
	oi_store_relaxed(&t->tid, oi_gettid()); /* elsewhere: the registry lock; a trace looks */
	oi_flight_thread((uint32_t)t->tid);
	t->seen = NULL;
	cds_list_add(&t->link, &oi_threads);
	oi_park_admit(t);
	if (!internal)
		oi_add_relaxed(&n_attached, 1); /* count */
}

void oi_thread_unlink(struct oi_thread *t)
{
	oi_assert_locked(OI_LOCK_REGISTRY);
	cds_list_del(&t->link);
	oi_park_dismiss(t);
	if (!t->internal)
		oi_add_relaxed(&n_attached, (size_t)-1); /* count */
}

/* A reaper that looks through a map is pinned for moments, and not by the program. */
static bool is_at_work(const struct oi_thread *t)
{
	return t->internal && !oi_load_acquire(&t->in_callback); /* count */
}

bool oi_threads_pinned(void)
{
	bool pinned = false;
	struct oi_thread *t;
	oi_registry_lock();
	oi_for_each_thread(t)
		/* recheck: a hint; a pin that begins now is a misuse */
		if (t != oi_self && oi_load_relaxed(&t->pin_depth) && !is_at_work(t))
			pinned = true;
	oi_registry_unlock();
	return pinned;
}

void oi_threads_divert(void)
{
	struct oi_thread *t;
	oi_registry_lock();
	oi_for_each_thread(t)
		oi_or_acq_rel(&t->request, (uint32_t)OI_REQUEST_FENCE); /* [G2] */
	oi_registry_unlock();
}

void oi_thread_unpin_gone(struct oi_thread *t)
{
	/* [G1]: what it did until it was pinned, since when it may not have written its gate */
	if (!t->late || !oi_load_acquire(&t->pin_depth) || oi_thread_alive(t->tid))
		return;
	oi_gate_unpin(t); /* its owner is gone */
}
