/* pause_stops.c - the stops that a heap reports, each as it was */
#include "pause_run.h"

enum { STOPS_MAX = 1 << 20 };

static struct {
	atomic_size_t n;
	struct stop {
		uint64_t ns;
		int generation;
	} at[STOPS_MAX];
} stops;

void pause_stop(uint64_t ns, int generation)
{
	size_t i = atomic_fetch_add(&stops.n, 1);

	if (i < STOPS_MAX)
		stops.at[i] = (struct stop){ ns, generation };
}

size_t pause_n_stops(void)
{
	return stops.n;
}

void pause_forget_stops(void)
{
	atomic_store(&stops.n, 0);
}

static int by_length(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

uint64_t *pause_sorted_stops(size_t n_stops, int low, int high, size_t *n)
{
	uint64_t *ns = load_must(malloc((n_stops + 1) * sizeof *ns));

	*n = 0;
	for (size_t i = 0; i < n_stops && i < STOPS_MAX; i++)
		if (stops.at[i].generation >= low && stops.at[i].generation <= high)
			ns[(*n)++] = stops.at[i].ns;
	qsort(ns, *n, sizeof *ns, by_length);
	return ns;
}

double pause_stop_sum(size_t n_stops)
{
	double s = 0;

	for (size_t i = 0; i < n_stops && i < STOPS_MAX; i++)
		s += (double)stops.at[i].ns / 1e9;
	return s;
}

double pause_stop_share(const uint64_t *sorted, size_t n, double share)
{
	size_t rank = (size_t)(share * (double)n + 0.999999);

	return n ? (double)sorted[rank ? rank - 1 : 0] / 1000 : 0;
}
