/*
 * remnant.c - address ranges to be given back later
 *
 * A stack of ranges, linked through their first words: pushed by compare-and-swap, taken as a whole
 * by exchange, so that nobody follows a link of a range that another thread has [Z1]. A thread that
 * has taken it puts back what it does not need. No lock: callers may hold any.
 * One thread at a time unmaps [Z2]. What it has in hand is in variables, for the child of a fork,
 * where that thread is gone: the range it was unmapping is a remnant no more, or a loss of
 * addresses; it is not counted; the rest goes back to the stack.
 */
#include "base/remnant.h"

#include <string.h>

#include "base/os.h"
#include "base/wake.h"

#define FEW 16 /* looked at for one request */

struct remnant {
	struct remnant *next;
	size_t bytes;
	int64_t charge;
	bool tried; /* and refused: only its first page has memory, if the system took that */
};

static struct remnant *remnants;
static uint32_t trying;
static struct remnant *in_hand; /* of the thread that has trying */
static int64_t charge_in_hand;  /* of the one that is being unmapped */

static struct remnant *take_all(void)
{
	/* recheck; [Z1] acquire: the links */
	return oi_load_relaxed(&remnants) ? oi_exchange(&remnants, NULL) : NULL;
}

static struct remnant *last_of(struct remnant *list)
{
	while (list->next)
		list = list->next;
	return list;
}

/*
 * The common case comes first: nobody has put anything there since it was taken, and the list need
 * not be walked.
 */
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
	oi_wake_trim();
}

bool oi_remnant_any(void)
{
	/* recheck: or in somebody's hand */
	return oi_load_relaxed(&remnants) != NULL || oi_load_relaxed(&trying);
}

/* Unlinks and returns the first range of @bytes among the first few. */
static struct remnant *pick(struct remnant **list, size_t bytes)
{
	for (size_t i = 0; i < FEW && *list; i++, list = &(*list)->next)
		if ((*list)->bytes == bytes && ((*list)->tried || bytes < OI_REMNANT_LONG)) {
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
	oi_os_charge(-r->charge);
	if (oi_os_purge(r, bytes))
		return r;
	return memset(r, 0, bytes);
}

/* munmap refuses it: gives its memory back, as far as that can be, and keeps the addresses. */
static void keep_refused(struct remnant *r, struct remnant was)
{
	if (!was.tried && oi_os_purge(r, was.bytes) && was.charge > (int64_t)OI_OS_PAGE) {
		oi_os_charge((int64_t)OI_OS_PAGE - was.charge);
		was.charge = (int64_t)OI_OS_PAGE;
	}
	*r = (struct remnant){ .bytes = was.bytes, .charge = was.charge, .tried = true };
	put_back(r);
}

/* Unmaps the end of a range that is too long for now. Returns true if the end went. */
static bool unmap_end(struct remnant *r, size_t bytes)
{
	int64_t charge = r->charge < (int64_t)bytes ? r->charge : (int64_t)bytes;
	r->bytes -= bytes;
	r->charge -= charge;
	oi_store_release(&charge_in_hand, charge); /* [Z2] */
	bool gone = oi_os_unmap_now((char *)r + r->bytes, bytes);
	if (gone) {
		oi_os_charge(-charge);
	} else {
		r->bytes += bytes;
		r->charge += charge;
	}
	oi_store_release(&charge_in_hand, (int64_t)0); /* owner */
	return gone;
}

static bool unmap_whole(struct remnant *r)
{
	struct remnant was = *r;
	oi_store_release(&charge_in_hand, was.charge); /* owner */
	oi_store_release(&in_hand, was.next); /* [Z2] before it is unmapped, and maybe reused */
	bool gone = oi_os_unmap_now(r, was.bytes);
	if (gone)
		oi_os_charge(-was.charge);
	else
		keep_refused(r, was);
	oi_store_release(&charge_in_hand, (int64_t)0); /* owner */
	return gone;
}

/* Unmaps the first range in hand, or its end. Returns true if that went. */
static bool unmap_some(size_t *budget)
{
	struct remnant *r = in_hand;
	if (r->bytes > *budget && !r->tried && unmap_end(r, *budget)) {
		*budget = 0;
		return true;
	}
	*budget -= r->bytes < *budget ? r->bytes : *budget;
	return unmap_whole(r);
}

/*
 * A thread that is to give back all there is waits for its turn: the other one is in a system call,
 * and needs nothing of anybody.
 */
static bool begin_retry(size_t budget)
{
	while (oi_exchange(&trying, 1u)) { /* [Z2] */
		if (budget != SIZE_MAX)
			return false;
		oi_sleep_ns(50000);
	}
	return true;
}

bool oi_remnant_retry(size_t budget)
{
	bool more = false;
	if ((!oi_remnant_any() && budget != SIZE_MAX) || !begin_retry(budget))
		return false;
	oi_store_release(&in_hand, take_all()); /* owner */
	while (in_hand && budget)
		more |= unmap_some(&budget);
	more |= in_hand != NULL;
	put_back(in_hand);
	oi_store_release(&in_hand, NULL); /* owner */
	oi_store_release(&trying, 0u); /* [Z2] */
	return more;
}

void oi_remnant_fork_child(void)
{
	oi_os_charge(-charge_in_hand);
	charge_in_hand = 0;
	put_back(in_hand);
	in_hand = NULL;
	trying = 0;
}
