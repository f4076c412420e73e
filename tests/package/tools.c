/* tools.c - for test_tools.sh: a program as a user's tools see it. Its argument says what it does. */
#include <ouro.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct holder {
	struct holder *next;
	char *owned;
};

static const ouro_type holder_type = {
	.name = "holder", .size = sizeof(struct holder), .slots = OURO_SLOTS(struct holder, next),
};

static struct holder *root;

static void done(void *arg)
{
	free(arg);
}

/* What they own is only to be found from one object to the next, or through a watch; one is large, one huge. */
static void hold(void)
{
	for (int i = 0; i < 100; i++) {
		struct holder *h = ouro_new(&holder_type);

		h->owned = malloc(100);
		ouro_give(&h->next, ouro_take(&root));
		ouro_give(&root, h);
	}
	if (ouro_watch(root, done, malloc(1000), NULL) != 0)
		abort();
}

static void lose(void)
{
	char *volatile lost = malloc(12345);

	lost[0] = 1;
	lost = NULL;
}

/* So that no address of what hold and lose had is left on the stack. */
static void wipe(void)
{
	volatile char stack[4096];

	for (size_t i = 0; i < sizeof(stack); i++)
		stack[i] = 0;
}

static unsigned touch(long offset)
{
	struct holder *h = ouro_new(&holder_type), *kept = ouro_new(&holder_type);

	ouro_release(h);
	for (int i = 0; i < 20; i++) /* where a block waits before it is freed: until the library's threads stand still */
		ouro_gc_collect(2);
	unsigned value = ((volatile unsigned char *)h)[offset];
	ouro_release(kept);
	return value;
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";

	if (strcmp(what, "hold") == 0)
		hold();
	else if (strcmp(what, "lose") == 0)
		lose();
	else if (strcmp(what, "header") == 0)
		return touch(-4) == 256;
	else if (strcmp(what, "payload") == 0)
		return touch(8) == 256;
	wipe();
	return 0;
}
