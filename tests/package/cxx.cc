// cxx.cc - a program on ouro.hpp that checks itself: test_cxx.sh compiles and runs it.
#include <ouro.hpp>

#include <array>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <map>
#include <new>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <unordered_set>
#include <vector>

#define CHECK(what) \
	do { \
		if (!(what)) { \
			std::fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #what); \
			std::exit(1); \
		} \
	} while (0)

using ouro::make;
using ouro::ref;

static int n_destroyed, n_finalized, n_items, n_ignored;

struct node {
	ouro::slot<node> next, prev;
	ouro::weak<node> parent;
	std::string name;

	explicit node(std::string n) : name(std::move(n))
	{
		if (name == "throws")
			throw std::runtime_error("no node");
		if (name == "holds itself, throws") {
			next = ouro::share(this);
			prev = make<node>("made by one that throws");
			parent = ouro::share(this);
			throw std::runtime_error("no node");
		}
	}
	~node() { n_destroyed++; }
	OURO_TYPE(node, next, prev, parent, name)
};

static void references_count()
{
	ref<node> a = make<node>("a");
	CHECK(ouro_refcount(a.get()) == 1);
	ref<node> b = a, none;
	CHECK(ouro_refcount(a.get()) == 2 && a == b && a != none && !none && none == nullptr);
	ref<node> moved = std::move(b);
	CHECK(!b && moved == a && ouro_refcount(a.get()) == 2); // NOLINT: looked at on purpose
	b = moved;
	ref<node> &same = b;
	b = same;
	CHECK(ouro_refcount(a.get()) == 3);
	moved.reset();
	swap(b, moved);
	CHECK(!b && moved && ouro_refcount(a.get()) == 2);
	node *mine = moved.detach();
	CHECK(ouro_refcount(mine) == 2 && !moved);
	ref<node>::adopt(mine).reset();
	CHECK(ouro_refcount(a.get()) == 1);
	ref<const node> read_only = a;
	CHECK(read_only->name == "a" && ouro_refcount(a.get()) == 2 && read_only == a);
	a.reset();
	read_only.reset();
	CHECK(n_destroyed == 1);
}

static ouro::root<node> top;

static void slots_hold()
{
	ref<node> a = make<node>("a"), b = make<node>("b");
	a->next = b;
	CHECK(a->next == b && ouro_refcount(b.get()) == 2 && a->next->name == "b");
	a->next = std::move(b);
	CHECK(!b && a->next && ouro_refcount(a->next.load().get()) == 2);
	b = a->next.take();
	CHECK(a->next == nullptr && ouro_refcount(b.get()) == 1);
	CHECK(a->next.exchange(b) == nullptr && a->next == b);
	CHECK(a->next.exchange(nullptr) == b && !a->next);
	CHECK(a->next.compare_exchange(nullptr, b) && !a->next.compare_exchange(nullptr, a));
	CHECK(a->next.compare_exchange(b, a) && a->next == a);
	ref<node> given = b;
	CHECK(!a->next.compare_give(nullptr, given) && given == b);
	CHECK(a->next.compare_give(a.get(), given) && !given && ouro_refcount(b.get()) == 2);
	a->next = nullptr;
	{
		ouro::pin pinned;
		a->next = b;
		CHECK(a->next.peek(pinned) == b.get());
		pinned.safepoint();
	}
	top = a;
	a.reset();
	CHECK(top && top->next == b);
	top = nullptr;
	CHECK(ouro_refcount(b.get()) == 1 && n_destroyed == 2);
}

static void weak_references_expire()
{
	ref<node> a = make<node>("a");
	ouro::weak<node> w = a, copy = w, empty;
	std::vector<ouro::weak<node>> many(100, w);
	CHECK(w.is(a) && !w.is(nullptr) && empty.is(nullptr));
	CHECK(w.lock() == a && copy.lock() == a && !empty.lock() && empty.expired());
	CHECK(ouro_refcount(a.get()) == 1);
	a->parent = a;
	a.reset();
	CHECK(w.expired() && !copy.lock() && many[99].expired());
}

static void cycles_are_collected()
{
	ref<node> a = make<node>("a"), b = make<node>("b");
	ouro::weak<node> w = a;
	a->next = b;
	b->prev = a;
	b->parent = a;
	a.reset();
	b.reset();
	CHECK(!w.expired() && ouro_gc_collect(2) == 2 && w.expired());
}

