/* perturb.c - random yields, forced collections and injected allocation failures. See perturb.h. */
#include "perturb.h"

#if OURO_CHECKED

#include <sched.h>
#include <stdlib.h>

#include "os.h"

void (*oi_point_hook)(const char *point);
static unsigned long yield_one_in, stall_us, collect_every, fail_at;
static unsigned long n_allocations;
static __thread uint64_t seed;
static __thread unsigned long n_news;

static unsigned long number(const char *name)
{
	const char *s = getenv(name);
	return s ? strtoul(s, NULL, 10) : 0;
}

void oi_perturb_init(void)
{
	yield_one_in = number("OURO_PERTURB");
	stall_us = number("OURO_STALL");
	collect_every = number("OURO_COLLECT_EVERY");
	fail_at = number("OURO_FAIL_ALLOC");
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

void oi_perturb(void)
{
	if (likely(!yield_one_in))
		return;
	uint64_t r = next_random();
	if (r % yield_one_in)
		return;
	if (stall_us && (r >> 60 & 7) == 1)
		oi_sleep_ns(stall_us * 1000);
	else if (r >> 63)
		sched_yield();
	else
		for (unsigned i = 0; i < ((r >> 32) & 1023); i++)
			oi_pause();
}

void oi_point(const char *point)
{
	void (*hook)(const char *point) = oi_load_acquire(&oi_point_hook); /* pairs with the test's store */
	if (unlikely(hook != NULL))
		hook(point);
}

bool oi_perturb_fail(void)
{
	return unlikely(fail_at) && oi_add_relaxed(&n_allocations, 1) + 1 == fail_at; /* count */
}

bool oi_perturb_collect(void)
{
	return unlikely(collect_every) && ++n_news % collect_every == 0;
}

#endif
