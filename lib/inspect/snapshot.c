/*
 * snapshot.c - the heap in the format of Chrome's DevTools (.heapsnapshot)
 *
 * Lists of numbers for nodes and edges, and the strings that these name by number; V8's
 * HeapSnapshotJSONSerializer, and the parsers of DevTools and memlab, are its description. All
 * comes out of one picture (picture.h), in passes that meet the same edges in the same order: they
 * are counted, then written, and then the strings follow that were made up for one edge alone,
 * so that none of these has to be kept. Other strings have their numbers from the start: names of
 * types and of their slots, in a row for each type.
 *
 * The number of an object, which says what is the same in two snapshots, comes from its address, as
 * nothing else of it stays; the viewers' numbers have 32 bits, so regions are numbered in the order
 * in which snapshots met them.
 */
#include <errno.h>
#include <string.h>

#include "base/lock.h"
#include "base/os.h"
#include "base/perturb.h"
#include "contain/dated.h"
#include "contain/parts.h"
#include "contain/places.h"
#include "heap/edge.h"
#include "heap/external.h"
#include "heap/pace.h"
#include "heap/region.h"
#include "heap/type.h"
#include "inspect/json.h"
#include "inspect/output.h"
#include "inspect/picture.h"
#include "world/gate.h"
#include "world/gclock.h"

/* The nodes that come first; the strings of the same numbers are their names. */
enum { NODE_ROOT, NODE_GC_ROOTS, NODE_HELD, NODE_IMMORTAL, NODE_DYING, NODE_FROZEN, NODE_UNHELD,
       NODES };
enum { STRING_MEMORY = NODES, STRING_ONE, STRINGS };
static const char *const strings[STRINGS] = {
	[NODE_ROOT] = "",
	[NODE_GC_ROOTS] = "(GC roots)",
	[NODE_HELD] = "(held by threads and globals)",
	[NODE_IMMORTAL] = "(immortal)",
	[NODE_DYING] = "(dying)",
	[NODE_FROZEN] = "(frozen, held by nothing)",
	[NODE_UNHELD] = "(held by nothing: not yet collected, or moved meanwhile)",
	[STRING_MEMORY] = "(memory outside the heap)",
	[STRING_ONE] = "1 reference",
};

/* How DevTools numbers them in the lists of meta, below. */
enum { TYPE_ARRAY = 1, TYPE_OBJECT = 3, TYPE_NATIVE = 8, TYPE_SYNTHETIC = 9 };
enum { EDGE_ELEMENT = 1, EDGE_PROPERTY = 2, EDGE_INTERNAL = 3 };
#define NODE_FIELDS 7

static const char meta[] =
"{\"snapshot\":{\"meta\":{"
"\"node_fields\":[\"type\",\"name\",\"id\",\"self_size\",\"edge_count\",\"trace_node_id\","
"\"detachedness\"],\n"
"\"node_types\":[[\"hidden\",\"array\",\"string\",\"object\",\"code\",\"closure\",\"regexp\","
"\"number\",\"native\",\"synthetic\",\"concatenated string\",\"sliced string\",\"symbol\","
"\"bigint\",\"object shape\"],\"string\",\"number\",\"number\",\"number\",\"number\",\"number\"],\n"
"\"edge_fields\":[\"type\",\"name_or_index\",\"to_node\"],\n"
"\"edge_types\":[[\"context\",\"element\",\"property\",\"internal\",\"hidden\",\"shortcut\","
"\"weak\"],\"string_or_number\",\"node\"],\n"
"\"trace_function_info_fields\":[\"function_id\",\"name\",\"script_name\",\"script_id\",\"line\","
"\"column\"],\n"
"\"trace_node_fields\":[\"id\",\"function_info_index\",\"count\",\"size\",\"children\"],\n"
"\"sample_fields\":[\"timestamp_us\",\"last_assigned_id\"],\n"
"\"location_fields\":[\"object_index\",\"script_id\",\"line\",\"column\"]},\n";

#define NAMES 4096 /* of slots of a type; those of more have strings of their own */