static void constructors_throw()
{
	for (const char *how : { "throws", "holds itself, throws" }) {
		n_destroyed = 0;
		bool caught = false;
		try {
			ref<node> n = make<node>(how);
		} catch (const std::runtime_error &) {
			caught = true;
		}
		CHECK(caught && n_destroyed == (how[0] == 'h'));
		CHECK(ouro_gc_collect(2) == 0);
	}
}

/* A member that counts itself, and may throw, in its constructor or in its destructor. */
struct item {
	static int throw_at;
	item()
	{
		if (n_items == throw_at)
			throw std::runtime_error("no item");
		n_items++;
	}
	~item() { n_items--; }
};
int item::throw_at = -1;

struct holder {
	using ouro_item = item;
	int n = 0;
	explicit holder(bool throws) : n(static_cast<int>(ouro_items(this)))
	{
		if (throws)
			throw std::runtime_error("no holder");
	}
	OURO_TYPE(holder, n)
};

struct table {
	using ouro_item = ouro::slot<table>;
	long n;
	OURO_TYPE(table, n)
};

static void arrays_have_items()
{
	{
		ref<holder> h = ouro::make_items<holder>(7, false);
		CHECK(h->n == 7 && n_items == 7 && ouro::items(h).size() == 7);
	}
	CHECK(n_items == 0);
	try {
		ref<holder> h = ouro::make_items<holder>(7, true);
		CHECK(false);
	} catch (const std::runtime_error &) {
		CHECK(n_items == 0);
	}
	item::throw_at = 3;
	try {
		ref<holder> h = ouro::make_items<holder>(7, false);
		CHECK(false);
	} catch (const std::runtime_error &) {
		CHECK(n_items == 0);
	}
	item::throw_at = -1;
	{
		ref<table> t = ouro::make_items<table>(1000);
		for (auto &slot : ouro::items(t))
			CHECK(!slot);
		ouro::items(t)[999] = t;
		CHECK(ouro_refcount(t.get()) == 2 && t->n == 0);
	}
	CHECK(ouro_gc_collect(2) == 1);
}

/* ---- what a description finds ---- */

struct many {
	ouro::slot<many> kids[3];
	std::array<ouro::weak<many>, 2> cells;
	char letter;
	ouro::slot<many> last;
	ouro_weak plain;
	OURO_TYPE(many, kids, cells, letter, last, plain)
};
struct part {
	int n;
	ouro::slot<many> inside;
	OURO_TYPE(part, n, inside)
};
struct whole {
	long n;
	part parts[2];
	OURO_TYPE(whole, n, parts)
};
struct base {
	ouro::slot<base> left;
	int number = 1;
	virtual ~base() = default;
	OURO_TYPE(base, left, number)
};
struct derived : base {
	int more = 2;
	ouro::slot<base> right;
	OURO_TYPE_OF(derived, base, more, right)
};
struct leaf {
	int n;
	OURO_TYPE(leaf, n)
};

static bool field_is(const ouro_field &f, std::size_t offset, unsigned count)
{
	return f.offset == offset && f.count == count;
}

static void descriptions_are_right()
{
	const ouro_type *t = ouro::type_of<many>();
	CHECK(t->size == sizeof(many) && t->slots.n == 2 && t->weaks.n == 2 && !t->destroy);
	CHECK(field_is(t->slots.field[0], 0, 3) && field_is(t->slots.field[1], 48, 1));
	CHECK(field_is(t->weaks.field[0], 24, 2) && field_is(t->weaks.field[1], 56, 1));
	t = ouro::type_of<whole>();
	CHECK(t->slots.n == 2 && field_is(t->slots.field[0], 16, 1));
	CHECK(field_is(t->slots.field[1], 32, 1));
	t = ouro::type_of<derived>();
	CHECK(t->slots.n == 2 && field_is(t->slots.field[0], 8, 1) && t->destroy);
	CHECK(field_is(t->slots.field[1], sizeof(base), 1) || field_is(t->slots.field[1], 24, 1));
	CHECK(!ouro::type_of<leaf>()->destroy && ouro::type_of<leaf>()->slots.n == 0);
	static_assert(sizeof(ouro::slot<node>) == sizeof(node *));
	static_assert(sizeof(ref<node>) == sizeof(node *));
	static_assert(std::is_trivially_destructible_v<many>);
	static_assert(!std::is_copy_constructible_v<ouro::slot<node>>);
	static_assert(!std::is_move_constructible_v<ouro::slot<node>>);
}

