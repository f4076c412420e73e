/* What a user's program does first: tests/package/installed.sh builds it in every way. */
#include <ouro.h>
#include <string.h>

#if OURO_VERSION_NUMBER < 100
#error "no version"
#endif

struct node {
	struct node *next;
};

static const ouro_type node_type = {
	.name = "node",
	.size = sizeof(struct node),
	.slots = OURO_SLOTS(struct node, next),
};

int main(void)
{
	ouro_report report;
	struct node *n = ouro_new(&node_type);

	ouro_store(&n->next, n);
	ouro_release(n);
	if (ouro_gc_collect(2) != 1)
		return 1;
	if (ouro_shutdown(&report) || report.objects)
		return 2;
	return strcmp(ouro_version(), EXPECTED) != 0;
}
