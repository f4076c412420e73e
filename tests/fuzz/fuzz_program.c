/*
 * fuzz_program.c - bytes as a program over the public API, on three threads, beside a model
 *
 * Byte 0 is the configuration. Then four bytes a step: what, by which thread (and whether the next
 * step waits for it), and two operands. What a step does is not worth while, or not allowed, in the
 * model's state is left out. At the end, and wherever the program says so, all is let come to rest,
 * and the heap must be what the model is.
 */
#include <string.h>

#include "containers.h"
#include "crew.h"
#include "fuzz.h"
#include "program.h"
#include "thing.h"

#define NONE MODEL_NONE

/* A place and the real one behind it. */
struct target {
	struct model_place *place;
	struct thing **slot;
};

static struct thing *real[MODEL_THREADS][MODEL_HANDLES]; /* each is its thread's */
static struct thing *root[MODEL_ROOTS];
static ouro_weak cell[MODEL_CELLS];
static ouro_watch_id watch_id[MODEL_WATCHES];
static bool manual;

/* ---- handles ---- */

static int handle_of(uint8_t operand)
{
	return operand % MODEL_HANDLES;
}

static void drop(int t, int h)
{
	struct thing *x = real[t][h];
	real[t][h] = NULL;
	model_lock();
	model.handle[t][h] = NONE;
	model.version++;
	model_unlock();
	ouro_release(x);
}

/* Under the lock. @x, a new reference, becomes an empty handle's. Returns its number. */
static int keep_locked(int t, int h, struct thing *x)
{
	int id = thing_id(x);
	if (id != NONE && model.object[id].state != MODEL_ALIVE)
		model_broken("object %d was destroyed, and is there again", id);
	real[t][h] = x;
	model.handle[t][h] = id;
	model.version++;
	return id;
}

static void keep(int t, int h, struct thing *x)
{
	model_lock();
	keep_locked(t, h, x);
	model_unlock();
}

struct thing *program_held(int t, uint8_t operand)
{
	return real[t][handle_of(operand)];
}

void program_keep(int t, uint8_t operand, struct thing *x)
{
	drop(t, handle_of(operand));
	keep(t, handle_of(operand), x);
}

/* Under the lock. Returns a new object's number, not alive yet; NONE: there are enough. */
static int number_new(enum thing_kind kind, int child)
{
	if (model.n == MODEL_OBJECTS)
		return NONE;
	struct model_object *o = &model.object[model.n];
	o->kind = kind;
	o->fixed = !thing_has_slots(kind);
	if (kind == THING_TRAVERSED)
		o->slot[0].value = child;
	return model.n++;
}

static void step_new(int t, const struct step *s)
{
	int h = handle_of(s->a);
	enum thing_kind kind = s->b % THING_KINDS;
	struct thing *child = kind == THING_TRAVERSED ? ouro_retain(real[t][h]) : NULL;
	model_lock();
	int id = number_new(kind, thing_id(child));
	model_unlock();
	struct thing *x = id == NONE ? NULL : thing_new(kind, id, child);
	if (!x) {
		ouro_release(child);
		return;
	}
	drop(t, h);
	model_lock();
	model.object[id].state = MODEL_ALIVE;
	thing_address[id] = x;
	keep_locked(t, h, x);
	model_unlock();
}

static void step_drop(int t, const struct step *s)
{
	drop(t, handle_of(s->a));
}

static void step_copy(int t, const struct step *s)
{
	struct thing *x = ouro_retain(real[t][handle_of(s->a)]);
	drop(t, handle_of(s->b));
	keep(t, handle_of(s->b), x);
}

static void step_immortalize(int t, const struct step *s)
{
	struct thing *x = real[t][handle_of(s->a)];
	if (!x || s->b % 8)
		return; /* rarely: what it reaches stays */
	ouro_immortalize(x);
	model_lock();
	model.object[x->id].immortal = true;
	model.version++;
	model_unlock();
}

/* What a finalizer has brought back is let go of. */
static bool bury(int from)
{
	struct thing *x = NULL;
	model_lock();
	for (int i = 0; i < model.n && !x; i++) {
		int id = (i + from) % model.n;
		if (!model.object[id].lifted)
			continue;
		model.object[id].lifted = false;
		model.version++;
		x = thing_address[id];
	}
	model_unlock();
	ouro_release(x);
	return x != NULL;
}

