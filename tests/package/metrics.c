/*
 * metrics.c OPENMETRICS JSON - writes the statistics of a program that has made garbage into two
 * files, while nothing changes between them.
 */
#include <ouro.h>

struct node {
	struct node *next;
};

static const ouro_type node_type = {
	.name = "node",
	.size = sizeof(struct node),
	.slots = OURO_SLOTS(struct node, next),
};

/* A label's value has backslashes before these. */
static const ouro_type hostile_type = {
	.name = "a \"quoted\" \\ name\nof two lines", .size = 40, .flags = OURO_ACYCLIC,
};

static void make_ring(void)
{
	struct node *a = ouro_new(&node_type), *b = ouro_new(&node_type);
	ouro_store(&a->next, b);
	ouro_store(&b->next, a);
	ouro_release(a);
	ouro_release(b);
}

static int write_stats(const char *path, ouro_stats_format format)
{
	FILE *f = fopen(path, "w");
	return !f || ouro_stats_write(f, format) || fclose(f);
}

int main(int argc, char **argv)
{
	if (argc != 3)
		return 2;
	ouro_gc_disable();
	for (int i = 0; i < 30; i++) {
		make_ring();
		if (ouro_gc_collect(i % 3) < 0)
			return 1;
	}
	struct node *kept = ouro_new(&node_type);
	void *odd[] = { ouro_new(&hostile_type), ouro_new(&hostile_type) };
	ouro_external_bytes(odd[0], 12345);
	if (ouro_type_stats(NULL, 0) != 2)
		return 1;
	int failed = write_stats(argv[1], OURO_STATS_OPENMETRICS) ||
		     write_stats(argv[2], OURO_STATS_JSON);
	ouro_release(odd[0]);
	ouro_release(odd[1]);
	ouro_release(kept);
	return failed || ouro_shutdown(NULL);
}
