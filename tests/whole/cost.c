/*
 * cost.c - carries out each operation for test_cost.sh to count, under callgrind
 *
 * callgrind counts inside the functions of the library alone, on whichever thread, and writes down
 * what it has at the end of each row of the table in lib/README.md, with the row's name. Nothing of
 * the caller is in it, the call instruction included. Every operation is carried out a few times
 * first, so that it is on its fast path. Then all lines but the stack's are driven out of the
 * simulated data cache: what misses there are the lines that the operation touches.
 */
#include <linux/membarrier.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <valgrind/callgrind.h>

#include <ouro.h>

enum { LINE = 64, CACHE = 8192 /* bytes, as in test_cost.sh */, ROUNDS = 8, NO_FAST_PATH = 77 };

/* Each with its header exactly one line. */
struct node {
	struct node *left, *right;
	uint64_t value[4];
};
struct leaf {
	uint64_t value[6];
};
struct list {
	uint64_t value, items[];
};
#define TYPE static const ouro_type __attribute__((aligned(LINE)))
TYPE node_type = { .name = "node", .size = sizeof(struct node), .slots = OURO_SLOTS(struct node, left, right) };
TYPE leaf_type = { .name = "leaf", .size = sizeof(struct leaf) };
TYPE list_type = { .name = "list", .size = offsetof(struct list, items), .item_size = sizeof(uint64_t) };
enum { LIST_ITEMS = 4 };

/* In lines of their own: what the caller reads must not bring in what the library will read. */
static struct {
	ouro_weak word;
} cell __attribute__((aligned(LINE)));
static struct {
	struct node *published, *private, *dying[ROUNDS + 1];
	pthread_barrier_t barrier;
} others __attribute__((aligned(LINE)));

static __attribute__((noinline)) void cool(void)
{
	static volatile char elsewhere[4 * CACHE] __attribute__((aligned(LINE)));
	volatile char stack[16 * LINE];
	__asm__ volatile("" : : "r"(stack) : "memory"); /* else clang keeps 16 bytes of it */
	for (size_t i = 0; i < sizeof elsewhere; i += LINE)
		elsewhere[i] = 0; /* a store: valgrind leaves out loads whose value nobody uses */
	for (size_t i = 0; i < sizeof stack; i += LINE)
		stack[i] = 0;
}

#define COST(name, before, operation, after) \
	do { \
		for (int round_ = 0; round_ < ROUNDS; round_++) { \
			before; \
			(void)(operation); \
			after; \
		} \
		before; \
		cool(); \
		CALLGRIND_ZERO_STATS; \
		(void)(operation); \
		CALLGRIND_DUMP_STATS_AT(name); \
		after; \
	} while (0)

