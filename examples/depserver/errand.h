/*
 * errand.h - what a client of HTTP waits for: run on one thread of its own, one after the other
 *
 * Neither the workers nor the thread that speaks HTTP are held up by it.
 */
#ifndef DEPSERVER_ERRAND_H
#define DEPSERVER_ERRAND_H

#include <pthread.h>
#include <stdbool.h>

enum { ERRANDS_MAX = 4 }; /* that are under way or wait */

struct errand {
	void (*run)(struct errand *e);
	void (*done)(struct errand *e); /* the last that is heard of it; it may be freed there */
	struct errand *next;
};

struct errands {
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t more;
	struct errand *first, **last;
	unsigned n;
	bool closing;
};

/* errands_open - Return: 0 or an errno value */
int errands_open(struct errands *all);
/* errands_add - Return: false: too many wait, or it is closing; nothing is called then */
bool errands_add(struct errands *all, struct errand *e);
/* errands_close - all that were added are done when it returns */
void errands_close(struct errands *all);

#endif
