/*
 * census.c - how many objects there are of each type, and how many bytes
 *
 * ouro_new does not count by type: that would cost each object an addition. Here all pages are
 * walked, in stops within the pause budget, and their blocks counted, those of types that no
 * collection looks at included. The last census is kept for ouro_stats_write, which may not wait
 * for a stop. Two at a time do no harm: the later one is kept.
 */
#include "inspect/census.h"

#include <errno.h>

#include "base/os.h"
#include "base/runtime.h"
#include "base/sized.h"
#include "heap/external.h"
#include "heap/heap.h"
#include "heap/type.h"
#include "heap/walk.h"
#include "world/gate.h"
#include "world/gclock.h"

struct count {
	uint64_t objects, bytes;
};

static struct count last[OI_TYPES_MAX];
static uint64_t last_ns; /* when it was; 0: there was none */

/* ---- counting ---- */

static bool census_page(void *arg, struct oi_page *p)
{
	struct count *counts = arg;
	for (uint32_t i = 0; i < p->bump; i++) {
		const struct oi_header *h = oi_block_at(p, i);
		if (!oi_is_used(h))
			continue;
		struct count *c = &counts[oi_load_relaxed(&h->type)]; /* stopped */
		c->objects++;
		c->bytes += p->block_size;
	}
	return true;
}

/* What is sampled is of the same type as what is not. */
static void join_twins(struct count *counts)
{
	for (uint32_t i = 0; i < OI_TYPES_MAX; i++) {
		uint32_t number = counts[i].objects ? oi_type_number(i) : i;
		if (number == i)
			continue;
		counts[number].objects += counts[i].objects;
		counts[number].bytes += counts[i].bytes;
		counts[i] = (struct count){ 0 };
	}
}

static void walk(struct count *counts)
{
	struct oi_walk walk = { .region = NULL };
	while (!oi_walk_in_stop(&walk, oi_runtime.config.pause_budget_ns / 2, census_page, counts))
		continue;
}

static void remember(const struct count *counts)
{
	for (size_t i = 0; i < OI_TYPES_MAX; i++) {
		if (!counts[i].objects && !oi_load_relaxed(&last[i].objects)) /* count */
			continue;
		oi_store_relaxed(&last[i].objects, counts[i].objects); /* count */
		oi_store_relaxed(&last[i].bytes, counts[i].bytes); /* count */
	}
	oi_store_relaxed(&last_ns, oi_now_ns()); /* count */
}

/* ---- showing ---- */

static void put_row(char *out, size_t size, size_t number, const struct count *c)
{
	ouro_type_stat s = {
		.type = oi_type_given[number], .name = oi_types[number].type->name,
		.objects = c->objects, .bytes = c->bytes,
		.external_bytes = oi_external_of((uint32_t)number),
	};
	oi_sized_out(out, size, &s, sizeof s);
}

ssize_t ouro_type_stats_sized(ouro_type_stat *out, size_t n, size_t size)
{
	const struct oi_thread *t = oi_current();
	size_t bytes = OI_TYPES_MAX * sizeof(struct count), found = 0;
	errno = !out && n ? EINVAL : EDEADLK;
	if ((!out && n) || t->pin_depth || oi_collect_locked_by_me())
		return -1;
	struct count *counts = oi_os_map_list(bytes);
	errno = ENOMEM;
	if (!counts)
		return -1;
	walk(counts);
	join_twins(counts);
	for (size_t i = 0; i < OI_TYPES_MAX; i++)
		if (counts[i].objects && found++ < n)
			put_row((char *)out + (found - 1) * size, size, i, &counts[i]);
	remember(counts);
	oi_os_unmap_list(counts, bytes);
	return (ssize_t)found;
}

bool oi_census_next(struct oi_census_row *row)
{
	while (++row->number < OI_TYPES_MAX) {
		row->objects = oi_load_relaxed(&last[row->number].objects); /* count */
		row->bytes = oi_load_relaxed(&last[row->number].bytes); /* count */
		if (!row->objects)
			continue;
		row->external = oi_external_of(row->number);
		row->name = oi_types[row->number].type->name;
		return true;
	}
	return false;
}

static bool is_larger(const struct oi_census_row *a, const struct oi_census_row *b)
{
	return a->bytes + a->external > b->bytes + b->external;
}

static void add_up(struct oi_census_row *sum, const struct oi_census_row *row)
{
	sum->objects += row->objects;
	sum->bytes += row->bytes;
	sum->external += row->external;
}

size_t oi_census_largest(struct oi_census_row *rows, size_t n, struct oi_census_row *others)
{
	struct oi_census_row row = { 0 };
	size_t found = 0;
	*others = (struct oi_census_row){ 0 };
	while (oi_census_next(&row)) {
		size_t at = found;
		if (found == n && !is_larger(&row, &rows[n - 1])) {
			add_up(others, &row);
			continue;
		}
		if (found == n)
			add_up(others, &rows[--at]);
		for (; at && is_larger(&row, &rows[at - 1]); at--)
			rows[at] = rows[at - 1];
		rows[at] = row;
		found += found < n;
	}
	return found;
}

uint64_t oi_census_age_ns(void)
{
	uint64_t then = oi_load_relaxed(&last_ns), now = oi_now_ns(); /* count */
	return then && now > then ? now - then : 0;
}

void oi_census_shutdown(void)
{
	for (size_t i = 0; i < OI_TYPES_MAX; i++)
		if (last[i].objects)
			last[i] = (struct count){ 0 };
	last_ns = 0;
}