static void step_bury(int t, const struct step *s)
{
	(void)t;
	bury(s->a);
}

/* ---- slots and roots ---- */

/* Operand @b: a root, or a slot of what a handle holds. */
static bool find(int t, uint8_t b, struct target *target)
{
	if (b & 0x80) {
		*target = (struct target){ &model.root[b % MODEL_ROOTS], &root[b % MODEL_ROOTS] };
		return true;
	}
	struct thing *x = real[t][b % MODEL_HANDLES];
	int i = b / MODEL_HANDLES % MODEL_SLOTS;
	if (!x || model.object[x->id].fixed)
		return false;
	struct model_object *o = &model.object[x->id];
	*target = (struct target){ &o->slot[i], thing_slot(x, (enum thing_kind)o->kind, i) };
	return true;
}

static bool begin(int t, uint8_t b, struct target *target, int *old)
{
	model_lock();
	bool ok = find(t, b, target) && model_begin(target->place, old);
	model_unlock();
	return ok;
}

static void end(const struct target *target, int value)
{
	model_lock();
	model_end(target->place, value);
	model_unlock();
}

static void step_store(int t, const struct step *s)
{
	struct thing *x = real[t][handle_of(s->a)];
	struct target target;
	int old;
	if (!begin(t, s->b, &target, &old))
		return;
	ouro_store(target.slot, x);
	end(&target, thing_id(x));
}

static void step_give(int t, const struct step *s)
{
	struct thing *x = ouro_retain(real[t][handle_of(s->a)]);
	struct target target;
	int old, id = thing_id(x);
	if (!begin(t, s->b, &target, &old)) {
		ouro_release(x);
		return;
	}
	ouro_give(target.slot, x);
	end(&target, id);
}

static void expect(int is, int should, const char *what)
{
	if (is != should)
		model_broken("%s: object %d, and it should be %d", what, is, should);
}

static void step_take(int t, const struct step *s)
{
	struct target target;
	int old;
	if (!begin(t, s->b, &target, &old))
		return;
	struct thing *x = ouro_take(target.slot);
	expect(thing_id(x), old, "take");
	end(&target, NONE);
	drop(t, handle_of(s->a));
	keep(t, handle_of(s->a), x);
}

static void step_exchange(int t, const struct step *s)
{
	int h = handle_of(s->a), old;
	struct thing *x = real[t][h];
	struct target target;
	if (!begin(t, s->b, &target, &old))
		return;
	struct thing *was = ouro_exchange(target.slot, x);
	expect(thing_id(was), old, "exchange");
	model_lock();
	model_end(target.place, thing_id(x));
	keep_locked(t, h, was);
	model_unlock();
}

/* What it expects is what is there, or else what another handle holds. */
static void step_compare_exchange(int t, const struct step *s)
{
	struct thing *x = real[t][handle_of(s->a)], *guess = real[t][handle_of(s->a >> 4)];
	struct target target;
	int old;
	if (!begin(t, s->b, &target, &old))
		return;
	if (s->a & 8) /* what is in the slot stays there: nobody else may change it */
		guess = old == NONE ? NULL : thing_address[old];
	bool right = thing_id(guess) == old, done = ouro_compare_exchange(target.slot, guess, x);
	if (done != right)
		model_broken("compare_exchange says %d", done);
	end(&target, done ? thing_id(x) : old);
}

/* What was read, if nobody has changed the place meanwhile, must be what is there. */
struct look {
	struct target target;
	uint32_t version;
	int value;
	bool sure;
};

static bool look(int t, uint8_t b, struct look *l)
{
	model_lock();
	bool ok = find(t, b, &l->target);
	if (ok) {
		l->version = l->target.place->version;
		l->value = l->target.place->value;
		l->sure = !l->target.place->busy;
	}
	model_unlock();
	return ok;
}

/* @x is a new reference, for an empty handle. */
static void looked(int t, int h, const struct look *l, struct thing *x, const char *what)
{
	model_lock();
	int id = keep_locked(t, h, x);
	if (l->sure && l->target.place->version == l->version)
		expect(id, l->value, what);
	model_unlock();
}

/* The handle may hold the object that the place is in: it is let go of afterwards. */
static void replace(int t, int h, const struct look *l, struct thing *x, const char *what)
{
	struct thing *was = real[t][h];
	looked(t, h, l, x, what);
	ouro_release(was);
}