/* What is known of a type. */
struct kind {
	uint32_t string;  /* the type's name; those of its slots follow */
	uint32_t n_names; /* how many do */
	uint64_t fixed;   /* slots of the fixed part, and of an item */
	uint64_t each;
	uint64_t external; /* what its objects own outside the heap; its string follows the names */
	bool used, fixed_named, items_named;
	bool owned; /* what objects of that number own is in a kind */
};

struct edge {
	unsigned type;
	uint64_t number; /* of an element, or of its string, unless that is made up */
	bool made_up;
	uint64_t to;     /* a node */
};

struct snapshot {
	struct oi_picture p;
	struct kind *kinds; /* by number of the type */
	struct oi_json *json;
	uint64_t n_edges, n_strings;
	uint64_t n_external; /* nodes for memory outside; kinds[0] has what is of no type */
	/* What is done with each edge; its text, if that is made up. */
	void (*edge)(struct snapshot *s, const struct edge *e, const char *text);
};

/* ---- numbers of objects ---- */

#define REGION_BITS 20 /* blocks have 32 bytes or more, in a region of 32 MiB */
#define REGIONS ((1u << (32 - REGION_BITS)) - 1)
static uintptr_t regions[REGIONS]; /* under the lock, which guards the next, too */
static uint32_t n_regions;

/* Returns the number of a region, from 1 on; 0 if there are none left. */
static uint32_t number_of_region(uintptr_t region)
{
	uint32_t i = 0;
	oi_lock(OI_LOCK_SNAPSHOT);
	while (i < n_regions && regions[i] != region)
		i++;
	if (i == n_regions && i < REGIONS)
		regions[n_regions++] = region;
	oi_unlock(OI_LOCK_SNAPSHOT);
	return i < REGIONS ? i + 1 : 0;
}

struct numbers {
	uintptr_t region;
	uint32_t number;
};

/* They come in the order of their addresses. Returns 0 if there are none left. */
static uint64_t number_of(struct numbers *last, const struct oi_seen *s)
{
	uintptr_t region = s->header & ~(uintptr_t)(OI_REGION - 1);
	if (region != last->region)
		*last = (struct numbers){ region, number_of_region(region) };
	uint64_t within = (s->header & (OI_REGION - 1)) / OI_BLOCK_MIN;
	return last->number ? (uint64_t)last->number << REGION_BITS | within : 0;
}

static bool number_all(const struct oi_picture *p)
{
	struct numbers last = { .region = 0 };
	for (uint64_t i = 0; i < p->n; i++)
		if (!number_of(&last, oi_picture_seen(p, i)))
			return false;
	return true;
}

/* ---- edges of objects ---- */

static uint64_t to_node(uint64_t i)
{
	return NODES + i;
}

/* Returns true if the place has a name, which is then the text; if not, *index is its number. */
static bool has_name(const struct kind *k, uint64_t place, uint64_t *index)
{
	bool told = place & OI_EDGE_TOLD;
	*index = place & ~OI_EDGE_TOLD;
	if (told || place < k->fixed)
		return !told && k->fixed_named;
	*index = (place - k->fixed) / (k->each ? k->each : 1);
	return k->items_named;
}

static void give_edge(struct snapshot *s, const struct oi_seen *from, const struct oi_seen_edge *e)
{
	struct kind *k = &s->kinds[from->type];
	struct edge edge = { .type = EDGE_ELEMENT, .to = to_node(e->to) };
	char text[OI_EDGE_NAME] = "";
	if (has_name(k, e->place, &edge.number)) {
		edge.type = EDGE_PROPERTY;
		edge.made_up = e->place >= NAMES;
		edge.number = k->string + 1 + e->place;
		if (edge.made_up)
			oi_edge_name(text, oi_picture_type(from), e->place);
		else if (e->place >= k->n_names)
			k->n_names = (uint32_t)e->place + 1;
	}
	s->edge(s, &edge, text);
}

/*
 * What is in a container are edges of its own, by their keys or indices, as the program sees it.
 * Its parts, and the slots that lead to what is in them, are nodes and edges beside that.
 */