static void casts_keep_counts()
{
	ref<derived> d = make<derived>();
	ref<base> b = d;
	CHECK(ouro_refcount(d.get()) == 2 && b->number == 1);
	CHECK(ouro::static_ref_cast<derived>(b)->more == 2);
	CHECK(ouro::dynamic_ref_cast<derived>(b) == d);
	CHECK(ouro_refcount(d.get()) == 2);
	CHECK(!ouro::dynamic_ref_cast<derived>(make<base>()));
	CHECK(ouro::exact_ref_cast<derived>(b) == d && !ouro::exact_ref_cast<base>(b));
	b->left = d;
	d->right = d;
	b = ouro::static_ref_cast<base>(std::move(d));
	CHECK(!d && ouro_refcount(b.get()) == 3); // NOLINT: looked at on purpose
	b.reset();
	CHECK(ouro_gc_collect(2) == 1);
}

/* ---- references in containers ---- */

struct tree {
	std::vector<ref<tree>> kids;
	std::map<std::string, std::optional<ref<tree>>> by_name;
	ref<tree> up;
	ouro::slot<tree> slot;
	OURO_TYPE(tree, kids, by_name, up, slot)
};

struct own_way {
	std::unique_ptr<std::vector<ref<own_way>>> kids;
	void trace(ouro::tracer &t) { t(kids); }
	OURO_TYPE(own_way, kids)
};

static void containers_are_traced()
{
	{
		ref<tree> t = make<tree>(), u = make<tree>();
		ouro::pin pinned;
		t->kids.push_back(u);
		u->up = t;
		u->by_name["t"] = t;
		u->slot = u;
	}
	CHECK(ouro_gc_collect(2) == 2);
	{
		ref<own_way> w = make<own_way>();
		ouro::pin pinned;
		w->kids = std::make_unique<std::vector<ref<own_way>>>(3, w);
	}
	CHECK(ouro_gc_collect(2) == 1);
}

static void standard_containers_hold()
{
	n_destroyed = 0;
	{
		std::vector<ref<node>> v;
		for (int i = 0; i < 100; i++)
			v.push_back(make<node>(std::to_string(i)));
		std::unordered_set<ref<node>> hashed(v.begin(), v.end());
		std::set<ref<node>> sorted(v.begin(), v.end());
		CHECK(hashed.size() == 100 && sorted.size() == 100 && hashed.count(v[7]) == 1);
		CHECK(ouro_refcount(v[7].get()) == 3);
		v.erase(v.begin(), v.begin() + 50);
	}
	CHECK(n_destroyed == 100);
}

/* ---- callbacks ---- */

struct loud {
	ouro::slot<loud> self;
	bool throws = true;
	void finalize()
	{
		n_finalized++;
		if (throws)
			throw std::runtime_error("out of a finalizer");
	}
	~loud() noexcept(false)
	{
		if (throws)
			throw 1;
	}
	OURO_TYPE(loud, self, throws)
};

static void hears(const char *type, const char *where)
{
	CHECK(std::string(type) == "loud");
	CHECK(std::string(where) == (n_ignored % 2 ? "destructor" : "finalizer"));
	try {
		throw;
	} catch (const std::runtime_error &e) {
		CHECK(std::string(e.what()) == "out of a finalizer");
	} catch (int one) {
		CHECK(one == 1);
	}
	n_ignored++;
}

static void exceptions_of_callbacks_are_heard_of()
{
	ouro::unhandled(hears);
	make<loud>().reset();
	CHECK(n_ignored == 2 && n_finalized == 1);
	{
		ref<loud> l = make<loud>();
		l->self = l;
	}
	CHECK(ouro_gc_collect(2) == 1 && n_ignored == 4 && n_finalized == 2);
	ouro::unhandled(nullptr);
	make<loud>().reset();
}

static ouro_queue queue;
static int n_queued;
struct queued {
	int n;
	void finalize() { n_queued++; }
	static ouro_queue *finalize_on() { return &queue; }
	OURO_TYPE(queued, n)
};

