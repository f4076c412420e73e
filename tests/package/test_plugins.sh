#!/bin/sh
# Goal: plugins that link the library come and go; a second copy of it in the process is noticed.
# Method: build a host and plugins, with the shared and with the static library inside; load, use, close, load again.
# A failure would mean: a server that crashes when it closes a plugin, or two heaps that read each other's objects unseen.
. tests/common.sh

# An instrumented plugin needs an instrumented host; what is looked at here is the loader's.
[ -z "$sanitize" ] || {
	echo "plugins: not with sanitizers"
	exit 0
}

cat >"$tmp/plugin.c" <<'END'
#include <ouro.h>
#include <stdio.h>
struct node { struct node *next; };
static const ouro_type node_type = {
	.name = "node", .size = sizeof(struct node), .slots = OURO_SLOTS(struct node, next),
};
static void tell(const char *message, void *arg)
{
	(void)arg;
	fprintf(stderr, "ouro: %s\n", message);
}
void use(void);
void use(void)
{
	ouro_set_log(tell, NULL);
	for (int i = 0; i < 1000; i++) {
		struct node *n = ouro_new(&node_type);
		ouro_store(&n->next, n);
		ouro_release(n);
	}
	ouro_gc_collect(0);       /* what a lazy start noted for the log is delivered */
	ouro_set_log(NULL, NULL); /* by whomever: that is over */
}
END

# Its thread has used the plugin, which is closed, and exits then; the library's own threads go on.
cat >"$tmp/host.c" <<'END'
#include <dlfcn.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <unistd.h>
static void (*use)(void);
static sem_t used, closed;
static void *thread(void *arg)
{
	use();
	sem_post(&used);
	sem_wait(&closed);
	return arg;
}
int main(int argc, char **argv)
{
	pthread_t t;
	void *plugin = argc == 2 ? dlopen(argv[1], RTLD_NOW) : NULL;
	if (!plugin || !(*(void **)&use = dlsym(plugin, "use"))) {
		fprintf(stderr, "%s\n", dlerror());
		return 2;
	}
	sem_init(&used, 0, 0);
	sem_init(&closed, 0, 0);
	if (pthread_create(&t, NULL, thread, NULL))
		return 3;
	sem_wait(&used);
	if (dlclose(plugin))
		return 4;
	sem_post(&closed);
	pthread_join(t, NULL);
	if (fork() == 0) /* its handlers are there */
		_exit(0);
	usleep(50000); /* ticks */
	return 0;
}
END

shared() { # shared OUTPUT SOURCE ARGUMENT...
	out=$1
	src=$2
	shift 2
	$cc -std=gnu11 -O1 -g -fPIC -shared -Iinclude -o "$out" "$src" "$@"
}

closed() { # closed PLUGIN WHAT
	timeout 600 "$tmp/host" "$1" >"$tmp/out" 2>&1 || {
		status=$?
		cat "$tmp/out"
		fail "a plugin with $2 is closed: exit $status"
	}
}

$cc -std=gnu11 -O1 -g -o "$tmp/host" "$tmp/host.c" -pthread -ldl
shared "$tmp/plugin_shared.so" "$tmp/plugin.c" "$build/libouro.so" "-Wl,-rpath,$PWD/$build"
shared "$tmp/plugin_static.so" "$tmp/plugin.c" "$build/libouro.a" $private
closed "$tmp/plugin_shared.so" 'the shared library'
closed "$tmp/plugin_static.so" 'the static library'

# ---- a second copy ----

cat >"$tmp/two.c" <<'END'
#include <dlfcn.h>
#include <ouro.h>
#include <stdio.h>
int main(int argc, char **argv)
{
	void (*use)(void);
	if (ouro_init(NULL))
		return 2;
	for (int i = 1; i < argc; i++) {
		void *plugin = dlopen(argv[i], RTLD_NOW | RTLD_LOCAL);
		if (!plugin || !(*(void **)&use = dlsym(plugin, "use"))) {
			fprintf(stderr, "%s\n", dlerror());
			return 3;
		}
		use();
	}
	return ouro_shutdown(NULL);
}
END

says() { # says N TEXT WHAT: so many lines with this text
	n=$(grep -c "$2" "$tmp/out" || true)
	[ "$n" = "$1" ] || {
		cat "$tmp/out"
		fail "$3: $n lines say '$2', not $1"
	}
}

two() { # two PROGRAM PLUGIN...
	timeout 600 "$@" >"$tmp/out" 2>&1 || fail "$* ends with $?"
}

# The plugin's own symbols come first, as they do in the plugins of programs that link the static library by hand.
shared "$tmp/own.so" "$tmp/plugin.c" "$build/libouro.a" $private -Wl,-Bsymbolic
shared "$tmp/own2.so" "$tmp/plugin.c" "$build/libouro.a" $private -Wl,-Bsymbolic
$cc -std=gnu11 -O1 -g -Iinclude -o "$tmp/two_static" "$tmp/two.c" "$build/libouro.a" $private -ldl
$cc -std=gnu11 -O1 -g -Iinclude -o "$tmp/two_shared" "$tmp/two.c" "$build/libouro.so" "-Wl,-rpath,$PWD/$build" -ldl
another='another copy of the library runs in this process, in '
two "$tmp/two_static"
says 0 "$another" 'one copy'
two "$tmp/two_shared" "$tmp/plugin_shared.so"
says 0 "$another" 'one copy, shared'
two "$tmp/two_static" "$tmp/own.so"
says 1 "${another}the program" 'a static copy in the program and in a plugin'
two "$tmp/two_shared" "$tmp/own.so"
says 1 "$another.*libouro" 'a shared copy, and a static one in a plugin'
two "$tmp/host" "$tmp/own.so"
says 0 "$another" 'one copy in a plugin'
two "$tmp/two_static" "$tmp/own.so" "$tmp/own2.so"
says 2 "$another" 'three copies'
echo "plugins: ok"
