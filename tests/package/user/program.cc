// The same as program.c, in C++17.
#include <ouro.h>
#include <cstring>

struct node {
	node *next;
};

static const ouro_type node_type = [] {
	ouro_type t;
	t.name = "node";
	t.size = sizeof(node);
	t.slots = OURO_SLOTS(node, next);
	return t;
}();

int main()
{
	ouro_report report;
	node *n = static_cast<node *>(ouro_new(&node_type));

	ouro_store(&n->next, n);
	ouro_release(n);
	if (ouro_gc_collect(2) != 1)
		return 1;
	if (ouro_shutdown(&report) || report.objects)
		return 2;
	return std::strcmp(ouro_version(), EXPECTED) != 0;
}