/* Returns what the @k-th of all edges leads to, or NULL. */
static const struct oi_seen *target(const struct snapshot *s, uint64_t k)
{
	uint64_t to = oi_picture_edge(&s->p, k)->to;
	return to == OI_NOBODY ? NULL : oi_picture_seen(&s->p, to);
}

/* An edge to what @part refers to, which is one object, or nothing. */
static void give_inner(struct snapshot *s, const struct oi_seen *part, const char *text)
{
	struct edge edge = { .type = EDGE_PROPERTY, .made_up = true };
	for (uint64_t k = part->edge; k < part->edge + part->n_edges; k++) {
		const struct oi_seen *to = target(s, k);
		edge.to = to_node(oi_picture_edge(&s->p, k)->to);
		if (to && oi_dated_is(to->type))
			give_inner(s, to, text);
		else if (to)
			s->edge(s, &edge, text);
	}
}

/* Of a map. Lists of places are at most @depth deep. */
static void give_values(struct snapshot *s, const struct oi_seen *part, unsigned depth)
{
	if (part->flags & OI_SEEN_NAMED) {
		give_inner(s, part, oi_picture_key(&s->p, part));
		return;
	}
	for (uint64_t k = part->edge; depth && k < part->edge + part->n_edges; k++)
		if (target(s, k) && oi_is_part(target(s, k)->type))
			give_values(s, target(s, k), depth - 1);
}

/* Of a vector: @first is the index of the first thing that @list refers to. */
static void give_elements(struct snapshot *s, const struct oi_seen *list, uint64_t first,
			  bool segmented)
{
	struct edge edge = { .type = EDGE_ELEMENT };
	for (uint64_t k = list->edge; k < list->edge + list->n_edges; k++) {
		uint64_t place = oi_picture_edge(&s->p, k)->place;
		if (!target(s, k))
			continue;
		if (segmented) {
			give_elements(s, target(s, k), first + place * OI_PLACES_SEGMENT, false);
			continue;
		}
		edge.number = first + place;
		edge.to = to_node(oi_picture_edge(&s->p, k)->to);
		s->edge(s, &edge, "");
	}
}

static void give_vector(struct snapshot *s, const struct oi_seen *vec)
{
	for (uint64_t k = vec->edge; k < vec->edge + vec->n_edges; k++) {
		uint64_t part = oi_picture_edge(&s->p, k)->place;
		if (target(s, k))
			give_elements(s, target(s, k), oi_places_first(part),
				      oi_places_segmented(part));
	}
}

/* What goes with a key: its slot leads to the list, that to what refers to the values. */
static void give_items(struct snapshot *s, const struct oi_seen *key, uint64_t place,
		       const struct oi_seen *list)
{
	char text[OI_EDGE_NAME];
	size_t n = oi_edge_name(text, oi_picture_type(key), place);
	for (uint64_t k = list->edge; k < list->edge + list->n_edges; k++) {
		oi_edge_index(text, n, oi_picture_edge(&s->p, k)->place);
		if (target(s, k))
			give_inner(s, target(s, k), text);
	}
}

#define MAP_DEPTH 4

static void give_contents(struct snapshot *s, const struct oi_seen *from)
{
	enum oi_container what = oi_container_of(from->type);
	if (what == OI_IS_VEC)
		give_vector(s, from);
	else if (what == OI_IS_MAP)
		give_values(s, from, MAP_DEPTH);
	for (uint64_t k = from->edge; k < from->edge + from->n_edges; k++) {
		const struct oi_seen *to = target(s, k);
		if (to && oi_key_map_is_list(to->type))
			give_items(s, from, oi_picture_edge(&s->p, k)->place, to);
		else if (to && what == OI_IS_WEAK_MAP)
			give_values(s, to, MAP_DEPTH);
	}
}

static void give_edges(struct snapshot *s, const struct oi_seen *from)
{
	for (uint64_t k = from->edge; k < from->edge + from->n_edges; k++)
		if (oi_picture_edge(&s->p, k)->to != OI_NOBODY)
			give_edge(s, from, oi_picture_edge(&s->p, k));
	give_contents(s, from);
}

/* ---- edges of roots ---- */

/* For objects that no root leads to, the first of each such lot. */
#define TOP 0x100u