static void step_load(int t, const struct step *s)
{
	struct look l;
	if (!look(t, s->b, &l))
		return;
	replace(t, handle_of(s->a), &l, ouro_load(l.target.slot), "load");
}

static void step_peek(int t, const struct step *s)
{
	struct look l;
	if (!look(t, s->b, &l))
		return;
	ouro_pin();
	struct thing *x = ouro_peek(l.target.slot);
	if (x && (x->id < 0 || x->id >= MODEL_OBJECTS))
		model_broken("peek: %p is no object", (void *)x);
	x = ouro_try_retain(x);
	ouro_unpin();
	replace(t, handle_of(s->a), &l, x, "try_retain");
}

/* ---- weak references and watches ---- */

static void step_weak_store(int t, const struct step *s)
{
	struct thing *x = real[t][handle_of(s->a)];
	int c = s->b % MODEL_CELLS, old;
	model_lock();
	bool ok = model_begin(&model.cell[c], &old);
	model_unlock();
	if (!ok)
		return;
	int error = s->b & 0x80 ? (ouro_weak_clear(&cell[c]), 1) : ouro_weak_store(&cell[c], x);
	model_lock();
	model_end(&model.cell[c], error ? NONE : thing_id(x));
	model_unlock();
}

static void step_weak_load(int t, const struct step *s)
{
	struct model_place *c = &model.cell[s->b % MODEL_CELLS];
	model_lock();
	uint64_t version = model.version;
	uint32_t c_version = c->version;
	int target = c->value;
	bool sure = !c->busy, gone = c->gone;
	bool must = sure && target != NONE && !gone && !c->maybe && model_reaches(target);
	model_unlock();
	struct thing *x = ouro_weak_load(&cell[s->b % MODEL_CELLS]), *was;
	model_lock();
	was = real[t][handle_of(s->a)];
	struct model_place then = *c;
	then.gone = gone;
	int id = keep_locked(t, handle_of(s->a), x);
	if (sure && c->version == c_version) {
		model_loaded(&then, target, must && model.version == version + 1, id);
		c->gone |= id == NONE;
	}
	model_unlock();
	ouro_release(was);
}

static void step_expired(int t, const struct step *s)
{
	struct model_place *c = &model.cell[s->b % MODEL_CELLS];
	(void)t;
	model_lock();
	uint32_t version = c->version;
	bool gone = !c->busy && (c->gone || c->value == NONE);
	model_unlock();
	bool expired = ouro_weak_expired(&cell[s->b % MODEL_CELLS]);
	model_lock();
	if (gone && !expired && c->version == version)
		model_broken("an expired weak reference is none any more");
	model_unlock();
}

static void run_watch(void *arg)
{
	model_lock();
	model_fired(arg);
	model_unlock();
}

static void step_watch(int t, const struct step *s)
{
	struct thing *x = real[t][handle_of(s->a)];
	model_lock();
	bool ok = x && model.n_watches < MODEL_WATCHES;
	int w = ok ? model.n_watches++ : 0;
	if (ok)
		model.watch[w].object = x->id;
	model_unlock();
	if (!ok)
		return;
	ouro_watch_id id = 0;
	int error = ouro_watch(x, run_watch, &model.watch[w], &id);
	model_lock();
	watch_id[w] = id;
	if (error)
		model.watch[w].state = MODEL_UNDONE;
	model_unlock();
}

static void step_unwatch(int t, const struct step *s)
{
	(void)t;
	model_lock();
	int w = model.n_watches ? s->a % model.n_watches : 0;
	ouro_watch_id id = watch_id[w];
	model_unlock();
	if (!id || !ouro_unwatch(id))
		return;
	model_lock();
	if (model.watch[w].state != MODEL_ARMED)
		model_broken("a watch is undone that has run, or was undone");
	model.watch[w].state = MODEL_UNDONE;
	model_unlock();
}

/* ---- the collector, and the thread ---- */

static void step_collect(int t, const struct step *s)
{
	(void)t;
	ouro_gc_collect(s->a % 3);
}

static void step_flush(int t, const struct step *s)
{
	(void)t, (void)s;
	ouro_flush();
}

static void step_freeze(int t, const struct step *s)
{
	(void)t;
	if (s->a & 1)
		ouro_gc_freeze();
	else
		ouro_gc_unfreeze();
}

