/*
 * why.c - why a package is still there
 *
 * The package is looked up here, by name, and held by this thread alone: an object that held it for
 * the question's sake would be the answer.
 */
#include "why.h"
#include "graph.h"

#include <errno.h>

struct answer {
	struct buffer *out;
	const struct package *about; /* it has a reference more, of the question */
	size_t n;
};

/* "package libc6", or "index": the name of its type, and of a package its own. */
static void why_name(struct buffer *out, const void *obj)
{
	const struct package *p = graph_package(obj);
	buffer_printf(out, "%s%s%s", ouro_typeof(obj)->name, p ? " " : "", p ? p->text : "");
}

static bool on_step(const ouro_path_step *step, void *arg)
{
	struct answer *a = arg;
	size_t ours = step->obj == a->about;
	why_name(a->out, step->obj);
	if (step->slot[0])
		buffer_printf(a->out, " %s%s ->", step->slot[0] == '[' ? "" : ".", step->slot);
	if (step->references == SIZE_MAX)
		buffer_printf(a->out, " (immortal)\n");
	else
		buffer_printf(a->out, " (references: %zu; of threads and globals: %zu)\n",
			      step->references - ours, step->outside - ours);
	a->n++;
	return !a->out->failed;
}

static struct package *why_find(const char *key, size_t len)
{
	OURO_AUTO struct index *x = graph_current();
	return graph_find(x, key, len);
}

int why_write(struct buffer *out, const char *key, size_t len, size_t *n)
{
	OURO_AUTO struct package *p = why_find(key, len);
	struct answer a = { .out = out, .about = p };
	*n = 0;
	if (!p)
		return ENOENT;
	if (ouro_gc_path(p, on_step, &a) < 0)
		return errno;
	*n = a.n;
	return out->failed ? ENOMEM : 0;
}