static unsigned root_of(const struct oi_seen *s)
{
	if (s->flags & OI_SEEN_DYING)
		return NODE_DYING;
	if (s->flags & OI_SEEN_IMMORTAL)
		return NODE_IMMORTAL;
	if (oi_picture_outside(s))
		return NODE_HELD;
	if (!(s->flags & TOP))
		return NODES;
	return s->flags & OI_SEEN_FROZEN ? NODE_FROZEN : NODE_UNHELD;
}

/* Marks what @i leads to. */
static void reach(const struct oi_picture *p, uint64_t *queue, uint64_t i)
{
	uint64_t n = 0;
	queue[n++] = i;
	oi_picture_seen(p, i)->flags |= OI_SEEN_REACHED;
	while (n) {
		const struct oi_seen *s = oi_picture_seen(p, queue[--n]);
		for (uint64_t k = s->edge; k < s->edge + s->n_edges; k++) {
			uint64_t to = oi_picture_edge(p, k)->to;
			if (to == OI_NOBODY || (oi_picture_seen(p, to)->flags & OI_SEEN_REACHED))
				continue;
			oi_picture_seen(p, to)->flags |= OI_SEEN_REACHED;
			queue[n++] = to;
		}
	}
}

/* Returns false if there is no memory. */
static bool find_tops(const struct oi_picture *p)
{
	uint64_t *queue = oi_os_map_list((p->n + 1) * sizeof *queue);
	if (!queue)
		return false;
	for (unsigned pass = 0; pass < 2; pass++)
		for (uint64_t i = 0; i < p->n; i++) {
			struct oi_seen *s = oi_picture_seen(p, i);
			if ((s->flags & OI_SEEN_REACHED) || (!pass && root_of(s) == NODES))
				continue;
			s->flags |= pass ? TOP : 0u;
			reach(p, queue, i);
		}
	oi_os_unmap_list(queue, (p->n + 1) * sizeof *queue);
	return true;
}

static void give_root(struct snapshot *s, unsigned root)
{
	char text[40];
	for (uint64_t i = 0; i < s->p.n; i++) {
		const struct oi_seen *seen = oi_picture_seen(&s->p, i);
		if (root_of(seen) != root)
			continue;
		uint32_t n = oi_picture_outside(seen);
		struct edge e = { .type = EDGE_ELEMENT, .number = i, .to = to_node(i) };
		if (root == NODE_HELD)
			e = (struct edge){ EDGE_PROPERTY, STRING_ONE, n > 1, to_node(i) };
		snprintf(text, sizeof text, "%u references", (unsigned)n);
		s->edge(s, &e, text);
	}
}

/*
 * Memory elsewhere is cut into nodes, whose sizes have 32 bits. All that the root itself leads to
 * has to be synthetic: DevTools take other nodes there for windows, and measure distances from
 * them.
 */
#define PIECE UINT64_C(0xf0000000)

static void give_synthetic(struct snapshot *s, unsigned node)
{
	struct edge e = { .type = EDGE_ELEMENT, .number = 1, .to = NODE_GC_ROOTS };
	if (node >= NODE_HELD) {
		give_root(s, node);
		return;
	}
	if (node == NODE_ROOT) {
		s->edge(s, &e, "");
		return;
	}
	for (e.to = NODE_HELD; e.to < NODES; e.to++, e.number++)
		s->edge(s, &e, "");
	for (uint64_t i = 0; i < s->n_external; i++, e.number++) {
		e.to = to_node(s->p.n + i);
		s->edge(s, &e, "");
	}
}

/* Calls s->edge for each edge of a node. */
static void give_all_of(struct snapshot *s, uint64_t node)
{
	if (node < NODES)
		give_synthetic(s, (unsigned)node);
	else if (node < to_node(s->p.n))
		give_edges(s, oi_picture_seen(&s->p, node - NODES));
}

static uint64_t n_nodes(const struct snapshot *s)
{
	return to_node(s->p.n) + s->n_external;
}

static void give_all(struct snapshot *s)
{
	for (uint64_t i = 0; i < n_nodes(s); i++)
		give_all_of(s, i);
}

/* ---- writing ---- */