/* Of many alike. */
#define COST_OF_EACH(name, n, operations) \
	do { \
		operations; \
		CALLGRIND_ZERO_STATS; \
		operations; \
		CALLGRIND_DUMP_STATS_AT(name "/" #n); \
	} while (0)

static void *made(void *obj)
{
	if (!obj)
		abort();
	return obj;
}

/* ---- another thread, which makes objects, and sleeps while the main thread uses them ---- */

static void meet(void)
{
	pthread_barrier_wait(&others.barrier);
}

static void *make_others(void *arg)
{
	struct node *slot = NULL;
	(void)arg;
	others.published = made(ouro_new(&node_type));
	others.private = made(ouro_new(&node_type));
	ouro_store(&slot, others.published);
	for (int i = 0; i <= ROUNDS; i++)
		others.dying[i] = made(ouro_new(&node_type));
	meet();
	meet(); /* the main thread has a reference to each */
	for (int i = 0; i <= ROUNDS; i++)
		ouro_release(others.dying[i]);
	meet();
	meet(); /* the main thread has done with them */
	ouro_store(&slot, NULL);
	ouro_release(others.published);
	ouro_release(others.private);
	return NULL;
}

static pthread_t begin_others(void)
{
	pthread_t thread;
	if (pthread_barrier_init(&others.barrier, NULL, 2) || pthread_create(&thread, NULL, make_others, NULL))
		abort();
	meet();
	ouro_retain(others.published);
	ouro_retain(others.private);
	for (int i = 0; i <= ROUNDS; i++)
		ouro_retain(others.dying[i]);
	meet();
	meet();
	return thread;
}

static void end_others(pthread_t thread)
{
	ouro_release(others.published);
	ouro_release(others.private);
	meet();
	pthread_join(thread, NULL);
}

/* ---- the operations ---- */

static void count(struct node *own)
{
	struct node *foreign = others.published, *private = others.private;
	COST("ouro_retain by the owner", , ouro_retain(own), ouro_release(own));
	COST("ouro_retain by another thread", , ouro_retain(foreign), ouro_release(foreign));
	COST("ouro_release by the owner", ouro_retain(own), ouro_release(own), );
	COST("ouro_release by another thread", ouro_retain(foreign), ouro_release(foreign), );
	COST("ouro_release by another thread, never in a slot", ouro_retain(private), ouro_release(private), );
	COST("ouro_refcount", , ouro_refcount(own), );
	ouro_pin();
	COST("ouro_retain by the owner, pinned", , ouro_retain(own), ouro_release(own));
	COST("ouro_release by the owner, pinned", ouro_retain(own), ouro_release(own), );
	COST("ouro_try_retain by the owner, pinned", , ouro_try_retain(own), ouro_release(own));
	COST("ouro_try_retain by another thread, pinned", , ouro_try_retain(foreign), ouro_release(foreign));
	ouro_unpin();
	struct leaf *immortal = made(ouro_new(&leaf_type));
	ouro_immortalize(immortal);
	COST("ouro_retain of an immortal object", , ouro_retain(immortal), );
	COST("ouro_release of an immortal object", , ouro_release(immortal), );
}

static void make_and_kill(void)
{
	static struct node *slot;
	void *obj;
	int i = 0;
	COST("ouro_new, plain", , obj = made(ouro_new(&leaf_type)), ouro_release(obj));
	COST("ouro_new, traversable", , obj = made(ouro_new(&node_type)), ouro_release(obj));
	COST("ouro_new_items, plain", , obj = made(ouro_new_items(&list_type, LIST_ITEMS)), ouro_release(obj));
	COST("ouro_release, death, plain", obj = made(ouro_new(&leaf_type)), ouro_release(obj), );
	COST("ouro_release, death, traversable", obj = made(ouro_new(&node_type)), ouro_release(obj), );
	COST("ouro_release, death, traversable, once in a slot",
	     obj = made(ouro_new(&node_type)); ouro_store(&slot, obj); ouro_store(&slot, NULL), ouro_release(obj), );
	COST("ouro_release, death, another thread's", obj = others.dying[i++], ouro_release(obj), );
}

static void use_slots(struct node *own)
{
	struct node *box = made(ouro_new(&node_type)), *second = made(ouro_new(&node_type));
	struct node *foreign = others.published, **slot = &box->left;
	COST("ouro_load by the owner", ouro_store(slot, own), ouro_load(slot), ouro_release(own));
	COST("ouro_load by another thread", ouro_store(slot, foreign), ouro_load(slot), ouro_release(foreign));
	COST("ouro_load of NULL", ouro_store(slot, NULL), ouro_load(slot), );
	COST("ouro_store over NULL", ouro_store(slot, NULL), ouro_store(slot, own), );
	COST("ouro_store over another object", ouro_store(slot, own), ouro_store(slot, second), );
	COST("ouro_store of NULL", ouro_store(slot, own), ouro_store(slot, NULL), );
	COST("ouro_give over NULL", ouro_store(slot, NULL); ouro_retain(own), ouro_give(slot, own), );
	COST("ouro_take", ouro_store(slot, own), ouro_take(slot), ouro_release(own));
	COST("ouro_exchange", ouro_store(slot, own); ouro_retain(second), ouro_exchange(slot, second), ouro_release(own));
	COST("ouro_compare_exchange, true", ouro_store(slot, own), ouro_compare_exchange(slot, own, second), );
	COST("ouro_compare_exchange, false", ouro_store(slot, own), ouro_compare_exchange(slot, second, second), );
	COST("ouro_compare_give, true", ouro_store(slot, own); ouro_retain(second),
	     ouro_compare_give(slot, own, second), );
	ouro_pin();
	COST("ouro_peek", , ouro_peek(slot), );
	ouro_unpin();
	ouro_release(second);
	ouro_release(box);
}

static void use_cells(struct node *own)
{
	struct node *foreign = others.published, *dead = made(ouro_new(&node_type));
	COST("ouro_weak_store, not the first", , ouro_weak_store(&cell.word, own), );
	COST("ouro_weak_load by the owner", , ouro_weak_load(&cell.word), ouro_release(own));
	COST("ouro_weak_expired, false", , ouro_weak_expired(&cell.word), );
	COST("ouro_weak_is, true", , ouro_weak_is(&cell.word, own), );
	ouro_weak_store(&cell.word, foreign);
	COST("ouro_weak_load by another thread", , ouro_weak_load(&cell.word), ouro_release(foreign));
	ouro_weak_store(&cell.word, dead);
	ouro_release(dead);
	COST("ouro_weak_load, expired", , ouro_weak_load(&cell.word), );
	COST("ouro_weak_clear", , ouro_weak_clear(&cell.word), );
}

static void look(struct node *own)
{
	struct list *list = made(ouro_new_items(&list_type, LIST_ITEMS));
	COST("ouro_pin", , ouro_pin(), ouro_unpin());
	COST("ouro_unpin", ouro_pin(), ouro_unpin(), );
	COST("ouro_safepoint, pinned", ouro_pin(), ouro_safepoint(), ouro_unpin());
	COST("ouro_typeof", , ouro_typeof(own), );
	COST("ouro_items", , ouro_items(list), );
	ouro_release(list);
}

/* ---- cycles, from birth to free ---- */

static void drop_pairs(void)
{
	for (int i = 0; i < 20000; i++) {
		struct node *a = made(ouro_new(&node_type)), *b = made(ouro_new(&node_type));
		ouro_store(&a->left, b);
		ouro_store(&b->left, a);
		ouro_release(a);
		ouro_release(b);
	}
}

static void drop_ring(void)
{
	struct node *first = made(ouro_new(&node_type)), *last = ouro_retain(first);
	for (int i = 1; i < 1000; i++) {
		struct node *next = made(ouro_new(&node_type));
		ouro_store(&last->left, next);
		ouro_release(last);
		last = next;
	}
	ouro_store(&last->left, first);
	ouro_release(last);
	ouro_release(first);
}

/* A collector that comes by leaves the pairs to their thread, or this is tried again. */
static void die_in_cycles(void)
{
	ouro_gc_enable();
	COST_OF_EACH("a dead pair", 20000, drop_pairs());
	ouro_gc_disable();
	ouro_gc_collect(2);
	COST_OF_EACH("a node of a dead ring of 1000", 1000, drop_ring(); ouro_gc_collect(0));
}

/* ---- maps, all that a call does inside ---- */

enum { KEYS = 1000 };

static void get_keys(ouro_map *m, uint64_t from)
{
	for (uint64_t i = 0; i < KEYS; i++)
		ouro_release(ouro_map_get_int(m, from + i));
}

static void put_keys(ouro_map *m, uint64_t from, struct node *n)
{
	for (uint64_t i = 0; i < KEYS; i++)
		if (ouro_map_put_int(m, from + i, n) != 0)
			abort();
}

static void put_and_take_keys(ouro_map *m, uint64_t from, struct node *n)
{
	for (uint64_t i = 0; i < KEYS; i++) {
		if (ouro_map_put_int(m, from + i, n) != 0)
			abort();
		ouro_release(ouro_map_take_int(m, from + i));
	}
}

static void use_maps(struct node *own)
{
	ouro_map *m = made(ouro_map_new()), *cache;
	cache = made(ouro_map_new_with(&(ouro_map_options){ .max_entries = KEYS }));
	put_keys(m, 0, own);
	put_keys(cache, 0, own);
	COST_OF_EACH("a get of a key in a map", 1000, get_keys(m, 0));
	COST_OF_EACH("a get of a key not in a map", 1000, get_keys(m, KEYS));
	COST_OF_EACH("a put over a value of a map", 1000, put_keys(m, 0, own));
	COST_OF_EACH("a put and a take of a new key of a map", 1000, put_and_take_keys(m, KEYS, own));
	COST_OF_EACH("a get of a key in a map with max_entries", 1000, get_keys(cache, 0));
	ouro_release(cache);
	ouro_release(m);
}

int main(int argc, char **argv)
{
	(void)argv;
	if (syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) != 0)
		return NO_FAST_PATH; /* every entry goes the slow way: lib/world/gate.h */
	ouro_config config = OURO_CONFIG_DEFAULT;
	config.enabled = false;
	if (ouro_init(&config) != 0)
		return 1;
	struct node *own = made(ouro_new(&node_type));
	if (argc > 1) { /* for another set of functions: see test_cost.sh */
		use_maps(own);
		return 0;
	}
	pthread_t thread = begin_others();
	count(own);
	make_and_kill();
	use_slots(own);
	use_cells(own);
	look(own);
	end_others(thread);
	ouro_release(own);
	die_in_cycles();
	ouro_report report;
	return ouro_shutdown(&report) != 0 || report.objects != 0;
}
