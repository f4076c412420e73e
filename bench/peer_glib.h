/*
 * peer_glib.h - GObject, GWeakRef and the slice allocator of glib, or rows that say they are not there
 *
 * gobject<N>: an object with N bytes of payload behind glib's own, of a type of its own without anything else: no
 * properties, no signals, no virtual function. Both kinds make(), ref() and unref() objects by address only.
 */
#ifndef OURO_BENCH_PEER_GLIB_H
#define OURO_BENCH_PEER_GLIB_H

#include <benchmark/benchmark.h>

#ifdef HAVE_GOBJECT

#include <glib-object.h>

struct glib {
	static bool load(benchmark::State &) { return true; }
};

template <size_t N> struct gobject : glib {
	struct instance {
		GObject object;
		char payload[N];
	};
	static void *make()
	{
		static const GType type = enroll();
		return g_object_new(type, nullptr);
	}
	static void ref(void *p) { g_object_ref(p); }
	static void unref(void *p) { g_object_unref(p); }

private:
	static GType enroll()
	{
		GTypeInfo info = {};
		char name[32];

		g_snprintf(name, sizeof name, "BenchObject%zu", N);
		info.class_size = sizeof(GObjectClass);
		info.instance_size = sizeof(instance);
		return g_type_register_static(G_TYPE_OBJECT, name, &info, static_cast<GTypeFlags>(0));
	}
};

class gweak : public glib {
public:
	void init() { g_weak_ref_init(&cell, nullptr); }
	void store(void *p) { g_weak_ref_set(&cell, p); }
	void *load_strong() { return g_weak_ref_get(&cell); }
	void clear() { g_weak_ref_clear(&cell); }

private:
	GWeakRef cell;
};

template <size_t N> struct gslice : glib {
	static void *alloc(size_t) { return g_slice_alloc(N); }
	static void release(void *p) { g_slice_free1(N, p); }
};

#else

struct glib {
	static bool load(benchmark::State &state)
	{
		state.SkipWithError("libglib2.0-dev is not installed");
		return false;
	}
};

template <size_t> struct gobject : glib {
	static void *make() { return nullptr; }
	static void ref(void *) {}
	static void unref(void *) {}
};

struct gweak : glib {
	void init() {}
	void store(void *) {}
	void *load_strong() { return nullptr; }
	void clear() {}
};

template <size_t> struct gslice : glib {
	static void *alloc(size_t) { return nullptr; }
	static void release(void *) {}
};

#endif
#endif