static void count_edge(struct snapshot *s, const struct edge *e, const char *text)
{
	(void)e;
	(void)text;
	s->n_edges++;
}

static void write_edge(struct snapshot *s, const struct edge *e, const char *text)
{
	struct oi_json *j = s->json;
	(void)text;
	oi_json_text(j, s->n_edges++ ? ",\n" : "");
	oi_json_number(j, e->type);
	oi_json_text(j, ",");
	oi_json_number(j, e->made_up ? s->n_strings++ : e->number);
	oi_json_text(j, ",");
	oi_json_number(j, e->to * NODE_FIELDS);
}

static void write_made_up(struct snapshot *s, const struct edge *e, const char *text)
{
	if (!e->made_up)
		return;
	oi_json_text(s->json, ",\n");
	oi_json_string(s->json, text);
}

static void write_node(struct snapshot *s, uint64_t node, const uint64_t field[4])
{
	struct oi_json *j = s->json;
	s->n_edges = 0;
	give_all_of(s, node);
	oi_json_text(j, node ? ",\n" : "");
	for (unsigned i = 0; i < 4; i++) {
		oi_json_number(j, field[i]);
		oi_json_text(j, ",");
	}
	oi_json_number(j, s->n_edges);
	oi_json_text(j, ",0,0");
}

static uint64_t pieces(uint64_t bytes)
{
	return (bytes + PIECE - 1) / PIECE;
}

static void write_external(struct snapshot *s)
{
	uint64_t i = 0;
	for (uint32_t number = 0; number < OI_TYPES_MAX; number++) {
		const struct kind *k = &s->kinds[number];
		uint64_t string = number ? k->string + 1 + k->n_names : STRING_MEMORY;
		for (uint64_t left = k->external, bytes; left; left -= bytes, i++) {
			bytes = left < PIECE ? left : PIECE;
			write_node(s, to_node(s->p.n + i), (uint64_t[4]){ TYPE_NATIVE, string,
				   2 * (NODES + i) + 1, bytes });
		}
	}
}

/* Those of the objects have numbers from 2^20 on. */
static void write_nodes(struct snapshot *s)
{
	struct numbers last = { .region = 0 };
	s->edge = count_edge;
	for (unsigned i = 0; i < NODES; i++)
		write_node(s, i, (uint64_t[4]){ TYPE_SYNTHETIC, i, 2 * i + 1, 0 });
	for (uint64_t i = 0; i < s->p.n; i++) {
		const struct oi_seen *seen = oi_picture_seen(&s->p, i);
		bool tracked = oi_type_tracked(oi_picture_type(seen));
		unsigned type = seen->flags & OI_SEEN_PART ? TYPE_ARRAY :
				tracked                    ? TYPE_OBJECT : TYPE_NATIVE;
		write_node(s, to_node(i), (uint64_t[4]){ type, s->kinds[seen->type].string,
			   number_of(&last, seen), (uint64_t)seen->units * 16 });
	}
	write_external(s);
}

static void write_strings(struct snapshot *s)
{
	char name[OI_EDGE_NAME];
	for (unsigned i = 0; i < STRINGS; i++) {
		oi_json_text(s->json, i ? ",\n" : "");
		oi_json_string(s->json, strings[i]);
	}
	for (uint32_t number = 0; number < OI_TYPES_MAX; number++) {
		const struct kind *k = &s->kinds[number];
		if (!k->used)
			continue;
		oi_json_text(s->json, ",\n");
		oi_json_string(s->json, oi_types[number].type->name);
		for (uint32_t i = 0; i < k->n_names; i++) {
			oi_edge_name(name, oi_types[number].type, i);
			oi_json_text(s->json, ",\n");
			oi_json_string(s->json, name);
		}
		if (k->external) {
			snprintf(name, sizeof name, "%.100s %s", oi_types[number].type->name,
				 strings[STRING_MEMORY]);
			oi_json_text(s->json, ",\n");
			oi_json_string(s->json, name);
		}
	}
	s->edge = write_made_up;
	give_all(s);
}

