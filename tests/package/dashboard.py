# dashboard.py OPENMETRICS DASHBOARD - each metric that a panel asks for is among the samples.
import json
import re
import sys

there = set(re.findall(r"^(ouro_\w+)", open(sys.argv[1]).read(), re.M))
panels = [p for p in json.load(open(sys.argv[2]))["panels"] if p["type"] != "row"]
asked = {name for p in panels for t in p["targets"] for name in re.findall(r"ouro_\w+", t["expr"])}
assert len(panels) >= 8 and len(asked) >= 12, "hardly anything is shown"
missing = sorted(asked - there)
assert not missing, f"no such metrics: {missing}"
