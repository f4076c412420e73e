/*
 * report.c - what was still held at shutdown
 *
 * A trial deletion over every object, the untracked included: those with references from outside, and what they reach.
 * Immortal objects are taken out of the set first; their references then count from outside, which would make what they hold
 * look held, so they are walked once more to mark that part as theirs.
 * Counting by type uses liburcu's hash table (rculfhash), single-threaded here.
 */
#include "report.h"

#include <stdlib.h>

#include "collect.h"
#include "count.h"
#include "generation.h"
#include "log.h"
#include "merge.h"
#include "os.h"
#include "trial.h"
#include "type.h"
#include "world.h"

/* The calls, not the inline versions: this is cold, and UBSan objects to the alignment the latter assume. */
#undef _LGPL_SOURCE
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wpragmas"
#pragma GCC diagnostic ignored "-Wshadow"
#pragma GCC diagnostic ignored "-Wundef"
#include <urcu/urcu-bp.h>
#include <urcu/rculfhash.h>
#pragma GCC diagnostic pop

struct tally {
	struct cds_lfht_node node;
	const ouro_type *type;
	size_t objects, bytes;
};

static int same_type(struct cds_lfht_node *node, const void *key)
{
	return caa_container_of(node, struct tally, node)->type == key;
}

static void count_by_type(struct cds_lfht *table, struct oi_header *h)
{
	const ouro_type *type = oi_type_of(h);
	unsigned long hash = (unsigned long)type >> 4;
	struct cds_lfht_iter iter;
	cds_lfht_lookup(table, hash, same_type, type, &iter);
	struct cds_lfht_node *node = cds_lfht_iter_get_node(&iter);
	struct tally *y = node ? caa_container_of(node, struct tally, node) : NULL;
	if (!y) {
		if (!(y = oi_calloc(1, sizeof *y)))
			return;
		cds_lfht_node_init(&y->node);
		y->type = type;
		cds_lfht_add(table, hash, &y->node);
	}
	y->objects++;
	y->bytes += oi_page_of(h)->block_size;
}

static struct tally *take_one(struct cds_lfht *table)
{
	struct cds_lfht_iter iter;
	urcu_bp_read_lock();
	cds_lfht_first(table, &iter);
	struct cds_lfht_node *node = cds_lfht_iter_get_node(&iter);
	if (node)
		cds_lfht_del(table, node);
	urcu_bp_read_unlock();
	return node ? caa_container_of(node, struct tally, node) : NULL;
}

/* With nothing held, as the log function is the program's. */
static void say_by_type(struct cds_lfht *table)
{
	struct tally *y;
	while ((y = take_one(table))) {
		oi_say("still held at shutdown: %zu of \"%s\", %zu bytes", y->objects, y->type->name, y->bytes);
		free(y);
	}
	cds_lfht_destroy(table, NULL);
}

/* The references that immortal objects hold do not count as held from outside: taken off, and given back afterwards. */
static void unhold(void *child, void *arg)
{
	struct oi_header *h = oi_header_of(child);
	oi_store_relaxed(&h->shared, oi_load_relaxed(&h->shared) - *(int32_t *)arg * OI_ONE); /* stopped */
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

void oi_report_held(ouro_report *out)
{
	struct oi_trial tr = { 0 };
	struct oi_stop stop;
	oi_collect_lock();
	urcu_bp_read_lock();
	struct cds_lfht *table = cds_lfht_new_flavor(64, 64, 0, 0, &urcu_bp_flavor, NULL);
	oi_world_stop(&stop);
	if (select_everything(&tr)) {
		adjust_for_immortals(1);
		oi_trial_run(&tr, SIZE_MAX);
		adjust_for_immortals(-1);
	}
	oi_world_start(&stop);
	for (size_t i = 0; i < tr.set.n; i++) {
		struct oi_header *h = tr.set.data[i];
		if (!oi_trial_result(h))
			continue;
		out->objects++;
		out->bytes += oi_page_of(h)->block_size;
		if (table)
			count_by_type(table, h);
	}
	oi_trial_end(&tr);
	oi_trial_free(&tr);
	urcu_bp_read_unlock();
	oi_collect_unlock();
	if (table)
		say_by_type(table);
}
