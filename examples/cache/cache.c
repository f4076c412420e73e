/*
 * cache.c - a cache of sessions with a time to live
 *
 * A map with limits: so many sessions, each for so long. Readers look them up without a lock, while
 * others are added and go. Whoever has found one keeps it as long as it likes: it goes when the
 * cache and the last reader have let go of it. A session that nobody asks for any more goes by
 * itself; on_evict is told of each that the cache threw out, and why.
 *
 *     cc cache.c $(pkg-config --cflags --libs ouro) -pthread && ./a.out
 */
#include <ouro.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { SESSIONS = 1000, MOST = 500, READERS = 3 };
#define TTL_NS UINT64_C(100000000) /* in a server: minutes */

struct session {
	unsigned id;
	char user[16];
};
static const ouro_type session_type = {
	.name = "session", .size = sizeof(struct session), .flags = OURO_ACYCLIC,
};

static atomic_size_t n_wrong, n_full, n_expired;
static atomic_bool done;

/* On the thread whose put made room, or on one of the library's. */
static void evicted(const ouro_map_item *item, ouro_map_reason reason, void *arg)
{
	const struct session *s = item->value;
	(void)arg;
	n_wrong += s->id != item->number;
	atomic_fetch_add(reason == OURO_MAP_FULL ? &n_full : &n_expired, 1);
}

static int log_in(ouro_map *cache, unsigned id, const char *user)
{
	OURO_AUTO struct session *s = OURO_NEW(struct session, &session_type);
	if (!s) /* no memory */
		return -1;
	s->id = id;
	strncpy(s->user, user, sizeof(s->user) - 1);
	return ouro_map_put_int(cache, id, s);
}

/* Returns true if there was such a session. evicted() is not told: the program asked for it. */
static bool log_out(ouro_map *cache, unsigned id)
{
	return ouro_map_remove_int(cache, id);
}

static void *read_all_the_time(void *cache)
{
	for (unsigned id = 0; !atomic_load(&done); id = (id + 1) % SESSIONS) {
		OURO_AUTO struct session *s = ouro_map_get_int(cache, id);
		n_wrong += s && (s->id != id || strcmp(s->user, "somebody") != 0);
	}
	return NULL;
}

int main(void)
{
	pthread_t reader[READERS];
	const struct timespec tick = { .tv_nsec = 10000000 };
	const ouro_map_options limits = {
		.max_entries = MOST, .ttl_ns = TTL_NS, .on_evict = evicted,
	};
	ouro_map *cache = ouro_map_new_with(&limits);
	ouro_report report;
	if (!cache)
		return 1;
	for (int i = 0; i < READERS; i++)
		if (pthread_create(&reader[i], NULL, read_all_the_time, cache))
			return 1;
	for (unsigned id = 0; id < SESSIONS; id++)
		if (log_in(cache, id, "somebody"))
			return 1;
	if (ouro_map_size(cache) > MOST)
		return 1;
	if (log_in(cache, SESSIONS, "somebody"))
		return 1;
	size_t n_out = log_out(cache, SESSIONS);
	while (ouro_map_size(cache)) /* nobody logs in any more: the rest expires */
		nanosleep(&tick, NULL);
	atomic_store(&done, true);
	for (int i = 0; i < READERS; i++)
		pthread_join(reader[i], NULL);
	ouro_release(cache);
	if (ouro_shutdown(&report))
		return 1;
	printf("%zu sessions went, %zu were wrong, %zu objects left\n",
	       n_full + n_expired + n_out, atomic_load(&n_wrong), report.objects);
	return 0;
}
