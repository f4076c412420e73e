/*
 * loader.c - what the library asks of the dynamic loader
 *
 * Staying. The library has threads, handlers and destructors of threads, so its code must not go
 * away. The shared library is linked with -z nodelete; where a plugin has a copy of the static one
 * inside, that copy has the loader keep the plugin.
 *
 * Going. Types and their callbacks lie in shared objects of the program that may go away, and
 * others may come to lie at their addresses. What stays is known: the program, and what was there
 * when it started, if this library was among it; and this library.
 *
 * Others. A process may hold several copies of this library: a program with the static one, a
 * plugin with a copy of its own. Their symbols are hidden from each other, their heaps know nothing
 * of each other, and a copy that is given an object of another's heap takes it for what it is not.
 * Each copy carries an ELF note that leads to its word oi_copy_runs, so each finds all others. A
 * copy that starts sets its own word, then looks at theirs, both sequentially consistent: of two,
 * one at least sees the other [L2].
 */
#include "base/loader.h"

#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <link.h>
#include <stdio.h>
#include <string.h>

#include "base/lock.h"
#include "ouro.h"

/* The note: the name "ouro", type 1, and how far the word is from there. */
extern uint32_t oi_copy_runs OI_HIDDEN;
__attribute__((used)) uint32_t oi_copy_runs;
__asm__(".pushsection .note.ouro, \"a\", %note\n"
	"	.balign 4\n"
	"	.long 5, 4, 1\n"
	"	.asciz \"ouro\"\n"
	"	.balign 4\n"
	"	.long oi_copy_runs - .\n"
	"	.popsection\n");

struct note {
	uint32_t n_name, n_bytes, type;
	char name[8];
	int32_t distance;
};

/* Static programs have no loader: these are NULL there. */
#pragma weak dlopen
#pragma weak dlsym

static size_t n_at_start; /* shared objects there when the program started; 0: not known */

static bool lies_in(const struct dl_phdr_info *o, uintptr_t address)
{
	for (unsigned i = 0; i < o->dlpi_phnum; i++) {
		const ElfW(Phdr) *h = &o->dlpi_phdr[i];
		if (h->p_type == PT_LOAD && address - (o->dlpi_addr + h->p_vaddr) < h->p_memsz)
			return true;
	}
	return false;
}

/* ---- staying and going ---- */

struct search {
	uintptr_t address;
	size_t n;         /* shared objects before the one that holds the address */
	const char *name; /* its name; "": the program; NULL: there is none */
	unsigned long long n_gone;
	uintptr_t base;
};

static int look_at_loaded(struct dl_phdr_info *o, size_t size, void *arg)
{
	struct search *s = arg;
	(void)size;
	s->n_gone = o->dlpi_subs;
	s->base = o->dlpi_addr;
	if (lies_in(o, s->address))
		s->name = s->n ? o->dlpi_name : "";
	else
		s->n++;
	return s->name != NULL;
}

static struct search search_loaded(const void *address)
{
	struct search s = { .address = (uintptr_t)address };
	dl_iterate_phdr(look_at_loaded, &s);
	return s;
}

static int count_objects(struct dl_phdr_info *o, size_t size, void *arg)
{
	(void)o;
	(void)size;
	++*(size_t *)arg;
	return 0;
}

int oi_loader_place(const void *address, char *out, size_t bytes)
{
	struct search s = search_loaded(address);
	const char *name = s.name && *s.name ? strrchr(s.name, '/') : NULL;
	name = name ? name + 1 : s.name && *s.name ? s.name : program_invocation_short_name;
	if (!s.name)
		return snprintf(out, bytes, "%p", address);
	return snprintf(out, bytes, "%s+%#zx", name, (size_t)(s.address - s.base));
}

bool oi_loader_keeps(const void *address)
{
	struct search s = search_loaded(address), own = search_loaded(&oi_copy_runs);
	return s.name && (s.n == 0 || s.n < n_at_start || s.n == own.n);
}

/*
 * Returns true if this library is part of the program, or lies in the scope in which the program
 * looks for names, while nothing has gone away yet.
 */
static bool loaded_with_program(const struct search *own)
{
	if (own->n == 0)
		return true;
	void *program = dlopen && dlsym && !own->n_gone ? dlopen(NULL, RTLD_LAZY) : NULL;
	return program && dlsym(program, "ouro_version") == (void *)ouro_version;
}

__attribute__((constructor(101))) static void settle(void)
{
	struct search own = search_loaded(&oi_copy_runs);
	if (loaded_with_program(&own))
		dl_iterate_phdr(count_objects, &n_at_start);
	else if (own.name && dlopen)
		(void)dlopen(own.name, RTLD_LAZY | RTLD_NOLOAD | RTLD_NODELETE);
}

/* ---- other copies ---- */

struct others {
	const char *name;
	size_t n; /* shared objects looked at */
};

static void look_at_note(const struct note *n, struct others *others, const char *name)
{
	if (n->n_name != sizeof "ouro" || n->n_bytes != sizeof n->distance || n->type != 1)
		return;
	if (memcmp(n->name, "ouro", sizeof "ouro") != 0)
		return;
	const uint32_t *runs = (const uint32_t *)((const char *)&n->distance + n->distance);
	if (runs != &oi_copy_runs && oi_load_seq_cst(runs)) /* [L2] */
		others->name = name;
}

static size_t padded(size_t n, size_t alignment)
{
	return (n + alignment - 1) & ~(alignment - 1);
}

static void look_at_notes(const char *at, size_t bytes, size_t alignment, struct others *others,
			  const char *name)
{
	const char *end = at + bytes;
	alignment = alignment == 8 ? 8 : 4;
	while ((size_t)(end - at) >= sizeof(ElfW(Nhdr))) {
		const struct note *n = (const struct note *)at;
		size_t size = padded(sizeof(ElfW(Nhdr)) + n->n_name, alignment) +
			      padded(n->n_bytes, alignment);
		if (size > (size_t)(end - at))
			return;
		if (size >= sizeof *n)
			look_at_note(n, others, name);
		at += size;
	}
}

static int look_for_copies(struct dl_phdr_info *o, size_t size, void *arg)
{
	struct others *others = arg;
	const char *name = others->n++ ? o->dlpi_name : "the program";
	(void)size;
	for (unsigned i = 0; i < o->dlpi_phnum && !others->name; i++) {
		const ElfW(Phdr) *h = &o->dlpi_phdr[i];
		if (h->p_type == PT_NOTE)
			look_at_notes((const char *)(o->dlpi_addr + h->p_vaddr), h->p_memsz,
				      h->p_align, others, name);
	}
	return others->name != NULL;
}

void oi_loader_started(void)
{
	oi_assert_locked(OI_LOCK_RUNTIME);
	(void)oi_exchange_seq_cst(&oi_copy_runs, 1u); /* [L2] */
}

const char *oi_loader_other(void)
{
	struct others others = { 0 };
	dl_iterate_phdr(look_for_copies, &others);
	return others.name;
}

void oi_loader_ended(void)
{
	(void)oi_exchange_seq_cst(&oi_copy_runs, 0u); /* [L2] */
}