static void finalizers_wait_in_a_queue()
{
	make<queued>().reset();
	make<queued>().reset();
	CHECK(n_queued == 0 && ouro_queue_run(&queue, 1) == 1 && n_queued == 1);
	CHECK(ouro_queue_run(&queue, 100) == 1 && n_queued == 2 && ouro_queue_run(&queue, 1) == 0);
}

/* In a callback releases are put off: the object is on the list when make has returned. */
struct nested {
	int n;
	~nested()
	{
		for (int i = 0; i < 3; i++) {
			try {
				ref<node> r = make<node>("throws");
			} catch (const std::runtime_error &) {
				n_items++;
			}
		}
	}
	OURO_TYPE(nested, n)
};

static void constructors_throw_in_callbacks()
{
	n_destroyed = n_items = 0;
	make<nested>().reset();
	CHECK(n_items == 3 && n_destroyed == 0 && ouro_flush() == 0);
	CHECK(n_destroyed == 0);
}

/* ---- with C ---- */

struct c_node {
	struct c_node *next;
	int value;
};
static ouro_type describe_c_node()
{
	ouro_type t = {};
	t.name = "c_node";
	t.size = sizeof(c_node);
	t.slots = OURO_SLOTS(c_node, next);
	return t;
}
static const ouro_type c_node_type = describe_c_node();
OURO_C_TYPE(c_node, c_node_type);

static void c_objects_are_shared()
{
	{
		ref<c_node> n = make<c_node>();
		ouro::as_slot(n->next) = n;
		c_node *same = ouro_load(&n->next);
		CHECK(same == n.get() && ouro_refcount(n.get()) == 3);
		ouro_release(same);
		n = ref<c_node>::adopt(static_cast<c_node *>(ouro_new(&c_node_type)));
		CHECK(n->value == 0);
	}
	CHECK(ouro_gc_collect(2) == 1);
}

struct session {
	ouro::slot<ouro::map<session>> in;
	ouro::slot<ouro::vec<session>> row;
	int id;

	explicit session(int i) : id(i) {}
	~session() { n_destroyed++; }
	OURO_TYPE(session, in, row, id)
};

template <class F> static bool throws_bad_value(F f)
{
	try {
		f();
	} catch (const std::invalid_argument &) {
		return true;
	}
	return false;
}

static void maps_have_types()
{
	n_destroyed = 0;
	ref<ouro::map<session>> m = ouro::map<session>::make();
	ref<session> a = make<session>(1), b = make<session>(2), none;
	m->put(7, a);
	m->put("seven", b);
	CHECK(m->get(7) == a && m->get("seven") == b && !m->get(8) && !m->get("7") && !m->get(0));
	CHECK(!m->put_if_absent(7, b) && m->put_if_absent(0, b) && m->size() == 3);
	CHECK(!m->replace(8, a) && m->replace("seven", a) && m->get("seven") == a);
	CHECK(!m->replace(7, b, a) && m->replace(7, a, b) && !m->replace(7, none, a));
	CHECK(m->get(7) == b && ouro_refcount(a.get()) == 2);
	CHECK(throws_bad_value([&] { m->put(7, none); }));
	CHECK(throws_bad_value([&] { m->put_if_absent("x", none); }));
	CHECK(m->take(0) == b && !m->take(0) && m->remove("seven") && !m->remove("seven"));
	int met = 0;
	CHECK(m->each([&](ouro::map_key key, session &s) {
		met++;
		return key.is_number() && key.number() == 7 && s.id == 2;
	}));
	CHECK(met == 1);
	m->put("bytes\0", a);
	CHECK(!m->each([&](ouro::map_key key, session &) {
		return key.is_number() || key.bytes() != "bytes";
	}));
	int refs = static_cast<int>(ouro_refcount(a.get()) + ouro_refcount(b.get()));
	try {
		m->each([](ouro::map_key, session &) -> bool { throw 5; });
		CHECK(false);
	} catch (int thrown) {
		CHECK(thrown == 5);
	}
	CHECK(static_cast<int>(ouro_refcount(a.get()) + ouro_refcount(b.get())) == refs);
	m->clear();
	CHECK(m->size() == 0 && n_destroyed == 0);
	a->in = m;
	m->put(1, a);
	m.reset();
	a.reset();
	b.reset();
	CHECK(n_destroyed == 1 && ouro_gc_collect(2) >= 2 && n_destroyed == 2);
}

using sessions = ouro::map<session>;

