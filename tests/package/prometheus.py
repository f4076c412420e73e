# prometheus.py DIRECTORY TYPE - serves DIRECTORY/metrics.txt as TYPE, has Prometheus scrape it,
# and compares with stats.json.
import http.server
import json
import subprocess
import sys
import threading
import time
import urllib.parse
import urllib.request

directory, content_type = sys.argv[1:]
metrics = open(directory + "/metrics.txt", "rb").read()
stats = json.load(open(directory + "/stats.json"))


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", content_type)
        self.end_headers()
        self.wfile.write(metrics)

    def log_message(self, *args):
        pass


def free_port():
    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as s:
        return s.server_port


def ask(port, path, **query):
    url = f"http://127.0.0.1:{port}/api/v1/{path}?{urllib.parse.urlencode(query)}"
    return json.load(urllib.request.urlopen(url))["data"]


def scraped(port):
    try:
        result = ask(port, "query", query="up")["result"]
        return result and result[0]["value"][1] == "1"
    except OSError:
        return False


def compare(port):
    def value(query):
        result = ask(port, "query", query=query)["result"]
        assert len(result) == 1, f"{query}: {result}"
        return float(result[0]["value"][1])

    assert value("ouro_objects_live") == stats["objects_live"]
    assert value("ouro_pause_seconds_count") == stats["pauses"]
    assert value('ouro_pause_seconds_bucket{le="+Inf"}') == stats["pauses"]
    assert round(value("ouro_pause_seconds_sum") * 1e9) == stats["pause_sum_ns"]
    assert value('ouro_collections_total{generation="2"}') == stats["collections"][2]
    assert value('ouro_holdup_seconds_count{cause="stop"}') == stats["holdups"]["stop"]
    metadata = ask(port, "metadata", metric="ouro_pause_seconds")
    assert metadata["ouro_pause_seconds"][0]["unit"] == "seconds"


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
with open(directory + "/prometheus.yml", "w") as f:
    f.write("global: {scrape_interval: 1s}\nscrape_configs:\n- job_name: ouro\n  static_configs:\n"
            f"  - targets: ['127.0.0.1:{server.server_port}']\n")
port = free_port()
with open(directory + "/prometheus.log", "w") as log:
    prometheus = subprocess.Popen(
        ["prometheus", f"--config.file={directory}/prometheus.yml",
         f"--storage.tsdb.path={directory}/data",
         f"--web.listen-address=127.0.0.1:{port}"], stdout=log, stderr=log)
try:
    deadline = time.monotonic() + 300
    while not scraped(port):
        if prometheus.poll() is not None or time.monotonic() > deadline:
            sys.exit(open(directory + "/prometheus.log").read() + "Prometheus did not scrape it")
        time.sleep(0.2)
    compare(port)
finally:
    prometheus.terminate()
    prometheus.wait()
print("prometheus: scraped, and says what the library says")
