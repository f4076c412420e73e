/* errand.c - a queue and its thread */
#include "errand.h"

#include <stddef.h>

/* Return: the next one, still in the queue; NULL: there will be none. */
static struct errand *errands_wait(struct errands *all)
{
	pthread_mutex_lock(&all->lock);
	while (!all->first && !all->closing)
		pthread_cond_wait(&all->more, &all->lock);
	struct errand *e = all->first;
	pthread_mutex_unlock(&all->lock);
	return e;
}

static void errands_remove_first(struct errands *all)
{
	pthread_mutex_lock(&all->lock);
	all->first = all->first->next;
	if (!all->first)
		all->last = &all->first;
	all->n--;
	pthread_mutex_unlock(&all->lock);
}

static void *errands_main(void *arg)
{
	struct errands *all = arg;
	struct errand *e;
	pthread_setname_np(pthread_self(), "errands");
	while ((e = errands_wait(all))) {
		e->run(e);
		errands_remove_first(all);
		e->done(e);
	}
	return NULL;
}

int errands_open(struct errands *all)
{
	*all = (struct errands){ .last = &all->first };
	pthread_mutex_init(&all->lock, NULL);
	pthread_cond_init(&all->more, NULL);
	int error = pthread_create(&all->thread, NULL, errands_main, all);
	if (error) {
		pthread_cond_destroy(&all->more);
		pthread_mutex_destroy(&all->lock);
	}
	return error;
}

bool errands_add(struct errands *all, struct errand *e)
{
	e->next = NULL;
	pthread_mutex_lock(&all->lock);
	bool room = !all->closing && all->n < ERRANDS_MAX;
	if (room) {
		*all->last = e;
		all->last = &e->next;
		all->n++;
		pthread_cond_signal(&all->more);
	}
	pthread_mutex_unlock(&all->lock);
	return room;
}

void errands_close(struct errands *all)
{
	pthread_mutex_lock(&all->lock);
	all->closing = true;
	pthread_cond_signal(&all->more);
	pthread_mutex_unlock(&all->lock);
	pthread_join(all->thread, NULL);
	pthread_cond_destroy(&all->more);
	pthread_mutex_destroy(&all->lock);
}