static void maps_have_limits()
{
	n_destroyed = 0;
	ref<session> a = make<session>(1), b = make<session>(2), none;
	ref<sessions> m = sessions::make({ 2, {} });
	for (std::uint64_t i = 0; i < 10; i++)
		m->put(i, a);
	CHECK(m->size() == 2);
	CHECK(throws_bad_value([&] { m->put_for(1, a, std::chrono::hours(1)); }));
	CHECK(throws_bad_value([&] { m->put_for(1, none, std::chrono::hours(1)); }));
	CHECK(throws_bad_value([&] { (void)sessions::make({ 0, std::chrono::seconds(-1) }); }));

	m = sessions::make({ 0, ouro::for_ever });
	m->put_for("short", a, std::chrono::milliseconds(1));
	m->put_for("over", a, std::chrono::seconds(-5));
	m->put_for(1, a, std::chrono::duration<double, std::pico>(1000));
	m->put_for(2, b, std::chrono::hours::max());
	m->put_for(3, b, std::chrono::duration<double>(1e300));
	m->put_for(4, b, std::chrono::duration<int>(3600));
	m->put_for(5, b, std::chrono::nanoseconds::max());
	m->put_for("min", a, std::chrono::hours::min());
	m->put("ever", b);
	CHECK(!m->get("over") && !m->get("min"));
	std::this_thread::sleep_for(std::chrono::milliseconds(3));
	CHECK(!m->get("short") && !m->get(1) && m->get("ever") == b);
	for (std::uint64_t i = 2; i <= 5; i++)
		CHECK(m->get(i) == b);
	m.reset();
	CHECK(n_destroyed == 0);
}

static int n_told;

static void count_told(ouro::map_key key, session &s, ouro_map_reason why)
{
	n_told += key.is_number() && s.id == 1 && why == OURO_MAP_FULL;
}

/* Its slot is seen by the collector, so that a cycle by way of it is no leak. */
struct moves_down {
	ouro::slot<sessions> below;

	explicit moves_down(const ref<sessions> &m) { below = m; }
	moves_down(moves_down &&other) noexcept { below = other.below.take(); }
	void operator()(ouro::map_key key, session &s, ouro_map_reason) const
	{
		if (key.is_number())
			below->put(key.number(), ouro::share(&s));
	}
	OURO_TYPE(moves_down, below)
};

static void evicted_values_are_told_of()
{
	n_destroyed = n_told = 0;
	ref<session> a = make<session>(1);
	ref<sessions> m = sessions::make({ 1, {} }, count_told);
	for (std::uint64_t i = 0; i < 10; i++)
		m->put(i, a);
	CHECK(n_told == 9);

	/* A function of its own, with what it holds: as long as the map is there. */
	ref<session> kept = make<session>(7);
	std::vector<std::string> keys;
	m = sessions::make({ 1, {} }, [&keys, kept](ouro::map_key key, session &, ouro_map_reason) {
		keys.emplace_back(key.bytes());
		if (kept->id == 7 && keys.size() == 2)
			throw std::runtime_error("out of an on_evict");
	});
	for (const char *key : { "a", "b", "c", "d" })
		m->put(key, a);
	CHECK(keys == std::vector<std::string>({ "a", "b", "c" }));
	CHECK(ouro_refcount(kept.get()) == 2);
	m.reset();
	CHECK(ouro_refcount(kept.get()) == 1);
	std::function<void(ouro::map_key, session &, ouro_map_reason)> f = count_told;
	m = sessions::make({ 1, {} }, f);
	m->put(1, a);
	m->put(2, a);
	CHECK(n_told == 10);

	ref<sessions> below = sessions::make();
	m = sessions::make({ 1, {} }, moves_down(below));
	ref<session> holder = make<session>(2);
	holder->in = m;
	below->put("holder", holder);
	for (std::uint64_t i = 0; i < 10; i++)
		m->put(i, a);
	CHECK(below->size() == 10);
	holder.reset();
	below.reset();
	m.reset();
	a.reset();
	kept.reset();
	CHECK(n_destroyed == 1 && ouro_gc_collect(2) > 0 && n_destroyed == 3);
}

