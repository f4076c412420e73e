"""snapshot.py FIRST SECOND THIRD - reads the snapshots of leaky.c (with a fourth argument) as
strictly as any viewer may: what JSON forbids, a number out of its range, a node that nothing leads
to, or a name that is not what it should be ends it with an error."""
import collections
import json
import sys

U32 = 1 << 32


def once(pairs):
    assert len({key for key, _ in pairs}) == len(pairs), "a key twice"
    return dict(pairs)


def refuse(what):
    raise ValueError(f"{what} is no JSON")


class Snapshot:
    def __init__(self, path):
        with open(path, encoding="utf-8", errors="strict") as f:
            self.all = json.load(f, object_pairs_hook=once, parse_constant=refuse)
        assert list(self.all) == ["snapshot", "nodes", "edges", "trace_function_infos",
                                  "trace_tree", "samples", "locations", "strings"]
        self.meta = self.all["snapshot"]["meta"]
        self.strings = self.all["strings"]
        self.check_meta()
        self.read_nodes()
        self.read_edges()
        self.reach()

    def check_meta(self):
        meta = self.meta
        assert set(meta) == {"node_fields", "node_types", "edge_fields", "edge_types",
                             "trace_function_info_fields", "trace_node_fields", "sample_fields",
                             "location_fields"}
        assert len(meta["node_fields"]) == len(meta["node_types"]) == 7
        assert len(meta["edge_fields"]) == len(meta["edge_types"]) == 3
        assert self.all["snapshot"]["trace_function_count"] == 0
        for empty in "trace_function_infos", "trace_tree", "samples", "locations":
            assert self.all[empty] == []

    def rows(self, key, width, count):
        flat = self.all[key]
        assert len(flat) == width * count, f"{len(flat)} numbers of {key}"
        assert all(type(x) is int and 0 <= x < U32 for x in flat)
        return [flat[i:i + width] for i in range(0, len(flat), width)]

    def string(self, i):
        assert type(self.strings[i]) is str
        return self.strings[i]

    def read_nodes(self):
        types = self.meta["node_types"][0]
        node = collections.namedtuple("node", self.meta["node_fields"])
        rows = self.rows("nodes", 7, self.all["snapshot"]["node_count"])
        self.nodes = [node(types[r[0]], self.string(r[1]), *r[2:]) for r in rows]
        assert len({n.id for n in self.nodes}) == len(self.nodes), "an id twice"
        assert all(n.trace_node_id == n.detachedness == 0 for n in self.nodes)
        assert self.nodes[0].type == "synthetic" and self.nodes[0].name == ""

    def read_edges(self):
        rows = iter(self.rows("edges", 3, self.all["snapshot"]["edge_count"]))
        types = self.meta["edge_types"][0]
        self.edges, self.used = [], set()
        for n in self.nodes:
            mine = []
            for _ in range(n.edge_count):
                kind, name, to = next(rows)
                assert to % 7 == 0 and to // 7 < len(self.nodes)
                if types[kind] != "element":
                    self.used.add(name)
                    name = self.string(name)
                mine.append((types[kind], name, to // 7))
            self.edges.append(mine)
        assert next(rows, None) is None, "edges of no node"

    def reach(self):
        seen, stack = {0}, [0]
        while stack:
            for _, _, to in self.edges[stack.pop()]:
                if to not in seen:
                    seen.add(to)
                    stack.append(to)
        assert len(seen) == len(self.nodes), "nodes that nothing leads to"

    def named(self, name):
        return [i for i, n in enumerate(self.nodes) if n.name == name]

    def only(self, name):
        [i] = self.named(name)
        return i

    def follow(self, i, *path):
        for name in path:
            [i] = [to for _, edge, to in self.edges[i] if edge == name]
        return i

    def below(self, root):
        return {to: edge for _, edge, to in self.edges[self.follow(0, 1) if root is None else
                                                       self.only(root)]}


UNHELD = "(held by nothing: not yet collected, or moved meanwhile)"
first, second, third = (Snapshot(path) for path in sys.argv[1:4])

# what is there
for s, sessions, documents, lines in (first, 0, 0, 0), (second, 1000, 1000, 3000), \
        (third, 1000, 1000, 3000):
    assert len(s.named("session")) == sessions
    assert len(s.named("document")) == documents
    assert len(s.named('line "\ufffd\u00e9\n"')) == lines
    outside = s.named("(memory outside the heap)")
    assert sum(s.nodes[i].self_size for i in outside) == 5000000000
    owned = [s.nodes[i] for i in s.named("session (memory outside the heap)")]
    assert [(n.type, n.self_size) for n in owned] == [("native", 4096 * sessions)] * bool(sessions)
server = second.only("server")
assert {second.nodes[i].type for i in second.named("session")} == {"object"}
assert {second.nodes[i].self_size for i in second.named("session")} == {128}
assert second.nodes[second.follow(second.named("document")[0], "line[0]")].type == "native"

# names of slots, of items, of keys
assert second.nodes[second.follow(server, "shown.now")].name == "document"
assert second.nodes[second.follow(server, "forgotten", "previous", "previous")].name == "session"
seventh = second.follow(server, "documents", '["document \\x227\\x22"]')
assert second.follow(seventh, "parent") == seventh
table = second.only("table")
assert second.follow(table, "[7].value") == seventh
assert second.follow(table, "[999].value") in second.named("document")
assert len(second.edges[table]) == 1000
keys = {name for _, name, _ in second.edges[second.follow(server, "documents")]}
assert {f'["document \\x22{i}\\x22"]' for i in range(1000)} <= keys


# what is in other containers, and that what they are made of is no object of the program's
assert second.follow(server, "cached", '["document \\x227\\x22"]') == seventh
vector = second.follow(server, "all")
elements = {index: to for kind, index, to in second.edges[vector] if kind == "element"}
assert sorted(elements) == list(range(3000)) and len(set(elements.values())) == 1000
assert [elements[i] for i in (20, 21, 22, 23, 24)].count(seventh) == 3
last = second.follow(server, "documents", '["document \\x22999\\x22"]')
assert [elements[i] for i in (2996, 2997, 2998, 2999)].count(last) == 3
known = {name for _, name, _ in second.edges[second.follow(server, "known")]}
assert {f"[{i}]" for i in range(1000)} <= known
assert second.nodes[second.follow(server, "reader", "values[0]")].name == "note"
ours = collections.Counter(n.name for n in second.nodes
                           if n.type == "object" and n.name.startswith("ouro_"))
assert ours == {"ouro_map": 2, "ouro_vec": 1, "ouro_weak_map": 1, "ouro_key_map": 1}

# roots; what the root leads to that is not synthetic would be a window for DevTools
assert [second.nodes[to].type for _, _, to in second.edges[0]] == ["synthetic"]
assert second.below("(held by threads and globals)") == {server: "1 reference"}
assert list(second.below("(immortal)")) == [table]
assert not second.below("(dying)") and not second.below(UNHELD)
dropped = third.below(UNHELD)
assert {third.nodes[i].name for i in dropped} == {"document"} and len(dropped) == 1000

# the same object has the same number, another one has another
ids = [{n.id: n.name for n in s.nodes if n.type != "synthetic"} for s in (first, second, third)]
assert len({s.nodes[s.only("server")].id for s in (first, second, third)}) == 1
assert all(ids[1][i] == name for i, name in ids[0].items())
fresh = collections.Counter(name for i, name in ids[1].items() if i not in ids[0])
assert fresh["session"] == 1000 and fresh["server"] == 0
assert sum(name == "session" for i, name in ids[2].items() if i in ids[1]) == 1000
print("snapshots: ok")
