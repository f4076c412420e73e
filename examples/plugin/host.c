/*
 * host.c - loads a plugin, uses its objects, and closes it when nothing of it is left
 *
 * The callbacks of the plugin's type are its code: it may be closed only when no object of the type
 * is left, not even a cycle that nobody has found yet. ouro_type_retire says so. The host and the
 * plugins link the shared library, as there should be one heap.
 *
 *     cc host.c $(pkg-config --cflags --libs ouro) -ldl && ./a.out ./plugin.so
 */
#include <dlfcn.h>
#include <errno.h>
#include <ouro.h>
#include <stdio.h>
#include <string.h>

#include "plugin.h"

/* A pair that refers to each other; the caller keeps the first. */
static struct shape *use(struct shape *(*make)(void))
{
	OURO_AUTO struct shape *a = make(), *b = make();
	if (!a || !b)
		return NULL;
	ouro_store(&a->neighbour, b);
	ouro_store(&b->neighbour, a);
	return OURO_MOVE(a);
}

static const char *may_close(const ouro_type *type)
{
	int error = ouro_type_retire(type);
	return error == 0 ? "yes" : error == EBUSY ? "no, objects are left" : strerror(error);
}

static int try_plugin(const char *path)
{
	void *plugin = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (!plugin) {
		fprintf(stderr, "%s\n", dlerror());
		return 1;
	}
	const ouro_type *type = dlsym(plugin, "shape_type");
	struct shape *(*make)(void);
	*(void **)&make = dlsym(plugin, "shape_new");
	if (!type || !make)
		return 1;

	struct shape *kept = use(make);
	printf("in use: may it be closed? %s\n", may_close(type));
	ouro_release(kept);
	printf("dropped, but a cycle: %s\n", may_close(type));
	ouro_gc_collect(2);
	printf("collected: %s\n", may_close(type));
	return dlclose(plugin);
}

int main(int argc, char **argv)
{
	ouro_report report;
	/* Twice: the second time it may lie elsewhere. */
	if (argc != 2 || try_plugin(argv[1]) || try_plugin(argv[1]) || ouro_shutdown(&report))
		return 1;
	printf("%zu objects left\n", report.objects);
	return 0;
}
