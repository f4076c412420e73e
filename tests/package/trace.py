# trace.py FILE G0 G1 G2 [NAME...] - FILE is a trace with so many collections of each generation
# that were asked for, and with each NAME; what begins within something on a thread ends within it.
import json
import sys
from collections import Counter

trace = json.load(open(sys.argv[1]))
events = trace["traceEvents"]
names = Counter(e["name"] for e in events)
for g, n in enumerate(sys.argv[2:5]):
    # at shutdown there are more
    got = names[f"collection of generation {g}"]
    assert got >= int(n), f"generation {g}: {got} collections"
for name in sys.argv[5:]:
    assert names[name], f"no {name}"
assert trace["otherData"]["events_lost"] == "0"
assert len({e["pid"] for e in events}) == 1

threads = {e["tid"]: e["args"]["name"] for e in events if e["name"] == "thread_name"}
spans = [e for e in events if e["ph"] == "X"]
assert spans == sorted(spans, key=lambda e: e["ts"])
inside = {}  # the ends of what a thread is in, innermost last
for e in spans:
    begin, end = round(e["ts"] * 1000), round(e["ts"] * 1000) + round(e["dur"] * 1000)
    assert e["tid"] in threads, f"no name for the thread of {e}"
    ends = inside.setdefault(e["tid"], [])
    while ends and ends[-1] <= begin:
        ends.pop()
    assert not ends or end <= ends[-1], f"{e} ends after what it is in"
    ends.append(end)
stops = [e for e in spans if e["name"].startswith("stop: ")]
assert stops and len(stops) == names["wait for threads"]
assert all(e["args"]["asking_us"] + e["args"]["off_us"] <= e["dur"] + 0.002 for e in stops)
