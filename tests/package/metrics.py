# metrics.py OPENMETRICS JSON - reads the first with a parser of OpenMetrics: both say the same.
import json
import sys

from prometheus_client.openmetrics.parser import text_string_to_metric_families

text, stats = open(sys.argv[1]).read(), json.load(open(sys.argv[2]))
families = {f.name: f for f in text_string_to_metric_families(text)}
samples = {
    (s.name, tuple(sorted(s.labels.items()))): s.value for f in families.values() for s in f.samples
}


def same(field, value, name, **labels):
    got = samples[(name, tuple(sorted(labels.items())))]
    if name.endswith(("_seconds", "_seconds_total", "_seconds_sum")):
        got = round(got * 1e9)
    assert got == value, f"{field}: {value} in JSON, {name}{labels} is {got}"


def histogram(name, n, total, **labels):
    same(name, n, f"ouro_{name}_seconds_count", **labels)
    same(name, total, f"ouro_{name}_seconds_sum", **labels)
    same(name, n, f"ouro_{name}_seconds_bucket", le="+Inf", **labels)


for name in ("objects_live", "bytes_live", "weak_entries", "threads"):
    same(name, stats[name], "ouro_" + name)
for name in ("objects_allocated", "objects_freed", "looked", "searches"):
    same(name, stats[name], f"ouro_{name}_total")
for g in "012":
    same("collections", stats["collections"][int(g)], "ouro_collections_total", generation=g)
    same("collected", stats["collected"][int(g)], "ouro_collected_total", generation=g)
    ns = stats["collection_ns"][int(g)]
    same("collection_ns", ns, "ouro_collection_seconds_total", generation=g)
histogram("pause", stats["pauses"], stats["pause_sum_ns"])
histogram("delay", stats["delays"], stats["delay_sum_ns"])
for cause, n in stats["holdups"].items():
    histogram("holdup", n, stats["holdup_sum_ns"][cause], cause=cause)
    same("holdup_max_ns", stats["holdup_max_ns"][cause], "ouro_holdup_max_seconds", cause=cause)
same("pause_max_ns", stats["pause_max_ns"], "ouro_pause_max_seconds")
assert stats["objects_live"] == 3 and stats["pauses"] >= 30 and sum(stats["collections"]) == 30
for kind, field in (("type_objects", "objects"), ("type_bytes", "bytes"),
                    ("type_external_bytes", "external_bytes")):
    got = {s.labels["type"]: s.value for s in families["ouro_" + kind].samples}
    assert got == {t["name"]: t[field] for t in stats["types"]}, (kind, got, stats["types"])
assert {t["name"]: t["objects"] for t in stats["types"]}['a "quoted" \\ name\nof two lines'] == 2
pauses = families["ouro_pause_seconds"]
assert pauses.type == "histogram" and pauses.unit == "seconds"
for f in families.values():
    assert f.type != "unknown" and f.documentation, f.name