/* Of a map or a weak map. */
template <class M> static void values_are_made_once()
{
	ref<M> m = M::make();
	int n = 0;
	auto once = [&] {
		n++;
		return make<session>(n);
	};
	ref<session> a = m->get_or_create(1, once), b = m->get_or_create(1, once);
	CHECK(a == b && a->id == 1 && n == 1 && m->get(1) == a);
	ref<session> c = m->get_or_create("12", [](ouro::map_key key) {
		return make<session>(std::stoi(std::string(key.bytes())));
	});
	CHECK(c->id == 12 && m->get("12") == c);
	try {
		ref<session> never = m->get_or_create(2, []() -> ref<session> { throw 5; });
		CHECK(false);
	} catch (int thrown) {
		CHECK(thrown == 5);
	}
	CHECK(!m->get_or_create(2, [] { return ref<session>(); }) && m->size() == 2);
	errno = ENOMEM;
	CHECK(!m->get_or_create(2, [] { errno = ENOMEM; return ref<session>(); }));
	try {
		ref<session> never = m->get_or_create(2, [&] { return m->get_or_create(2, once); });
		CHECK(false);
	} catch (const std::system_error &e) {
		CHECK(e.code().value() == EDEADLK);
	}
	ref<session> d = m->get_or_create(2, once);
	CHECK(d->id == 2 && m->size() == 3);

	/* However many ask: what one of them keeps is made once. */
	constexpr std::size_t keys = 100;
	std::atomic<int> n_made{ 0 };
	std::vector<std::vector<ref<session>>> got(4);
	std::vector<std::thread> running;
	for (auto &mine : got)
		running.emplace_back([&] {
			for (std::size_t k = 0; k < keys; k++)
				mine.push_back(m->get_or_create(100 + k, [&] {
					return make<session>(n_made++);
				}));
		});
	for (auto &t : running)
		t.join();
	CHECK(n_made == keys);
	for (auto &theirs : got)
		CHECK(theirs == got[0]);
}

static void weak_maps_have_types()
{
	n_destroyed = 0;
	ref<ouro::weak_map<session>> m = ouro::weak_map<session>::make();
	ref<session> a = make<session>(1), b = make<session>(2), none;
	m->put(7, a);
	m->put("seven", b);
	CHECK(ouro_refcount(a.get()) == 1 && m->get(7) == a && m->get("seven") == b && !m->get(8));
	CHECK(!m->put_if_absent(7, b) && m->put_if_absent("b", b) && m->size() == 3);
	CHECK(throws_bad_value([&] { m->put(7, none); }));
	CHECK(throws_bad_value([&] { m->put_if_absent("x", none); }));
	CHECK(m->remove("seven") && !m->remove("seven") && !m->remove(8));
	int sum = 0;
	CHECK(m->each([&](ouro::map_key key, session &s) {
		sum += key.is_number() ? s.id : 10 * s.id;
		return true;
	}));
	CHECK(sum == 21);
	a.reset();
	CHECK(n_destroyed == 1 && !m->get(7) && m->size() == 1);
	m->clear();
	CHECK(m->size() == 0 && n_destroyed == 1);
	/* It keeps nothing, so a value may hold it. */
	ouro::weak<ouro::weak_map<session>> w = m;
	m.reset();
	CHECK(w.expired());
}

struct user {
	ouro::key_slot values;
	ouro::slot<user> boss;
	ouro::slot<session> kept[2];
	int id;

	explicit user(int i) : id(i)
	{
		if (i < 0) {
			other->put(this, make<session>(i));
			throw std::runtime_error("no user");
		}
	}
	OURO_TYPE(user, values, boss, kept, id)
	static inline ref<ouro::key_map<user, session>> other;
};

/* So many slots that their names have no room: adjacent ones are one field then, but the key's. */
struct many_slots {
	ouro::key_slot values;
	ouro::slot<node> s1, s2, s3, s4, s5, s6, s7, s8, s9, s10, s11, s12, s13, s14, s15, s16;
	OURO_TYPE(many_slots, values, s1, s2, s3, s4, s5, s6, s7, s8, s9, s10, s11, s12, s13, s14,
		  s15, s16)
};

