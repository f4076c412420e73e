/*
 * cache.c - a cache of sessions with a time to live
 *
 * Readers look sessions up without a lock, while others are added and expire. Whoever has found one
 * keeps it as long as it likes: it goes when the cache and the last reader have let go of it. The
 * buckets are static variables that are used as slots; a lock is needed by writers alone.
 *
 *     cc cache.c $(pkg-config --cflags --libs ouro) -pthread && ./a.out
 */
#include <ouro.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

enum { BUCKETS = 64, SESSIONS = 1000, READERS = 3, TTL = 100 /* ticks */ };
struct session {
	struct session *next; /* in its bucket */
	unsigned id;
	long expires;
	char user[16];
};
static const ouro_type session_type = {
	.name = "session", .size = sizeof(struct session),
	.slots = OURO_SLOTS(struct session, next),
};

static struct session *bucket[BUCKETS];
static pthread_mutex_t writers = PTHREAD_MUTEX_INITIALIZER;
static atomic_long now; /* ticks; in a server: seconds */
static atomic_bool done;
static atomic_size_t n_wrong;
/* Returns a new reference, or NULL. */
static struct session *find(unsigned id)
{
	struct session *s = ouro_load(&bucket[id % BUCKETS]);
	while (s && s->id != id)
		ouro_set(&s, ouro_load(&s->next)); /* releases the one before */
	if (s && s->expires <= atomic_load(&now))
		ouro_set(&s, NULL);
	return s;
}

static int add(unsigned id, const char *user)
{
	OURO_AUTO struct session *s = OURO_NEW(struct session, &session_type);
	if (!s) /* no memory */
		return -1;
	s->id = id;
	s->expires = atomic_load(&now) + TTL;
	strncpy(s->user, user, sizeof(s->user) - 1);
	pthread_mutex_lock(&writers);
	ouro_give(&s->next, ouro_load(&bucket[id % BUCKETS]));
	ouro_store(&bucket[id % BUCKETS], s); /* from here on others see it */
	pthread_mutex_unlock(&writers);
	return 0;
}

/* Unlinks what has expired. A reader that stands on one of these still gets to the next. */
static size_t expire_in(struct session **slot)
{
	size_t n = 0;
	OURO_AUTO struct session *before = NULL, *s = ouro_load(slot);
	while (s) {
		if (s->expires <= atomic_load(&now)) {
			ouro_give(slot, ouro_load(&s->next));
			n++;
		} else {
			ouro_set(&before, ouro_retain(s)); /* holds the slot's object */
			slot = &before->next;
		}
		ouro_set(&s, ouro_load(slot));
	}
	return n;
}

static size_t expire(void)
{
	size_t n = 0;
	pthread_mutex_lock(&writers);
	for (int i = 0; i < BUCKETS; i++)
		n += expire_in(&bucket[i]);
	pthread_mutex_unlock(&writers);
	return n;
}

static void *read_all_the_time(void *arg)
{
	for (unsigned id = 0; !atomic_load(&done); id = (id + 1) % SESSIONS) {
		OURO_AUTO struct session *s = find(id);
		n_wrong += s && (s->id != id || strcmp(s->user, "somebody") != 0);
	}
	return arg;
}

int main(void)
{
	pthread_t reader[READERS];
	size_t n_expired = 0;
	ouro_report report;
	for (int i = 0; i < READERS; i++)
		if (pthread_create(&reader[i], NULL, read_all_the_time, NULL))
			return 1;
	for (unsigned id = 0; id < SESSIONS; id++, atomic_fetch_add(&now, 1)) {
		if (add(id, "somebody"))
			return 1;
		n_expired += expire();
	}
	atomic_fetch_add(&now, TTL);
	n_expired += expire();
	atomic_store(&done, true);
	for (int i = 0; i < READERS; i++)
		pthread_join(reader[i], NULL);
	if (ouro_shutdown(&report))
		return 1;
	printf("%zu sessions expired, %zu were wrong, %zu objects left\n", n_expired,
	       atomic_load(&n_wrong), report.objects);
	return 0;
}
