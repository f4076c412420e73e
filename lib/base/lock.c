/* lock.c - the table of locks, and in checked builds who holds what. See lock.h. */
#include "base/lock.h"

#include "base/doors.h"
#include "base/holdup.h"
#include "base/log.h"
#include "base/os.h"

struct oi_lock oi_locks[OI_LOCKS] = { [0 ... OI_LOCKS - 1] = { PTHREAD_MUTEX_INITIALIZER } };

/*
 * What a fork does to each: those that are held for a moment are taken, so that the child finds
 * whole what they guard. The fork cannot always wait for the long ones, as their holders may be
 * waiting for the thread that forks: each has code of its own (gclock.c, concurrent.c), and so has
 * the runtime's (fork.c); the registry's is the stop's.
 */
static const struct {
	const char *name;
	bool is_long, taken_to_fork;
} about[OI_LOCKS] = {
	[OI_LOCK_RUNTIME] = { "runtime", false, false },
	[OI_LOCK_CONCURRENT] = { "concurrent collection", true, false },
	[OI_LOCK_COLLECT] = { "collection", true, false },
	[OI_LOCK_REGISTRY] = { "registry", false, false },
	[OI_LOCK_NAMES] = { "names", false, true },
	[OI_LOCK_PROMISES] = { "promises", false, true },
	[OI_LOCK_LISTENERS] = { "listeners", false, true },
	[OI_LOCK_GARBAGE] = { "garbage", false, true },
	[OI_LOCK_SAVED] = { "saved garbage", false, true },
	[OI_LOCK_BACKLOG] = { "backlog", false, true },
	[OI_LOCK_WATCHES] = { "watches", false, true },
	[OI_LOCK_WEAK] = { "side table", false, true },
	[OI_LOCK_LIMBO] = { "abandoned limbo", false, true },
	[OI_LOCK_HEAP] = { "heap", false, true },
	[OI_LOCK_LOOSE] = { "loose objects", false, true },
	[OI_LOCK_SNAPSHOT] = { "snapshot", false, true },
	[OI_LOCK_SITES] = { "sites", false, true },
	[OI_LOCK_TRACE] = { "trace", false, true },
	[OI_LOCK_LOG] = { "log", false, true },
};

void oi_lock_wait(enum oi_rank rank)
{
	uint64_t began = oi_now_ns();
	pthread_mutex_lock(&oi_locks[rank].mutex);
	oi_holdup_from(OURO_HOLDUP_LOCK, began, oi_now_ns());
}

void oi_lock_renew(enum oi_rank rank)
{
	oi_lock_forget(rank);
	oi_locks[rank].mutex = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
}

__thread bool oi_lock_forking;
#if OURO_CHECKED
/* As bits: no lock is taken twice, and all are taken in the order of their ranks. */
static __thread uint32_t held, held_to_fork, floor_bits;
#define SWAP_HELD(to, from) ((to) = (from), (from) = 0)
#else
#define SWAP_HELD(to, from) ((void)0)
#endif

void oi_locks_prepare_fork(void)
{
	for (unsigned r = 0; r < OI_LOCKS; r++)
		if (about[r].taken_to_fork)
			oi_lock((enum oi_rank)r);
	SWAP_HELD(held_to_fork, held);
	oi_lock_forking = true;
}

void oi_locks_after_fork(void)
{
	oi_lock_forking = false;
	SWAP_HELD(held, held_to_fork);
	for (unsigned r = OI_LOCKS; r-- > 0;)
		if (about[r].taken_to_fork)
			oi_unlock((enum oi_rank)r);
}

#if OURO_CHECKED

static const char *name_of(uint32_t bits)
{
	return about[31 - __builtin_clz(bits)].name;
}

/* Returns true for long locks and the registry's: their holders wait for gates. */
static bool waits_for_gates(enum oi_rank rank)
{
	return about[rank].is_long || rank == OI_LOCK_REGISTRY;
}

void oi_lock_check(enum oi_rank rank)
{
	if (held >> rank)
		oi_abort("lock order: \"%s\" is to be taken while \"%s\" is held",
			 about[rank].name, name_of(held));
	if (waits_for_gates(rank) && oi_context_waited_for())
		oi_abort("lock \"%s\" is to be waited for inside the gate", about[rank].name);
}

void oi_lock_note(enum oi_rank rank)
{
	held |= 1u << rank;
}

void oi_lock_forget(enum oi_rank rank)
{
	held &= ~(1u << rank);
}

bool oi_lock_held(enum oi_rank rank)
{
	return held >> rank & 1;
}

static uint32_t long_ones(void)
{
	uint32_t bits = 0;
	for (unsigned r = 0; r < OI_LOCKS; r++)
		bits |= (uint32_t)about[r].is_long << r;
	return bits;
}

const char *oi_lock_any_held(bool any)
{
	uint32_t bits = held & ~floor_bits & ~(any ? 0 : long_ones());
	return bits ? name_of(bits) : NULL;
}

unsigned oi_lock_floor(void)
{
	unsigned old = floor_bits;
	floor_bits = held & long_ones();
	return old;
}

void oi_lock_floor_back(unsigned floor)
{
	floor_bits = floor;
}

void oi_lock_check_gate(void)
{
	if (unlikely(held) && oi_lock_any_held(false))
		oi_abort("the gate is entered while the lock \"%s\" is held",
			 oi_lock_any_held(false));
}

void oi_lock_assert_held(enum oi_rank rank, const char *where)
{
	if (!oi_lock_held(rank))
		oi_abort("%s: without the lock \"%s\"", where, about[rank].name);
}

#endif