static void key_maps_have_types()
{
	n_destroyed = 0;
	using map = ouro::key_map<user, session>;
	ref<map> m = map::make();
	ref<user> u = make<user>(1), v = make<user>(2), nobody;
	ref<session> a = make<session>(10), none;
	m->put(u, a);
	CHECK(m->get(u) == a && m->get(u.get()) == a && !m->get(v) && !m->get(nobody));
	CHECK(!m->put_if_absent(u, a) && m->put_if_absent(v, make<session>(20)) && m->size() == 2);
	CHECK(throws_bad_value([&] { m->put(u, none); }));
	CHECK(throws_bad_value([&] { m->put(nobody, a); }));
	CHECK(throws_bad_value([&] { m->put_if_absent(v, none); }));
	int sum = 0;
	CHECK(m->each([&](user &key, session &value) {
		sum += key.id * value.id;
		return true;
	}));
	CHECK(sum == 10 + 40);
	CHECK(ouro_refcount(v.get()) == 1);
	v.reset();
	CHECK(n_destroyed == 1 && m->size() == 1);
	CHECK(m->remove(u) && !m->remove(u) && !m->get(u) && m->size() == 0);
	m->put(u.get(), a);
	u->boss = u;
	ouro::weak<user> gone = u;
	u.reset();
	a.reset();
	CHECK(ouro_gc_collect(2) > 0 && gone.expired() && n_destroyed == 2);

	/* What a constructor put there before it threw goes with the object. */
	user::other = m;
	try {
		ref<user> never = make<user>(-1);
		CHECK(false);
	} catch (const std::runtime_error &) {
	}
	CHECK(m->size() == 0 && n_destroyed == 3);
	user::other.reset();

	using others = ouro::key_map<many_slots, node>;
	ref<others> o = others::make();
	ref<many_slots> key = make<many_slots>();
	ref<node> n = make<node>("n");
	key->s16 = n;
	o->put(key, n);
	CHECK(o->get(key) == n);
	CHECK(ouro_refcount(n.get()) == 3);
	key.reset();
	CHECK(ouro_refcount(n.get()) == 1);

	/* Of a class without a key_slot no object may be a key. */
	ref<ouro::key_map<node, node>> wrong = ouro::key_map<node, node>::make();
	CHECK(throws_bad_value([&] { wrong->put(n, n); }) && !wrong->get(n) && !wrong->remove(n));
	CHECK(throws_bad_value([&] { wrong->put_if_absent(n, n); }));
	m->put(make<user>(3), make<session>(30));
	m->clear();
	CHECK(m->size() == 0);
}

static void vectors_have_types()
{
	n_destroyed = 0;
	ref<ouro::vec<session>> v = ouro::vec<session>::make(10);
	ref<session> a = make<session>(1), b = make<session>(2), none;
	CHECK(v->push(a) == 0 && v->push(b) == 1 && v->size() == 2);
	CHECK(v->get(0) == a && (*v)[1] == b && !v->get(2));
	CHECK(v->set(0, b) && !v->set(2, b) && v->get(0) == b);
	CHECK(!v->compare_set(0, a, a) && v->compare_set(0, b, a) && !v->compare_set(5, a, a));
	CHECK(!v->compare_set(0, none, b));
	CHECK(throws_bad_value([&] { v->push(none); }));
	CHECK(throws_bad_value([&] { v->set(0, none); }));
	std::size_t sum = 0;
	CHECK(v->each([&](std::size_t i, session &s) {
		sum += i * 10 + static_cast<std::size_t>(s.id);
		return true;
	}));
	CHECK(sum == 1 + 12);
	CHECK(v->pop() == b && v->pop() == a && !v->pop());
	v->reserve(1000);
	v->push(b);
	v->clear();
	a->row = v;
	v->push(a);
	v.reset();
	a.reset();
	b.reset();
	CHECK(n_destroyed == 1 && ouro_gc_collect(2) >= 2 && n_destroyed == 2);
}

static void bytes_are_looked_up()
{
	ref<ouro::bytes> a = ouro::bytes::make("some bytes"), b = ouro::bytes::make("some bytes");
	ref<ouro::bytes> c = ouro::bytes::make({});
	CHECK(a != b && *a == *b && *a != *c && a->view() == "some bytes" && a->data()[10] == 0);
	CHECK(c->size() == 0 && a->hash() == b->hash());
	std::unordered_set<ref<ouro::bytes>, ouro::bytes_hash, ouro::bytes_equal> set;
	CHECK(set.insert(a).second && !set.insert(b).second && set.insert(c).second);
	CHECK(set.count(b) == 1 && set.size() == 2);
}

struct inner {
	ouro::slot<node> left, right;
	OURO_TYPE(inner, left, right)
};

