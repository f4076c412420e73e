/* held.c - objects that a walk has found, held until the program has been shown them. */
#include "inspect/held.h"

#include "count/count.h"
#include "count/death.h"
#include "heap/candidate.h"
#include "world/context.h"

bool oi_held_add(struct oi_held *held, struct oi_header *h, bool *dead)
{
	oi_assert_stopped();
	bool is_dead = oi_is_dead(h) || !oi_before_mutation(h);
	if (dead)
		*dead = is_dead;
	if (is_dead)
		return true;
	if (!oi_vector_push(&held->v, oi_object_of(h)))
		return false;
	oi_publish(h);
	oi_store_relaxed(&h->shared, oi_load_relaxed(&h->shared) + OI_ONE); /* stopped */
	return true;
}

void oi_held_release_one(struct oi_held *held)
{
	ouro_release(held->v.data[held->i++]);
}

void oi_held_let_go(struct oi_held *held)
{
	for (; held->i < held->v.n; held->i++)
		oi_death_release_aside(oi_self, oi_header_of(held->v.data[held->i]));
	oi_vector_free(&held->v);
	held->i = 0;
}