static void step_finalizers(int t, const struct step *s)
{
	(void)t;
	ouro_run_finalizers(s->a % 4u + 1);
}

/* It may be one that another thread is just filling in. */
static bool visit_one(void *obj, void *left)
{
	if (!ouro_refcount(obj) || !ouro_typeof(obj))
		model_broken("a listing visits %p, which nobody holds", obj);
	return --*(int *)left > 0;
}

static void step_list(int t, const struct step *s)
{
	struct thing *x = real[t][handle_of(s->b)];
	int left = 20;
	if (s->a % 3 == 0)
		ouro_gc_objects(-1, visit_one, &left);
	else if (s->a % 3 == 1)
		ouro_gc_referrers(x, visit_one, &left);
	else
		ouro_gc_referents(x, visit_one, &left);
}

static void step_settings(int t, const struct step *s)
{
	(void)t;
	if (s->a & 1)
		ouro_gc_enable();
	else
		ouro_gc_disable();
	ouro_gc_set_threshold(s->a & 2 ? -1 : s->b % 8, 1 + (s->b & 1), 1);
}

static void step_leave(int t, const struct step *s)
{
	(void)t, (void)s;
	ouro_thread_detach();
}

/* Garbage at once, but for a weak reference: what a collection and an upgrade meet over. */
static void step_ring(int t, const struct step *s)
{
	uint8_t a = s->a % MODEL_HANDLES, b = (uint8_t)((a + 1) % MODEL_HANDLES);
	step_new(t, &(struct step){ .a = a, .b = s->b / 4 % (THING_LAZARUS + 1) });
	step_new(t, &(struct step){ .a = b, .b = s->b / 16 % THING_KINDS });
	step_store(t, &(struct step){ .a = a, .b = b });
	step_store(t, &(struct step){ .a = b, .b = a });
	step_weak_store(t, &(struct step){ .a = s->b & 0x80 ? a : b, .b = s->b % MODEL_CELLS });
	drop(t, a);
	drop(t, b);
}

static void (*const steps[])(int t, const struct step *s) = {
	step_new, step_new, step_new, step_drop, step_copy, step_store, step_store, step_give,
	step_take, step_exchange, step_compare_exchange, step_load, step_load, step_peek,
	step_weak_store, step_weak_load, step_weak_load, step_expired, step_watch, step_unwatch,
	step_collect, step_flush, step_freeze, step_finalizers, step_list, step_settings,
	step_leave, step_immortalize, step_bury, step_ring, step_ring,
};
/* These came later: what the corpus says of the others stays as it is. */
static void (*const more_steps[])(int t, const struct step *s) = {
	CONTAINER_STEPS, LATER_CONTAINER_STEPS
};
enum {
	STEPS = sizeof steps / sizeof *steps,
	SEND = STEPS,
	STALL,
	SETTLE,
	MORE,
	WHATS = MORE + sizeof more_steps / sizeof *more_steps
};

static void run_step(int thread, const void *arg)
{
	const struct step *s = arg;
	int what = s->what % WHATS;
	(what < MORE ? steps[what] : more_steps[what - MORE])(thread, s);
}

/* ---- all at rest ---- */

static void check_watches(void)
{
	for (int w = 0; w < model.n_watches; w++) {
		struct model_watch *watch = &model.watch[w];
		struct model_object *o = &model.object[watch->object];
		bool dead = o->state == MODEL_DESTROYED || (!o->reached && o->kind == THING_PLAIN);
		if (watch->state == MODEL_ARMED && dead)
			model_broken("the watch of object %d has not run", watch->object);
	}
}

/* Returns how many objects there should be, and are, as far as they tell. */
static size_t check_objects(void)
{
	size_t n = (size_t)model_reach();
	for (int i = 0; i < model.n; i++) {
		struct model_object *o = &model.object[i];
		if (o->reached && o->state == MODEL_DESTROYED)
			model_broken("object %d is held, and destroyed", i);
		if (!o->reached && o->state == MODEL_ALIVE && thing_tells((enum thing_kind)o->kind))
			model_broken("object %d is held by nobody, and was not destroyed", i);
	}
	check_watches();
	return n;
}

static uint64_t version_now(void)
{
	model_lock();
	uint64_t version = model.version;
	model_unlock();
	return version;
}