struct outer {
	ouro::slot<node> first;
	inner middle;
	ouro::slot<node> last[2];
	OURO_TYPE(outer, first, middle, last)
};

/* Rows of what has names, of several in a row, of bare slots. */
struct row {
	using ouro_item = outer;
	long n;
	OURO_TYPE(row, n)
};

struct pairs {
	using ouro_item = std::array<ouro::slot<node>, 2>;
	long n;
	OURO_TYPE(pairs, n)
};

/* What a drawing of what is below @obj calls its slots. */
static void shows(void *obj, std::initializer_list<const char *> names, const char *not_shown)
{
	char *text = nullptr;
	std::size_t size;
	std::FILE *f = open_memstream(&text, &size);
	CHECK(f && ouro_dump_dot(f, obj, 10) == 0);
	std::fclose(f);
	for (const char *name : names)
		if (!std::strstr(text, ('"' + std::string(name) + '"').c_str())) {
			std::fprintf(stderr, "%s\n%s\n", name, text);
			CHECK(!name);
		}
	CHECK(!std::strstr(text, not_shown));
	std::free(text);
}

static void fields_have_names()
{
	ref<outer> o = make<outer>();
	ref<node> n = make<node>("n");
	o->first = n;
	o->middle.right = n;
	o->last[1] = n;
	shows(o.get(), { "first", "middle.right", "last[1]" }, "left");

	ref<row> r = ouro::make_items<row>(9);
	ouro::items(r)[0].first = n;
	ouro::items(r)[7].middle.right = n;
	ouro::items(r)[8].last[1] = n;
	shows(r.get(), { "[0].first", "[7].middle.right", "[8].last[1]" }, "left");

	ref<pairs> p = ouro::make_items<pairs>(3);
	ouro::items(p)[1][0] = n;
	ouro::items(p)[2][1] = n;
	shows(p.get(), { "[1][0]", "[2][1]" }, "[0][");
	CHECK(n->next == nullptr && ouro_refcount(n.get()) == 9);

	ref<table> t = ouro::make_items<table>(5);
	ouro::items(t)[4] = t;
	shows(t.get(), { "[4]" }, "[0]");
	ouro::items(t)[4] = nullptr;
}

static void out_of_memory_is_thrown()
{
	CHECK(ouro_shutdown(nullptr) == 0);
	ouro_config cfg = OURO_CONFIG_DEFAULT;
	cfg.heap_limit = 40 << 20;
	CHECK(ouro_init(&cfg) == 0);
	bool caught = false;
	try {
		ref<table> t = ouro::make_items<table>(100 << 20);
	} catch (const std::bad_alloc &) {
		caught = true;
	}
	CHECK(caught);
}

/* Threads that share one object, each with slots of its own and a common one. */
static void threads_share()
{
	constexpr int threads = 4, rounds = 2000;
	ref<many> shared = make<many>();
	std::vector<std::thread> running;
	for (int i = 0; i < threads; i++)
		running.emplace_back([shared, i] {
			for (int k = 0; k < rounds; k++) {
				ref<many> m = make<many>();
				m->last = shared;
				shared->kids[i % 3] = m;
				ref<many> other = shared->last.exchange(m);
				shared->cells[0] = other;
				ref<many> held = shared->cells[0].lock();
				m->kids[0] = held ? held : shared;
			}
		});
	for (auto &t : running)
		t.join();
}

int main()
{
	ouro_gc_disable();
	references_count();
	slots_hold();
	weak_references_expire();
	cycles_are_collected();
	constructors_throw();
	arrays_have_items();
	descriptions_are_right();
	casts_keep_counts();
	containers_are_traced();
	standard_containers_hold();
	exceptions_of_callbacks_are_heard_of();
	constructors_throw_in_callbacks();
	finalizers_wait_in_a_queue();
	c_objects_are_shared();
	maps_have_types();
	maps_have_limits();
	evicted_values_are_told_of();
	values_are_made_once<ouro::map<session>>();
	values_are_made_once<ouro::weak_map<session>>();
	weak_maps_have_types();
	key_maps_have_types();
	vectors_have_types();
	bytes_are_looked_up();
	fields_have_names();
	out_of_memory_is_thrown();
	threads_share();
	ouro_report report;
	CHECK(ouro_shutdown(&report) == 0 && report.objects == 0);
	return 0;
}
