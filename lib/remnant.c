/*
 * remnant.c - address ranges that the system would not take back
 *
 * A stack of ranges, linked through their first words: pushed by compare-and-swap, taken as a whole by exchange, so that
 * nobody follows a link of a range that another has [Z1]. Who has taken it puts back what he does not need. No lock: callers hold
 * any, and what a thread had in hand when a fork made it vanish is a loss of addresses in the child, no more.
 */
#include "remnant.h"

#include <string.h>

#include "os.h"

#define FEW 16 /* looked at in one call */

struct remnant {
	struct remnant *next;
	size_t bytes;
	int64_t charge;
};

static struct remnant *remnants;

static struct remnant *take_all(void)
{
	return oi_load_relaxed(&remnants) ? oi_exchange(&remnants, NULL) : NULL; /* recheck; [Z1] acquire: the links */
}

static struct remnant *last_of(struct remnant *list)
{
	while (list->next)
		list = list->next;
	return list;
}

/* The common case first: nobody has put anything there since it was taken, and the list need not be walked. */
static void put_back(struct remnant *list)
{
	struct remnant *head = NULL;
	if (!list || oi_cas(&remnants, &head, list)) /* [Z1] release: the links */
		return;
	struct remnant *last = last_of(list);
	do
		last->next = head;
	while (!oi_cas(&remnants, &head, list)); /* [Z1] */
}

void oi_remnant_add(void *p, size_t bytes, int64_t charge)
{
	struct remnant *r = p;
	*r = (struct remnant){ .bytes = bytes, .charge = charge };
	put_back(r);
}

static void uncharge(const struct remnant *r)
{
	oi_os_charge(-r->charge);
}

/* Unlinks the first of @bytes among the first few. */
static struct remnant *pick(struct remnant **list, size_t bytes)
{
	for (size_t i = 0; i < FEW && *list; i++, list = &(*list)->next)
		if ((*list)->bytes == bytes) {
			struct remnant *r = *list;
			*list = r->next;
			return r;
		}
	return NULL;
}

void *oi_remnant_take(size_t bytes)
{
	struct remnant *list = take_all();
	if (likely(!list))
		return NULL;
	struct remnant *r = pick(&list, bytes);
	put_back(list);
	if (!r)
		return NULL;
	uncharge(r);
	if (oi_os_purge(r, bytes))
		return r;
	return memset(r, 0, bytes);
}

/* One more try at each of the first @most. How many stay, of those. */
static size_t retry(size_t most)
{
	struct remnant *list = take_all(), *next, *stay = NULL;
	size_t n = 0;
	for (; list && most; list = next, most--) {
		struct remnant r = *list;
		next = r.next;
		if (oi_os_unmap_now(list, r.bytes)) {
			uncharge(&r);
			continue;
		}
		list->next = stay;
		stay = list;
		n++;
	}
	put_back(list);
	put_back(stay);
	return n;
}

void oi_remnant_retry(void)
{
	retry(FEW);
}

size_t oi_remnant_retry_all(void)
{
	return retry(SIZE_MAX);
}

bool oi_remnant_any(void)
{
	return oi_load_relaxed(&remnants) != NULL; /* recheck */
}
