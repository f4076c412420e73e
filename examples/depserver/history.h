/*
 * history.h - the last minutes, second by second: stops by length, and what the server did
 *
 * The stops come from the library, as an event each; the rest is sampled by the main thread. All of
 * it is plain numbers under a lock that is held for a moment.
 */
#ifndef DEPSERVER_HISTORY_H
#define DEPSERVER_HISTORY_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

enum { HISTORY_SECONDS = 300, STOP_BUCKETS = 14 };

/* The upper bounds of all buckets but the last, in microseconds. */
extern const unsigned history_bounds_us[STOP_BUCKETS - 1];

/* What is sampled at the end of a second: sums since the start, but for what is live. */
struct sample {
	uint64_t commands, errors;
	uint64_t objects, bytes, reserved; /* live; held from the system */
	uint64_t freed, collected;         /* objects: all, and those of cycles */
};

struct second {
	uint64_t number; /* of CLOCK_MONOTONIC */
	uint32_t stops[STOP_BUCKETS];
	uint64_t longest_ns;
	bool sampled;
	struct sample sample;
};

struct history {
	pthread_mutex_t lock;
	struct second second[HISTORY_SECONDS];
};

/* history_open - begin to listen. Return: 0 or an errno value. */
int history_open(struct history *h);
void history_close(struct history *h);
/* history_sample - the second of @now_ns is over */
void history_sample(struct history *h, uint64_t now_ns, const struct sample *sample);
/*
 * history_read - the seconds from @from on that are over at @now_ns, oldest first
 * @out: room for HISTORY_SECONDS
 *
 * Return:  how many.
 */
unsigned history_read(struct history *h, uint64_t from, uint64_t now_ns, struct second *out);

#endif
