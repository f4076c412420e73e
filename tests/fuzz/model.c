/* model.c - what the heap of a fuzzed program must be, in plain C */
#include "model.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct model model;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

void model_lock(void)
{
	pthread_mutex_lock(&lock);
}

void model_unlock(void)
{
	pthread_mutex_unlock(&lock);
}

void model_broken(const char *format, ...)
{
	va_list args;
	va_start(args, format);
	fprintf(stderr, "the heap is not as the model: ");
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	va_end(args);
	abort();
}

static void empty_places(struct model_place *p, int n)
{
	for (int i = 0; i < n; i++)
		p[i] = (struct model_place){ .value = MODEL_NONE };
}

void model_reset(void)
{
	memset(&model, 0, sizeof model);
	empty_places(model.root, MODEL_ROOTS);
	empty_places(model.cell, MODEL_WEAKS);
	empty_places(model.key, MODEL_KEYS);
	empty_places(model.element, MODEL_KEYS);
	empty_places(model.last, MODEL_KEYS);
	empty_places(&model.end, 1);
	for (int i = 0; i < MODEL_KEYS; i++)
		model.cached[i] = MODEL_NONE;
	for (int i = 0; i < MODEL_OBJECTS; i++)
		empty_places(model.object[i].slot, MODEL_ALL_SLOTS);
	for (int t = 0; t < MODEL_THREADS; t++)
		for (int h = 0; h < MODEL_HANDLES; h++)
			model.handle[t][h] = MODEL_NONE;
}

/* ---- reachability ---- */

static int stack[MODEL_OBJECTS], depth;

static void mark(int object)
{
	if (object == MODEL_NONE || model.object[object].reached)
		return;
	model.object[object].reached = true;
	stack[depth++] = object;
}

static int follow(void)
{
	int n = 0;
	for (; depth; n++) {
		struct model_object *o = &model.object[stack[--depth]];
		for (int i = 0; i < MODEL_ALL_SLOTS; i++)
			mark(o->slot[i].value);
	}
	return n;
}

static void forget_marks(void)
{
	for (int i = 0; i < model.n; i++)
		model.object[i].reached = false;
}

int model_reach(void)
{
	forget_marks();
	for (int i = 0; i < MODEL_ROOTS; i++)
		mark(model.root[i].value);
	for (int i = 0; i < MODEL_KEYS; i++) {
		mark(model.key[i].value);
		mark(model.element[i].value);
		mark(model.cached[i]);
	}
	for (int t = 0; t < MODEL_THREADS; t++)
		for (int h = 0; h < MODEL_HANDLES; h++)
			mark(model.handle[t][h]);
	for (int i = 0; i < model.n; i++)
		if (model.object[i].immortal || model.object[i].lifted)
			mark(i);
	return follow();
}

bool model_reaches(int object)
{
	model_reach();
	return model.object[object].reached;
}

/* ---- changes ---- */

bool model_begin(struct model_place *p, int *old)
{
	if (p->busy)
		return false;
	*old = p->value;
	p->value = MODEL_NONE;
	p->busy = true;
	p->version++;
	model.version++;
	return true;
}

void model_end(struct model_place *p, int value)
{
	p->value = value;
	p->busy = false;
	p->gone = p->maybe = false;
	p->version++;
	model.version++;
}

void model_loaded(const struct model_place *p, int target, bool must, int id)
{
	if (must && id == MODEL_NONE)
		model_broken("a weak reference to object %d, which is held, is expired", target);
	if (id != MODEL_NONE && id != target)
		model_broken("a weak reference to object %d loads %d", target, id);
	if (id != MODEL_NONE && p->gone)
		model_broken("a weak reference to object %d was expired, and loads it", target);
}

/* ---- deaths ---- */

static void check_dead(int object, const char *what)
{
	if (!model.ending && model_reaches(object) && !model.object[object].excused)
		model_broken("object %d is held, and %s", object, what);
}

/* What an object reaches that is brought back was dead, perhaps, as far as weak references know. */
static void excuse(int object)
{
	forget_marks();
	mark(object);
	follow();
	for (int i = 0; i < model.n; i++) {
		struct model_object *o = &model.object[i];
		if (!o->reached)
			continue;
		o->excused = o->stale = true;
		o->slot[MODEL_KEYED].value = MODEL_NONE;
	}
	for (int i = 0; i < MODEL_WEAKS; i++)
		if (model.cell[i].value != MODEL_NONE && model.object[model.cell[i].value].reached)
			model.cell[i].maybe = true;
}

void model_finalized(int object, bool lifts)
{
	struct model_object *o = &model.object[object];
	if (o->state != MODEL_ALIVE || o->finalized)
		model_broken("object %d is finalized twice, or late", object);
	check_dead(object, "is finalized");
	o->finalized = true;
	for (int i = 0; i < MODEL_WEAKS; i++)
		if (model.cell[i].value == object)
			model.cell[i].gone = true;
	if (lifts) {
		excuse(object);
		o->lifted = true;
	}
	model.version++;
}

void model_destroyed(int object, bool has_finalizer)
{
	struct model_object *o = &model.object[object];
	if (o->state != MODEL_ALIVE)
		model_broken("object %d is destroyed twice", object);
	if (has_finalizer && !o->finalized && !model.ending)
		model_broken("object %d is destroyed, and was not finalized", object);
	if (!model.ending && model_reaches(object))
		model_broken("object %d is held, and is destroyed", object);
	o->state = MODEL_DESTROYED;
	model.version++;
}

void model_fired(struct model_watch *w)
{
	if (w->state == MODEL_FIRED)
		model_broken("a watch of object %d has run twice", w->object);
	if (w->state == MODEL_UNDONE)
		model_broken("a watch of object %d has run that was undone", w->object);
	check_dead(w->object, "its watch runs");
	w->state = MODEL_FIRED;
}
