/*
 * usage.c - bytes in use
 *
 * The sum, over all threads, of bytes made minus bytes freed, as they were when last looked at:
 * each thread keeps counters by size (tally.h), and any thread may add the difference since the
 * last look to the sum. A thread that looks exchanges the noted number, and adds by how much it
 * grew. So the sum is that of the last numbers noted, in whatever order looks at one thread
 * overlap. A difference may be negative, as an object may be freed by another thread than made it.
 *
 * Collections are paced by this, not by pages: those that a full collection leaves half empty are
 * filled again before any page is taken, and a measure that includes them learns that more and more
 * is normal.
 */
#include "heap/usage.h"

#include "base/os.h"
#include "heap/region.h"
#include "heap/tally.h"
#include "world/thread.h"

static int64_t in_use;

static int64_t bytes_of(const struct oi_thread *t)
{
	uint64_t n = 0, made = 0, freed = 0;
	oi_tally_sum(&t->allocated, &n, &made);
	oi_tally_sum(&t->freed, &n, &freed);
	return (int64_t)(made - freed);
}

void oi_usage_note(struct oi_thread *t)
{
	int64_t now = bytes_of(t), then = oi_exchange(&t->bytes_noted, now); /* count */
	oi_add_relaxed(&in_use, now - then); /* count */
}

void oi_usage_count(void)
{
	struct oi_thread *t;
	for (size_t i = 0; (t = oi_thread_record(i)); i++)
		oi_usage_note(t);
}

void oi_usage_recount(void)
{
	static uint64_t next;
	uint64_t began = oi_now_ns(), now;
	if (began < next)
		return;
	oi_usage_count();
	now = oi_now_ns();
	next = now + 100 * (now - began);
}

size_t oi_usage_pages(void)
{
	int64_t bytes = oi_load_relaxed(&in_use); /* count */
	return bytes > 0 ? (size_t)bytes / OI_PAGE : 0;
}

void oi_usage_shutdown(void)
{
	oi_store_relaxed(&in_use, INT64_C(0)); /* stopped: nobody looks */
}