static void write_lists(struct snapshot *s)
{
	uint64_t first_made_up = s->n_strings;
	oi_json_text(s->json, meta);
	oi_json_text(s->json, "\"node_count\":");
	oi_json_number(s->json, n_nodes(s));
	oi_json_text(s->json, ",\"edge_count\":");
	oi_json_number(s->json, s->n_edges);
	oi_json_text(s->json, ",\"trace_function_count\":0},\n\"nodes\":[");
	write_nodes(s);
	oi_json_text(s->json, "],\n\"edges\":[");
	s->edge = write_edge;
	s->n_edges = 0;
	s->n_strings = first_made_up;
	give_all(s);
	oi_json_text(s->json, "],\n\"trace_function_infos\":[],\n\"trace_tree\":[],\n"
			      "\"samples\":[],\n\"locations\":[],\n\"strings\":[");
	write_strings(s);
	oi_json_text(s->json, "]}\n");
	oi_json_end(s->json);
}

/* ---- before that ---- */

static void describe_types(struct snapshot *s)
{
	for (uint64_t i = 0; i < s->p.n; i++) {
		const struct oi_seen *seen = oi_picture_seen(&s->p, i);
		const ouro_type *t = oi_picture_type(seen);
		struct kind *k = &s->kinds[seen->type];
		if (k->used)
			continue;
		/* A twin has a kind of its own; one of the two has what both own. */
		uint32_t number = oi_type_number(seen->type);
		*k = (struct kind){ .used = true,
				    .fixed = oi_edge_slots_in(&t->slots),
				    .each = oi_edge_slots_in(&t->item_slots),
				    .fixed_named = oi_edge_names(&t->slots),
				    .items_named = oi_edge_names(&t->item_slots),
				    .owned = k->owned };
		if (!s->kinds[number].owned)
			k->external = oi_external_of(number);
		s->kinds[number].owned = true;
	}
}

/* What is of no type is the rest. It changes meanwhile: a difference below 0 is none. */
static void describe_external(struct snapshot *s)
{
	uint64_t all = oi_pace_external(), of_types = 0;
	for (uint32_t number = 1; number < OI_TYPES_MAX; number++) {
		of_types += s->kinds[number].external;
		s->n_external += pieces(s->kinds[number].external);
	}
	s->kinds[0].external = all > of_types ? all - of_types : 0;
	s->n_external += pieces(s->kinds[0].external);
}

/* How many names of slots a type needs is known when all edges were counted. */
static void number_strings(struct snapshot *s)
{
	s->n_strings = STRINGS;
	for (uint32_t number = 0; number < OI_TYPES_MAX; number++) {
		struct kind *k = &s->kinds[number];
		if (!k->used)
			continue;
		k->string = (uint32_t)s->n_strings;
		s->n_strings += 1 + k->n_names + (k->external ? 1 : 0);
	}
}

/* Returns 0, ENOMEM, EOVERFLOW, or why a write failed. */
static int write_picture(struct snapshot *s)
{
	if (!find_tops(&s->p))
		return ENOMEM;
	if (!number_all(&s->p))
		return EOVERFLOW;
	describe_types(s);
	describe_external(s);
	s->edge = count_edge;
	give_all(s);
	if (s->n_edges > UINT32_MAX / 4 || n_nodes(s) > UINT32_MAX / NODE_FIELDS)
		return EOVERFLOW;
	number_strings(s);
	struct oi_output out = oi_output_begin(s->json->f);
	write_lists(s);
	return oi_output_end(&out);
}

int ouro_snapshot_write(FILE *f)
{
	const struct oi_thread *t = oi_current();
	if (!f)
		return EINVAL;
	if (t->pin_depth || oi_collect_locked_by_me())
		return EDEADLK;
	struct oi_json json = { .f = f };
	struct snapshot s = { .json = &json };
	size_t bytes = OI_TYPES_MAX * sizeof *s.kinds;
	s.kinds = oi_os_map_list(bytes);
	int error = ENOMEM;
	if (s.kinds && oi_picture_take(&s.p, true)) {
		oi_point("snapshot: picture");
		error = write_picture(&s);
		oi_picture_free(&s.p);
	}
	if (s.kinds)
		oi_os_unmap_list(s.kinds, bytes);
	return error;
}
