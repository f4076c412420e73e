/*
 * report.c - what was still held at shutdown
 *
 * A trial deletion over every object, including the untracked: it finds those with references from
 * outside, and what they reach. Immortal objects are no members, so their references would count as
 * from outside, and what they hold would look held. So these references are taken off the counts
 * for the time of the trial.
 */
#include "inspect/report.h"

#include "base/os.h"
#include "collect/generation.h"
#include "collect/trial.h"
#include "count/count.h"
#include "count/merge.h"
#include "count/sample.h"
#include "heap/type.h"
#include "inspect/sites.h"
#include "world/deliver.h"
#include "world/gclock.h"
#include "world/world.h"

/* One for each number of a type: a heap may know 65 535. */
struct tally {
	size_t objects, bytes;
};

static void say_by_type(const struct tally *table)
{
	for (size_t i = 0; i < OI_TYPES_MAX; i++)
		if (table[i].objects)
			oi_say("still held at shutdown: %zu of \"%s\", %zu bytes", table[i].objects,
			       oi_types[i].type->name, table[i].bytes);
}

/* Takes a reference that an immortal object holds off the count, or, with -1, gives it back. */
static void unhold(void *child, void *arg)
{
	struct oi_header *h = oi_header_of(child);
	/* stopped */
	oi_store_relaxed(&h->shared, oi_load_relaxed(&h->shared) - *(int32_t *)arg * OI_ONE);
}

static bool select_everything(struct oi_trial *tr)
{
	oi_for_each_page(p)
		for (uint32_t i = 0; i < p->bump; i++) {
			struct oi_header *h = oi_block_at(p, i);
			if (!oi_generation_member(h) || (oi_flags(h) & OI_FLAG_IMMORTAL))
				continue;
			oi_merge_stopped(h);
			if (!oi_trial_add(tr, h))
				return false;
		}
	return true;
}

static void adjust_for_immortals(int32_t by)
{
	oi_for_each_page(p)
		for (uint32_t i = 0; i < p->bump; i++) {
			struct oi_header *h = oi_block_at(p, i);
			if (oi_generation_member(h) && (oi_flags(h) & OI_FLAG_IMMORTAL))
				oi_visit_all(h, unhold, &by);
		}
}

static void count_object(const struct oi_header *h, ouro_report *out, struct tally *table)
{
	size_t bytes = oi_page_of(h)->block_size;
	out->objects++;
	out->bytes += bytes;
	if (oi_described(h)->sampled)
		oi_sample_held(h);
	if (!table)
		return;
	uint32_t number = oi_type_number(h->type);
	table[number].objects++;
	table[number].bytes += bytes;
}

void oi_report_held(ouro_report *out)
{
	struct oi_trial tr = { 0 };
	struct oi_stop stop;
	struct tally *table = oi_os_map_list(OI_TYPES_MAX * sizeof *table);
	oi_collect_lock();
	oi_world_stop(&stop, OURO_STOP_SHUTDOWN);
	if (select_everything(&tr)) {
		adjust_for_immortals(1);
		oi_trial_run(&tr, SIZE_MAX);
		adjust_for_immortals(-1);
	}
	oi_world_start(&stop);
	for (size_t i = 0; i < tr.members.n; i++)
		if (oi_trial_result(tr.members.data[i]))
			count_object(tr.members.data[i], out, table);
	oi_trial_end(&tr);
	oi_trial_free(&tr);
	oi_collect_unlock();
	/* No lock is held from here on, as the log function is the program's. */
	if (table)
		say_by_type(table);
	oi_sites_say_held();
	if (!table)
		return;
	oi_os_unmap_list(table, OI_TYPES_MAX * sizeof *table);
}
