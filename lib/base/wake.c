/*
 * wake.c - asking the library's threads for something
 *
 * Each sleeps on a futex word that counts requests; a flag for each kind of work keeps the
 * requests cheap. [B1] The flag is set by a sequentially consistent exchange after the work was
 * made visible, and cleared before the work is looked for. The word is read before any of that, and
 * before the request to end: what is asked for after the word is read ends the sleep at once.
 * [B3] A thread that hands something to the reapers looks after the request whether one is at
 * leisure, and asks for a tick if none is: Note [TEAM] in servants.c.
 */
#include "base/wake.h"

#include "base/doors.h"
#include "base/os.h"

struct oi_wanted oi_wanted;

void oi_wake(uint32_t *word)
{
	__atomic_fetch_add(word, 1, __ATOMIC_SEQ_CST); /* [B1] */
	oi_futex_wake(word);
}

static void request(uint32_t *flag, uint32_t *word)
{
	bool asked = oi_exchange_seq_cst(flag, 1u); /* [B1] */
	if (unlikely(oi_load_relaxed(&oi_wanted.missing))) /* recheck */
		oi_servants_start_missing();
	if (!asked)
		oi_wake(word);
}

void oi_wake_collect(void)
{
	request(&oi_wanted.collect, &oi_wanted.collector_word);
}

void oi_wake_tick(void)
{
	request(&oi_wanted.tick, &oi_wanted.collector_word);
}

void oi_wake_trim(void)
{
	if (!oi_load_relaxed(&oi_wanted.missing)) /* recheck */
		oi_wake_tick();
}

void oi_wake_reap(void)
{
	request(&oi_wanted.reap, &oi_wanted.reaper_word);
	if (!oi_load_seq_cst(&oi_wanted.n_idle)) /* [B3] */
		oi_wake_tick();
}
