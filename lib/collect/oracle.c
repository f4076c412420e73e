/*
 * oracle.c - the judgement on a commit, in checked builds
 *
 * Right after each commit the world is stopped, and trial deletion (trial.c) goes over the whole
 * heap: an object with more references than the heap holds is held from outside, and what such
 * objects reach is alive. None of the committed may be among that. The judgement shares nothing
 * with the collection that it judges but the headers: neither maps nor lists nor flags. Where
 * garbage is looked through for the resurrected it goes over that alone, as it is not in the heap's
 * graph any more. A collection that finds more references to an object than the object has asks for
 * a judgement, too: so a traverse that reports too much is found, and named.
 */
#include "collect/oracle.h"

#if OURO_CHECKED

#include "base/log.h"
#include "collect/generation.h"
#include "collect/trial.h"
#include "heap/pace.h"
#include "heap/region.h"
#include "world/context.h"
#include "world/gclock.h"

static bool gather(struct oi_trial *tr, const struct oi_pass *p)
{
	bool ok = true;
	if (!p->collector_refs)
		return oi_generation_select_all(tr);
	for (size_t i = 0; i < p->list->n && ok; i++)
		ok = oi_trial_add(tr, p->list->data[i]);
	return ok;
}

static void judge_all(struct oi_trial *tr)
{
	for (size_t i = 0; i < tr->members.n; i++) {
		struct oi_header *h = tr->members.data[i];
		if (oi_trial_result(h) && oi_is_committed(h) && !tr->graph.guessed)
			oi_abort("collection: the \"%s\" at %p is declared dead, and reachable",
				 oi_type_of(h)->name, oi_object_of(h));
	}
	oi_trial_end(tr);
}

void oi_oracle_judge(struct oi_pass *p)
{
	oi_assert_unpinned(p->t);
	struct oi_trial tr = { .collector_refs = p->collector_refs };
	struct oi_stop stop;
	oi_collect_lock(); /* the side bytes */
	oi_world_stop(&stop, OURO_STOP_CHECK);
	if (gather(&tr, p)) {
		oi_trial_run(&tr, SIZE_MAX);
		judge_all(&tr);
	} else {
		oi_trial_give_up(&tr);
	}
	oi_world_start(&stop);
	oi_collect_unlock();
	oi_trial_free(&tr);
}

#define LARGE 20000 /* objects */

static void judge_alone(struct oi_trial *tr, struct oi_header *const *members, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct oi_header *h = members[i];
		if (*oi_side_of(h) & OI_TRIAL_MARK && !tr->graph.guessed)
			oi_abort("a thread finds its \"%s\" at %p dead, and it is reachable",
				 oi_type_of(h)->name, (const void *)(h + 1));
	}
	oi_trial_give_up(tr);
}

bool oi_oracle_judge_alone(struct oi_header *const *members, size_t n)
{
	struct oi_trial tr = { 0 };
	struct oi_stop stop;
	if (oi_pace_population() > LARGE || oi_collect_locked_by_me() || !oi_collect_trylock())
		return false;
	oi_world_stop(&stop, OURO_STOP_CHECK);
	if (oi_generation_select_all(&tr)) {
		oi_trial_run(&tr, SIZE_MAX);
		judge_alone(&tr, members, n);
	} else {
		oi_trial_give_up(&tr);
	}
	oi_world_start(&stop);
	oi_collect_unlock();
	oi_trial_free(&tr);
	return true;
}

#endif
