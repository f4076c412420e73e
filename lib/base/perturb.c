/* perturb.c - random yields, forced collections and injected failures. See perturb.h. */
#include "base/perturb.h"

#if OURO_CHECKED

#include <errno.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/os.h"

void (*_Atomic oi_point_hook)(const char *point);
void (*_Atomic oi_perturb_hook)(void);
bool oi_recycle;
static unsigned long yield_one_in, stall_us, collect_every;
static __thread uint64_t seed;
static __thread unsigned long n_news;

static unsigned long number(const char *name)
{
	const char *s = getenv(name);
	return s ? strtoul(s, NULL, 10) : 0;
}

/* ---- failures ---- */

#define FOREVER (1ul << 63)

/* Others read at, n_calls and n_failed while a test arms them: nothing rests on their order. */
static struct failure {
	const char *variable;
	int error;
	unsigned long at; /* 0: never; with FOREVER: and all later ones */
	unsigned long n_calls, n_failed;
	unsigned long chosen; /* by the variable, at the last look */
} failures[OI_FAIL_KINDS] = {
	[OI_FAIL_ALLOC] = { .variable = "OURO_FAIL_ALLOC", .error = ENOMEM },
	[OI_FAIL_MMAP] = { .variable = "OURO_FAIL_MMAP", .error = ENOMEM },
	[OI_FAIL_MUNMAP] = { .variable = "OURO_FAIL_MUNMAP", .error = ENOMEM },
	[OI_FAIL_MREMAP] = { .variable = "OURO_FAIL_MREMAP", .error = ENOMEM },
	[OI_FAIL_MADVISE] = { .variable = "OURO_FAIL_MADVISE", .error = EPERM },
	[OI_FAIL_MEMBARRIER] = { .variable = "OURO_FAIL_MEMBARRIER", .error = EPERM },
	[OI_FAIL_FUTEX] = { .variable = "OURO_FAIL_FUTEX", .error = ENOSYS },
	[OI_FAIL_PTHREAD_CREATE] = { .variable = "OURO_FAIL_PTHREAD_CREATE", .error = EAGAIN },
	[OI_FAIL_SETSPECIFIC] = { .variable = "OURO_FAIL_SETSPECIFIC", .error = ENOMEM },
	[OI_FAIL_TIMER] = { .variable = "OURO_FAIL_TIMER", .error = EPERM },
};

void oi_fail_arm(enum oi_fail kind, unsigned long n, bool forever)
{
	struct failure *f = &failures[kind];
	oi_store_relaxed(&f->at, 0ul); /* count */
	oi_store_relaxed(&f->n_calls, 0ul); /* count */
	oi_store_relaxed(&f->n_failed, 0ul); /* count */
	oi_store_relaxed(&f->at, n && forever ? n | FOREVER : n); /* count */
}

unsigned long oi_fail_calls(enum oi_fail kind)
{
	return oi_load_relaxed(&failures[kind].n_calls); /* count */
}

unsigned long oi_fail_failed(enum oi_fail kind)
{
	return oi_load_relaxed(&failures[kind].n_failed); /* count */
}

bool oi_fail(enum oi_fail kind)
{
	struct failure *f = &failures[kind];
	/* count */
	unsigned long n = oi_add_relaxed(&f->n_calls, 1ul) + 1, at = oi_load_relaxed(&f->at);
	if (likely(!at) || n < (at & ~FOREVER) || (n > at && !(at & FOREVER)))
		return false;
	oi_add_relaxed(&f->n_failed, 1ul); /* count */
	errno = f->error;
	return true;
}

/* A second start keeps what the first one chose, unless the variable has changed. */
static void choose_failure(enum oi_fail kind)
{
	const char *s = getenv(failures[kind].variable);
	char *end = NULL;
	unsigned long n = s ? strtoul(s, &end, 10) : 0;
	unsigned long chosen = n && *end == '+' ? n | FOREVER : n;
	if (chosen != failures[kind].chosen)
		oi_fail_arm(kind, n, chosen != n);
	failures[kind].chosen = chosen;
}

/* ---- schedules ---- */

void oi_perturb_init(void)
{
	/* elsewhere: by running; a thread that is not attached yet may look, and it matters to nobody */
	oi_store_relaxed(&yield_one_in, number("OURO_PERTURB"));
	oi_store_relaxed(&stall_us, number("OURO_STALL")); /* elsewhere */
	collect_every = number("OURO_COLLECT_EVERY");
	oi_store_relaxed(&oi_recycle, number("OURO_RECYCLE") != 0); /* elsewhere */
	for (int kind = 0; kind < OI_FAIL_KINDS; kind++)
		choose_failure((enum oi_fail)kind);
}

static uint64_t next_random(void)
{
	if (!seed)
		seed = (uint64_t)(uintptr_t)&seed * 0x9E3779B97F4A7C15u;
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

#define SWITCH_NS 100000
static __thread uint64_t no_yield_before;

/*
 * Where other programs wait for the processor, a yield lasts until each has had it. Then a thread
 * spends half of its time so, and no more, or it would do nothing else: half of the yields of one
 * place in twenty, of 5 ms each, and what takes a second takes hours.
 */
static void yield(void)
{
	uint64_t began = oi_now_ns();
	if (began < no_yield_before)
		return;
	sched_yield();
	uint64_t now = oi_now_ns();
	if (now - began > SWITCH_NS)
		no_yield_before = now + (now - began);
}

void oi_perturb(void)
{
	/* elsewhere: the test's store */
	void (*hook)(void) = atomic_load_explicit(&oi_perturb_hook, memory_order_acquire);
	if (unlikely(hook != NULL))
		hook();
	unsigned long one_in = oi_load_relaxed(&yield_one_in); /* elsewhere */
	if (likely(!one_in))
		return;
	uint64_t r = next_random();
	if (r % one_in)
		return;
	unsigned long stall = oi_load_relaxed(&stall_us); /* elsewhere */
	if (stall && (r >> 60 & 7) == 1)
		oi_sleep_ns(stall * 1000);
	else if (r >> 63)
		yield();
	else
		for (unsigned i = 0; i < ((r >> 32) & 1023); i++)
			oi_pause();
}

void oi_point(const char *point)
{
	/* elsewhere: the test's store */
	void (*hook)(const char *) = atomic_load_explicit(&oi_point_hook, memory_order_acquire);
	if (unlikely(hook != NULL))
		hook(point);
}

bool oi_perturb_collect(void)
{
	return unlikely(collect_every) && ++n_news % collect_every == 0;
}

#endif
