/* history.c - a ring of seconds */
#include "history.h"

#include <errno.h>
#include <ouro.h>
#include <string.h>

static const uint64_t second_ns = 1000000000;

const unsigned history_bounds_us[STOP_BUCKETS - 1] = {
	10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000, 50000, 100000,
};

/* Locked. The second that @ns lies in; another one that had its place is forgotten. */
static struct second *second_at(struct history *h, uint64_t ns)
{
	uint64_t number = ns / second_ns;
	struct second *s = &h->second[number % HISTORY_SECONDS];
	if (s->number < number)
		*s = (struct second){ .number = number };
	return s->number == number ? s : NULL;
}

static unsigned stop_bucket(uint64_t ns)
{
	unsigned i = 0;
	while (i < STOP_BUCKETS - 1 && ns > history_bounds_us[i] * 1000ull)
		i++;
	return i;
}

/* Several threads may be here at once. None calls the library with the lock held. */
static void on_event(const ouro_gc_event *event, void *arg)
{
	struct history *h = arg;
	if (event->phase != OURO_PAUSE_STOP)
		return;
	pthread_mutex_lock(&h->lock);
	struct second *s = second_at(h, event->at_ns);
	if (s) {
		s->stops[stop_bucket(event->duration_ns)]++;
		if (event->duration_ns > s->longest_ns)
			s->longest_ns = event->duration_ns;
	}
	pthread_mutex_unlock(&h->lock);
}

int history_open(struct history *h)
{
	memset(h->second, 0, sizeof h->second);
	int error = pthread_mutex_init(&h->lock, NULL);
	if (error)
		return error;
	error = ouro_gc_on_event(on_event, h);
	if (error)
		pthread_mutex_destroy(&h->lock);
	return error;
}

void history_close(struct history *h)
{
	ouro_gc_off_event(on_event, h);
	pthread_mutex_destroy(&h->lock);
}

void history_sample(struct history *h, uint64_t now_ns, const struct sample *sample)
{
	pthread_mutex_lock(&h->lock);
	struct second *s = second_at(h, now_ns - second_ns);
	if (s) {
		s->sample = *sample;
		s->sampled = true;
	}
	pthread_mutex_unlock(&h->lock);
}

unsigned history_read(struct history *h, uint64_t from, uint64_t now_ns, struct second *out)
{
	uint64_t end = now_ns / second_ns;
	unsigned n = 0;
	if (end > HISTORY_SECONDS - 1 && from < end - (HISTORY_SECONDS - 1))
		from = end - (HISTORY_SECONDS - 1);
	pthread_mutex_lock(&h->lock);
	for (uint64_t number = from; number < end; number++) {
		const struct second *s = &h->second[number % HISTORY_SECONDS];
		if (s->number == number)
			out[n++] = *s;
	}
	pthread_mutex_unlock(&h->lock);
	return n;
}