static void collect_all(void)
{
	uint64_t version;
	bool all;
	ouro_gc_unfreeze();
	do {
		all = keyed_rest();
		version = version_now();
		ouro_gc_collect(2);
		while (manual && ouro_run_finalizers(100))
			;
		ouro_flush();
	} while (!all || version_now() != version); /* what callbacks let go of dies, too */
}

static void settle(void)
{
	ouro_stats st;
	crew_settle();
	cache_rest();
	collect_all();
	model_lock();
	size_t n = check_objects();
	model_unlock();
	n += containers_check();
	ouro_stats_get(&st);
	if (st.objects_live != n)
		model_broken("%zu objects live, and %zu should", (size_t)st.objects_live, n);
	cache_goes_on();
}

/* ---- the program ---- */

static void send(const struct step *s)
{
	int from = s->who % MODEL_THREADS, to = (from + 1) % MODEL_THREADS;
	crew_settle();
	struct thing **a = &real[from][handle_of(s->a)], **b = &real[to][handle_of(s->b)], *x = *a;
	int *ma = &model.handle[from][handle_of(s->a)], *mb = &model.handle[to][handle_of(s->b)];
	*a = *b, *b = x;
	model_lock();
	int m = *ma;
	*ma = *mb, *mb = m;
	model_unlock();
}

static void run(const struct step *s, bool free)
{
	int what = s->what % WHATS, thread = s->who % MODEL_THREADS;
	if (what == SEND)
		send(s);
	else if (what == STALL)
		crew_stall(thread, 1 + s->a % (s->b & 0x80 ? 64u : 8u)); /* few, or many */
	else if (what == SETTLE)
		settle();
	else
		crew_step(thread, run_step, s, free && s->who & 0x40);
}

static void start(uint8_t config)
{
	ouro_config c = OURO_CONFIG_DEFAULT;
	manual = config & 1;
	c.finalizers = manual ? OURO_FINALIZERS_MANUAL : OURO_FINALIZERS_THREAD;
	c.enabled = !(config & 2);
	c.release_batch = config & 4 ? 2 : 10000;
	c.gc_threads = config & 8 ? 2 : 1;
	c.pin_warn_ns = 0;
	if (ouro_init(&c))
		model_broken("ouro_init");
	model_reset();
	memset(watch_id, 0, sizeof watch_id);
	if (config & 16)
		containers_begin();
	if (config & 32)
		later_containers_begin();
	crew_begin(MODEL_THREADS);
}

static void let_go(int thread, const void *arg)
{
	(void)arg;
	for (int h = 0; h < MODEL_HANDLES; h++)
		drop(thread, h);
	ouro_thread_detach();
}

static void empty_roots(void)
{
	for (int i = 0; i < MODEL_ROOTS; i++) {
		model_lock();
		model.root[i].value = NONE;
		model.version++;
		model_unlock();
		ouro_store(&root[i], NULL);
	}
	for (int i = 0; i < MODEL_CELLS; i++)
		ouro_weak_clear(&cell[i]);
}

/* Immortal ones, too. */
static void check_all_over(void)
{
	for (int i = 0; i < model.n; i++)
		if (model.object[i].state == MODEL_ALIVE &&
		    thing_tells((enum thing_kind)model.object[i].kind))
			model_broken("object %d outlives ouro_shutdown", i);
	for (int w = 0; w < model.n_watches; w++)
		if (model.watch[w].state == MODEL_ARMED)
			model_broken("a watch has not run by ouro_shutdown");
}

static void end_program(void)
{
	ouro_report report;
	settle();
	for (int t = 0; t < MODEL_THREADS; t++)
		crew_step(t, let_go, NULL, false);
	empty_roots();
	containers_end();
	settle();
	while (bury(0))
		settle();
	crew_end();
	model_lock();
	model.ending = true;
	model_unlock();
	if (ouro_shutdown(&report) || report.objects)
		model_broken("ouro_shutdown: %zu objects held", report.objects);
	check_all_over();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	enum { STEPS_MAX = 300 };
	if (size < 1 + sizeof(struct step))
		return 0;
	start(data[0]);
	static struct step step[STEPS_MAX]; /* those under way are read by other threads */
	size_t n = (size - 1) / sizeof *step;
	n = n > STEPS_MAX ? STEPS_MAX : n;
	memcpy(step, data + 1, n * sizeof *step);
	for (size_t i = 0; i < n; i++)
		run(&step[i], data[0] & 0x80);
	end_program();
	return 0;
}
