/*
 * pause_malloc.c - the control of bench/pause: the same threads and the same loop, nothing to collect
 *
 * What it shows as its worst operation is the scheduler's and the machine's, for threads that never sleep.
 * pause_beat.c is the control for threads that are stopped now and then.
 */
#include "malloc_load.h"

static void churn(struct pause_worker *w)
{
	pause_churn(w, operation);
}

int main(int argc, char **argv)
{
	static const struct pause_heap heap = {
		.name = "malloc", .node_bytes = 80, .table = make_table, .replace = replace, .churn = churn,
		.drop = drop_table, .ring = make_ring, .ring_drop = drop_ring,
	};

	return pause_main(argc, argv, &heap);
}
