/*
 * leaky.c FIRST SECOND THIRD - a small server with a planted leak, for those who read snapshots
 *
 * A cache keeps documents by name, as it should; each request also leaves its session in a list
 * that nobody reads. A snapshot is written before, after some requests, and after the documents
 * were dropped: what the second has, the first has not and the third still has is the leak.
 */
#include <ouro.h>
#include <stdlib.h>
#include <string.h>

struct session {
	struct session *previous;
	char token[100];
};

static const ouro_type session_type = {
	.name = "session", .size = sizeof(struct session),
	.slots = OURO_SLOTS(struct session, previous),
};

struct document {
	struct document *parent;
	struct line *line[3];
};

struct line {
	char text[40];
};

static const ouro_type document_type = {
	.name = "document", .size = sizeof(struct document),
	.slots = OURO_SLOTS(struct document, parent, line),
};

static const ouro_type line_type = {
	.name = "line \"\xff\xc3\xa9\n\"", .size = sizeof(struct line), .flags = OURO_ACYCLIC,
};

/* A note goes with a reader. */
struct reader {
	void *values; /* the library's */
	int id;
};

static const ouro_type reader_type = {
	.name = "reader", .size = sizeof(struct reader), .flags = OURO_KEY,
	.slots = OURO_SLOTS(struct reader, values),
};

static const ouro_type note_type = { .name = "note", .size = 16, .flags = OURO_ACYCLIC };

struct server {
	ouro_map *documents, *cached;
	ouro_vec *all;
	ouro_weak_map *known;
	ouro_key_map *notes;
	struct reader *reader;
	struct session *forgotten;
	struct {
		struct document *now;
	} shown;
};

static const ouro_type server_type = {
	.name = "server", .size = sizeof(struct server),
	.slots = OURO_SLOTS(struct server, documents, cached, all, known, notes, reader, forgotten,
			    shown.now),
};

struct pair {
	struct document *key, *value;
};

struct table {
	size_t unused;
	struct pair pair[];
};

static const ouro_type table_type = {
	.name = "table", .size = offsetof(struct table, pair), .item_size = sizeof(struct pair),
	.item_slots = OURO_ITEM_SLOTS(struct pair, key, value),
};

static struct server *server;
static struct table *table;

static struct document *document_new(void)
{
	struct document *d = ouro_new(&document_type);

	for (int i = 0; i < 3; i++)
		ouro_give(&d->line[i], (struct line *)ouro_new(&line_type));
	ouro_store(&d->parent, d); /* a cycle */
	return d;
}

static void request(int i)
{
	struct session *s = ouro_new(&session_type);
	struct document *d = document_new();
	char name[40];
	int n = snprintf(name, sizeof name, "document \"%d\"", i);

	if (ouro_map_put(server->documents, name, (size_t)n, d) ||
	    ouro_map_put(server->cached, name, (size_t)n, d) ||
	    ouro_weak_map_put_int(server->known, (uint64_t)i, d))
		abort();
	for (int k = 0; k < 3; k++) /* so many that the places of the vector are in segments */
		if (ouro_vec_push(server->all, d, NULL))
			abort();
	ouro_store(&server->shown.now, d);
	ouro_store(&table->pair[i % 5000].value, d);
	ouro_release(d);
	ouro_external_bytes(s, 4096);
	ouro_store(&s->previous, server->forgotten);
	ouro_give(&server->forgotten, s);
}

static void write_to(const char *path)
{
	FILE *f = fopen(path, "w");

	if (!f || ouro_snapshot_write(f) || fclose(f))
		abort();
}

static void make_server(void)
{
	void *note = ouro_new(&note_type);

	server = ouro_new(&server_type);
	ouro_give(&server->documents, ouro_map_new());
	ouro_give(&server->cached, ouro_map_new_with(&(ouro_map_options){
		.ttl_ns = OURO_MAP_FOR_EVER }));
	ouro_give(&server->all, ouro_vec_new(0));
	ouro_give(&server->known, ouro_weak_map_new());
	ouro_give(&server->notes, ouro_key_map_new());
	ouro_give(&server->reader, (struct reader *)ouro_new(&reader_type));
	if (ouro_key_map_put(server->notes, server->reader, note))
		abort();
	ouro_release(note);
}

int main(int argc, char **argv)
{
	ouro_config cfg = OURO_CONFIG_DEFAULT;

	if (argc < 4)
		return 2;
	cfg.enabled = false; /* what is dropped is there until it is collected here */
	if (ouro_init(&cfg))
		return 1;
	make_server();
	table = ouro_new_items(&table_type, 5000);
	ouro_immortalize(table);
	ouro_external_bytes(NULL, 5000000000);
	write_to(argv[1]);
	for (int i = 0; i < 1000; i++)
		request(i);
	write_to(argv[2]);
	ouro_map_clear(server->documents);
	ouro_map_clear(server->cached);
	ouro_vec_clear(server->all);
	ouro_store(&server->shown.now, NULL);
	for (int i = 0; i < 1000; i++)
		ouro_store(&table->pair[i].value, NULL);
	if (argc == 4)
		ouro_gc_collect(2); /* with a fourth argument garbage is left in the third */
	write_to(argv[3]);
	return 0;
}
