/* config.c - defaults, environment, ranges. */
#include "base/config.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"

#define SAMPLE_MOST ((size_t)1 << 40)

/*
 * Returns the variable whose field is out of range, or NULL. The mode of finalizers is not looked
 * at: its variable cannot set one that does not exist.
 */
static const char *out_of_range(const ouro_config *c)
{
	if (c->threshold[0] < -1 || c->threshold[1] < 0 || c->threshold[2] < 0)
		return "OURO_THRESHOLD";
	if (c->release_batch < 1)
		return "OURO_RELEASE_BATCH";
	if (c->pause_budget_ns < 10000)
		return "OURO_PAUSE_BUDGET_NS";
	if (c->gc_threads > 8)
		return "OURO_GC_THREADS";
	return c->sample_bytes > SAMPLE_MOST ? "OURO_SAMPLE_BYTES" : NULL;
}

int oi_config_check(const ouro_config *c)
{
	bool mode = c->finalizers == OURO_FINALIZERS_THREAD ||
		    c->finalizers == OURO_FINALIZERS_MANUAL;
	return mode && !out_of_range(c) ? 0 : EINVAL;
}

static bool parse_number(const char *s, uint64_t *out)
{
	char *end;
	if (*s < '0' || *s > '9')
		return false;
	errno = 0;
	uint64_t n = strtoull(s, &end, 10);
	unsigned shift = *end == 'K' ? 10 : *end == 'M' ? 20 : *end == 'G' ? 30 : 0;
	if (shift)
		end++;
	if (errno || *end || n > UINT64_MAX >> shift)
		return false;
	*out = n << shift;
	return true;
}

static bool parse_bool(const char *s, bool *out)
{
	*out = !strcmp(s, "1");
	return *out || !strcmp(s, "0");
}

static bool parse_threshold(const char *s, int out[3])
{
	for (int i = 0; i < 3; i++) {
		char *end;
		errno = 0;
		long n = strtol(s, &end, 10);
		if (end == s || errno || n < -1 || n > INT_MAX || *end != (i < 2 ? ',' : 0))
			return false;
		out[i] = (int)n;
		s = end + 1;
	}
	return true;
}

static bool parse_mode(const char *s, ouro_finalizer_mode *out)
{
	*out = !strcmp(s, "manual") ? OURO_FINALIZERS_MANUAL : OURO_FINALIZERS_THREAD;
	return !strcmp(s, "manual") || !strcmp(s, "thread");
}

int oi_config_from_environment(ouro_config *c)
{
	uint64_t n;
	const char *s, *bad = NULL;
	if ((s = getenv("OURO_THRESHOLD")) && !parse_threshold(s, c->threshold))
		bad = "OURO_THRESHOLD";
	if ((s = getenv("OURO_GC")) && !parse_bool(s, &c->enabled))
		bad = "OURO_GC";
	if ((s = getenv("OURO_HUGE_PAGES")) && !parse_bool(s, &c->huge_pages))
		bad = "OURO_HUGE_PAGES";
	if ((s = getenv("OURO_FINALIZERS")) && !parse_mode(s, &c->finalizers))
		bad = "OURO_FINALIZERS";
	static const char *const names[] = { "OURO_RELEASE_BATCH", "OURO_HEAP_LIMIT",
					     "OURO_PAUSE_BUDGET_NS", "OURO_PIN_WARN_NS",
					     "OURO_GC_THREADS", "OURO_SAMPLE_BYTES" };
	for (int i = 0; i < 6; i++) {
		if (!(s = getenv(names[i])))
			continue;
		if (!parse_number(s, &n))
			bad = names[i];
		else if (i == 0)
			c->release_batch = n;
		else if (i == 1)
			c->heap_limit = n;
		else if (i == 2)
			c->pause_budget_ns = n;
		else if (i == 3)
			c->pin_warn_ns = n;
		else if (i == 4)
			c->gc_threads = n;
		else
			c->sample_bytes = n;
	}
	if (bad)
		oi_log("environment: %s=%s is not understood", bad, getenv(bad));
	else if ((bad = out_of_range(c)))
		oi_log("environment: %s=%s is out of range", bad, getenv(bad));
	return bad ? EINVAL : 0;
}
