/*
 * Goal: the library works, and says what it must, where the system refuses what it usually grants.
 * Method: children under mlockall, filters of system calls, limits; a workload and the verifier in each.
 * A failure would mean: old memory taken for new, a hang, or a stop that stops nobody, on a hardened system.
 */
#include "fixture.h"

#include <sys/mman.h>

#include "verify.h"

enum { SKIPPED = 78 };

/* In the child: not here, and why. */
static int skipped(const char *why)
{
	dprintf(2, "skipped: %s: %s\n", why, strerror(errno));
	return SKIPPED;
}

/* The child returns 0, or says why it does not apply. */
static void system_run(int (*fn)(void *), void *arg)
{
	char text[8192];
	int status = child_status(fn, arg, text, sizeof(text));

	if (WIFEXITED(status) && WEXITSTATUS(status) == SKIPPED) {
		print_message("%s", text);
		skip();
	}
	if (status != 0)
		fail_msg("child: status 0x%x: %s", (unsigned)status, text);
}

static void start_heap(void)
{
	ouro_config cfg = test_config();

	REQUIRE(ouro_init(&cfg) == 0);
}

static void stop_heap(void)
{
	ouro_report r = { 9, 9 };

	REQUIRE(oi_verify_heap() == NULL);
	REQUIRE(ouro_shutdown(&r) == 0);
	REQUIRE(r.objects == 0 && r.bytes == 0);
}

/* ---- locked memory: the system takes none of it back ---- */

struct block {
	void *slot;
	unsigned char bytes[2000];
};

static const ouro_type block_type = { .name = "block", .size = sizeof(struct block), .slots = OURO_SLOTS(struct block, slot) };

static bool is_zero(const struct block *b)
{
	size_t i = 0;

	while (i < sizeof(b->bytes) && b->bytes[i] == 0)
		i++;
	return i == sizeof(b->bytes) && b->slot == NULL;
}

enum { BLOCKS = 2000 };

/* Makes them, of nothing but zeroes, writes over them, and lets them go. */
static void use_blocks(void)
{
	static struct block *block[BLOCKS];

	for (int i = 0; i < BLOCKS; i++) {
		block[i] = ouro_new(&block_type);
		REQUIRE(block[i] != NULL && is_zero(block[i]));
		memset(block[i]->bytes, 0xff, sizeof(block[i]->bytes));
	}
	for (int i = 0; i < BLOCKS; i++)
		ouro_release(block[i]);
}

static uint64_t reserved(void)
{
	ouro_stats s;

	ouro_stats_get(&s);
	return s.bytes_reserved;
}

static int locked_child(void *arg)
{
	(void)arg;
	if (mlockall(MCL_CURRENT | MCL_FUTURE) != 0)
		return skipped("mlockall");
	start_heap();
	use_blocks();
	uint64_t before = reserved();
	for (int i = 0; i < 3; i++) {
		REQUIRE(ouro_gc_collect(2) >= 0);
		REQUIRE(reserved() + (1 << 20) > before); /* what was not given back is counted on */
		use_blocks();
		REQUIRE(reserved() < before + (1 << 20)); /* and used again */
	}
	munlockall();
	REQUIRE(ouro_gc_collect(2) >= 0);
	REQUIRE(reserved() < before / 2);
	use_blocks();
	stop_heap();
	return 0;
}

static void system_locked_memory_is_not_taken_for_zeroed(void **state)
{
	(void)state;
	system_run(locked_child, NULL);
}

/* At the heap limit nothing is over but what is cached, which is used again though none of it goes back. */
static int locked_limit_child(void *arg)
{
	ouro_config cfg = test_config();

	(void)arg;
	if (mlockall(MCL_CURRENT | MCL_FUTURE) != 0)
		return skipped("mlockall");
	start_heap();
	use_blocks();
	cfg.heap_limit = reserved() / 15 * 16 + (32 << 10); /* a sixteenth is not for pages */
	stop_heap();
	REQUIRE(ouro_init(&cfg) == 0);
	for (int i = 0; i < 5; i++)
		use_blocks();
	stop_heap();
	return 0;
}

static void system_locked_memory_is_used_again_at_the_limit(void **state)
{
	(void)state;
	system_run(locked_limit_child, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BARE_CASE(system_locked_memory_is_not_taken_for_zeroed),
		BARE_CASE(system_locked_memory_is_used_again_at_the_limit),
	};

	return cmocka_run_group_tests_name("system", tests, NULL, NULL);
}
